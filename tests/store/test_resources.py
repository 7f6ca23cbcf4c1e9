import pytest
from sqlalchemy import text

from tests.store.conftest import ADMIN, World
from vpcctl.model.problems import Conflict, Exhausted, Forbidden, Invalid, NotFound, Problem, Stale
from vpcctl.services.facade import Quotas, Services, ServiceSettings
from vpcctl.services.views import (
    Actor,
    AttachmentView,
    HostChange,
    HostCreate,
    Listing,
    PortChange,
    PortCreate,
    SubnetChange,
    SubnetCreate,
    VpcChange,
    VpcCreate,
)

RED = Actor("tenant", "red")


@pytest.mark.parametrize(
    ("cidrs", "field"),
    [
        ((), "cidrs"),
        (("10.0.0.1/16",), "cidrs.0"),
        (("10.0.0.0/16", "10.0.128.0/17"), "cidrs.1"),
        (("10.0.0.0/16", "10.0.0.0/16"), "cidrs.0"),
        (("10.0.0.0/29",), "cidrs.0"),
        (("10.0.0.0/7",), "cidrs.0"),
        (("10.0.0.0",), "cidrs.0"),
        (("10.0.0.0/255.255.0.0",), "cidrs.0"),
        (("169.254.0.0/16",), "cidrs.0"),
        (("127.0.0.0/8",), "cidrs.0"),
        (("224.0.0.0/8",), "cidrs.0"),
        (("10.0.0.0/16", "ff00::/32"), "cidrs.1"),
        (("10.0.0.0/16", "fe80::/64"), "cidrs.1"),
        (("10.0.0.0/16", "fd00::/65"), "cidrs.1"),
        (("fd00::/48",), "cidrs"),
        (("\x00/8",), "cidrs.0"),
        (tuple(f"10.{n}.0.0/16" for n in range(65)), "cidrs"),
    ],
)
def test_bad_vpc_cidrs_are_refused_and_nothing_changes(world: World, cidrs, field) -> None:
    with pytest.raises(Invalid) as caught:
        world.services.vpcs.create(ADMIN, VpcCreate(cidrs=cidrs))
    assert caught.value.field == field
    assert caught.value.accepted
    assert world.feed.load().revision == 0


def test_a_host_bit_cidr_is_told_what_it_should_be(world: World) -> None:
    with pytest.raises(Invalid) as caught:
        world.vpc("10.0.3.7/16")
    assert caught.value.accepted == "10.0.0.0/16"


@pytest.mark.parametrize(
    ("more", "problem", "field"),
    [
        ({"cidr": "10.1.0.0/24"}, Invalid, "cidr"),
        ({"cidr": "10.0.1.128/25"}, Conflict, "cidr"),
        ({"cidr": "10.0.2.0/30"}, Invalid, "cidr"),
        ({"cidr": "fd00:1::/64"}, Invalid, "cidr"),
        ({"gateway": "10.0.2.0"}, Invalid, "gateway"),
        ({"gateway": "10.0.2.255"}, Invalid, "gateway"),
        ({"gateway": "10.0.3.1"}, Invalid, "gateway"),
        ({"gateway": "fd00::1"}, Invalid, "gateway"),
        ({"ipv6_cidr": "fd00:1:0:1::/80"}, Invalid, "ipv6_cidr"),
        ({"ipv6_cidr": "fd00:2::/64"}, Invalid, "ipv6_cidr"),
        ({"ipv6_cidr": "fd00:1:0:1::/64", "ipv6_gateway": "fd00:1:0:1::"}, Invalid, "ipv6_gateway"),
        ({"ipv6_gateway": "fd00:1::1"}, Invalid, "ipv6_gateway"),
        ({"availability_zone": "a b"}, Invalid, "availability_zone"),
        ({"vpc_id": "vpc-00000000000000000"}, Invalid, "vpc_id"),
        ({"vpc_id": "x" * 300}, Invalid, "vpc_id"),
        ({"name": "n" * 129}, Invalid, "name"),
        ({"name": "a\0b"}, Invalid, "name"),
        ({"description": "d" * 1025}, Invalid, "description"),
        ({"tags": {str(n): "" for n in range(51)}}, Invalid, "tags"),
        ({"tags": {'"': "x"}}, Invalid, "tags"),
        ({"tags": {"a": "v" * 257}}, Invalid, "tags.a"),
    ],
)
def test_bad_subnets_are_refused_and_nothing_changes(world: World, more, problem, field) -> None:
    vpc = world.vpc("10.0.0.0/16", "fd00:1::/48")
    world.subnet("10.0.1.0/24", vpc)
    before = world.feed.load()
    values = {"vpc_id": vpc.meta.id, "cidr": "10.0.2.0/24", **more}
    with pytest.raises(problem) as caught:
        world.services.subnets.create(ADMIN, SubnetCreate(**values))
    assert (caught.value.field, bool(caught.value.accepted)) == (field, True)
    assert world.feed.load() == before


def test_a_vpc_grows_and_sheds_what_is_unused(world: World) -> None:
    vpc = world.vpc("10.0.0.0/16")
    subnet = world.subnet("10.0.1.0/24", vpc)
    change = world.services.vpcs.change
    grown = change(ADMIN, vpc.meta.id, VpcChange(cidrs=("10.9.0.0/16", "10.0.0.0/16")))
    assert [str(block) for block in grown.cidrs] == ["10.0.0.0/16", "10.9.0.0/16"]
    with pytest.raises(Conflict) as caught:
        change(ADMIN, vpc.meta.id, VpcChange(cidrs=("10.9.0.0/16",)))
    assert [blocker.id for blocker in caught.value.blockers] == [subnet.meta.id]
    shrunk = change(ADMIN, vpc.meta.id, VpcChange(cidrs=("10.0.0.0/16",)))
    assert [str(block) for block in shrunk.cidrs] == ["10.0.0.0/16"]


def test_an_ipv6_block_comes_and_goes(world: World) -> None:
    vpc = world.vpc("10.0.0.0/16", "fd00:1::/48")
    subnet = world.subnet("10.0.1.0/24", vpc)
    old = world.port(subnet)
    change = world.services.subnets.change
    block = SubnetChange(ipv6_cidr="fd00:1:0:5::/64")
    view = change(ADMIN, subnet.meta.id, block)
    assert str(view.ipv6_gateway) == "fd00:1:0:5::1"
    assert len(world.look(old).fixed_ips) == 1
    port = world.port(subnet)
    assert str(port.fixed_ips[1]) == "fd00:1:0:5::2"
    moved = change(ADMIN, subnet.meta.id, SubnetChange(ipv6_gateway="fd00:1:0:5::99"))
    assert str(moved.ipv6_gateway) == "fd00:1:0:5::99"
    with pytest.raises(Conflict, match=port.meta.id):
        change(ADMIN, subnet.meta.id, SubnetChange(ipv6_gateway="fd00:1:0:5::2"))
    with pytest.raises(Conflict) as caught:
        change(ADMIN, subnet.meta.id, SubnetChange(ipv6_cidr=None))
    assert [blocker.id for blocker in caught.value.blockers] == [port.meta.id]
    world.services.ports.delete(ADMIN, port.meta.id)
    assert change(ADMIN, subnet.meta.id, SubnetChange(ipv6_cidr=None)).ipv6_gateway is None
    assert change(ADMIN, subnet.meta.id, block).ipv6_cidr is not None
    assert str(world.port(subnet).fixed_ips[1]) == "fd00:1:0:5::2"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"subnet_id": "subnet-00000000000000000"}, "subnet_id"),
        ({"fixed_ips": ("10.0.1.5", "10.0.1.5")}, "fixed_ips.1"),
        ({"fixed_ips": tuple(f"10.0.1.{n}" for n in range(2, 67))}, "fixed_ips"),
        ({"allowed_address_pairs": (("10.0.1.5/24", None),)}, "allowed_address_pairs.0.cidr"),
        ({"allowed_address_pairs": (("x", None),)}, "allowed_address_pairs.0.cidr"),
        ({"allowed_address_pairs": (("224.0.0.1", None),)}, "allowed_address_pairs.0.cidr"),
        (
            {"allowed_address_pairs": (("10.0.1.5", "x"),)},
            "allowed_address_pairs.0.mac_address",
        ),
        ({"allowed_address_pairs": (("10.0.1.5", None),) * 33}, "allowed_address_pairs"),
        (
            {"attachment": AttachmentView("namespace", "host-00000000000000000", None, None)},
            "attachment.host_id",
        ),
        ({"attachment": AttachmentView("namespace", None, None, None)}, "attachment.host_id"),
        ({"attachment": AttachmentView("interface", None, "a/b", None)}, "attachment.interface"),
        ({"attachment": AttachmentView("interface", None, "x" * 16, None)}, "attachment.interface"),
        ({"attachment": AttachmentView("interface", None, "a", "ns")}, "attachment.netns"),
        ({"attachment": AttachmentView("namespace", "h", "a", "../x")}, "attachment.netns"),
        ({"attachment": AttachmentView("namespace", "h", "..", None)}, "attachment.interface"),
    ],
)
def test_bad_ports_are_refused_and_nothing_changes(world: World, more, field) -> None:
    subnet = world.subnet()
    before = world.feed.load()
    with pytest.raises(Invalid) as caught:
        world.services.ports.create(ADMIN, PortCreate(**{"subnet_id": subnet.meta.id, **more}))
    assert (caught.value.field, bool(caught.value.accepted)) == (field, True)
    assert world.feed.load() == before


def test_a_place_on_a_host_is_one_ports(world: World) -> None:
    host = world.host()
    place = AttachmentView("namespace", host.meta.id, "eth0", "web")
    subnet = world.subnet()
    first = world.port(subnet, attachment=place)
    with pytest.raises(Conflict, match=first.meta.id):
        world.port(subnet, attachment=place)
    world.port(subnet, attachment=AttachmentView("namespace", host.meta.id, "eth1", "web"))
    foreign = world.subnet(vpc=world.vpc(tenant="blue"))
    with pytest.raises(Conflict) as caught:
        world.port(foreign, attachment=AttachmentView("namespace", host.meta.id, "eth7", "web"))
    assert caught.value.field == "attachment.netns"
    assert first.meta.id not in caught.value.detail
    world.services.ports.change(ADMIN, first.meta.id, PortChange(attachment=None))
    world.port(subnet, attachment=place)


def test_a_port_changes_field_by_field(world: World) -> None:
    port = world.port(world.subnet(), allowed_address_pairs=(("10.0.1.9", None),))
    change = PortChange(
        mac="06:00:00:00:00:09",
        port_security=False,
        allowed_address_pairs=(("10.0.1.0/28", "06:00:00:00:00:08"), ("fd00::1", None)),
        admin_up=False,
        name="web",
    )
    changed = world.services.ports.change(ADMIN, port.meta.id, change)
    assert (changed.port_security, changed.admin_up, changed.meta.name) == (False, False, "web")
    assert [str(pair.cidr) for pair in changed.allowed_address_pairs] == [
        "10.0.1.0/28",
        "fd00::1/128",
    ]
    assert changed.fixed_ips == port.fixed_ips
    assert changed.meta.revision > port.meta.revision
    assert world.look(port) == changed


def test_a_stale_if_match_changes_nothing(world: World) -> None:
    port = world.port(world.subnet())
    new = world.services.ports.change(
        ADMIN, port.meta.id, PortChange(name="a"), if_match=port.meta.revision
    )
    for call in (
        lambda: world.services.ports.change(
            ADMIN, port.meta.id, PortChange(name="b"), if_match=port.meta.revision
        ),
        lambda: world.services.ports.delete(ADMIN, port.meta.id, port.meta.revision),
    ):
        with pytest.raises(Stale) as caught:
            call()
        assert caught.value.accepted == f'"{new.meta.revision}"'
    assert world.services.ports.delete(ADMIN, port.meta.id, new.meta.revision) > new.meta.revision
    with pytest.raises(NotFound):
        world.look(port)


def test_lists_page_filter_and_refuse(world: World) -> None:
    vpc = world.vpc()
    subnet, other = world.subnet("10.0.1.0/24", vpc), world.subnet("10.0.2.0/24", vpc)
    ports = [world.port(subnet, name=f"p{n}", tags={"n": str(n % 2)}) for n in range(7)]
    alone = world.port(other, admin_up=False)
    found, cursor = [], None
    while True:
        page = world.services.ports.list(ADMIN, Listing(limit=3, cursor=cursor))
        found += [port.meta.id for port in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == [port.meta.id for port in (*ports, alone)]

    def ids(**filters: str) -> list[str]:
        page = world.services.ports.list(RED, Listing(filters=filters))
        return [port.meta.id for port in page.items]

    assert ids(subnet_id=other.meta.id) == [alone.meta.id]
    assert ids(name="p3") == ids(fixed_ip="10.0.1.5") == [ports[3].meta.id]
    assert ids(admin_up="false") == [alone.meta.id]
    assert ids(vpc_id="nonsense") == ids(tenant_id="blue") == []
    tagged = world.services.ports.list(ADMIN, Listing(tags={"n": "1"})).items
    assert [port.meta.name for port in tagged] == ["p1", "p3", "p5"]
    for listing in (
        Listing(limit=0),
        Listing(limit=501),
        Listing(cursor="x"),
        Listing(cursor="djE6LTU"),
        Listing(filters={"colour": "red"}),
        Listing(filters={"mac_address": "x"}),
        Listing(filters={"admin_up": "perhaps"}),
        Listing(filters={"name": "\0"}),
        Listing(tags={'"': "x"}),
    ):
        with pytest.raises(Invalid):
            world.services.ports.list(ADMIN, listing)


def test_names_of_tenants_and_roles(world: World) -> None:
    assert world.services.vpcs.create(RED, VpcCreate(cidrs=("10.0.0.0/8",))).meta.tenant_id == "red"
    with pytest.raises(Forbidden):
        world.services.vpcs.create(RED, VpcCreate(cidrs=("10.0.0.0/8",), tenant_id="blue"))
    with pytest.raises(Invalid):
        world.services.vpcs.create(ADMIN, VpcCreate(cidrs=("10.0.0.0/8",), tenant_id="a b"))
    host = world.host()
    agent = Actor("host", host_id=host.meta.id)
    with pytest.raises(Forbidden):
        world.services.vpcs.list(agent, Listing())
    with pytest.raises(Forbidden):
        world.services.hosts.create(RED, HostCreate(name="h"))
    with pytest.raises(Forbidden):
        world.services.hosts.list(agent, Listing())
    assert world.services.hosts.get(agent, host.meta.id).meta.id == host.meta.id
    with pytest.raises(Forbidden):
        world.services.hosts.get(agent, world.host("h2").meta.id)
    for id in ("host-00000000000000000", "x\0", "\ud800"):
        with pytest.raises(NotFound):
            world.services.hosts.get(ADMIN, id)


def test_a_hosts_vtep_can_be_pinned_and_is_its_own(world: World) -> None:
    first = world.host("h1", vtep_address="192.0.2.1")
    with pytest.raises(Conflict, match=first.meta.id):
        world.host("h2", vtep_address="192.0.2.1")
    second = world.host("h2")
    taken = HostChange(vtep_address="192.0.2.1")
    with pytest.raises(Conflict, match=first.meta.id):
        world.services.hosts.change(ADMIN, second.meta.id, taken)
    changed = world.services.hosts.change(
        ADMIN, second.meta.id, HostChange(vtep_address="192.0.2.2", name="new")
    )
    assert (str(changed.vtep_address), changed.meta.name) == ("192.0.2.2", "new")
    assert changed.dpid == 0x7663 << 48 | changed.key


def test_a_quota_ends_what_a_tenant_may_have(world: World, database) -> None:
    settings = ServiceSettings(quotas=Quotas(vpcs=2, subnets=1, ports=1))
    world.services = Services(database, settings=settings)
    vpc = world.vpc(tenant="red")
    other = world.vpc(tenant="red")
    with pytest.raises(Exhausted):
        world.vpc(tenant="red")
    world.vpc(tenant="blue")
    subnet = world.subnet(vpc=vpc)
    with pytest.raises(Exhausted):
        world.subnet("10.0.2.0/24", vpc)
    port = world.port(subnet)
    with pytest.raises(Exhausted):
        world.port(subnet)
    world.services.ports.delete(ADMIN, port.meta.id)
    world.port(subnet)
    world.services.vpcs.delete(ADMIN, other.meta.id)
    world.vpc(tenant="red")


def test_numbers_go_round_and_skip_those_in_use(world: World) -> None:
    vpc = world.vpc()
    kept = [world.subnet(f"10.0.{n}.0/24", vpc) for n in range(3)]
    assert [subnet.vni for subnet in kept] == [1, 2, 3]
    world.services.subnets.delete(ADMIN, kept[1].meta.id)
    assert world.subnet("10.0.1.0/24", vpc).vni == 4
    largest = 2**24 - 2
    statement = text("UPDATE ledger SET vni = :value")
    world.database.write(lambda c: c.execute(statement, {"value": largest - 1}))
    numbers = [world.subnet(f"10.0.{n}.0/24", vpc).vni for n in range(10, 13)]
    assert numbers == [largest, 2, 5]


def test_every_problem_says_what_happened(world: World) -> None:
    with pytest.raises(Problem) as caught:
        world.services.ports.get(RED, "port-00000000000000000")
    assert caught.value.detail == "There is no port port-00000000000000000."
