"""A southbound in the test's own event loop, on a network in memory."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.southbound.ovs import Ovs, wait_until
from tests.support import networks as n
from vpcctl.model.changes import Change, ChangeBatch, Resource
from vpcctl.southbound.engine import EngineSettings
from vpcctl.southbound.host import HostState
from vpcctl.southbound.main import Southbound, SouthboundConfig
from vpcctl.southbound.network_program import NetworkProgram
from vpcctl.southbound.session import Deadlines
from vpcctl.southbound.transport.limits import Limits
from vpcctl.southbound.transport.listener import TlsFiles
from vpcctl.store.realisation import HostRealised


class MemoryStore:
    """Feed and realisation in memory, with an outage at will."""

    def __init__(self, *resources: Resource) -> None:
        self.revision = 0
        self.down = False
        self.recorded: dict[str, HostRealised] = {}
        self.processed = 0
        self.writes = 0
        self.events: list[tuple[str, str, str]] = []
        self._present: dict[tuple[str, str], tuple[int, Change]] = {}
        self.put(*resources)

    def put(self, *resources: Resource) -> int:
        return self._change([n.put(one) for one in resources])

    def remove(self, *resources: Resource) -> int:
        return self._change([n.gone(one) for one in resources])

    def _change(self, changes: Sequence[Change]) -> int:
        self.revision += 1
        for change in changes:
            self._present[change.kind, change.id] = (self.revision, change)
        return self.revision

    def _check(self) -> None:
        if self.down:
            raise OSError("the database is away")

    def load(self) -> ChangeBatch:
        self._check()
        present = (change for _, change in self._present.values() if change.resource)
        return ChangeBatch(self.revision, tuple(present))

    def changes(self, after: int) -> ChangeBatch | None:
        self._check()
        newer = (change for revision, change in self._present.values() if revision > after)
        return ChangeBatch(self.revision, tuple(newer))

    def few(self, after: int) -> ChangeBatch | None:
        return self.changes(after)

    def record(self, processed_revision: int, hosts: Sequence[HostRealised]) -> None:
        self._check()
        self.processed = processed_revision
        self.writes += 1
        self.recorded.update({host.host_id: host for host in hosts})

    def event(self, kind: str, resource_id: str, detail: str) -> None:
        self._check()
        self.events.append((kind, resource_id, detail))

    def told(self, text: str, resource_id: str | None = None) -> bool:
        """Tell whether some event says *text*."""
        return any(text in detail and resource_id in (None, rid) for _, rid, detail in self.events)

    def realised(self, host_id: str) -> HostRealised | None:
        return self.recorded.get(host_id)

    def in_sync(self, host_id: str) -> bool:
        found = self.recorded.get(host_id)
        return bool(
            found and found.state == "in_sync" and self.processed == self.revision == self.processed
        )


QUICK = EngineSettings(audit_interval_s=0, deadlines=Deadlines(reply_s=2.0))


class Rig:
    """One southbound and, if wanted, one Open vSwitch."""

    def __init__(self, directory: Path, store: MemoryStore) -> None:
        self.directory = directory
        self.store = store
        self.southbound: Southbound
        self.target = f"unix:{directory}/of.sock"
        self.limits = Limits(handshake_s=3.0)
        self.engine_settings = QUICK
        self.tls: TlsFiles | None = None
        self.listen: tuple[str, ...] = (self.target,)
        self.ovs: Ovs | None = None
        self.program: type[NetworkProgram] = NetworkProgram

    async def start(self) -> None:
        config = SouthboundConfig(
            database_url="",
            run_dir=self.directory,
            listen=self.listen,
            tls=self.tls,
            engine=self.engine_settings,
            limits=self.limits,
        )
        self.southbound = Southbound(config, self.store, self.store, self.program())
        await self.southbound.start()

    async def stop(self) -> None:
        await self.southbound.stop()

    def host(self, host_id: str) -> HostState:
        return self.southbound.engine.hosts[host_id]

    async def settle(self, *host_ids: str, timeout: float = 15.0) -> None:
        """Wait until these hosts have realised what the store holds now."""
        self.southbound.engine.poke()
        for host_id in host_ids:
            await wait_until(
                lambda host_id=host_id: self.store.in_sync(host_id),
                f"{host_id}: {self.store.realised(host_id)}",
                timeout,
            )


@asynccontextmanager
async def rig(
    store: MemoryStore,
    *,
    ovs: bool = True,
    program: type[NetworkProgram] = NetworkProgram,
    settings: EngineSettings | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[Rig]:
    """A running southbound; with *ovs*, an Open vSwitch without bridges beside it."""
    with tempfile.TemporaryDirectory(prefix="vpc-sb-") as name:
        made = Rig(Path(name), store)
        made.program = program
        made.engine_settings = settings or QUICK
        made.limits = limits or made.limits
        try:
            if ovs:
                made.ovs = await asyncio.to_thread(Ovs(made.directory).__enter__)
            await made.start()
            yield made
        finally:
            await made.stop()
            if made.ovs is not None:
                made.ovs.__exit__()
