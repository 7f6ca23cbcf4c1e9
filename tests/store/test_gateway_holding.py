"""Hosts that go on although they cannot be told otherwise, and those that may not go yet."""

import pytest

from tests.store.conftest import ADMIN, ON_SQLITE
from tests.store.outside import Outside
from tests.store.test_gateway_hosts import (
    change,
    confirm,
    gone,
    order,
    pass_by,
    shown,
    site,
    tell_connected,
    watching,
)
from vpcctl.model.problems import Conflict
from vpcctl.services.routing_views import NatGatewayView

__all__ = ["site"]


def cut_off(site: Outside, nat: NatGatewayView) -> list[str]:
    """Take the active host's way to the controller, and nothing else; return who was in order."""
    names = order(site, "nat", nat.meta.id)
    watching(site)
    tell_connected(site, *(set(site.agents) - {names[0]}))
    for _ in range(3):
        gone(site, names[0])
    return names


def test_a_host_that_has_lost_its_controller_alone_stays_active(site: Outside) -> None:
    """It goes on as it was told last: another one that is told to begin would answer, too."""
    world, vpc = site.world, site.world.vpc()
    nat = site.nat(vpc)
    first, second, third = cut_off(site, nat)
    assert order(site, "nat", nat.meta.id) == [first, second, third]
    assert shown(site, nat) == (["active", "standby", "standby"], first, [])
    status = world.services.nat_gateways.get(ADMIN, nat.meta.id).status
    assert (status.state, status.hosts) == ("degraded", 3)
    assert site.id(first) in (status.reason or "")
    other = site.nat(world.vpc())
    assert sorted(order(site, "nat", other.meta.id)) == sorted([second, third])
    says = {name: name != first for name in "abc"}
    for name in (second, third):
        site.says(name, **{other: is_up for other, is_up in says.items() if other != name})
    assert order(site, "nat", nat.meta.id) == [second, third, first]
    status = world.services.nat_gateways.get(ADMIN, nat.meta.id).status
    assert (status.state, status.hosts) == ("active", 2)


@ON_SQLITE
def test_nothing_moves_while_one_that_goes_on_cannot_be_told(site: Outside) -> None:
    """Whoever follows the active one, all have the same order, and BFD says who is next in it."""
    nat = site.nat(site.world.vpc())
    first, second, third = cut_off(site, nat)
    for name in (second, third):
        site.says(name, **{first: True, (third if name == second else second): name != third})
    assert order(site, "nat", nat.meta.id) == [first, second, third]
    site.host("d", "four")
    change(site, first, drained=True)
    gone(site, first)
    assert order(site, "nat", nat.meta.id) == [first, second, third]
    assert shown(site, nat)[0][0] == "draining"
    assert first in shown(site, nat)[2]
    change(site, first, drained=False)
    site.agents[first].report(full=False)
    site.world.services.maintain()
    assert order(site, "nat", nat.meta.id)[0] == first


@ON_SQLITE
def test_who_is_connected_again_has_its_time_to_report(site: Outside) -> None:
    nat = site.nat(site.world.vpc())
    first, second, third = cut_off(site, nat)
    gone(site, first)
    tell_connected(site, *site.agents)
    site.world.services.maintain()
    assert shown(site, nat) == (["active", "standby", "standby"], first, [])
    gone(site, first)
    assert order(site, "nat", nat.meta.id) == [second, third, first]


@ON_SQLITE
def test_a_deleted_host_hands_on_its_gateways(site: Outside) -> None:
    """If it is gone. One that can be told something goes on until it is: it is drained before."""
    nat, delete = site.nat(site.world.vpc()), site.world.services.hosts.delete
    first, second, third = order(site, "nat", nat.meta.id)
    with pytest.raises(Conflict, match=f"vpcctl host drain {second}") as caught:
        delete(ADMIN, site.id(second))
    assert [(one.kind, one.id) for one in caught.value.blockers] == [("nat", nat.meta.id)]
    tell_connected(site, first)
    gone(site, first, second)
    with pytest.raises(Conflict):
        delete(ADMIN, site.id(first))
    tell_connected(site)
    delete(ADMIN, site.id(first))
    assert order(site, "nat", nat.meta.id) == [third, second]
    delete(ADMIN, site.id("plain"))


@ON_SQLITE
def test_a_host_is_deleted_when_it_has_heard_that_it_stands_for_nothing(site: Outside) -> None:
    nat, delete = site.nat(site.world.vpc()), site.world.services.hosts.delete
    first, second, third = order(site, "nat", nat.meta.id)
    watching(site)
    change(site, third, drained=True)
    confirm(site, *site.agents)
    for _ in range(3):
        pass_by(site, 1)
    assert order(site, "nat", nat.meta.id) == [first, second]
    with pytest.raises(Conflict, match="has not confirmed yet"):
        delete(ADMIN, site.id(third))
    confirm(site, *site.agents)
    delete(ADMIN, site.id(third))


@ON_SQLITE
def test_the_active_host_keeps_its_label_until_it_is_drained(site: Outside) -> None:
    nat = site.nat(site.world.vpc())
    first, second, third = order(site, "nat", nat.meta.id)
    watching(site)
    with pytest.raises(Conflict, match=f"vpcctl host drain {first}") as caught:
        change(site, first, gateway=False)
    assert [one.id for one in caught.value.blockers] == [nat.meta.id]
    assert order(site, "nat", nat.meta.id) == [first, second, third]
    change(site, third, gateway=False)
    assert order(site, "nat", nat.meta.id) == [first, second]
    change(site, first, drained=True)
    confirm(site, *site.agents)
    change(site, first, gateway=False)
    assert order(site, "nat", nat.meta.id) == [second]
    with pytest.raises(Conflict):
        change(site, second, gateway=False)  # nobody would follow
