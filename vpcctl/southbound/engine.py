"""The engine: from the feed to every switch, one round after the other."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from vpcctl.compile.relaying import Relaying
from vpcctl.compile.transition import HostChange, Transition
from vpcctl.model.changes import ChangeBatch, slices
from vpcctl.model.counters import Drops
from vpcctl.model.host import Host
from vpcctl.model.relay import Relay
from vpcctl.pipeline.counters import Subject
from vpcctl.southbound.admission import Admission, Registry
from vpcctl.southbound.ageing import Ageing
from vpcctl.southbound.audit import Auditor
from vpcctl.southbound.certificates import Certificates
from vpcctl.southbound.codec.messages import EncodeError
from vpcctl.southbound.drops import DropTally
from vpcctl.southbound.encoded import Encoder
from vpcctl.southbound.host import HostState
from vpcctl.southbound.listings import Listings
from vpcctl.southbound.metrics import Metrics
from vpcctl.southbound.program import Program
from vpcctl.southbound.recorder import Outputs, Recorder
from vpcctl.southbound.resync import Slots
from vpcctl.southbound.session import Deadlines, Session
from vpcctl.southbound.shared import Shared
from vpcctl.southbound.transport.connection import Connection, Datapath
from vpcctl.southbound.worker import Tools, Worker
from vpcctl.store.realisation import HostRealised

log = structlog.get_logger(__name__)

_POLL_S = 1.0
_RETRY_S = 1.0
_SLICE = 500
"""Changes that are planned without letting others run."""
_AUDIT_REST = 9
"""So many times as long as an audit took, nothing is audited."""


class Inputs(Protocol):
    """Where the network comes from (``vpcctl.store.feed.Feed``)."""

    def load(self) -> ChangeBatch:
        """Return every resource, in one moment."""
        ...

    def changes(self, after: int) -> ChangeBatch | None:
        """Return what changed after a revision; None when that is no longer known."""
        ...

    def few(self, after: int) -> ChangeBatch | None:
        """Return the same if it is there at once, else None."""
        ...


class Wakeups(Protocol):
    """What says that there is something new (``vpcctl.store.wake.WakeListener``)."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable."""
        ...

    def drain(self) -> object:
        """Take all wake-ups."""
        ...


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How the engine behaves.

    Attributes:
        audit_interval_s: seconds between two audits of one switch; 0 switches them off.
        concurrent_compares: switches that are compared at the same time.
        deadlines: how long a switch may take.
    """

    audit_interval_s: float = 60.0
    concurrent_compares: int = 4
    deadlines: Deadlines = field(default_factory=Deadlines)


class Engine:
    """Holds the network, and a state for each host; everything runs in one event loop."""

    def __init__(
        self,
        inputs: Inputs,
        outputs: Outputs,
        program: Program,
        *,
        metrics: Metrics,
        settings: EngineSettings | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self.settings = settings or EngineSettings()
        self.metrics = metrics
        self.hosts: dict[str, HostState] = {}
        self.loaded = asyncio.Event()
        self._inputs = inputs
        self._program = program
        self._encoder, self._shared = Encoder(), Shared()
        self._ageing = Ageing()
        self._by_dpid: dict[int, HostState] = {}
        self._workers: dict[str, Worker] = {}
        self._sessions: dict[Datapath, HostState] = {}
        self._news = asyncio.Event()
        self._must_load = False
        self.recorder = Recorder(outputs, self._standing)
        registry = Registry(self._by_dpid.get, self._news.set, self._admit)
        self._admission = Admission(registry, self.recorder, metrics, certificates)
        self._tally = DropTally()
        self._auditor = Auditor(program, self._encoder, self.recorder, metrics, self._tally)
        self.listings = Listings()
        comparing = Slots(self.settings.concurrent_compares)
        self._tools = Tools(
            program, self._encoder, self.recorder, metrics, comparing, self._shared, self._advance
        )
        self._relaying = Relaying(self._is_connected, self._is_ready)

    def _standing(self, host_id: str) -> HostRealised | None:
        host = self.hosts.get(host_id)
        return host.realised() if host is not None else None

    # --- switches -------------------------------------------------------------------------------

    def on_up(self, datapath: Datapath) -> None:
        """Take a switch that has finished its handshake, if it may be taken."""
        self._admission.consider(datapath)

    def on_down(self, datapath: Datapath) -> None:
        """Forget a switch."""
        self._admission.gone(datapath)
        host = self._sessions.pop(datapath, None)
        if host is None:
            return
        self._workers.pop(host.id).stop()
        if host.session is not None:
            host.session.close()
        host.disconnected(datapath.connection.close_reason or "connection closed")
        self.recorder.host(host.id)
        self.metrics.connections.set(len(self._sessions))

    def on_fault(self, connection: Connection, fault: str) -> None:
        """Tell which host's switch broke the protocol; strangers are only logged."""
        host = self._sessions.get(connection.datapath)
        if host is not None:
            host.degrade(f"connection dropped: {fault}")
            self.recorder.event("host", host.id, f"connection dropped: {fault}")

    def _admit(self, host: HostState, connection: Connection) -> None:
        session = Session(connection, self.settings.deadlines, self.listings)
        connection.admit(session)
        pause = host.connected(session)
        self._sessions[connection.datapath] = host
        worker = self._workers[host.id] = Worker(host, session, self._tools)
        worker.start(pause)
        self.recorder.host(host.id, settled=False)
        self.metrics.connections.set(len(self._sessions))
        log.info("switch connected", host=host.id, peer=connection.peer, held_back_s=pause)

    def session(self, host_id: str) -> Session | None:
        """Return the session of a host's switch, None while it is not connected here."""
        host = self.hosts.get(host_id)
        return host.session if host is not None else None

    def subject(self, port_id: str) -> Subject | None:
        """Return what is to be read for the counters of a port; None when it is nowhere."""
        return self._program.subject(port_id)

    @property
    def drops(self) -> Drops:
        """What switches have dropped, as audits have read it."""
        return self._tally.seen

    # --- rounds ---------------------------------------------------------------------------------

    def listen(self, wakeups: Wakeups) -> Callable[[], None]:
        """Start a round at each wake-up; the function returned ends that."""
        loop = asyncio.get_running_loop()
        descriptor = wakeups.fileno()

        def woken() -> None:
            with contextlib.suppress(OSError, socket.timeout):
                wakeups.drain()
            self._news.set()

        loop.add_reader(descriptor, woken)

        def end() -> None:
            loop.remove_reader(descriptor)

        return end

    def poke(self) -> None:
        """Read the feed now."""
        self._news.set()

    async def run(self) -> None:
        """Load, then follow the feed for ever; a database that is away is waited for."""
        await self._load()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._news.wait()
            self._news.clear()
            try:
                await self.round()
            except Exception as error:
                log.warning("cannot read the feed", error=str(error))
                await asyncio.sleep(_RETRY_S)
            if self._must_load:
                await asyncio.sleep(_RETRY_S)

    async def _load(self) -> None:
        while True:
            try:
                batch = await asyncio.to_thread(self._inputs.load)
                break
            except Exception as error:
                log.warning("cannot load the network", error=str(error))
                await asyncio.sleep(_RETRY_S)
        await self._program.load(batch)
        self._must_load = False
        self._shared.clear()
        self._ageing.settle()
        self._refresh_hosts()
        for host_id, host in self.hosts.items():
            if host_id in self._workers:
                host.state = "pending" if host.state == "in_sync" else host.state
                self._workers[host_id].compare()
        self.recorder.round(batch.revision, tuple(self.hosts))
        for host in self.hosts.values():
            self.recorder.host(host.id, settled=host.session is None)
        self.loaded.set()
        log.info("network loaded", revision=batch.revision, hosts=len(self.hosts))

    async def round(self) -> None:
        """Take what is new from the feed and hand each host its part."""
        if self._must_load:
            await self._load()
            return
        started = time.perf_counter()
        batch = self._inputs.few(self._program.revision)
        if batch is None:
            batch = await asyncio.to_thread(self._inputs.changes, self._program.revision)
        if batch is None:
            await self._load()
            return
        if batch.revision == self._program.revision:
            return
        self.metrics.time(batch.revision, "feed", time.perf_counter() - started)
        try:
            for part in slices(batch, self._program.revision, _SLICE):
                self._take(part)
                await asyncio.sleep(0)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Note that hosts may not have got what a change means for them: all are compared again.

        The network may hold the change already, so it would never be planned again.
        """
        log.exception("cannot plan a change")
        self._must_load = True
        text = f"a change could not be planned, so the network is loaded again: {error!r}"
        self.recorder.event("host", "all", text)
        self._news.set()

    def _take(self, batch: ChangeBatch) -> None:
        """Apply changes and hand each host its part."""
        read = time.perf_counter()
        transition = self._program.apply(batch, self._relaying)
        planned = time.perf_counter()
        self._ageing.grown(len(batch.changes))
        self._refresh(batch, transition)
        waiting = self._distribute(transition)
        encoded = time.perf_counter()
        self.recorder.round(transition.revision, waiting)
        self.metrics.processed.set(transition.revision)
        self.metrics.time(transition.revision, "plan", planned - read)
        self.metrics.time(transition.revision, "encode", encoded - planned)

    def _is_connected(self, host_id: str) -> bool:
        return host_id in self._workers

    def _is_ready(self, host_id: str) -> bool:
        host = self.hosts.get(host_id)
        return host is not None and host.is_ready

    def _advance(self, relays: tuple[Relay, ...]) -> None:
        """Go on with relays whose hosts have confirmed what they were waiting for."""
        try:
            self._distribute(self._program.advance(relays), quiet=True)
        except Exception as error:
            self._failed(error)

    def _distribute(self, transition: Transition, *, quiet: bool = False) -> list[str]:
        """Queue each connected host's part, encoded once; return the hosts that have one.

        Quiet is what nobody asked for: a host that was in sync stays so.
        """
        self._encoder.new_round()
        self._shared.drop(transition.touched)
        waiting: list[str] = []
        for host_id, change in transition.hosts.items():
            host, worker = self.hosts.get(host_id), self._workers.get(host_id)
            if host is None or worker is None:
                continue
            if not host.waiting:
                self._enqueue(host, change, transition.revision)
            if host.state == "in_sync" and not quiet:
                host.state = "pending"
            waiting.append(host_id)
            worker.wake()
        self._encoder.new_round()
        return waiting

    def _enqueue(self, host: HostState, change: HostChange, revision: int) -> None:
        try:
            host.enqueue(self._encoder.work(change, revision, host.fitted), change)
        except EncodeError as error:
            log.error("a flow cannot be written", host=host.id, error=str(error))
            host.overflowed = True

    def _refresh(self, batch: ChangeBatch, transition: Transition) -> None:
        for change in batch.changes:
            if isinstance(change.resource, Host):
                self._add_host(change.resource)
        for host_id in transition.gone:
            self._remove_host(host_id)

    def _refresh_hosts(self) -> None:
        present = {host.id: host for host in self._program.hosts()}
        for host_id in set(self.hosts) - set(present):
            self._remove_host(host_id)
        for host in present.values():
            self._add_host(host)

    def _add_host(self, host: Host) -> None:
        known = self.hosts.get(host.id)
        if known is not None and known.dpid != host.dpid:
            self._remove_host(host.id)
            known = None
        if known is None:
            state = self.hosts[host.id] = self._by_dpid[host.dpid] = HostState(host.id, host.dpid)
            self.recorder.host(state.id)

    def _remove_host(self, host_id: str) -> None:
        """Forget a host; its switch loses its connection and may not come back."""
        host = self.hosts.pop(host_id, None)
        if host is None:
            return
        self._by_dpid.pop(host.dpid, None)
        self._tally.forget(host_id)
        if host.session is not None:
            host.session.connection.drop("host deleted")

    # --- audits ---------------------------------------------------------------------------------

    async def audit(self, host_id: str | None = None) -> int:
        """Audit one host, or all of them, now; return how many flows were found wrong."""
        wrong = 0
        for host in [self.hosts[host_id]] if host_id else list(self.hosts.values()):
            worker = self._workers.get(host.id)
            found = await self._auditor.audit(host, worker.refused if worker else frozenset())
            if found and worker is not None:
                worker.wake()
            wrong += found
        return wrong

    async def run_audits(self) -> None:
        """Audit every switch once per interval, one after the other, evenly spread.

        With so many that this would be most of what we do, less often.
        """
        interval = self.settings.audit_interval_s
        while interval > 0:
            hosts = [host.id for host in self.hosts.values() if host.session is not None]
            if not hosts:
                await asyncio.sleep(interval)
            took = 0.0
            for host_id in hosts:
                await asyncio.sleep(max(interval / len(hosts), min(interval, took * _AUDIT_REST)))
                started = time.perf_counter()
                if host_id in self.hosts:
                    await self.audit(host_id)
                took = time.perf_counter() - started
