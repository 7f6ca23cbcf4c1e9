"""Who may be taken for the active gateway host, and who leaves that to somebody else."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from msgspec.structs import replace

from agent.decide import marks
from agent.decide.rows import InterfaceRow
from agent.host import Host
from agent.settings import Settings
from agent.watches import Watches
from agent.wire.state import OutsideAddress
from tests.unit.test_names_keeper import HOST, state

OTHER = "host-00000000000000002"


def address(*hosts: str) -> OutsideAddress:
    return OutsideAddress(
        network_id="ext-00000000000000001",
        address="203.0.113.10",
        mac="0a:76:00:00:00:01",
        hosts=hosts,
    )


async def _stands(*orders: tuple[str, ...]) -> list[bool]:
    """Return whether the host may stand before any state, and with addresses of these hosts."""
    settings = Settings(host_id=HOST, api_url="unix:/nonexistent")
    nothing = cast("Any", None)
    watches = Watches(settings, nothing, nothing, lambda: None, lambda: None)
    found = [watches.may_stand()]
    for number, hosts in enumerate(orders, 1):
        addresses = (address(*hosts),) if hosts else ()
        watches.want(replace(state(number), outside_addresses=addresses))
        found.append(watches.may_stand())
    return found


def test_a_host_that_does_not_know_who_comes_before_it_does_not_stand_yet() -> None:
    assert asyncio.run(_stands(())) == [False, True]
    assert asyncio.run(_stands((HOST, OTHER), (OTHER, HOST))) == [False, True, False]


class Scene:
    """A host whose flows are there whenever it is asked, and whose time passes when told."""

    class _Watches(Watches):
        async def _flows_are_there(self) -> bool:
            return True

    def __init__(self, *order: str) -> None:
        settings = Settings(host_id=HOST, api_url="unix:/nonexistent")
        self.host = Host("netdev", dict)
        self.reports = 0
        self.watches = self._Watches(
            settings, cast("Any", None), self.host, self._report, lambda: None
        )
        self.now = 100.0
        loop = cast("Any", asyncio.get_running_loop())
        loop.time = lambda: self.now
        loop.call_at = loop.call_later = lambda *_: None  # the scene looks when time has passed
        self.ordered(*order)

    def _report(self) -> None:
        self.reports += 1

    def ordered(self, *order: str) -> None:
        addresses = {"outside_addresses": (address(*order),)}
        self.watches.want(replace(state(1), **addresses))

    def says(self, *, lives: bool, of: str = OTHER) -> None:
        """BFD says of the other one if it lives."""
        row = InterfaceRow("u1", "vw1", external_ids={marks.WATCH_KEY: of}, alive=lives)
        self.watches.row_changed(row)

    def after(self, seconds: float) -> bool:
        """Whether others are told not to rely on this host when some time has passed."""
        self.now += seconds
        self.watches.cut_off(self.watches._cut)  # pyright: ignore[reportPrivateUsage]
        return self.watches.must_not_stand()

    async def started(self) -> None:
        await self.watches.vswitchd_started()

    async def returned(self) -> None:
        """Open vSwitch has ended and begun, and the saved program is there."""
        self.watches.vswitchd_ended()
        assert self.watches.must_not_stand()
        await self.started()
        await self.watches.flows_are_back()


def play(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(cast("Any", scene()))


def test_who_returns_takes_nothing_over_while_somebody_lives_who_has() -> None:
    async def scene() -> None:
        one = Scene(HOST, OTHER)
        await one.started()
        one.says(lives=True)
        assert not one.after(0)
        await one.returned()
        assert one.after(60)
        one.says(lives=False)  # nobody else is left
        assert not one.watches.must_not_stand()
        assert one.watches.may_stand()

    play(scene)


def test_who_returns_stands_again_when_it_comes_last_or_nobody_has_been_seen() -> None:
    async def scene() -> None:
        one = Scene(HOST, OTHER)
        one.says(lives=True)
        await one.returned()
        assert one.after(60)
        one.ordered(OTHER, HOST)  # the controller has put it behind
        assert not one.watches.must_not_stand()
        alone = Scene(HOST, OTHER)
        await alone.returned()
        assert alone.after(2.9)  # BFD has not had the time to see anybody
        assert not alone.after(0.2)
        last = Scene(OTHER, HOST)
        await last.returned()
        assert not last.watches.must_not_stand()

    play(scene)


def test_who_has_lost_a_network_leaves_it_to_somebody_who_lives() -> None:
    async def scene() -> None:
        one, lost = Scene(HOST, OTHER), frozenset({"ext-00000000000000001"})
        await one.started()
        one.says(lives=True)
        assert not one.after(60)
        one.watches.cut_off(frozenset({"ext-00000000000000009"}))
        assert not one.after(1)  # it does not stand for that
        one.watches.cut_off(lost)
        assert not one.after(0.2)  # the controller may still take it away
        assert one.after(0.2)
        one.says(lives=False)
        assert not one.watches.must_not_stand()  # nobody would have anything of it
        one.says(lives=True)
        assert not one.after(0.5)  # the other one may be doing the same
        assert one.after(5)
        one.watches.cut_off(frozenset())
        assert one.after(60)  # somebody has taken over
        one.ordered(OTHER, HOST)
        assert not one.watches.must_not_stand()

    play(scene)


def test_hosts_that_are_watched_anew_are_reported_when_all_are_met_or_time_is_up() -> None:
    third = "host-00000000000000003"

    async def scene() -> None:
        one = Scene(HOST, OTHER)
        expect = one.watches._expect  # pyright: ignore[reportPrivateUsage]
        expect(frozenset({OTHER, third, HOST}))
        assert one.host.meeting == {OTHER, third}
        one.says(lives=False)
        one.says(lives=True)
        assert one.host.meeting == {OTHER, third}, "one of two would seem to be the only one"
        one.says(lives=True, of=third)
        assert (one.host.meeting, one.reports) == (frozenset(), 1)
        expect(frozenset({third}))
        one.says(lives=False, of=third)
        one.now += 2.9
        one.says(lives=False)
        assert one.host.meeting == {third}
        one.now += 0.1
        one.says(lives=True)
        assert (one.host.meeting, one.reports) == (frozenset(), 2), "it may well be dead"

    play(scene)
