"""Global IPv6 addresses of ports: where each is realised, and why nowhere."""

from dataclasses import dataclass

import pytest
from sqlalchemy import event

from tests.store.conftest import ADMIN, ON_SQLITE, World
from tests.store.outside import Outside, outside
from tests.store.reporting import link
from tests.store.test_eips import confirm
from vpcctl.services.outside_views import InternetGatewayView
from vpcctl.services.routing_views import RouteTableChange, RouteWanted
from vpcctl.services.views import (
    HostChange,
    Listing,
    OutsideView,
    PortChange,
    PortView,
    SubnetView,
    VpcView,
)


@dataclass
class Site:
    """A VPC with IPv6 that leads outside, a gateway host, and one that reaches nothing."""

    world: World
    outer: Outside
    vpc: VpcView
    subnet: SubnetView
    internet: InternetGatewayView
    gate: str
    plain: str

    def leads(self, *routes: RouteWanted) -> None:
        listing = Listing(filters={"vpc_id": self.vpc.meta.id})
        (main,) = self.world.services.route_tables.list(ADMIN, listing).items
        wanted = RouteTableChange(routes=routes)
        self.world.services.route_tables.change(ADMIN, main.meta.id, wanted)

    def leads_out(self) -> None:
        self.leads(RouteWanted("::/0", (self.internet.meta.id,)))

    def settle(self) -> None:
        both = {id.replace("-", "_"): "in_sync" for id in (self.gate, self.plain)}
        confirm(self.world, self.world.feed.load().revision, **both)

    def look(self, port: PortView) -> OutsideView:
        (found,) = self.world.look(port).outside or ()
        assert found.internet_gateway_id == self.internet.meta.id
        assert found.address == port.fixed_ips[-1]
        return found


@pytest.fixture
def site(world: World) -> Site:
    outer = outside(world, ipv6_cidr="2001:db8::/48", ipv6_gateway="2001:db8::1")
    vpc = world.vpc("10.0.0.0/16", "2001:db8:5::/56")
    subnet = world.subnet(vpc=vpc, ipv6_cidr="2001:db8:5:1::/64")
    gate, plain = outer.host("gw"), outer.host("plain", gateway=False)
    outer.tell("plain", providers=(), outside=())
    return Site(world, outer, vpc, subnet, outer.internet(vpc), gate, plain)


def test_it_says_where_it_is_realised(site: Site) -> None:
    port = site.world.port(site.subnet)
    site.leads_out()

    def look() -> tuple[str | None, str | None, bool, bool]:
        found = site.look(port)
        confirmed = found.since_revision is not None
        return found.mode, found.host_id, confirmed, found.reason is None

    assert look() == (None, None, False, False)
    site.outer.agents["plain"].report(link(port))
    assert look() == ("gateway", site.gate, False, True)
    site.settle()
    assert look() == ("gateway", site.gate, True, True)
    site.outer.agents["plain"].report()
    site.outer.agents["gw"].report(link(port, uuid="u2"))
    assert look() == ("distributed", site.gate, False, True)
    site.settle()
    assert look() == ("distributed", site.gate, True, True)
    before = site.look(port).since_revision
    # It goes by what makes the outside reach it, not by when the port came.
    site.leads()
    site.leads_out()
    assert look() == ("distributed", site.gate, False, True)
    site.settle()
    after = site.look(port).since_revision
    assert before is not None
    assert after is not None
    assert after > before


@ON_SQLITE
def test_a_network_reached_or_lost_has_to_be_confirmed(site: Site) -> None:
    port, plain = site.world.port(site.subnet), site.outer.agents["plain"]
    site.leads_out()
    plain.report(link(port))
    for ways, mode in (((site.outer.reached,), "distributed"), ((), "gateway")):
        site.settle()
        plain.facts = plain.facts.model_copy(update={"providers": ("isp",), "outside": ways})
        plain.report(link(port))
        found = site.look(port)
        assert (found.mode, found.since_revision) == (mode, None)
        site.settle()
        assert site.look(port).since_revision == site.world.feed.load().revision


@ON_SQLITE
def test_it_says_why_it_is_realised_nowhere(site: Site) -> None:
    port, network = site.world.port(site.subnet), site.outer.network.meta.id
    site.leads_out()
    change = site.world.services.hosts.change
    site.outer.tell("gw", outside=())
    change(ADMIN, site.gate, HostChange(gateway=False))
    site.outer.tell("gw", outside=(site.outer.reached,))
    assert site.look(port).reason == f"{port.meta.id} is on no host"
    site.outer.agents["plain"].report(link(port))
    place = f"{port.meta.id} is on {site.plain}, which does not reach {network}"
    assert (
        site.look(port).reason == f"{place}, and no host with the gateway label reaches {network}"
    )
    change(ADMIN, site.gate, HostChange(gateway=True, drained=True))
    assert site.look(port).reason == (
        f"{place}, and every gateway host that lives and reaches {network} is drained;"
        f" 'vpcctl host undrain {site.gate}' ends that"
    )
    change(ADMIN, site.gate, HostChange(drained=False))
    assert site.look(port).reason is None
    site.world.services.ports.change(ADMIN, port.meta.id, PortChange(admin_up=False))
    found = site.look(port)
    assert (found.mode, found.reason) == (None, f"{port.meta.id} is administratively down")


@ON_SQLITE
def test_what_no_route_leads_outside_is_not_there(site: Site) -> None:
    port = site.world.port(site.subnet)
    site.outer.agents["gw"].report(link(port))
    assert site.world.look(port).outside == ()
    site.leads(RouteWanted("0.0.0.0/0", (site.internet.meta.id,)))
    assert site.world.look(port).outside == ()
    private = site.world.subnet("10.0.2.0/24", site.vpc)
    site.leads_out()
    assert site.world.look(site.world.port(private)).outside == ()
    several = site.world.port(
        site.subnet, fixed_ips=("2001:db8:5:1::20", "2001:db8:5:1::9", "10.0.1.77")
    )
    found = site.world.look(several).outside or ()
    assert [str(one.address) for one in found] == ["2001:db8:5:1::9", "2001:db8:5:1::20"]


@ON_SQLITE
def test_lists_do_not_ask_for_it(site: Site) -> None:
    site.leads_out()
    ports = [site.world.port(site.subnet) for _ in range(3)]
    statements: list[str] = []

    def note(_c, _cursor, statement, *_more) -> None:
        statements.append(statement)

    event.listen(site.world.database.engine, "before_cursor_execute", note)
    found = site.world.services.ports.list(ADMIN, Listing()).items
    event.remove(site.world.database.engine, "before_cursor_execute", note)
    assert [one.meta.id for one in found] == [one.meta.id for one in ports]
    assert all(one.outside is None for one in found)
    assert all(one.outside for one in ports)
    assert not any("route_targets" in one for one in statements)
