"""Which hosts stand for a gateway: spread, by load, without going back."""

from dataclasses import replace
from random import Random
from typing import get_args

import pytest

from vpcctl.services.gateway_order import Candidate, Leaving, Load, arrange, is_dead, is_handing_on


def hosts(**zones: str | None) -> dict[str, Candidate]:
    return {id: Candidate(id, zone) for id, zone in zones.items()}


def without(all_of: dict[str, Candidate], *dead: str, drained: str = "") -> dict[str, Candidate]:
    return {
        id: Candidate(id, one.zone, id not in dead, id == drained) for id, one in all_of.items()
    }


def test_a_new_gateway_gets_three_hosts_of_three_zones() -> None:
    found = hosts(a="one", b="one", c="two", d="two", e="three")
    assert arrange((), found, Load()) == ("a", "c", "e")
    assert arrange((), hosts(a=None, b=None), Load()) == ("a", "b")
    assert arrange((), {}, Load()) == ()
    two_zones = hosts(a="one", b="one", c="two")
    assert arrange((), two_zones, Load()) == ("a", "c", "b")


def test_standbys_make_room_for_hosts_of_other_zones() -> None:
    """One after the other, the last first; who is new comes last, and the active one stays."""
    found = hosts(a="one", b="one", c="one")
    assert arrange(("c", "b", "a"), found, Load()) == ("c", "b", "a")
    found |= hosts(d="two")
    assert arrange(("c", "b", "a"), found, Load()) == ("c", "b", "d")
    found |= hosts(e="three")
    assert arrange(("c", "b", "d"), found, Load()) == ("c", "d", "e")
    assert arrange(("c", "b", "a"), found, Load()) == ("c", "d", "e")
    assert arrange(("c", "d", "e"), found, Load()) == ("c", "d", "e")
    assert arrange(("c", "b", "e"), without(found, "d"), Load()) == ("c", "b", "e")
    own = hosts(a=None, b=None, c=None, d="two")
    assert arrange(("a", "b", "c"), own, Load()) == ("a", "b", "c")
    assert arrange(("a", "b"), without(found, "d", drained="a"), Load()) == ("a", "b", "e")


def test_gateways_are_spread_by_load() -> None:
    found, load = hosts(a="one", b="one", c="two", d="two"), Load()
    for _ in range(8):
        load.add(arrange((), found, load))
    assert set(load.active.values()) == {2}
    assert max(load.listed.values()) - min(load.listed.values()) <= 1


def test_a_dead_host_goes_to_the_end_and_stays_there_when_it_returns() -> None:
    found = hosts(a="one", b="two", c="three")
    moved = arrange(("a", "b", "c"), without(found, "a"), Load())
    assert moved == ("b", "c", "a")
    assert arrange(moved, found, Load()) == moved
    assert arrange(moved, without(found, "b"), Load()) == ("c", "a", "b")
    assert arrange(moved, without(found, "a", "b", "c"), Load()) == moved


def test_hosts_are_added_when_too_few_live() -> None:
    found = hosts(a="one", b="two", c="three", d="one")
    assert arrange(("b",), found, Load()) == ("b", "a", "c")
    assert arrange(("a", "b"), without(found, "a", "c"), Load()) == ("b", "d", "a")
    assert arrange(("a", "b", "c"), without(found, "a"), Load()) == ("b", "c", "d")
    assert arrange(("gone", "b"), {"b": found["b"]}, Load()) == ("b",)


def test_a_drained_host_leaves_in_steps_but_for_the_last() -> None:
    found = hosts(a="one", b="two")
    left = without(found, drained="a")
    assert arrange(("a", "b"), left, Load()) == ("a", "b")
    assert arrange(("a",), left, Load()) == ("a", "b")
    assert is_handing_on(("a", "b"), left)
    assert arrange(("a", "b"), left, Load(), "behind") == ("b", "a")
    assert arrange(("b", "a"), left, Load()) == ("b", "a")
    assert not is_handing_on(("b", "a"), left)
    assert arrange(("b", "a"), left, Load(), "gone") == ("b",)
    for step in get_args(Leaving):
        assert arrange(("a", "b"), without(found, "b", drained="a"), Load(), step) == ("a", "b")
    assert not is_handing_on(("a", "b"), without(found, "b", drained="a"))
    assert arrange(("b", "a"), found, Load()) == ("b", "a")
    assert arrange((), without(hosts(a=None), drained="a"), Load()) == ()


def test_a_drained_standby_goes_behind_at_once_and_another_comes_when_it_is_gone() -> None:
    left = without(hosts(a="one", b="two", c="three", d="four"), drained="b")
    assert arrange(("a", "b", "c"), left, Load()) == ("a", "c", "b")
    assert arrange(("a", "c", "b"), left, Load(), "gone") == ("a", "c", "d")
    dead = without(hosts(a="one", b="two", c="three"), "a", drained="b")
    assert arrange(("a", "b", "c"), dead, Load()) == ("b", "c", "a")
    assert arrange(("b", "c", "a"), dead, Load(), "behind") == ("c", "b", "a")
    assert arrange(("b", "c"), without(hosts(b=None, c=None), "b", drained="b"), Load()) == ("c",)


@pytest.mark.parametrize(
    ("known", "says", "dead"),
    [
        ("late", [True, True], False),  # it goes on, and could not be told that others do
        ("told", [True, True], True),
        ("late", [], True),
        ("late", [False, False, True], True),
        ("", [], False),
        ("", [False], True),
        ("", [True, False], False),
        ("", [True, False, False], True),
    ],
)
def test_most_watchers_have_to_agree(known: str, says: list[bool], dead: bool) -> None:
    assert is_dead(says, late=known != "", told=known == "told") is dead


def test_nothing_moves_while_one_that_lives_is_silent() -> None:
    found = hosts(a="one", b="two", c="three", d="four")
    deaf = {**found, "a": replace(found["a"], silent=True)}
    assert arrange(("a", "b", "c"), deaf, Load()) == ("a", "b", "c")
    assert arrange(("a", "b", "c"), without(deaf, "b") | {"a": deaf["a"]}, Load()) == tuple("abc")
    assert arrange(("a", "b"), deaf, Load()) == ("a", "b", "c")
    assert arrange(("gone", "a"), deaf, Load()) == ("a", "b", "c")
    assert arrange(("b", "c"), deaf, Load()) == ("b", "c", "d")
    assert arrange((), deaf, Load()) == ("b", "c", "d")
    assert arrange(("a", "b", "c"), without(deaf, "a"), Load()) == ("b", "c", "d")


def test_nothing_moves_that_need_not() -> None:
    """Whatever has happened: the same knowledge again changes nothing, and those that live lead."""
    chance = Random(7)
    order: tuple[str, ...] = ()
    for _ in range(2_000):
        found = {
            id: Candidate(id, zone, *(chance.random() > odds for odds in (0.3, 0.8, 0.95)))
            for id, zone in zip("abcde", ("one", "one", "two", "three", None), strict=True)
            if chance.random() > 0.1
        }
        before, order = order, arrange(order, found, Load())
        assert arrange(order, found, Load()) == order
        staying = [id for id in order if not found[id].drained]
        assert len(set(order)) == len(order)
        assert len(staying) <= 3
        if any(found[id].lives and found[id].silent for id in order if id in before):
            kept = [id for id in before if id in found]
            assert order[: len(kept)] == tuple(kept)
            continue
        fit = [id for id in before if id in found and found[id].lives and not found[id].drained]
        assert staying[:1] == fit[:1] or not fit
        kept = [id for id in staying if id in fit]
        assert kept == [id for id in fit if id in staying]
        assert all(found[id].zone == "one" for id in fit if id not in staying)
        zones = [found[id].zone for id in staying if found[id].lives]
        spare = {one.zone for one in found.values() if one.is_fit and one.id not in order}
        assert zones.count("one") < 2 or spare <= {"one", *zones}
        lives = [found[id].lives for id in order]
        assert lives == sorted(lives, reverse=True)
