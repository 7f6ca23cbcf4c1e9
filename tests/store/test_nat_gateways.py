"""NAT gateways: their EIPs and port forwards, and what is refused."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from tests.store.conftest import ADMIN, ON_SQLITE, World
from tests.store.outside import Outside, outside
from tests.store.test_security_groups import at_once, held, vpc_of
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.model.gateway import Forward, NatGateway
from vpcctl.model.problems import Conflict, Exhausted, Forbidden, Invalid, NotFound, Problem
from vpcctl.services.facade import Quotas, Services, ServiceSettings
from vpcctl.services.outside_views import Association, EipChange
from vpcctl.services.routing_views import (
    ForwardWanted,
    NatGatewayChange,
    NatGatewayCreate,
    NatGatewayView,
    PortsInUse,
    RouteTableCreate,
    RouteWanted,
)
from vpcctl.services.views import Actor, Listing, PortChange, PortView
from vpcctl.wire.report import EipPorts, NatCounts
from vpcctl.wire.state import NatForward

FORWARDED = {"target": "10.0.1.20"}
HTTPS = ForwardWanted("tcp", "443", "10.0.1.20")


@pytest.fixture
def site(world: World) -> Outside:
    return outside(world)


@pytest.fixture
def server(world: World) -> PortView:
    return world.port(world.subnet(), fixed_ips=("10.0.1.20",))


def gateway(site: Outside, server: PortView) -> NatGatewayView:
    return site.nat(site.world.services.vpcs.get(ADMIN, server.vpc_id))


def forward(site: Outside, nat: NatGatewayView, wanted: ForwardWanted = HTTPS) -> str:
    made = site.world.services.nat_gateways.add_forward(ADMIN, nat.meta.id, wanted)
    return made.forwards[0].id


def test_a_gateway_has_eips_and_gives_them_back(site: Outside) -> None:
    vpc, eips = site.world.vpc(), [site.eip() for _ in range(3)]
    nat = site.nat(vpc, *eips[:2])
    ids = [eip.meta.id for eip in eips]
    assert [eip.id for eip in nat.eips] == ids[:2]
    model: NatGateway = held(site.world, "nat")[nat.meta.id]
    assert (model.vpc_id, model.external_network_id, model.vni, model.key) == (
        vpc.meta.id,
        site.network.meta.id,
        nat.vni,
        nat.key,
    )
    named = {id: eip.nat_gateway_id for id, eip in held(site.world, "eip").items()}
    assert named == {ids[0]: nat.meta.id, ids[1]: nat.meta.id, ids[2]: None}
    wanted = NatGatewayChange(eip_ids=(ids[2], ids[1]), name="out")
    changed = site.world.services.nat_gateways.change(ADMIN, nat.meta.id, wanted)
    assert sorted(eip.id for eip in changed.eips) == sorted(ids[1:])
    assert held(site.world, "eip")[ids[0]].nat_gateway_id is None
    with pytest.raises(Conflict) as caught:
        site.world.services.eips.delete(ADMIN, ids[1])
    assert [blocker.id for blocker in caught.value.blockers] == [nat.meta.id]
    with pytest.raises(Conflict) as caught:
        site.world.services.vpcs.delete(ADMIN, vpc.meta.id)
    assert [blocker.id for blocker in caught.value.blockers] == [nat.meta.id]
    site.world.services.nat_gateways.delete(ADMIN, nat.meta.id)
    assert {eip.nat_gateway_id for eip in held(site.world, "eip").values()} == {None}
    site.world.services.vpcs.delete(ADMIN, vpc.meta.id)


@ON_SQLITE
def test_an_eip_has_to_be_free_and_of_the_network(site: Outside, server: PortView) -> None:
    world = site.world
    vpc = world.services.vpcs.get(ADMIN, server.vpc_id)
    site.internet(vpc)
    used, of_port, theirs = site.eip(), site.eip(), site.eip(tenant_id="blue")
    other = outside(world, "198.51.100.0/24", provider="lab").eip()
    nat = site.nat(vpc, used)
    at_port = EipChange(association=Association(server.meta.id))
    world.services.eips.change(ADMIN, of_port.meta.id, at_port)
    for eip, status, blocker in (
        (used, 409, nat.meta.id),
        (of_port, 409, server.meta.id),
        (theirs, 422, None),
        (other, 422, None),
    ):
        with pytest.raises(Problem) as caught:
            site.nat(vpc, site.eip(), eip)
        assert (caught.value.status, caught.value.field) == (status, "eip_ids.1")
        assert [one.id for one in caught.value.blockers] == ([blocker] if blocker else [])
    assert list(held(world, "nat")) == [nat.meta.id]
    with pytest.raises(Conflict):
        world.services.eips.change(ADMIN, used.meta.id, at_port)


@ON_SQLITE
@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"eip_ids": ()}, "eip_ids"),
        ({"eip_ids": ("eip-" + "0" * 17,)}, "eip_ids.0"),
        ({"eip_ids": ("eip-" + "0" * 17,) * 2}, "eip_ids.1"),
        ({"eip_ids": tuple(f"eip-{n:017x}" for n in range(9))}, "eip_ids"),
        ({"external_network_id": "ext-" + "0" * 17}, "external_network_id"),
        ({"vpc_id": "vpc-" + "0" * 17}, "vpc_id"),
        ({"name": "\0"}, "name"),
    ],
)
def test_what_cannot_be_a_gateway_is_named(site: Outside, values: Any, field: str) -> None:
    good = NatGatewayCreate(site.world.vpc().meta.id, site.network.meta.id, (site.eip().meta.id,))
    with pytest.raises(Invalid) as caught:
        site.world.services.nat_gateways.create(ADMIN, replace(good, **values))
    assert (caught.value.field, bool(caught.value.accepted)) == (field, True)
    assert held(site.world, "nat") == {}


def test_an_eip_goes_to_one_of_two_gateways(site: Outside) -> None:
    vpcs = [site.world.vpc() for _ in range(2)]
    for _ in range(4):
        eip = site.eip()
        outcomes = at_once(*(lambda v=vpc, e=eip: site.nat(v, e) for vpc in vpcs))
        assert sorted(outcome is None for outcome in outcomes) == [False, True]


def test_what_the_active_host_counts_is_shown(site: Outside) -> None:
    site.host("a")
    site.host("b")
    service = site.world.services.nat_gateways
    nat = site.nat(site.world.vpc(), site.eip(), site.eip())
    one, two = nat.eips
    first, second = site.names(tuple(host.host_id for host in nat.placement.hosts))
    assert nat.counters is None
    assert service.counted(ADMIN) == {}
    ports = (EipPorts(address=str(one.address), ports=812),)
    counts = NatCounts(gateway_id=nat.meta.id, connections=1040, ports=ports, failures=3)
    for name, said in ((first, counts), (second, counts.model_copy(update={"failures": 9}))):
        agent = site.agents[name]
        agent.send(agent.make(full=False).model_copy(update={"nat": (said,)}))
        agent.report(full=False)  # that says nothing of it, and changes nothing
    site.world.services.maintain()
    shown = service.get(ADMIN, nat.meta.id).counters
    assert shown is not None
    assert (shown.connections, shown.failures) == (1040, 3)
    assert shown.ports == (PortsInUse(one, 812), PortsInUse(two, 0))
    assert shown.reported_at == site.world.clock.now
    assert service.counted(ADMIN) == {nat.meta.id: shown}
    with pytest.raises(Forbidden):
        service.counted(Actor("tenant", "red"))
    agent = site.agents[first]
    agent.send(agent.make(full=False).model_copy(update={"nat": ()}))
    site.world.services.maintain()
    assert service.get(ADMIN, nat.meta.id).counters is None


@ON_SQLITE
def test_agents_are_told_what_to_count(site: Outside) -> None:
    id = site.host("a")
    nat = site.nat(site.world.vpc())
    (told,) = site.world.services.hosts.state(ADMIN, id).nat_gateways
    assert (told.gateway_id, told.zone, told.hosts) == (nat.meta.id, 0x8000 | nat.key, (id,))
    assert told.addresses == (str(nat.eips[0].address),)
    assert told.exhausted_cookie == cookie(Feature.EXHAUSTED, nat.vni)
    assert told.forwards == ()


@ON_SQLITE
def test_agents_are_told_at_once_what_is_forwarded(site: Outside, server: PortView) -> None:
    id = site.host("a")
    nat = gateway(site, server)
    hosts, address = site.world.services.hosts, str(nat.eips[0].address)
    many = forward(site, nat, ForwardWanted("udp", "1000-1999", "10.0.1.20"))
    forward(site, nat, replace(HTTPS, target_port=8443))
    before = hosts.state(ADMIN, id)
    assert before.nat_gateways[0].forwards == (
        NatForward(**FORWARDED, address=address, protocol=6, first=443, last=443, target_port=8443),
        NatForward(
            **FORWARDED, address=address, protocol=17, first=1000, last=1999, target_port=1000
        ),
    )
    site.world.services.nat_gateways.drop_forward(ADMIN, nat.meta.id, many)
    after = hosts.state(ADMIN, id)
    assert after.nat_gateways[0].forwards == before.nat_gateways[0].forwards[:1]
    assert after.revision > before.revision


def test_ports_are_forwarded(site: Outside, server: PortView) -> None:
    nat = gateway(site, server)
    web = forward(site, nat, replace(HTTPS, target_port=8443, description="the shop"))
    many = forward(site, nat, ForwardWanted("udp", "1000-1999", "10.0.1.20"))
    address = nat.eips[0].address
    target = ip_address("10.0.1.20")
    expected = {
        web: Forward(web, address, 6, (443, 443), target, 8443),
        many: Forward(many, address, 17, (1000, 1999), target, 1000),
    }
    model: NatGateway = held(site.world, "nat")[nat.meta.id]
    assert model.forwards == tuple(expected[id] for id in sorted(expected))
    shown = site.world.services.nat_gateways.get(ADMIN, nat.meta.id)
    assert shown.forwards is not None
    assert [(one.id, one.target_ports, one.port_id) for one in shown.forwards] == [
        (web, (8443, 8443), server.meta.id),
        (many, (1000, 1999), server.meta.id),
    ]
    (listed,) = site.world.services.nat_gateways.list(ADMIN, Listing()).items
    assert (listed.forwards, listed.forward_count) == (None, 2)
    site.world.services.nat_gateways.drop_forward(ADMIN, nat.meta.id, web)
    with pytest.raises(NotFound):
        site.world.services.nat_gateways.drop_forward(ADMIN, nat.meta.id, web)
    assert [one.id for one in held(site.world, "nat")[nat.meta.id].forwards] == [many]
    site.world.services.nat_gateways.delete(ADMIN, nat.meta.id)


@ON_SQLITE
@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (replace(HTTPS, protocol="icmp"), "protocol"),
        (replace(HTTPS, ports="0"), "ports"),
        (replace(HTTPS, ports="2000-1000"), "ports"),
        (replace(HTTPS, ports="65536"), "ports"),
        (replace(HTTPS, address="10.0.1.21"), "address"),
        (replace(HTTPS, address="192.0.2.1"), "address"),
        (replace(HTTPS, address="fd00::1"), "address"),
        (replace(HTTPS, ports="1-1000", target_port=65000), "target_port"),
        (replace(HTTPS, ports="1-1001", target_port=2), "target_port"),
        (replace(HTTPS, eip_id="eip-" + "0" * 17), "eip_id"),
        (replace(HTTPS, description="\0"), "description"),
    ],
)
def test_what_cannot_be_forwarded_is_named(
    site: Outside, server: PortView, wanted: ForwardWanted, field: str
) -> None:
    nat = gateway(site, server)
    with pytest.raises(Invalid) as caught:
        forward(site, nat, wanted)
    assert (caught.value.field, bool(caught.value.accepted)) == (field, True)
    assert held(site.world, "nat")[nat.meta.id].forwards == ()


def test_forwards_do_not_overlap(site: Outside, server: PortView) -> None:
    vpc = site.world.services.vpcs.get(ADMIN, server.vpc_id)
    one, other = site.eip(), site.eip()
    nat = site.nat(vpc, one, other)
    with pytest.raises(Invalid) as caught:
        forward(site, nat)
    assert caught.value.field == "eip_id"
    wanted = replace(HTTPS, ports="400-499", eip_id=one.meta.id)
    present = forward(site, nat, wanted)
    for ports in ("443", "499-500", "1-400", "1-65535", "410-420"):
        with pytest.raises(Conflict) as caught_conflict:
            forward(site, nat, replace(wanted, ports=ports))
        assert caught_conflict.value.field == "ports"
        assert [blocker.id for blocker in caught_conflict.value.blockers] == [present]
    forward(site, nat, replace(wanted, protocol="udp"))
    forward(site, nat, replace(wanted, eip_id=other.meta.id))
    forward(site, nat, replace(wanted, ports="500"))
    first, second = at_once(
        *(lambda p=p: forward(site, nat, replace(wanted, ports=p)) for p in ("1-10", "5-20"))
    )
    assert (first is None) != (second is None)


@ON_SQLITE
def test_what_a_forward_needs_stays(site: Outside, server: PortView) -> None:
    services, vpc = site.world.services, site.world.services.vpcs.get(ADMIN, server.vpc_id)
    one, other = site.eip(), site.eip()
    nat = site.nat(vpc, one, other)
    present = forward(site, nat, replace(HTTPS, eip_id=one.meta.id))
    without = NatGatewayChange(eip_ids=(other.meta.id,))
    calls = (
        lambda: services.ports.delete(ADMIN, server.meta.id),
        lambda: services.ports.change(ADMIN, server.meta.id, PortChange(fixed_ips=("10.0.1.21",))),
        lambda: services.nat_gateways.change(ADMIN, nat.meta.id, without),
    )
    for call in calls:
        with pytest.raises(Conflict) as caught:
            call()
        assert [blocker.id for blocker in caught.value.blockers] == [present]
    more = PortChange(fixed_ips=("10.0.1.20", "10.0.1.21"))
    services.ports.change(ADMIN, server.meta.id, more)
    services.nat_gateways.drop_forward(ADMIN, nat.meta.id, present)
    services.nat_gateways.change(ADMIN, nat.meta.id, without)
    services.ports.delete(ADMIN, server.meta.id)


def test_a_gateway_stays_while_routes_lead_to_it(site: Outside, server: PortView) -> None:
    services, nat = site.world.services, gateway(site, server)
    vpc = vpc_of(site.world, services.subnets.get(ADMIN, server.subnet_id))
    internet = site.internet(vpc)
    route = RouteWanted("0.0.0.0/0", (nat.meta.id, internet.meta.id))
    table = services.route_tables.create(ADMIN, RouteTableCreate(vpc.meta.id, (route,)))
    for service, id in (
        (services.nat_gateways, nat.meta.id),
        (services.internet_gateways, internet.meta.id),
    ):
        with pytest.raises(Conflict) as caught:
            service.delete(ADMIN, id)
        assert [blocker.id for blocker in caught.value.blockers] == [table.meta.id]
    six = RouteWanted("::/0", (nat.meta.id,))
    for wanted in (six, replace(six, targets=(internet.meta.id,))):
        with pytest.raises(Invalid) as caught_invalid:
            services.route_tables.create(ADMIN, RouteTableCreate(vpc.meta.id, (wanted,)))
        assert caught_invalid.value.field == "targets.0"
    services.route_tables.delete(ADMIN, table.meta.id)
    services.nat_gateways.delete(ADMIN, nat.meta.id)
    services.internet_gateways.delete(ADMIN, internet.meta.id)


@ON_SQLITE
def test_quotas_bound_gateways_and_forwards(site: Outside, server: PortView) -> None:
    quotas = Quotas(nat_gateways=1, forwards=1)
    site.world.services = Services(site.world.database, settings=ServiceSettings(quotas=quotas))
    nat = gateway(site, server)
    with pytest.raises(Exhausted, match="1 nat gateways"):
        gateway(site, server)
    forward(site, nat)
    with pytest.raises(Exhausted, match="2 port forwards"):
        forward(site, nat, replace(HTTPS, ports="80"))
    site.world.services.nat_gateways.delete(ADMIN, nat.meta.id)
    gateway(site, server)


@ON_SQLITE
def test_gateways_are_their_tenants(site: Outside, server: PortView) -> None:
    nat, blue = gateway(site, server), Actor("tenant", "blue")
    service = site.world.services.nat_gateways
    assert service.list(blue, Listing()).items == ()
    calls = (
        lambda: service.get(blue, nat.meta.id),
        lambda: service.delete(blue, nat.meta.id),
        lambda: service.add_forward(blue, nat.meta.id, HTTPS),
        lambda: service.drop_forward(blue, nat.meta.id, "fwd-" + "0" * 17),
    )
    for call in calls:
        with pytest.raises(NotFound):
            call()
