"""DHCP option sets: what is accepted, and what guests hear of them; IPv6 modes of subnets."""

import dataclasses

import pytest

from tests.store.conftest import ADMIN, World
from tests.store.reporting import Agent, link
from vpcctl.model.addresses import Mac, eui64
from vpcctl.model.dhcp_options import DhcpOptions
from vpcctl.model.problems import Conflict, Invalid, NotFound
from vpcctl.services.dhcp_values import DhcpOptionsChange, DhcpOptionsCreate, DhcpOptionsView
from vpcctl.services.views import (
    Actor,
    Listing,
    PortChange,
    SubnetChange,
    SubnetCreate,
    VpcChange,
    VpcCreate,
)
from vpcctl.wire.state import GuestOptions

ALL = DhcpOptions(
    lease_time_s=3600,
    dns_servers=("10.0.0.2", "fd00::2"),
    domain_name="Shop.Internal.",
    search_domains=("shop.internal", "example.com"),
    ntp_servers=("10.0.0.3",),
    routes=(("192.0.2.0/24", "10.0.0.9"),),
)
RED, BLUE = Actor("tenant", "red"), Actor("tenant", "blue")


def make(world: World, options: DhcpOptions = ALL, actor: Actor = RED) -> DhcpOptionsView:
    return world.services.dhcp_options.create(actor, DhcpOptionsCreate(options))


def guest_options(world: World, agent: Agent) -> GuestOptions:
    """What the only guest of a host is told."""
    state = world.services.hosts.state(ADMIN, agent.host.meta.id)
    (guest,), (subnet,) = state.guests, state.guest_subnets
    return guest.options or subnet.options


def test_a_sets_life(world: World) -> None:
    made = make(world)
    assert made.options == dataclasses.replace(ALL, domain_name="shop.internal")
    assert world.services.dhcp_options.get(RED, made.meta.id) == made
    assert world.services.dhcp_options.list(RED, Listing()).items == (made,)
    assert world.services.dhcp_options.list(BLUE, Listing()).items == ()
    with pytest.raises(NotFound):
        world.services.dhcp_options.get(BLUE, made.meta.id)
    change = DhcpOptionsChange(
        DhcpOptions(ntp_servers=()), frozenset({"ntp_servers", "domain_name"}), name="new"
    )
    changed = world.services.dhcp_options.change(RED, made.meta.id, change)
    assert changed.options == dataclasses.replace(made.options, domain_name=None, ntp_servers=())
    assert changed.meta.name == "new"
    world.services.dhcp_options.delete(RED, made.meta.id)
    with pytest.raises(NotFound):
        world.services.dhcp_options.get(RED, made.meta.id)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lease_time_s", 59),
        ("lease_time_s", 40_000_000),
        ("dns_servers.0", ("nonsense",)),
        ("dns_servers.1", ("10.0.0.2", "10.0.0.2")),
        ("dns_servers.0", ("224.0.0.1",)),
        ("dns_servers", tuple(f"10.0.0.{n}" for n in range(9))),
        ("ntp_servers.0", ("0.0.0.0",)),
        ("domain_name", "-shop.internal"),
        ("domain_name", "shop..internal"),
        ("domain_name", "x" * 64),
        ("domain_name", "a b"),
        ("domain_name", "a\nb"),
        ("domain_name", "shop.internal\n"),
        ("search_domains.0", ("",)),
        ("search_domains", tuple(f"{n}{'x' * 50}.example" for n in range(5))),
        ("search_domains", tuple("abcdefg")),
        ("routes.0.destination", (("fd00::/64", "10.0.0.9"),)),
        ("routes.0.destination", (("10.0.0.1/24", "10.0.0.9"),)),
        ("routes.0.next_hop", (("192.0.2.0/24", "fd00::1"),)),
        ("routes", tuple((f"10.{n}.0.0/16", "10.0.0.9") for n in range(17))),
    ],
)
def test_what_cannot_be_told_is_refused_naming_the_field(world: World, field: str, value) -> None:
    name = field.split(".")[0]
    with pytest.raises(Invalid) as problem:
        make(world, DhcpOptions(**{name: value}))
    assert (problem.value.field, bool(problem.value.accepted)) == (field, True)
    port = PortChange(dhcp_options=DhcpOptions(**{name: value}))
    with pytest.raises(Invalid) as problem:
        world.services.ports.change(ADMIN, "port-00000000000000001", port)
    assert problem.value.field == f"dhcp_options.{field}"


def test_a_vpc_has_a_set_of_its_own_tenant(world: World) -> None:
    mine, other = make(world), make(world, actor=BLUE)
    values = VpcCreate(cidrs=("10.0.0.0/16",), dhcp_options_id=mine.meta.id)
    vpc = world.services.vpcs.create(RED, values)
    assert vpc.dhcp_options_id == mine.meta.id
    for id in (other.meta.id, "dopt-00000000000000000", "nonsense"):
        with pytest.raises(Invalid) as problem:
            world.services.vpcs.change(RED, vpc.meta.id, VpcChange(dhcp_options_id=id))
        assert problem.value.field == "dhcp_options_id"
    with pytest.raises(Conflict) as blocked:
        world.services.dhcp_options.delete(RED, mine.meta.id)
    assert [one.id for one in blocked.value.blockers] == [vpc.meta.id]
    world.services.vpcs.change(RED, vpc.meta.id, VpcChange(dhcp_options_id=None))
    world.services.dhcp_options.delete(RED, mine.meta.id)


def test_guests_hear_of_every_change_of_their_options(world: World) -> None:
    agent = Agent(world, world.host())
    agent.report()
    vpc = world.vpc()
    port = world.port(world.subnet(vpc=vpc))
    agent.report(link(port))
    told = GuestOptions(dns_servers=("169.254.169.253",), domain="vpc.internal")
    assert guest_options(world, agent) == told
    chosen = make(world)

    def after(act) -> GuestOptions:
        before = world.services.hosts.state_revision(ADMIN, agent.host.meta.id)
        act()
        assert world.services.hosts.state_revision(ADMIN, agent.host.meta.id) > before
        return guest_options(world, agent)

    services = world.services
    of_set = after(
        lambda: services.vpcs.change(RED, vpc.meta.id, VpcChange(dhcp_options_id=chosen.meta.id))
    )
    assert of_set == GuestOptions(
        lease_time_s=3600,
        dns_servers=("10.0.0.2", "fd00::2"),
        domain="shop.internal",
        search=("shop.internal", "example.com"),
        ntp_servers=("10.0.0.3",),
        routes=(("192.0.2.0/24", "10.0.0.9"),),
    )
    own = DhcpOptions(domain_name="own.internal", ntp_servers=())
    of_port = after(lambda: services.ports.change(RED, port.meta.id, PortChange(dhcp_options=own)))
    assert of_port == of_set.model_copy(update={"domain": "own.internal", "ntp_servers": ()})
    change = DhcpOptionsChange(DhcpOptions(lease_time_s=600), frozenset({"lease_time_s"}))
    shorter = after(lambda: services.dhcp_options.change(RED, chosen.meta.id, change))
    assert shorter == of_port.model_copy(update={"lease_time_s": 600})
    again = after(lambda: services.ports.change(RED, port.meta.id, PortChange(dhcp_options=None)))
    assert again == of_set.model_copy(update={"lease_time_s": 600})


# --- IPv6 modes -----------------------------------------------------------------------------------


def six(world: World, mode: str | None = "slaac"):
    vpc = world.vpc("10.0.0.0/16", "fd00::/48")
    return world.subnet(vpc=vpc, ipv6_cidr="fd00:0:0:1::/64", ipv6_mode=mode)


@pytest.mark.parametrize("mode", ["slaac", "dhcpv6-stateless"])
def test_a_port_has_the_address_that_its_guest_makes(world: World, mode: str) -> None:
    subnet = six(world, mode)
    port = world.port(subnet, mac="fa:16:3e:00:00:07")
    assert [str(ip) for ip in port.fixed_ips] == ["10.0.1.2", "fd00::1:f816:3eff:fe00:7"]
    made = world.port(subnet)
    assert made.fixed_ips[1] == eui64(subnet.ipv6_cidr, made.mac)
    chosen = world.port(subnet, fixed_ips=("fd00:0:0:1::77",))
    assert str(chosen.fixed_ips[1]) == "fd00:0:0:1::77"


def test_the_address_follows_the_mac(world: World) -> None:
    subnet = six(world)
    port = world.port(subnet, mac="fa:16:3e:00:00:07")
    moved = world.services.ports.change(ADMIN, port.meta.id, PortChange(mac="fa:16:3e:00:00:08"))
    assert moved.fixed_ips == (port.fixed_ips[0], eui64(subnet.ipv6_cidr, Mac(0xFA163E000008)))
    again = world.port(subnet, mac="fa:16:3e:00:00:07")
    assert again.fixed_ips[1] == port.fixed_ips[1]


def test_an_address_that_another_port_chose_is_a_conflict(world: World) -> None:
    subnet = six(world)
    taken = eui64(subnet.ipv6_cidr, Mac(0xFA163E000007))
    owner = world.port(subnet, fixed_ips=(str(taken),))
    with pytest.raises(Conflict) as problem:
        world.port(subnet, mac="fa:16:3e:00:00:07")
    assert [one.id for one in problem.value.blockers] == [owner.meta.id]


def test_a_mode_goes_with_a_block(world: World) -> None:
    assert six(world, None).ipv6_mode == "dhcpv6-stateful"
    vpc = world.vpc("10.1.0.0/16", "fd01::/48")
    values = SubnetCreate(vpc_id=vpc.meta.id, cidr="10.1.1.0/24", ipv6_mode="slaac")
    with pytest.raises(Invalid) as problem:
        world.services.subnets.create(ADMIN, values)
    assert problem.value.field == "ipv6_mode"
    plain = world.subnet("10.1.1.0/24", vpc=vpc)
    assert plain.ipv6_mode is None

    def change(**values):
        return world.services.subnets.change(ADMIN, plain.meta.id, SubnetChange(**values))

    with pytest.raises(Invalid):
        change(ipv6_mode="slaac")
    assert change(ipv6_cidr="fd01:0:0:1::/64", ipv6_mode="slaac").ipv6_mode == "slaac"
    assert change(name="x").ipv6_mode == "slaac"
    assert change(ipv6_mode="dhcpv6-stateless").ipv6_mode == "dhcpv6-stateless"
    with pytest.raises(Invalid):
        change(ipv6_mode="by-post")
    assert change(ipv6_cidr=None).ipv6_mode is None
