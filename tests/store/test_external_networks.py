"""External networks and internet gateways: what is accepted, and what keeps them."""

import dataclasses
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from tests.store.conftest import ADMIN, ON_SQLITE, World
from tests.store.outside import PROVIDER, outside
from tests.store.test_security_groups import at_once, held
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import InternetGateway
from vpcctl.model.problems import Conflict, Exhausted, Forbidden, Invalid, NotFound, Problem, Stale
from vpcctl.services.facade import Quotas, Services, ServiceSettings
from vpcctl.services.outside_views import (
    ExternalNetworkChange,
    ExternalNetworkCreate,
    ExternalNetworkView,
    InternetGatewayChange,
    InternetGatewayCreate,
)
from vpcctl.services.routing_views import RouteTableChange, RouteWanted
from vpcctl.services.views import Actor, Listing, VpcChange
from vpcctl.store.external_networks import EXTERNAL_NETWORKS

TENANT = Actor("tenant", "red")


def make(world: World, **values: Any) -> ExternalNetworkView:
    values = {"provider": PROVIDER, "cidr": "203.0.113.0/24", "gateway": "203.0.113.1", **values}
    return world.services.external_networks.create(ADMIN, ExternalNetworkCreate(**values))


def change(world: World, network: ExternalNetworkView, **values: Any) -> ExternalNetworkView:
    wanted = ExternalNetworkChange(**values)
    return world.services.external_networks.change(ADMIN, network.meta.id, wanted)


def test_a_network_is_kept_and_told(world: World) -> None:
    pools = ("203.0.113.16-203.0.113.19", "203.0.113.20", "203.0.113.64/26")
    made = make(
        world,
        vlan=100,
        ipv6_cidr="2001:db8::/64",
        ipv6_gateway="2001:db8::1",
        pools=pools,
        mtu=9000,
        name="isp",
    )
    assert [f"{first}-{last}" for first, last in made.pools] == [
        "203.0.113.16-203.0.113.20",
        "203.0.113.64-203.0.113.127",
    ]
    assert (made.pool_addresses, made.eips, made.vlan, made.mtu) == (69, 0, 100, 9000)
    assert (made.status.state, made.meta.tenant_id) == ("pending", "")
    assert "none reports provider isp" in (made.status.reason or "")
    assert held(world, "ext")[made.meta.id] == ExternalNetwork(
        made.meta.id,
        made.key,
        ip_network("203.0.113.0/24"),
        ip_address("203.0.113.1"),
        ip_network("2001:db8::/64"),
        ip_address("2001:db8::1"),
        9000,
        1450,
    )
    service = world.services.external_networks
    assert service.list(TENANT, Listing(filters={"provider": "isp"})).items == (made,)
    assert service.get(TENANT, made.meta.id) == made
    with pytest.raises(Forbidden):
        service.create(TENANT, ExternalNetworkCreate("other", cidr="198.51.100.0/24"))
    with pytest.raises(Forbidden):
        service.delete(TENANT, made.meta.id)
    with pytest.raises(Forbidden):
        service.list(Actor("host", host_id="host-1"), Listing())
    service.delete(ADMIN, made.meta.id)
    assert held(world, "ext") == {}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"cidr": "203.0.113.1/24"}, "cidr"),
        ({"cidr": "127.0.0.0/8", "gateway": None}, "cidr"),
        ({"cidr": None, "gateway": None}, "cidr"),
        ({"cidr": None}, "gateway"),
        ({"gateway": "198.51.100.1"}, "gateway"),
        ({"gateway": "203.0.113.0"}, "gateway"),
        ({"gateway": "203.0.113.255"}, "gateway"),
        ({"ipv6_cidr": "203.0.113.0/24"}, "ipv6_cidr"),
        ({"ipv6_gateway": "2001:db8::1"}, "ipv6_gateway"),
        ({"vlan": 0}, "vlan"),
        ({"vlan": 4095}, "vlan"),
        ({"mtu": 500}, "mtu"),
        ({"mtu": 1279, "ipv6_cidr": "2001:db8::/64"}, "mtu"),
        ({"provider": "no spaces"}, "provider"),
        ({"provider": ""}, "provider"),
        ({"pools": ("203.0.112.255-203.0.113.9",)}, "pools.0"),
        ({"pools": ("203.0.113.9", "203.0.113.1-203.0.113.4")}, "pools.1"),
        ({"pools": ("203.0.113.0/30",)}, "pools.0"),
        ({"pools": ("203.0.113.200-203.0.113.255",)}, "pools.0"),
        ({"pools": ("203.0.113.9-203.0.113.5",)}, "pools.0"),
        ({"pools": ("203.0.113.5-203.0.113.9", "203.0.113.8/29")}, "pools.1"),
        ({"pools": ("2001:db8::5",)}, "pools.0"),
        ({"pools": ("203.0.113.5-x",)}, "pools.0"),
        ({"pools": ("",)}, "pools.0"),
        ({"pools": tuple(f"203.0.113.{n}" for n in range(2, 70))}, "pools"),
        ({"cidr": None, "gateway": None, "ipv6_cidr": "2001:db8::/64", "pools": ("::5",)}, "pools"),
    ],
)
def test_what_makes_no_network_is_refused(world: World, values: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        make(world, **values)
    assert caught.value.field == field
    assert caught.value.accepted
    assert held(world, "ext") == {}


def test_two_networks_share_neither_wire_nor_address(world: World) -> None:
    first = make(world, vlan=5, ipv6_cidr="2001:db8::/64")
    for values, field in (
        ({"vlan": 5, "cidr": "198.51.100.0/24"}, "vlan"),
        ({"vlan": 6, "cidr": "203.0.113.128/25"}, "cidr"),
        ({"provider": "b", "cidr": "203.0.112.0/23"}, "cidr"),
        ({"provider": "b", "cidr": None, "ipv6_cidr": "2001:db8::/48"}, "ipv6_cidr"),
    ):
        with pytest.raises(Conflict) as caught:
            make(world, **{"gateway": None, **values})
        assert (caught.value.field, caught.value.blockers[0].id) == (field, first.meta.id)
    untagged = make(world, cidr="198.51.100.0/24", gateway=None)
    with pytest.raises(Conflict) as caught:
        make(world, cidr="192.0.2.0/24", gateway=None)
    assert (caught.value.field, caught.value.blockers[0].id) == ("provider", untagged.meta.id)


def test_what_may_change_changes(world: World) -> None:
    made = make(world, pools=("203.0.113.16/28",))
    changed = change(
        world,
        made,
        gateway="203.0.113.254",
        ipv6_cidr="2001:db8::/64",
        ipv6_gateway="2001:db8::1",
        mtu=1400,
        name="new",
    )
    assert (str(changed.gateway), str(changed.ipv6_gateway)) == ("203.0.113.254", "2001:db8::1")
    assert (changed.mtu, changed.meta.name, changed.pool_addresses) == (1400, "new", 16)
    assert change(world, made, gateway=None).gateway is None
    assert change(world, made, ipv6_cidr=None, ipv6_gateway=None).ipv6_cidr is None
    with pytest.raises(Conflict) as caught:
        change(world, made, gateway="203.0.113.20")
    assert caught.value.field == "gateway"
    with pytest.raises(Invalid) as refused:
        change(world, made, ipv6_gateway="2001:db8::1")
    assert refused.value.field == "ipv6_gateway"
    with pytest.raises(Stale):
        world.services.external_networks.change(
            ADMIN, made.meta.id, ExternalNetworkChange(mtu=1500), 1
        )


def test_ipv6_needs_1280_bytes(world: World) -> None:
    narrow = make(world, mtu=1279)
    with pytest.raises(Invalid) as added:
        change(world, narrow, ipv6_cidr="2001:db8::/64")
    assert (added.value.field, added.value.accepted) == ("mtu", "1280 to 9216, or no IPv6 block")
    both = change(world, narrow, ipv6_cidr="2001:db8::/64", mtu=1280)
    with pytest.raises(Invalid) as lowered:
        change(world, both, mtu=1279)
    assert lowered.value.field == "mtu"
    assert change(world, both, mtu=1279, ipv6_cidr=None).mtu == 1279
    made = make(world, cidr=None, gateway=None, ipv6_cidr="2001:db8:1::/64", vlan=9, mtu=1280)
    # One that was accepted before is not stuck.
    world.database.write(lambda c: EXTERNAL_NETWORKS.update(c, made.meta.id, {"mtu": 1000}))
    assert change(world, made, name="new", ipv6_gateway="2001:db8:1::1").mtu == 1000


@ON_SQLITE
def test_ipv6_is_not_taken_away_from_routes(world: World) -> None:
    outer = outside(world, ipv6_cidr="2001:db8::/64")
    vpc = world.vpc()
    internet = outer.internet(vpc)
    (table,) = held(world, "rtb").values()
    ways = (RouteWanted("::/0", (internet.meta.id,)), RouteWanted("0.0.0.0/0", (internet.meta.id,)))
    world.services.route_tables.change(ADMIN, table.id, RouteTableChange(routes=ways))
    with pytest.raises(Conflict) as caught:
        change(world, outer.network, ipv6_cidr=None)
    assert [(one.kind, one.id) for one in caught.value.blockers] == [("rtb", table.id)]
    world.services.route_tables.change(ADMIN, table.id, RouteTableChange(remove=("::/0",)))
    assert change(world, outer.network, ipv6_cidr=None).ipv6_cidr is None


def test_hosts_that_reach_it_are_named(world: World) -> None:
    outer = outside(world)
    host = outer.host("h1")
    shown = world.services.external_networks.get(ADMIN, outer.network.meta.id)
    assert shown.host_ids == (host,)
    assert shown.status.hosts == 1
    state = world.services.hosts.state(ADMIN, host)
    assert [(one.network_id, one.provider, one.vlan) for one in state.external_networks] == [
        (outer.network.meta.id, PROVIDER, None)
    ]


def test_an_internet_gateway_is_kept_and_told(world: World) -> None:
    outer = outside(world)
    host = outer.host("h1")
    vpc = world.vpc()
    made = outer.internet(vpc)
    assert held(world, "igw")[made.meta.id] == InternetGateway(
        made.meta.id, vpc.meta.id, outer.network.meta.id, made.vni, (host,)
    )
    assert world.subnet(vpc=vpc).vni == made.vni + 1
    service = world.services.internet_gateways
    assert service.get(TENANT, made.meta.id) == made
    (listed,) = service.list(TENANT, Listing(filters={"vpc_id": vpc.meta.id})).items
    assert listed == dataclasses.replace(made, distributed_host_ids=None)
    changed = service.change(TENANT, made.meta.id, InternetGatewayChange(name="out"))
    assert (changed.meta.name, changed.vni) == ("out", made.vni)
    with pytest.raises(NotFound):
        service.get(Actor("tenant", "blue"), made.meta.id)
    with pytest.raises(Conflict) as caught:
        outer.internet(vpc)
    assert caught.value.blockers[0].id == made.meta.id
    with pytest.raises(Conflict) as used:
        world.services.external_networks.delete(ADMIN, outer.network.meta.id)
    assert [blocker.id for blocker in used.value.blockers] == [made.meta.id]
    with pytest.raises(Conflict) as full:
        world.services.vpcs.delete(ADMIN, vpc.meta.id)
    assert made.meta.id in {blocker.id for blocker in full.value.blockers}
    service.delete(TENANT, made.meta.id)
    assert held(world, "igw") == {}
    world.services.external_networks.delete(ADMIN, outer.network.meta.id)


def test_what_is_outside_is_not_inside(world: World) -> None:
    outer = outside(world, ipv6_cidr="2001:db8::/48", ipv6_gateway="2001:db8::1")
    for cidrs in (("203.0.0.0/16",), ("10.0.0.0/16", "2001:db8::/56")):
        with pytest.raises(Conflict) as caught:
            outer.internet(world.vpc(*cidrs))
        assert caught.value.field == "external_network_id"
        with pytest.raises(Conflict):
            outer.nat(world.vpc(*cidrs))
    vpc = world.vpc("10.0.0.0/16", "2001:db8:0:100::/56")
    outer.internet(vpc)
    wanted = VpcChange(cidrs=("10.0.0.0/16", "203.0.113.0/24"))
    with pytest.raises(Conflict) as later:
        world.services.vpcs.change(ADMIN, vpc.meta.id, wanted)
    assert later.value.field == "cidrs"
    with pytest.raises(Conflict) as moved:
        change(world, outer.network, ipv6_gateway="2001:db8:0:100::1")
    assert moved.value.field == "ipv6_gateway"


def test_an_ipv6_block_belongs_to_the_vpc_that_announces_it_first(world: World) -> None:
    outer = outside(world, ipv6_cidr="2001:db8:ff::/64")
    first = world.vpc("10.0.0.0/16", "2001:db8:1::/48", "fd00:1::/48")
    outer.internet(first)
    for tenant in ("red", "blue"):
        second = world.vpc("10.0.0.0/16", "2001:db8:1:f::/64", "fd00:1::/48", tenant=tenant)
        wanted = InternetGatewayCreate(second.meta.id, outer.network.meta.id)
        with pytest.raises(Conflict) as caught:
            world.services.internet_gateways.create(Actor("tenant", tenant), wanted)
        assert caught.value.field == "external_network_id"
        known = tenant == "red"
        assert (first.meta.id in caught.value.detail) == known
        assert [one.id for one in caught.value.blockers] == [first.meta.id] * known
    # A NAT gateway translates IPv4, and announces nothing.
    outer.nat(second, outer.eip(tenant_id="blue"))
    other = outside(world, "198.51.100.0/24", vlan=9, ipv6_cidr="2001:db8:fe::/64")
    other.internet(second)
    third = world.vpc("10.0.0.0/16", "fd00:1::/48")  # what is not global is nobody's business
    outer.internet(third)
    grown = VpcChange(cidrs=("10.0.0.0/16", "2001:db8:1::/56"))
    with pytest.raises(Conflict) as later:
        world.services.vpcs.change(ADMIN, third.meta.id, grown)
    assert (later.value.field, first.meta.id in later.value.detail) == ("cidrs", True)
    grown = VpcChange(cidrs=("10.0.0.0/16", "2001:db8:2::/48"))
    world.services.vpcs.change(ADMIN, third.meta.id, grown)


def test_of_two_that_announce_one_block_at_once_one_does(world: World) -> None:
    outer = outside(world, ipv6_cidr="2001:db8:ff::/64")
    vpcs = [world.vpc("10.0.0.0/16", "2001:db8:1::/48") for _ in range(3)]
    outcomes = at_once(*(lambda v=vpc: outer.internet(v) for vpc in vpcs))
    assert sum(outcome is None for outcome in outcomes) == 1


def test_a_network_gets_ipv6_when_no_block_would_be_announced_twice(world: World) -> None:
    outer = outside(world)
    vpcs = [world.vpc("10.0.0.0/16", "2001:db8:1::/48") for _ in range(2)]
    gateways = [outer.internet(vpc) for vpc in vpcs]
    with pytest.raises(Conflict) as caught:
        change(world, outer.network, ipv6_cidr="2001:db8:ff::/64")
    assert caught.value.field == "ipv6_cidr"
    assert {one.id for one in caught.value.blockers} == {vpc.meta.id for vpc in vpcs}
    world.services.internet_gateways.delete(ADMIN, gateways[0].meta.id)
    change(world, outer.network, ipv6_cidr="2001:db8:ff::/64")


def test_gateways_need_what_they_join_and_a_quota(world: World) -> None:
    outer = outside(world)
    service = world.services.internet_gateways
    vpc = world.vpc()
    wanted: tuple[tuple[Actor, str, str, str], ...] = (
        (ADMIN, "vpc-00000000000000000", outer.network.meta.id, "vpc_id"),
        (Actor("tenant", "blue"), vpc.meta.id, outer.network.meta.id, "vpc_id"),
        (ADMIN, vpc.meta.id, "ext-00000000000000000", "external_network_id"),
        (ADMIN, vpc.meta.id, "x", "external_network_id"),
    )
    for actor, vpc_id, network_id, field in wanted:
        with pytest.raises(Problem) as caught:
            service.create(actor, InternetGatewayCreate(vpc_id, network_id))
        assert caught.value.field == field
    settings = ServiceSettings(quotas=Quotas(internet_gateways=0))
    poor = Services(world.database, settings=settings).internet_gateways
    with pytest.raises(Exhausted):
        poor.create(ADMIN, InternetGatewayCreate(vpc.meta.id, outer.network.meta.id))


@ON_SQLITE
def test_a_host_that_names_the_provider_and_does_not_reach_it_is_told(world: World) -> None:
    site = outside(world)

    def reason() -> str | None:
        return world.services.external_networks.get(ADMIN, site.network.meta.id).status.reason

    site.host("a")
    site.host("other")
    site.tell("other", providers=("lab",), outside=())
    site.tell("a", outside=())
    id = site.id("a")
    assert reason() == (
        f"no host reaches it: {id} names provider isp and does not reach it, or not yet;"
        f" see 'vpcctl host show {id}'"
    )
    site.host("b")
    site.tell("b", outside=())
    assert " (and 1 more) names provider isp" in (reason() or "")
    for name in "ab":
        site.tell(name, providers=())
    assert reason() == "no host reaches it: none reports provider isp"
