"""Which switch is which host: known datapath ids only, one switch each, its own certificate."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from vpcctl.southbound.certificates import Certificates, is_valid
from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.host import HostState
from vpcctl.southbound.metrics import Metrics
from vpcctl.southbound.recorder import Recorder
from vpcctl.southbound.transport.connection import Connection, Datapath
from vpcctl.southbound.transport.places import Source

log = structlog.get_logger(__name__)

_UNKNOWN_S = 2.0
"""How long an unknown datapath may wait for its host to appear in the feed."""
_PROBE_S = 1.5
"""How long an older connection of the same datapath has to show that it lives."""
_STEP_S = 0.05
_MINUTE_S = 60.0
_EVENTS_OF_ONE = 8
"""Events a minute about who comes from one place: a switch that is set up wrongly needs one or two,
while datapath ids can be invented without end."""
_EVENTS = 200
"""Events a minute about all who are refused."""


@dataclass(frozen=True, slots=True)
class Registry:
    """How the engine is asked and told.

    Attributes:
        find: returns the host of a datapath id, or None.
        poke: reads the feed now.
        admit: takes a switch as its host's.
    """

    find: Callable[[int], HostState | None]
    poke: Callable[[], None]
    admit: Callable[[HostState, Connection], None]


class _Told:
    """Bounds what is told of refusals, by where they come from and in all."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._events: Counter[Source] = Counter()

    def one_more(self, source: Source) -> bool:
        """Count an event, and tell whether it may be told."""
        now = time.monotonic()
        if now - self._since >= _MINUTE_S:
            self._since = now
            self._events.clear()
        if self._events[source] >= _EVENTS_OF_ONE or self._events.total() >= _EVENTS:
            return False
        self._events[source] += 1
        return True


class Admission:
    """Decides about switches that have finished their handshake."""

    def __init__(
        self,
        registry: Registry,
        recorder: Recorder,
        metrics: Metrics,
        certificates: Certificates | None = None,
    ) -> None:
        self._registry = registry
        self._certificates = certificates
        self._recorder = recorder
        self._metrics = metrics
        self._told = _Told()
        self._pending: dict[Datapath, asyncio.Task[None]] = {}

    def consider(self, datapath: Datapath) -> None:
        """Decide about a switch, now if that is possible."""
        host = self._registry.find(datapath.id or 0)
        asked = self._certificates is not None and datapath.connection.identity is not None
        if host is not None and host.session is None and not asked:
            self._judge(host, datapath)
            return
        self._pending[datapath] = asyncio.create_task(self._wait(datapath))

    def gone(self, datapath: Datapath) -> None:
        """Forget a switch that was waiting."""
        task = self._pending.pop(datapath, None)
        if task is not None:
            task.cancel()

    async def _wait(self, datapath: Datapath) -> None:
        identity = datapath.connection.identity
        if identity is not None and not await self._is_valid(datapath.connection):
            # Before anything else: who shows a void one must not have any other host named.
            detail = "a switch shows this host's certificate that is void"
            self._refuse(datapath, "certificate", identity.host_id, detail)
        else:
            await self._find(datapath)
        self._pending.pop(datapath, None)

    async def _find(self, datapath: Datapath) -> None:
        host = await self._known(datapath)
        if host is None:
            self._refuse(datapath, "unknown", f"{datapath.id or 0:#018x}", "unknown host")
        elif _shown_by_another(host, datapath) is not None:
            # Before anything else: a stranger must not even have the host's own switch probed.
            self._judge(host, datapath)
        elif host.session is not None and await self._lives(host):
            address = datapath.address.rpartition(":")[0] or datapath.address
            detail = f"a second switch at {address} has this host's datapath id"
            self._refuse(datapath, "duplicate", host.id, detail)
        else:
            self._judge(host, datapath)

    async def _is_valid(self, connection: Connection) -> bool:
        if self._certificates is None or connection.identity is None:
            return True
        return await is_valid(self._certificates, connection.identity)

    async def _known(self, datapath: Datapath) -> HostState | None:
        self._registry.poke()
        for _ in range(int(_UNKNOWN_S / _STEP_S)):
            host = self._registry.find(datapath.id or 0)
            if host is not None:
                return host
            await asyncio.sleep(_STEP_S)
        return None

    async def _lives(self, host: HostState) -> bool:
        """Tell whether the switch that we have still answers; drop it when it does not."""
        session = host.session
        if session is None:
            return False
        connection = session.connection
        before = connection.last_heard
        connection.write(m.echo_request(connection.datapath.next_xid()))
        for _ in range(int(_PROBE_S / _STEP_S)):
            await asyncio.sleep(_STEP_S)
            if host.session is not session or not connection.is_open:
                return False
            if connection.last_heard > before:
                return True
        connection.fault("silent, and its switch has connected again")
        await asyncio.sleep(_STEP_S)
        return False

    def _judge(self, host: HostState, datapath: Datapath) -> None:
        if (shown := _shown_by_another(host, datapath)) is not None:
            detail = f"a switch with this host's datapath id shows the certificate of {shown}"
            self._refuse(datapath, "certificate", host.id, detail)
        elif datapath.connection.is_open:
            self._registry.admit(host, datapath.connection)

    def _refuse(self, datapath: Datapath, reason: str, host_id: str, detail: str) -> None:
        self._metrics.refused.labels(reason).inc()
        if self._told.one_more(datapath.connection.source):
            log.warning("switch refused", peer=datapath.address, dpid=datapath.id, fault=detail)
            self._recorder.event("host", host_id, detail)
        datapath.connection.drop(f"refused: {detail}")


def _shown_by_another(host: HostState, datapath: Datapath) -> str | None:
    """Return whose certificate the switch shows, None where it is the host's own or plain text."""
    names = datapath.connection.certificate_names
    if names is None or host.id in names:
        return None
    return ", ".join(sorted(names)) or "nobody"
