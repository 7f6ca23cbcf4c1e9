"""What the process that answers for names is told: every state, however soon after another."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from agent.client import Client, ClientError
from agent.names.keeper import Keeper
from agent.settings import Settings as AgentSettings
from agent.wire import zones as wire
from agent.wire.state import Guest, GuestSubnet, HostState, Settings
from agent.wire.zones import Sealed, unsealed
from vpcctl.wire.zones import PortMetadata, ZoneDocument, sealed

HOST = "host-00000000000000001"
STATES = 4


VPC, PORT = "vpc-00000000000000001", "port-00000000000000001"
OTHER = "vpc-00000000000000002"
SUBNET = GuestSubnet(subnet_id="s", vpc_id=VPC, cidr="10.0.0.0/24", gateway="10.0.0.1", mtu=1_400)


def state(number: int, *subnets: GuestSubnet) -> HostState:
    return HostState(
        revision=number,
        host_id=HOST,
        name="test",
        dpid=1,
        guest_subnets=subnets,
        openflow_targets=("unix:/nonexistent/of.sock",),
        settings=Settings(dns_forwarders=(f"192.0.2.{number}",)),
    )


async def _last_told(directory: Path) -> list[str]:
    """Return the newest that is told when each state comes as soon as an earlier one is told."""
    options = AgentSettings(host_id=HOST, api_url=f"unix:{directory}/none")
    told: list[list[str]] = []
    number = 1
    done = asyncio.Event()

    def tell(order: dict[str, Any]) -> None:
        nonlocal number
        told.append(order["forwarders"])
        if told[-1] == [f"192.0.2.{STATES}"]:
            done.set()
        elif told[-1] == [f"192.0.2.{number}"]:
            number += 1
            asyncio.get_running_loop().call_soon(keeper.want, state(number))

    keeper = Keeper(Client(options), directory, tell)
    keeper.want(state(number))
    running = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(20):
            await done.wait()
    finally:
        running.cancel()
    return told[-1]


def test_states_that_come_in_a_burst_are_all_told(tmp_path: Path) -> None:
    assert asyncio.run(_last_told(tmp_path)) == [f"192.0.2.{STATES}"]


class Controller:
    """Has one zone, which may be missing, and may be away once."""

    def __init__(self) -> None:
        self.revision = 1
        self.is_there = True
        self.is_away = False
        self.said = 0  # revision of what is said for the guest
        self.fetched = 0
        self.asked: list[int] = []  # since which revision, each time
        self.news, self.missed = asyncio.Event(), asyncio.Event()

    def change(self, **more: object) -> None:
        for name, value in more.items():
            setattr(self, name, value)
        self.news.set()

    async def zones(self, known: dict[str, int], wait_s: float) -> dict[str, int]:
        while {*known.values()} == {self.revision} and wait_s and not self.is_away:
            self.news.clear()
            await self.news.wait()
        if self.is_away:
            self.is_away = False
            raise ClientError("away")
        return {id: self.revision for id, held in known.items() if held != self.revision}

    async def zone(self, id: str, since: int) -> Sealed[wire.ZoneDocument] | None:
        self.asked.append(since)
        if not self.is_there:
            self.missed.set()
            return None
        made = ZoneDocument(
            vpc_id=id,
            revision=self.revision,
            since=since,
            enabled=True,
            domain="one.test",
            cidrs=(),
            ports={},
            records=(),
        )
        return unsealed(wire.ZoneDocument, sealed(made).model_dump_json().encode())

    async def metadata(self, port_id: str) -> Sealed[wire.PortMetadata]:
        self.fetched += 1
        made = sealed(PortMetadata(port_id=port_id, revision=self.said))
        return unsealed(wire.PortMetadata, made.model_dump_json().encode())


async def _kept(
    directory: Path, use: Callable[[Controller, Keeper, Callable[[], Any]], Any]
) -> list[int]:
    """Return since when a zone was asked for while the controller was used so."""
    controller, told, more = Controller(), list[dict[str, int]](), asyncio.Event()

    def tell(order: dict[str, Any]) -> None:
        told.append(order["zones"])
        more.set()

    async def until(revision: int | None) -> None:
        """Wait until the process has been told of a revision, or of none."""
        async with asyncio.timeout(20):
            while not told or told[-1].get(VPC) != revision:
                more.clear()
                await more.wait()

    keeper = Keeper(cast("Client", controller), directory, tell)
    keeper.want(state(1, SUBNET))
    running = asyncio.create_task(keeper.run())
    try:
        await use(controller, keeper, until)
    finally:
        running.cancel()
    return controller.asked


def test_the_whole_is_fetched_when_the_controller_may_be_another(tmp_path: Path) -> None:
    """Restored from an older copy, it has given the same revisions to other names."""

    async def use(controller: Controller, _keeper: Keeper, until: Callable[[int], Any]) -> None:
        await until(1)
        controller.change(revision=2)
        await until(2)
        controller.change(revision=3, is_away=True)
        await until(3)
        controller.change(revision=4)
        await until(4)

    assert asyncio.run(_kept(tmp_path, use)) == [0, 1, 0, 3]
    assert asyncio.run(_kept(tmp_path, use))[0] == 0  # by an agent that has just been started


def test_a_guest_that_left_and_came_back_unnoticed_has_its_zone(tmp_path: Path) -> None:
    async def use(controller: Controller, keeper: Keeper, until: Callable[[int], Any]) -> None:
        await until(1)
        controller.change(revision=2, is_there=False)
        async with asyncio.timeout(20):
            await controller.missed.wait()
        controller.is_there = True
        keeper.want(replace(state(2, SUBNET), settings=state(1).settings))
        await until(2)

    assert asyncio.run(_kept(tmp_path, use)) == [0, 1, 1]


async def _told_of_metadata(directory: Path, revisions: list[tuple[int, int]]) -> list[int]:
    """Return what the process is told to have when states and documents have these revisions."""
    controller, told, more = Controller(), list[int](), asyncio.Event()

    def tell(order: dict[str, Any]) -> None:
        told.append(order["ports"][PORT])
        more.set()

    keeper = Keeper(cast("Client", controller), directory, tell)
    found: list[int] = []
    running: asyncio.Task[None] | None = None
    try:
        for number, (said, there) in enumerate(revisions, 1):
            controller.said = there
            guest = Guest(
                port_id=PORT, key=1, subnet_id="s", mac="", addresses=(), metadata_revision=said
            )
            keeper.want(replace(state(number), guests=(guest,)))
            running = running or asyncio.create_task(keeper.run())
            async with asyncio.timeout(20):
                while not told or told[-1] != there:
                    more.clear()
                    await more.wait()
            found.append(controller.fetched)
    finally:
        if running is not None:
            running.cancel()
    return found


def test_metadata_follow_a_controller_back_to_lower_revisions(tmp_path: Path) -> None:
    # A document that is newer than the state says is fetched once.
    found = asyncio.run(_told_of_metadata(tmp_path, [(60, 60), (61, 62), (62, 62), (50, 50)]))
    assert found == [1, 2, 2, 3]


async def _told_with(directory: Path, *subnets: GuestSubnet) -> dict[str, int]:
    """Return the first zones that the process is told of, when there are any."""
    told: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()

    def tell(order: dict[str, Any]) -> None:
        if order["zones"] and not told.done():
            told.set_result(order["zones"])

    keeper = Keeper(cast("Client", Controller()), directory, tell)
    keeper.want(state(1, *subnets))
    running = asyncio.create_task(keeper.run())
    try:
        async with asyncio.timeout(20):
            return await told
    finally:
        running.cancel()


def test_a_zone_that_cannot_be_written_keeps_no_other_from_its_guests(tmp_path: Path) -> None:
    other = replace(SUBNET, subnet_id="t", vpc_id=OTHER)
    (tmp_path / f"{VPC}.zone").mkdir()  # as good as a disk that is full
    left = tmp_path / "vpc-00000000000000003.zone"
    left.touch()
    assert asyncio.run(_told_with(tmp_path, SUBNET, other)) == {OTHER: 1}
    assert not left.exists()


async def _places_told(directory: Path, *states: HostState) -> list[tuple[Any, str]]:
    """Return the EIPs and zones that the process is told of, while the controller is away."""
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    options = AgentSettings(host_id=HOST, api_url=f"unix:{directory}/none")
    keeper = Keeper(Client(options), directory, told.put_nowait)
    found: list[tuple[Any, str]] = []
    running = asyncio.create_task(keeper.run())
    try:
        for one in states:
            keeper.want(one)
            async with asyncio.timeout(20):
                while not found or len(found) == states.index(one):
                    (guest,) = (await told.get())["guests"]
                    seen = guest["public"], guest["availability_zone"]
                    if seen not in found:
                        found.append(seen)
    finally:
        running.cancel()
    return found


def test_eips_and_the_hosts_zone_are_told_as_they_change(tmp_path: Path) -> None:
    plain = Guest(port_id=PORT, key=1, subnet_id="s", mac="", addresses=("10.0.0.5",))
    pairs = (("10.0.0.5", "203.0.113.5"),)
    public = replace(plain, public_addresses=pairs)
    first = replace(state(1, SUBNET), guests=(plain,))
    second = replace(first, guests=(public,))
    third = replace(second, availability_zone="room-1")
    found = asyncio.run(_places_told(tmp_path, first, second, third))
    assert found == [((), ""), (pairs, ""), (pairs, "room-1")]
