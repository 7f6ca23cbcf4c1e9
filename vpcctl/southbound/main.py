"""The southbound process: listeners, engine and metrics around one event loop."""

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from vpcctl.pki.errors import PkiError
from vpcctl.southbound.app import start_apps, stop_apps
from vpcctl.southbound.certificates import Certificates, watch
from vpcctl.southbound.counters import CounterServer
from vpcctl.southbound.engine import Engine, EngineSettings, Inputs, Wakeups
from vpcctl.southbound.metrics import Metrics
from vpcctl.southbound.network_program import NetworkProgram
from vpcctl.southbound.program import Program
from vpcctl.southbound.recorder import Outputs
from vpcctl.southbound.transport.connection import Connection
from vpcctl.southbound.transport.limits import Limits
from vpcctl.southbound.transport.listener import Listeners, ServerTls
from vpcctl.store.certificates import CertificateStore
from vpcctl.store.database import Database
from vpcctl.store.feed import Feed
from vpcctl.store.realisation import RealisationStore
from vpcctl.store.wake import WakeListener, Waker

log = structlog.get_logger(__name__)

_CERTIFICATE_S = 60.0


@dataclass(frozen=True, slots=True)
class SouthboundConfig:
    """What the southbound needs to know.

    Attributes:
        database_url: SQLAlchemy URL; its tables are there already.
        run_dir: directory of the sockets between the controller's processes.
        listen: ``tcp:HOST:PORT`` (loopback only, see ``allow_plain``), ``unix:PATH``,
            ``ssl:HOST:PORT``.
        tls: makes the TLS context; needed for ``ssl:``.
        allow_plain: plain text off the loopback too.
        metrics_listen: ``HOST:PORT`` of the metrics over HTTP, or None.
        engine: how the engine behaves.
        limits: what a peer may do.
        log_level: name of a level of ``logging``.
    """

    database_url: str
    run_dir: Path
    listen: tuple[str, ...] = ("tcp:127.0.0.1:6653",)
    tls: ServerTls | None = None
    allow_plain: bool = False
    metrics_listen: str | None = None
    engine: EngineSettings = field(default_factory=EngineSettings)
    limits: Limits = field(default_factory=Limits)
    log_level: str = "INFO"


class Southbound:
    """Everything of the southbound within a running event loop."""

    def __init__(
        self,
        config: SouthboundConfig,
        inputs: Inputs,
        outputs: Outputs,
        program: Program,
        *,
        certificates: Certificates | None = None,
    ) -> None:
        self.config = config
        self.metrics = Metrics()
        self._certificates = certificates
        self.engine = Engine(
            inputs,
            outputs,
            program,
            metrics=self.metrics,
            settings=config.engine,
            certificates=certificates,
        )
        self.listeners = Listeners(
            limits=config.limits,
            tls=config.tls,
            allow_plain=config.allow_plain,
            on_fault=self._on_fault,
        )
        self._counters = CounterServer(self.engine, config.run_dir)
        self._tasks: list[asyncio.Task[None]] = []

    def _on_fault(self, connection: Connection, fault: str) -> None:
        self.metrics.faults.inc()
        self.engine.on_fault(connection, fault)

    async def start(self, wakeups: Wakeups | None = None) -> None:
        """Load the network, then let switches connect: nothing is compared before all is known.

        Raises:
            ListenError: a listener must not be opened.
            OSError: a listener, or the socket for questions, cannot be opened.
        """
        start_apps(self.engine)
        self._spawn(self.engine.run())
        self._spawn(self.engine.recorder.run())
        if wakeups is not None:
            self.engine.listen(wakeups)
        await self.engine.loaded.wait()
        await self.listeners.open(self.config.listen)
        await self._counters.start()
        if self._certificates is not None:
            self._spawn(watch(self._certificates, lambda: self.listeners.connections))
        if self.config.tls is not None:
            self._spawn(_keep_certificate(self.config.tls))
        self._spawn(self.engine.run_audits())
        log.info("southbound ready", listening=self.listeners.addresses)

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        self._tasks.append(asyncio.create_task(work))

    async def stop(self) -> None:
        """Drop all connections, whose switches keep their flows, and end."""
        await self._counters.stop()
        await self.listeners.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        stop_apps()


async def _keep_certificate(tls: ServerTls) -> None:
    """Show the controller's newest certificate to switches that connect from now on."""
    while True:
        await asyncio.sleep(_CERTIFICATE_S)
        try:
            if tls.reload():
                log.info("the server certificate was renewed")
        except PkiError as error:  # the present one goes on
            log.error("the server certificate cannot be read", error=str(error))


def run(config: SouthboundConfig, ready: Callable[[list[str]], None] | None = None) -> None:
    """Run until SIGTERM or SIGINT; the entry point of the process.

    Args:
        config: what it needs to know.
        ready: called with the addresses it listens on, once it does.
    """
    level = logging.getLevelNamesMapping()[config.log_level.upper()]
    logging.basicConfig(level=max(level, logging.WARNING))
    logging.getLogger("os_ken").setLevel(logging.CRITICAL)  # it logs what it cannot parse, whole
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    asyncio.run(_serve(config, ready))


async def _serve(config: SouthboundConfig, ready: Callable[[list[str]], None] | None) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    database = Database.open(config.database_url)
    waker = Waker(config.run_dir)
    wakeups = WakeListener(config.run_dir, "network")
    outputs = RealisationStore(database, waker)
    southbound = Southbound(
        config,
        Feed(database),
        outputs,
        NetworkProgram(),
        certificates=CertificateStore(database),
    )
    if config.metrics_listen:
        southbound.metrics.serve(config.metrics_listen)
    starting = asyncio.create_task(southbound.start(wakeups))
    ending = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            if ready is not None:
                ready(southbound.listeners.addresses)
            await ending
    finally:
        starting.cancel()
        ending.cancel()
        loop.remove_reader(wakeups.fileno())
        await southbound.stop()
        wakeups.close()
        waker.close()
