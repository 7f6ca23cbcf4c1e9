"""Gateway hosts: who is chosen, who takes over, and who is drained."""

import random
from contextlib import suppress

import pytest

from tests.store.conftest import ADMIN, ON_SQLITE, World
from tests.store.outside import Outside, outside
from tests.store.reporting import link
from tests.store.test_security_groups import held
from vpcctl.model.problems import Conflict
from vpcctl.services import gateway_hosts
from vpcctl.services.routing_views import NatGatewayView
from vpcctl.services.views import HostChange, Listing, PortCreate
from vpcctl.store.realisation import HostRealised
from vpcctl.store.units import Units, present_revision


@pytest.fixture
def site(world: World) -> Outside:
    found = outside(world)
    for name, zone in (("a", "one"), ("b", "two"), ("c", "three")):
        found.host(name, zone)
    found.host("plain", "four", gateway=False)
    return found


def order(site: Outside, kind: str, id: str) -> list[str]:
    return site.names(held(site.world, kind)[id].hosts)


def gone(site: Outside, *silent: str) -> None:
    """Let time pass in which some hosts do not report, and have it noticed."""
    site.world.clock.forward(20)
    for name in sorted(site.agents.keys() - set(silent)):
        site.agents[name].report(full=False)
    site.world.services.maintain()


def change(site: Outside, name: str, **values: object) -> None:
    site.world.services.hosts.change(ADMIN, site.id(name), HostChange(**values))  # type: ignore[arg-type]


@ON_SQLITE
def test_gateways_get_hosts_with_the_label_and_share_them(site: Outside) -> None:
    vpcs = [site.world.vpc() for _ in range(3)]
    gateways = [site.nat(vpc) for vpc in vpcs]
    orders = [order(site, "nat", nat.meta.id) for nat in gateways]
    assert all(sorted(names) == ["a", "b", "c"] for names in orders)
    assert {names[0] for names in orders} == {"a", "b", "c"}
    internet = site.internet(vpcs[0])
    assert sorted(order(site, "igw", internet.meta.id)) == ["a", "b", "c"]
    watching(site)
    shown = site.world.services.nat_gateways.get(ADMIN, gateways[0].meta.id).placement
    assert [one.state for one in shown.hosts] == ["active", "standby", "standby"]
    assert shown.active_host_id == shown.hosts[0].host_id == site.id(orders[0][0])


@ON_SQLITE
def test_since_when_is_said_once_the_active_host_has_confirmed_it(site: Outside) -> None:
    vpc = site.world.vpc()
    nat, internet = site.nat(vpc), site.internet(vpc)
    gateways = {"nat": nat.meta, "igw": internet.meta}

    def since(kind: str) -> int | None:
        services = site.world.services
        service = services.nat_gateways if kind == "nat" else services.internet_gateways
        (listed,) = service.list(ADMIN, Listing()).items
        found = service.get(ADMIN, gateways[kind].id).placement
        assert listed.placement == found
        return found.since_revision

    for kind, made in gateways.items():
        first, *others = order(site, kind, made.id)
        assert since(kind) is None
        confirm(site, *others)
        assert since(kind) is None
        confirm(site, first)
        assert since(kind) == made.revision
    first, second, _ = order(site, "nat", nat.meta.id)
    gone(site, first)
    assert since("nat") is None
    moved = site.world.database.read(present_revision)
    confirm(site, second)
    assert since("nat") == moved


@ON_SQLITE
def test_an_internet_gateway_names_the_hosts_that_reach_out_themselves(site: Outside) -> None:
    world, vpc = site.world, site.world.vpc()
    internet, subnet = site.internet(vpc), world.subnet(vpc=vpc)
    one, two = world.port(subnet), world.port(subnet)

    def themselves() -> tuple[str, ...] | None:
        found = world.services.internet_gateways.get(ADMIN, internet.meta.id)
        return found.distributed_host_ids

    assert themselves() == internet.distributed_host_ids == ()
    site.agents["a"].report(link(one))
    site.agents["plain"].report(link(two))
    assert themselves() == tuple(sorted((site.id("a"), site.id("plain"))))
    plain = site.agents["plain"]
    plain.facts = plain.facts.model_copy(update={"outside": ()})
    plain.report(link(two))
    assert themselves() == (site.id("a"),)
    (listed,) = world.services.internet_gateways.list(ADMIN, Listing()).items
    assert listed.distributed_host_ids is None


@ON_SQLITE
def test_a_gateway_without_hosts_says_so_and_gets_the_first_that_comes(world: World) -> None:
    site = outside(world)
    nat = site.nat(world.vpc())
    assert (nat.status.state, nat.placement.hosts) == ("error", ())
    assert "gateway label" in (nat.status.reason or "")
    site.host("plain", gateway=False)
    assert order(site, "nat", nat.meta.id) == []
    change(site, "plain", gateway=True)
    assert order(site, "nat", nat.meta.id) == ["plain"]
    site.tell("plain", outside=())
    assert order(site, "nat", nat.meta.id) == []


@ON_SQLITE
def test_a_gateway_whose_hosts_are_all_drained_or_dead_says_so(world: World) -> None:
    site = outside(world)
    network, gate = site.network.meta.id, site.host("a")
    change(site, "a", drained=True)
    nat = site.nat(world.vpc())
    assert (nat.status.state, nat.placement.hosts) == ("error", ())
    assert nat.status.reason == (
        f"every gateway host that lives and reaches {network} is drained;"
        f" 'vpcctl host undrain {gate}' ends that"
    )
    gone(site, "a")
    nat = world.services.nat_gateways.get(ADMIN, nat.meta.id)
    assert nat.status.reason == f"no gateway host that reaches {network} lives"


def test_a_silent_host_goes_to_the_end_and_stays_there(site: Outside) -> None:
    nat = site.nat(site.world.vpc())
    first, second, third = order(site, "nat", nat.meta.id)
    watching(site)
    tell_connected(site, *"abc")
    gone(site, first)
    assert order(site, "nat", nat.meta.id) == [first, second, third]  # its switch may be lost, too
    gone(site, first)
    moved = site.world.database.read(present_revision)
    sure = HostRealised(site.id(second), moved, "in_sync", None, 1)
    site.world.realisation.record(moved, [sure])
    assert order(site, "nat", nat.meta.id) == [second, third, first]
    shown = site.world.services.nat_gateways.get(ADMIN, nat.meta.id).placement
    assert [one.state for one in shown.hosts] == ["active", "standby", "down"]
    assert shown.since_revision == moved
    gone(site)
    assert order(site, "nat", nat.meta.id) == [second, third, first]
    again = site.world.services.nat_gateways.get(ADMIN, nat.meta.id).placement
    assert [one.state for one in again.hosts] == ["active", "standby", "standby"]
    assert again.since_revision == shown.since_revision


def tell_connected(site: Outside, *names: str) -> None:
    """Have the switches of these hosts be connected, and no others."""
    now = site.world.database.read(present_revision)
    away = [site.id(name) for name in site.agents if name not in names]
    rows = [
        *(HostRealised(site.id(name), now, "in_sync", None, 1) for name in names),
        *(HostRealised(id, 0, "disconnected", None, 1) for id in away),
    ]
    site.world.realisation.record(now, rows)


@ON_SQLITE
def test_what_most_watchers_say_is_believed(site: Outside) -> None:
    nat = site.nat(site.world.vpc())
    first, second, third = order(site, "nat", nat.meta.id)
    site.says(second, **{first: True})
    site.says("plain", **{first: False})
    assert order(site, "nat", nat.meta.id) == [first, second, third]
    site.says(third, **{first: False})
    assert order(site, "nat", nat.meta.id) == [second, third, first]
    since = site.world.database.read(present_revision)
    site.says(third, **{first: True})
    assert order(site, "nat", nat.meta.id) == [second, third, first]
    batch = site.world.feed.changes(since)
    assert batch is not None
    assert [change.kind for change in batch.changes] in ([], ["host"])


@ON_SQLITE
def test_a_fourth_host_takes_the_place_of_a_dead_one(site: Outside) -> None:
    nat = site.nat(site.world.vpc())
    first, second, third = order(site, "nat", nat.meta.id)
    site.host("d", "four")
    assert order(site, "nat", nat.meta.id) == [first, second, third]
    gone(site, first)
    assert order(site, "nat", nat.meta.id) == [second, third, "d"]


def confirm(site: Outside, *names: str) -> None:
    """Have the switches of hosts, and of no others, confirm everything; a second passes."""
    now = site.world.database.read(present_revision)
    sure = [HostRealised(site.id(name), now, "in_sync", None, 1) for name in names]
    others = [site.id(name) for name in site.agents if name not in names]
    rows = [HostRealised(id, 0, "pending", None, 1) for id in others]
    site.world.realisation.record(now, [*sure, *rows])
    pass_by(site, 1)


def pass_by(site: Outside, seconds: float) -> None:
    site.world.clock.forward(seconds)
    for name, agent in site.agents.items():
        if name != "plain":
            agent.report(full=False)
    site.world.services.maintain()


def watching(site: Outside) -> None:
    """Have the gateway hosts watch each other."""
    for name in "abc":
        site.says(name, **{other: True for other in "abc" if other != name})


def shown(site: Outside, nat: NatGatewayView) -> tuple[list[str], str | None, list[str]]:
    """States in order, who is active, and who is waited for."""
    found = site.world.services.nat_gateways.get(ADMIN, nat.meta.id).placement
    active = found.active_host_id
    states = [one.state for one in found.hosts]
    return states, active and site.names((active,))[0], sorted(site.names(found.waits_for))


def test_a_drained_host_goes_on_until_everybody_knows_who_follows(site: Outside) -> None:
    world = site.world
    subnet = world.subnet(vpc=world.vpc())
    nat = site.nat(world.services.vpcs.get(ADMIN, subnet.vpc_id))
    first, second, third = order(site, "nat", nat.meta.id)
    port = world.services.ports.create(ADMIN, PortCreate(subnet.meta.id))
    site.agents["plain"].report(link(port))
    change(site, first, drained=True)
    assert order(site, "nat", nat.meta.id) == [first, second, third]
    assert held(world, "nat")[nat.meta.id].leaving == (site.id(first),)
    confirm(site, *"abc", "plain")
    assert shown(site, nat) == (
        ["draining", "unseen", "unseen"],
        first,
        sorted([first, second]),
    )
    watching(site)
    pass_by(site, 1)
    assert shown(site, nat)[2] == sorted([first, second])  # that makes new flows for them
    confirm(site, first)
    assert shown(site, nat)[2] == [second]
    assert order(site, "nat", nat.meta.id) == [first, second, third]
    confirm(site, first, second)
    assert order(site, "nat", nat.meta.id) == [second, third, first]
    assert shown(site, nat)[:2] == (["active", "standby", "draining"], second)
    confirm(site, *"abc")
    pass_by(site, 5)
    assert shown(site, nat)[2] == ["plain"]  # it may still send to the first
    confirm(site, *"abc", "plain")
    assert order(site, "nat", nat.meta.id) == [second, third, first]  # not at once
    pass_by(site, 2)
    assert order(site, "nat", nat.meta.id) == [second, third]
    assert site.world.services.hosts.get(ADMIN, site.id(first)).drained is True


@ON_SQLITE
def test_a_wait_for_a_drained_host_ends_when_it_stands_for_nothing(site: Outside) -> None:
    nat = site.nat(site.world.vpc())
    first, second, third = order(site, "nat", nat.meta.id)
    watching(site)
    status = site.world.services.status

    def holding() -> str | None:
        confirm(site, *"abc")
        drained = site.world.services.hosts.get(ADMIN, site.id(first)).meta.revision
        progress = status.progress(status.concern(ADMIN, "host", site.id(first)), drained)
        assert (progress.behind, progress.lacking) == ((), None)
        assert progress.realized == (progress.holding is None)
        return progress.holding

    assert holding() is None
    change(site, second, drained=True)
    change(site, third, drained=True)
    change(site, first, drained=True)
    assert holding() == f"{nat.meta.id} (active: no other gateway host that lives can follow)"
    change(site, third, drained=False)
    seen = [holding() for _ in range(8)]
    assert f"{nat.meta.id} (draining" in (seen[0] or "")
    assert seen[-1] is None
    assert order(site, "nat", nat.meta.id) == [third]


@ON_SQLITE
def test_a_host_is_no_standby_before_all_who_rely_on_it_see_it(site: Outside) -> None:
    nat = site.nat(site.world.vpc())
    first, second, third = order(site, "nat", nat.meta.id)
    assert shown(site, nat)[0] == ["active", "unseen", "unseen"]
    watching(site)
    assert shown(site, nat)[0] == ["active", "standby", "standby"]
    site.says("plain", **{first: True, second: False, third: True})
    assert shown(site, nat)[0] == ["active", "unseen", "standby"]
    site.says("plain", **{first: True, second: True, third: True})
    site.says(first, **{second: True, third: False})
    assert shown(site, nat)[0] == ["active", "standby", "unseen"]
    tell_connected(site, *site.agents)
    for _ in range(2):
        gone(site, first)  # what it said does not count any more
    assert shown(site, nat)[0] == ["active", "standby", "down"]


@ON_SQLITE
def test_a_host_that_is_no_more_drained_stays(site: Outside) -> None:
    nat = site.nat(site.world.vpc())
    first, second, third = order(site, "nat", nat.meta.id)
    watching(site)
    change(site, first, drained=True)
    change(site, first, drained=False)
    assert held(site.world, "nat")[nat.meta.id].leaving == ()
    confirm(site, *"abc")
    assert shown(site, nat) == (["active", "standby", "standby"], first, [])
    change(site, first, drained=True)
    confirm(site, *"abc")
    change(site, first, drained=False)
    assert shown(site, nat) == (["active", "standby", "standby"], second, [])
    assert order(site, "nat", nat.meta.id) == [second, third, first]


@ON_SQLITE
def test_who_waits_for_nobody_else_stands_alone(site: Outside) -> None:
    """The last one goes on; one that is dead is not waited for."""
    nat = site.nat(site.world.vpc())
    first, second, third = order(site, "nat", nat.meta.id)
    watching(site)
    for name in (first, second, third):
        change(site, name, drained=True)
    confirm(site, *"abc")
    assert order(site, "nat", nat.meta.id) == [first, second, third]
    assert shown(site, nat) == (["active", "drained", "drained"], first, [])
    change(site, third, drained=False)
    confirm(site, *"abc")
    assert order(site, "nat", nat.meta.id) == [third, first, second]
    for _ in range(2):
        gone(site, first)
    assert order(site, "nat", nat.meta.id) == [third, second]


def test_what_is_realised_counts_gateway_hosts_that_report(site: Outside) -> None:
    vpc = site.world.vpc()
    nat = site.nat(vpc)
    assert nat.status.hosts == 3
    assert nat.status.state == "degraded"
    now = site.world.database.read(present_revision)
    rows = [HostRealised(site.id(name), now, "in_sync", None, 1) for name in "abc"]
    site.world.realisation.record(now, rows)
    shown = site.world.services.nat_gateways.get(ADMIN, nat.meta.id).status
    assert (shown.state, shown.hosts) == ("active", 3)
    concern = site.world.services.status.concern(ADMIN, "nat", nat.meta.id)
    assert concern.hosts == {site.id(name) for name in "abc"}
    gone(site, "a")
    assert site.world.services.vpcs.get(ADMIN, vpc.meta.id).status.hosts == 2


def test_hosts_are_told_of_a_move(site: Outside) -> None:
    world = site.world
    subnet = world.subnet(vpc=world.vpc())
    world.services.ports.create(ADMIN, PortCreate(subnet.meta.id))
    nat = site.nat(world.services.vpcs.get(ADMIN, subnet.vpc_id))
    first, second, third = order(site, "nat", nat.meta.id)
    before = {name: world.services.hosts.state(ADMIN, site.id(name)) for name in "abc"}
    assert {one.address for one in before[first].outside_addresses} == {
        str(eip.address) for eip in nat.eips
    }
    watching(site)
    change(site, first, drained=True)
    for _ in range(4):
        confirm(site, *"abc")
    after = {name: world.services.hosts.state(ADMIN, site.id(name)) for name in "abc"}
    assert after[first].outside_addresses == ()
    for name in (second, third):
        (one,) = after[name].outside_addresses
        assert one.hosts == (site.id(second), site.id(third))
        assert after[name].revision > before[name].revision


@ON_SQLITE
@pytest.mark.parametrize("seed", range(4))
def test_who_looks_at_what_changed_finds_what_who_looks_at_all_does(
    world: World, seed: int
) -> None:
    """After any change, nothing is left to do for whoever looks at all hosts."""
    chance, names = random.Random(seed), ["a", "b", "c", "d", "e"]
    site = outside(world)
    for name in names:
        site.host(name, chance.choice(["one", "two", "three"]), gateway=chance.random() < 0.7)
    for _ in range(4):
        vpc = site.world.vpc()
        site.internet(vpc)
        site.nat(vpc)
    units, everybody = Units(world.database, clock=world.clock), [site.id(one) for one in names]
    for _ in range(25):
        _disturb(site, chance, names)
        assert units.write(lambda unit: gateway_hosts.rearrange(unit, everybody)) == 0


def _disturb(site: Outside, chance: random.Random, names: list[str]) -> None:
    """Let something happen to some host."""
    name = chance.choice(names)
    match chance.randrange(6):
        case 0:
            gone(site, *chance.sample(names, chance.randrange(4)))
        case 1:
            site.says(name, **{other: chance.random() < 0.5 for other in names if other != name})
        case 2:
            change(site, name, drained=chance.random() < 0.5)
        case 3:
            with suppress(Conflict):
                change(site, name, gateway=chance.random() < 0.7)
        case 4:
            tell_connected(site, *chance.sample(names, chance.randrange(6)))
            for _ in range(2):
                gone(site, *chance.sample(names, chance.randrange(3)))
        case _:
            reached = site.agents[name].facts.outside
            site.tell(name, outside=() if reached else (site.reached,))
