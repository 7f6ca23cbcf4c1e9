"""A database restored from an older copy: agents end up with its names, whatever revisions say."""

import asyncio
import sqlite3
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from agent.client import Client, ClientError
from agent.names.keeper import Keeper
from agent.names.library import Library
from agent.wire.base import read
from agent.wire.state import HostState
from agent.wire.zones import Sealed, ZoneDocument, unsealed
from api.zone_polls import ZoneHub
from tests.store.conftest import ADMIN, ON_SQLITE, World
from tests.support.waiting import PATIENCE_S
from vpcctl.services.views import AttachmentView, PortChange, PortMetadataChange, VpcChange
from vpcctl.store.database import Database


class Controller:
    """What the API does for an agent, without HTTP; it may be away."""

    def __init__(self, world: World, host_id: str) -> None:
        self._zones = world.services.zones
        self._host_id = host_id
        self._hub = ZoneHub(cast("Any", SimpleNamespace(services=world.services, aside=_aside)))
        self.is_away = False
        self.missed = asyncio.Event()

    async def zones(self, known: dict[str, int], _wait_s: float) -> dict[str, int]:
        if self.is_away:
            self.missed.set()
            raise ClientError("away")
        return await self._hub._look(known)

    async def zone(self, vpc_id: str, since: int) -> Sealed[ZoneDocument]:
        said = self._zones.zone(ADMIN, self._host_id, vpc_id, since)
        return unsealed(ZoneDocument, said.model_dump_json().encode())


async def _aside(call: Any, *given: Any) -> Any:
    return call(*given)


class Host:
    """The agent's own parts: what it keeps on disk, and what answers from that."""

    def __init__(self, controller: Controller, directory: Path, state: HostState) -> None:
        self._orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._library = Library()
        self._key = state.guests[0].key
        self.keeper = Keeper(cast("Client", controller), directory, self._orders.put_nowait)
        self.keeper.want(state)

    async def answers(self, name: str) -> None:
        """Wait until its guest is told an address of a name."""
        while True:
            await self._library.load(await self._orders.get())
            guest = self._library.guest(self._key)
            zone = self._library.zone(guest) if guest is not None else None
            if zone is not None and zone.find(name, "A").exists:
                return


def copy(source: Path, target: Path) -> None:
    """Make a database what another one is."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


@ON_SQLITE
def test_names_of_a_restored_copy_that_got_as_far_as_the_lost_one_are_told(
    world: World, database: Database, tmp_path: Path
) -> None:
    services, subnet = world.services, world.subnet()
    vpc_id, host_id = subnet.vpc_id, world.host().meta.id
    place = AttachmentView("namespace", host_id, None, "n")
    world.port(subnet, name="web", attachment=place)
    state = read(HostState, services.hosts.state(ADMIN, host_id).model_dump_json())
    live, backup = Path(database.url.database or ""), tmp_path / "backup.db"

    def named(domain: str) -> int:
        services.vpcs.change(ADMIN, vpc_id, VpcChange(dns_domain=domain))
        return services.zones.revisions(ADMIN, 0)[vpc_id]

    async def run() -> None:
        controller = Controller(world, host_id)
        host = Host(controller, tmp_path / "names", state)
        copy(live, backup)
        revision = named("lost.test")
        running = asyncio.create_task(host.keeper.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                await host.answers("web.lost.test")
                controller.is_away = True
                await controller.missed.wait()
                copy(backup, live)
                assert named("kept.test") == revision
                controller.is_away = False
                await host.answers("web.kept.test")
        finally:
            running.cancel()

    asyncio.run(run())


@ON_SQLITE
def test_metadata_of_a_restored_copy_that_got_as_far_as_the_lost_one_are_fetched(
    world: World, database: Database, tmp_path: Path
) -> None:
    services, subnet = world.services, world.subnet()
    host_id = world.host().meta.id
    place = AttachmentView("namespace", host_id, None, "n")
    port = world.port(subnet, name="web", attachment=place)
    live, backup = Path(database.url.database or ""), tmp_path / "backup.db"
    copy(live, backup)

    def told(user_data: str) -> tuple[int, int]:
        """Return the revision of the port, and that which the host has to fetch its data by."""
        said = PortMetadataChange(user_data=b64encode(user_data.encode()).decode())
        changed = services.ports.change(ADMIN, port.meta.id, PortChange(metadata=said))
        (guest,) = services.hosts.state(ADMIN, host_id).guests
        found = services.zones.metadata(ADMIN, host_id, port.meta.id)
        assert found.revision == guest.metadata_revision
        return changed.meta.revision, guest.metadata_revision

    revision, lost = told("lost")
    copy(backup, live)
    again, kept = told("kept")
    assert again == revision
    assert kept != lost
