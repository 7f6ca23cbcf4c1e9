"""What the names process shares between tenants, places and time: a hog leaves others theirs."""

import asyncio
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decide.names.turns import PERIOD_S, Turns
from agent.names.counted import counted
from agent.names.gate import Gate, Place


class Room:
    """A gate, and whom it took places from."""

    def __init__(self, per_port: int = 4, altogether: int = 8) -> None:
        self.counts: Counter[str] = Counter()
        self.gate = Gate("x", self.counts, per_port, altogether)
        self.taken: list[tuple[str, int, int]] = []
        self._next = 0

    def enter(self, tenant: str, key: int) -> Place | None:
        number = self._next
        self._next += 1
        return self.gate.enter(tenant, key, lambda: self.taken.append((tenant, key, number)))


def test_a_port_has_so_many_places() -> None:
    room = Room()
    places = [room.enter("one", 1) for _ in range(5)]
    assert [place is not None for place in places] == [True] * 4 + [False]
    assert room.counts == {"x-port-limit": 1}
    assert places[0] is not None
    room.gate.leave(places[0])
    room.gate.leave(places[0])
    assert len(room.gate) == 3
    assert room.enter("one", 1) is not None


def test_a_tenant_that_holds_all_gives_up_its_greediest_ports_oldest() -> None:
    room = Room()
    for key in (1, 1, 1, 2, 2, 3, 3, 3):
        room.enter("hog", key)
    assert room.enter("small", 9) is not None
    assert room.taken == [("hog", 1, 0)]
    assert room.enter("small", 9) is not None
    assert room.taken[1] == ("hog", 3, 5)
    assert room.counts == {"x-crowded-out": 2}
    assert len(room.gate) == 8


def test_the_hog_itself_and_equals_take_nothing_from_others() -> None:
    room = Room(per_port=8)
    for tenant in ("one", "two"):
        for _ in range(4):
            room.enter(tenant, 1 if tenant == "one" else 2)
    assert room.enter("one", 1) is None
    assert room.counts == {"x-host-limit": 1}
    assert room.enter("one", 3) is not None, "another port of the tenant has its share of it"
    assert room.taken == [("one", 1, 0)]


def test_a_place_that_was_taken_away_can_be_given_back() -> None:
    room = Room(altogether=2)
    first = room.enter("hog", 1)
    room.enter("hog", 1)
    room.enter("small", 2)
    assert first is not None
    room.gate.leave(first)
    assert len(room.gate) == 2


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=60))
def test_nobody_who_holds_less_is_shut_out(entries: list[tuple[str, int]]) -> None:
    room = Room()
    held: Counter[str] = Counter()
    for tenant, port in entries:
        place = room.enter(tenant, 10 * ord(tenant) + port)
        gone = Counter(one for one, _, _ in room.taken)
        room.taken.clear()
        if place is None and room.counts["x-host-limit"]:
            room.counts.clear()
            assert max(held.values()) <= held[tenant] + 1
        held[tenant] += place is not None
        held -= gone
        assert len(room.gate) == held.total() <= 8


def test_whoever_comes_finds_time_left() -> None:
    turns, answered = Turns(), Counter[str]()
    for tenant in "abcd":
        while turns.may(tenant, 5.0):
            turns.took(tenant, 0.0005)
            answered[tenant] += 1
    for tenant, expected in zip("abcd", (100, 50, 25, 13), strict=True):
        assert abs(answered[tenant] - expected) <= 1
    assert turns.may("a", 5.0 + 2 * PERIOD_S)


def test_a_busy_processor_is_not_held_against_a_tenant() -> None:
    turns = Turns()
    turns.took("a", 3.0)  # it waited for the processor, mostly
    assert turns.may("a", 0.0)


async def _works(seconds: float) -> str:
    for _ in range(2):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            pass
        await asyncio.sleep(0.05)
    return "done"


def test_work_for_a_tenant_is_counted_and_what_it_waits_for_is_not() -> None:
    took: list[float] = []
    assert asyncio.run(counted(_works(0.002), took.append)) == "done"
    assert len(took) == 3  # two turns that work, and the last, which returns
    assert min(took[:2]) >= 0.002
    assert min(took) < 0.05


async def _ends_early() -> list[str]:
    seen: list[str] = []

    async def work() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append("too late")
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("given up")

    running = asyncio.ensure_future(counted(work(), lambda _: None))
    while not seen:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return seen


def test_counted_work_times_out_and_is_given_up_as_any() -> None:
    assert asyncio.run(_ends_early()) == ["too late", "given up"]
