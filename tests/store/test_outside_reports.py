"""What hosts say of the outside: believed, contradicted, and what they are told in turn."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.store.conftest import ADMIN, World
from tests.store.outside import PROVIDER, Outside, outside
from tests.store.reporting import link
from tests.store.test_eips import associate, confirm
from tests.store.test_security_groups import held
from vpcctl.model.addresses import format_mac
from vpcctl.model.eip import outside_mac
from vpcctl.model.host import OutsidePort, Watch
from vpcctl.model.problems import Invalid
from vpcctl.services.outside_views import ExternalNetworkCreate
from vpcctl.services.routing_views import RouteTableChange, RouteWanted
from vpcctl.services.views import Listing, PortView
from vpcctl.wire.report import OutsideFact, WatchFact
from vpcctl.wire.state import OutsideAddress


def reaches(outer: Outside, bridge: str = "br-isp", ofport: int = 7, **more: Any) -> OutsideFact:
    values = {"network_id": outer.network.meta.id, "ofport": ofport, "bridge": bridge, **more}
    return OutsideFact(**values)


def warnings(world: World, host_id: str) -> list[str]:
    statement = text(
        "SELECT detail FROM changes WHERE kind = 'host' AND action = 'warning'"
        " AND resource_id = :id ORDER BY revision, sequence"
    )
    return list(world.database.read(lambda c: c.execute(statement, {"id": host_id}).scalars()))


def told(world: World, host_id: str) -> tuple[OutsideAddress, ...]:
    return world.services.hosts.state(ADMIN, host_id).outside_addresses


def watched(world: World, host_id: str) -> list[str]:
    return [one.host_id for one in world.services.hosts.state(ADMIN, host_id).watched]


def test_a_narrower_underlay_changes_what_fits_ports_everywhere(world: World) -> None:
    outer = outside(world)
    one, other = outer.host("h1"), outer.host("h2", gateway=False)
    network_id = outer.network.meta.id
    assert held(world, "ext")[network_id].most_inwards == 1450
    before = world.database.read(lambda c: c.execute(text("SELECT value FROM ledger")).scalar_one())
    outer.tell("h2", underlay_mtu=1400)
    batch = world.feed.changes(before)
    assert batch is not None
    (change,) = [one for one in batch.changes if one.kind == "ext"]
    assert change.resource.most_inwards == 1350
    for host_id in (one, other):
        (told,) = world.services.hosts.state(ADMIN, host_id).external_networks
        assert (told.mtu, told.port_mtu) == (1500, 1350)
    outer.tell("h2", underlay_mtu=9000)
    outer.tell("h1", underlay_mtu=9000)
    assert held(world, "ext")[network_id].most_outwards == 1500
    outer.tell("h2", underlay_mtu=1400)
    world.services.hosts.delete(ADMIN, other)
    assert held(world, "ext")[network_id].most_outwards == 1500


def test_facts_are_kept_and_told(world: World) -> None:
    outer = outside(world)
    one, other = outer.host("h1"), outer.host("h2", gateway=False)
    outer.tell("h1", meters=1000, providers=("isp", "lab"))
    outer.says("h1", h2=True)
    shown = world.services.hosts.get(ADMIN, one)
    assert (shown.gateway, shown.meters, shown.providers) == (True, 1000, ("isp", "lab"))
    assert shown.external_network_ids == (outer.network.meta.id,)
    assert shown.watches == ((other, True),)
    host = held(world, "host")[one]
    assert host.outside == (OutsidePort(outer.network.meta.id, 7),)
    assert host.watches == (Watch(other, 10),)
    # Whether it lives is no change of the network: flows see that by themselves.
    before = world.services.hosts.get(ADMIN, one).meta.revision
    outer.says("h1", h2=False)
    after = world.services.hosts.get(ADMIN, one)
    assert (after.watches, after.meta.revision) == (((other, False),), before)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"providers": ("a\0",)}, "facts.providers.0"),
        ({"outside": ["a\0"]}, "facts.outside.0.bridge"),
        ({"outside": ["a", "b"]}, "facts.outside"),
        ({"watches": 2}, "facts.watches"),
    ],
)
def test_facts_that_cannot_be_are_refused(world: World, more: dict[str, Any], field: str) -> None:
    outer = outside(world)
    host = outer.host("h1")
    if "outside" in more:
        more = {"outside": tuple(reaches(outer, bridge) for bridge in more["outside"])}
    if "watches" in more:
        more = {"watches": (WatchFact(host_id=host, ofport=9, up=True),) * 2}
    with pytest.raises(Invalid) as caught:
        outer.tell("h1", **more)
    assert caught.value.field == field


def test_a_bridge_leads_to_one_provider_everywhere(world: World) -> None:
    outer = outside(world)
    values = ExternalNetworkCreate("lab", cidr="198.51.100.0/24")
    lab = world.services.external_networks.create(ADMIN, values)
    first, second = outer.host("h1"), outer.host("h2")
    wrong = reaches(outer, network_id=lab.meta.id, ofport=8)
    outer.tell("h2", providers=("isp", "lab"), outside=(wrong,))
    (error,) = world.services.hosts.get(ADMIN, second).errors
    assert error == f"bridge br-isp leads to lab here and to isp on {first}: not believed"
    assert warnings(world, second) == [error]
    assert held(world, "host")[second].outside == ()
    shown = world.services.external_networks.get(ADMIN, lab.meta.id)
    assert shown.host_ids == ()
    assert world.services.hosts.get(ADMIN, second).status.state != "active"
    # When the other one changes its mind, this one is believed by itself.
    outer.tell("h1", outside=(reaches(outer, "br-other"),))
    assert world.services.hosts.get(ADMIN, second).errors == ()
    assert held(world, "host")[second].outside == (OutsidePort(lab.meta.id, 8),)
    # Both at once on one host; and bridges that agents make have no such meaning.
    outer.tell("h2", outside=(wrong, reaches(outer)))
    assert len(world.services.hosts.get(ADMIN, second).errors) == 1
    made = "br-0123456ab"
    outer.tell("h1", outside=(reaches(outer, made),))
    outer.tell("h2", outside=(reaches(outer, made, 8, network_id=lab.meta.id),))
    assert world.services.hosts.get(ADMIN, second).errors == ()


def test_a_provider_that_is_not_in_the_settings_is_not_believed(world: World) -> None:
    outer = outside(world)
    host = outer.host("h1")
    outer.tell("h1", providers=("lab",))
    (error,) = world.services.hosts.get(ADMIN, host).errors
    assert error.startswith(f"it reaches {PROVIDER}, which its settings do not name")
    outer.tell("h1", providers=("isp",))
    assert world.services.hosts.get(ADMIN, host).errors == ()
    assert len(held(world, "host")[host].outside) == 1


def test_a_host_that_goes_takes_its_objection_along(world: World) -> None:
    outer = outside(world)
    values = ExternalNetworkCreate("lab", cidr="198.51.100.0/24")
    lab = world.services.external_networks.create(ADMIN, values)
    first, second = outer.host("h1"), outer.host("h2")
    fact = reaches(outer, network_id=lab.meta.id)
    outer.tell("h2", providers=("lab",), outside=(fact,))
    assert world.services.hosts.get(ADMIN, second).errors
    world.services.hosts.delete(ADMIN, first)
    assert world.services.hosts.get(ADMIN, second).errors == ()


def placed(world: World, outer: Outside, name: str, port: PortView, uuid: str = "u1") -> None:
    outer.agents[name].report(link(port, uuid=uuid))


def test_hosts_are_told_what_to_answer_for(world: World) -> None:
    outer = outside(world)
    vpc = world.vpc()
    gates = [outer.host(name) for name in ("g1", "g2")]
    near, far = outer.host("near", gateway=False), outer.host("far", gateway=False)
    outer.tell("far", providers=(), outside=())
    outer.internet(vpc)
    port = world.port(world.subnet(vpc=vpc))
    eip = associate(world, outer.eip(), port)
    assert [told(world, id) for id in (*gates, near, far)] == [()] * 4
    revisions = world.services.hosts.state_revisions(ADMIN)
    placed(world, outer, "near", port)
    (mine,) = told(world, near)
    assert (mine.address, mine.fixed_address, mine.hosts) == (
        str(eip.address),
        str(port.fixed_ips[0]),
        (),
    )
    assert (mine.port_key, mine.mac) == (port.key, format_mac(0x0A76 << 32 | eip.key))
    assert told(world, gates[0]) == ()
    placed(world, outer, "far", port, "u2")
    assert [told(world, id) for id in (near, far)] == [(), ()]
    order = world.services.internet_gateways.list(ADMIN, Listing()).items[0].placement.hosts
    for id in gates:
        (carried,) = told(world, id)
        assert carried.hosts == tuple(one.host_id for one in order)
        assert carried.seed > mine.seed
    now = world.services.hosts.state_revisions(ADMIN)
    assert all(now[id] > revisions[id] for id in (*gates, near, far))
    nat = outer.nat(vpc)
    (address,) = [one for id in gates[:1] for one in told(world, id) if one.fixed_address is None]
    assert (address.address, address.port_key) == (str(nat.eips[0].address), None)


def test_global_addresses_are_answered_for_where_a_route_leads_out(world: World) -> None:
    outer = outside(world, ipv6_cidr="2001:db8::/48", ipv6_gateway="2001:db8::1")
    vpc = world.vpc("10.0.0.0/16", "2001:db8:0:100::/56", "fd00:1::/56")
    host = outer.host("h1")
    internet = outer.internet(vpc)
    port = world.port(world.subnet(vpc=vpc, ipv6_cidr="2001:db8:0:100::/64"))
    local = world.port(world.subnet("10.0.2.0/24", vpc=vpc, ipv6_cidr="fd00:1::/64"))
    outer.agents["h1"].report(link(port), link(local, ofport=6))
    assert told(world, host) == ()
    (table,) = world.services.route_tables.list(ADMIN, Listing()).items
    before = world.services.hosts.state_revision(ADMIN, host)
    way = RouteTableChange(add=(RouteWanted("::/0", (internet.meta.id,)),))
    world.services.route_tables.change(ADMIN, table.meta.id, way)
    assert world.services.hosts.state_revision(ADMIN, host) > before
    (one,) = told(world, host)
    assert (one.address, one.mac, one.port_key, one.fixed_address) == (
        str(port.fixed_ips[1]),
        format_mac(outside_mac(port.key)),
        port.key,
        None,
    )


def test_who_relies_on_a_host_watches_it_and_is_watched(world: World) -> None:
    outer = outside(world)
    vpc = world.vpc()
    gates = sorted(outer.host(name) for name in ("g1", "g2"))
    near, far = outer.host("near", gateway=False), outer.host("far", gateway=False)
    outer.tell("far", providers=(), outside=())
    subnet = world.subnet(vpc=vpc)
    placed(world, outer, "near", world.port(subnet))
    port = world.port(subnet)
    placed(world, outer, "far", port)
    everybody = (*gates, near, far)
    assert [watched(world, id) for id in everybody] == [[]] * 4
    outer.internet(vpc)
    assert watched(world, near) == []  # it reaches the network itself
    assert watched(world, far) == gates
    assert watched(world, gates[0]) == sorted([gates[1], far])
    outer.nat(vpc)
    assert watched(world, near) == gates
    assert watched(world, gates[0]) == sorted([gates[1], near, far])
    revisions = world.services.hosts.state_revisions(ADMIN)
    world.services.ports.delete(ADMIN, port.meta.id)
    assert watched(world, far) == []
    assert watched(world, gates[1]) == sorted([gates[0], near])
    now = world.services.hosts.state_revisions(ADMIN)
    assert all(now[id] > revisions[id] for id in (*gates, far))


def test_one_association_costs_the_same_among_many(world: World) -> None:
    """What others have is neither read nor told: only two hosts' states move."""
    outer = outside(world)
    vpc = world.vpc()
    outer.internet(vpc)
    here, there = (outer.host(name, gateway=False) for name in ("h1", "h2"))
    subnet = world.subnet(vpc=vpc)
    ports = [world.port(subnet) for _ in range(3)]
    outer.agents["h1"].report(*(link(one, n + 5) for n, one in enumerate(ports[:2])))
    outer.agents["h2"].report(link(ports[2]))
    for port in ports[1:]:
        associate(world, outer.eip(), port)
    before = world.services.hosts.state_revisions(ADMIN)
    changed = associate(world, outer.eip(), ports[0])
    after = world.services.hosts.state_revisions(ADMIN)
    assert {id for id in after if after[id] != before[id]} == {here}
    batch = world.feed.changes(changed.meta.revision - 1)
    assert batch is not None
    assert [change.id for change in batch.changes] == [changed.meta.id]
    confirm(world, changed.meta.revision, **{here.replace("-", "_"): "in_sync"})
    shown = world.services.eips.get(ADMIN, changed.meta.id)
    assert (shown.status.state, shown.placement.since_revision) == (
        "active",
        changed.meta.revision,
    )
    assert after[there] == before[there]
