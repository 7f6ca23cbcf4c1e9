"""A small universe of resources in which nearly everything collides with something."""

import dataclasses
import ipaddress

from hypothesis import strategies as st

from tests.support.networks import (
    acl,
    address_group,
    allow,
    eip,
    gone,
    group,
    host,
    igw,
    ip,
    line,
    nat,
    outside,
    pair,
    port,
    put,
    reaching,
    subnet,
    vpc,
)
from vpcctl.model.changes import Change
from vpcctl.model.eip import Eip
from vpcctl.model.gateway import Forward, NatGateway
from vpcctl.model.host import OutsidePort, Watch
from vpcctl.model.limits import Limits
from vpcctl.model.location import Location
from vpcctl.model.route_table import Route, RouteTable, Target
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

HOSTS = [host(n) for n in (1, 2, 3)]
VPCS = [vpc(n) for n in (1, 2)]
MACS = ["0e:00:00:00:00:01", "0e:00:00:00:00:02", "0e:00:00:00:00:03"]
IPV4 = ["10.0.1.1", "10.0.1.10", "10.0.1.11", "10.0.1.12"]
IPV6 = ["fd00:1::1", "fd00:1::10", "fd00:1::11", "2001:db8:1::10", "2001:db8:1::11"]
PAIRS = [
    pair("10.0.1.11/32"),
    pair("10.0.1.99/32"),
    pair("10.0.1.99/32", "0e:00:00:00:00:63"),
    pair("fd00:1::99/128", "0e:00:00:00:00:63"),
    pair("fe80::99/128"),
    pair("fe80::c00:ff:fe00:1/128"),
    pair("172.16.0.0/12"),
    pair("198.18.9.9/32"),
    pair("2001:db8:aa::9/128"),
    pair("10.0.1.10/32", "0e:00:00:00:00:02"),
]
SUBNET_IDS = [f"subnet-{n:017x}" for n in (1, 2, 3)]
GROUP_IDS = [f"sg-{n:017x}" for n in (1, 2, 3)]
ADDRESS_GROUP_IDS = [f"ag-{n:017x}" for n in (1, 2)]
ACL_IDS = [f"nacl-{n:017x}" for n in (1, 2)]
BLOCKS = {
    4: ("10.0.1.0/24", "10.0.1.11/32", "10.0.0.0/8", "0.0.0.0/0"),
    6: ("fd00:1::/64", "fd00:1::10/128", "::/0"),
}
TABLE_IDS = [f"rtb-{n:017x}" for n in (1, 2)]
NETWORKS = [
    outside(1, "203.0.113.0/24", "2001:db8:77::/64"),
    outside(2, "198.51.100.0/24"),
]
INTERNET = [igw(n, VPCS[0], NETWORKS[0]) for n in (1, 2)]
NATS = [nat(n, VPCS[0], NETWORKS[0]) for n in (1, 2)]
PORT_IDS = [f"port-{n:017x}" for n in (1, 2, 3, 4, 5)]


@st.composite
def _subnet(draw: st.DrawFn) -> Subnet:
    number = draw(st.sampled_from((1, 2, 3)))
    cidr = draw(st.sampled_from(("10.0.1.0/24", "10.0.0.0/16")))
    made = subnet(
        number, draw(st.sampled_from(VPCS)), cidr, draw(st.sampled_from((None, "fd00:1::/64")))
    )
    return dataclasses.replace(
        made,
        vni=draw(st.sampled_from((number, number, 9))),
        gateway=ipaddress.IPv4Address(draw(st.sampled_from(("10.0.1.1", "10.0.1.10")))),
        acl_id=draw(st.sampled_from((None, *ACL_IDS))),
        route_table_id=draw(st.sampled_from((None, None, *TABLE_IDS))),
        ipv6_gateway=draw(_gateways6) if made.ipv6_cidr else None,
    )


_gateways6 = st.sampled_from([ipaddress.IPv6Address(one) for one in ("fd00:1::1", "fd00:1::10")])
_groups = st.none() | st.lists(st.sampled_from(GROUP_IDS), max_size=3, unique=True).map(
    lambda ids: tuple(sorted(ids))
)


@st.composite
def _service(draw: st.DrawFn, family: int) -> dict[str, object]:
    icmp = 1 if family == 4 else 58
    protocol = draw(st.sampled_from((None, None, 6, 17, 132, 47, icmp)))
    if protocol in (6, 17, 132) and draw(st.booleans()):
        low, high = sorted(draw(st.tuples(*[st.sampled_from((0, 22, 80, 81, 443, 65535))] * 2)))
        return {"protocol": protocol, "ports": (low, high)}
    if protocol == icmp and draw(st.booleans()):
        code = draw(st.sampled_from((None, 0, 1)))
        kind = draw(st.sampled_from((3, 8, 17, 128, 160)))
        return {"protocol": protocol, "icmp_type": kind, "icmp_code": code}
    return {"protocol": protocol}


@st.composite
def _rule(draw: st.DrawFn) -> object:
    family = draw(st.sampled_from((4, 4, 6)))
    remotes = (None, *GROUP_IDS, *GROUP_IDS, *ADDRESS_GROUP_IDS, *BLOCKS[family])
    direction = draw(st.sampled_from(("ingress", "egress")))
    return allow(direction, draw(st.sampled_from(remotes)), family, **draw(_service(family)))


@st.composite
def _group(draw: st.DrawFn) -> object:
    number = draw(st.integers(1, 3))
    made = group(
        number,
        draw(st.sampled_from((VPCS[0], *VPCS))),
        *draw(st.lists(_rule(), max_size=4)),
        stateful=draw(st.sampled_from((True, True, False))),
        keep_established=draw(st.booleans()),
    )
    return dataclasses.replace(made, key=draw(st.sampled_from((number, number, number, 9))))


@st.composite
def _address_group(draw: st.DrawFn) -> object:
    number = draw(st.integers(1, 2))
    cidrs = [*BLOCKS[4], *BLOCKS[6], "10.0.1.10/32", "fd00:1::11/128"]
    made = address_group(number, *draw(st.lists(st.sampled_from(cidrs), max_size=4, unique=True)))
    return dataclasses.replace(made, key=draw(st.sampled_from((number, number, 9))))


@st.composite
def _line(draw: st.DrawFn, number: int) -> object:
    family = draw(st.sampled_from((4, 6)))
    direction, verdict = draw(st.sampled_from(("ingress", "egress"))), draw(st.booleans())
    block = draw(st.sampled_from(BLOCKS[family]))
    service = draw(_service(family))
    return line(number, direction, "allow" if verdict else "deny", block, **service)


@st.composite
def _acl(draw: st.DrawFn) -> object:
    number = draw(st.integers(1, 2))
    numbers = draw(st.lists(st.sampled_from((1, 100, 32766)), max_size=3, unique=True))
    made = acl(number, draw(st.sampled_from(VPCS)), *(draw(_line(one)) for one in numbers))
    return dataclasses.replace(made, key=draw(st.sampled_from((number, number, 9))))


def _limits(number: int, which: int) -> Limits:
    """One or two limits in each direction, of two rates."""
    rate = 1000 * which
    return Limits(number, rate, None if which == 2 else rate, rate if which == 3 else None, rate)


@st.composite
def _port(draw: st.DrawFn) -> object:
    number = draw(st.integers(1, 5))
    owner = dataclasses.replace(
        subnet(1, VPCS[0], "10.0.1.0/24"), id=draw(st.sampled_from(SUBNET_IDS))
    )
    made = port(
        number,
        owner,
        draw(st.sampled_from(MACS)),
        *draw(st.lists(st.sampled_from(IPV4), max_size=2, unique=True)),
        *draw(st.lists(st.sampled_from(IPV6), max_size=1)),
        port_security=draw(st.booleans()),
        allowed_pairs=tuple(draw(st.lists(st.sampled_from(PAIRS), max_size=2, unique=True))),
        admin_up=draw(st.sampled_from((True, True, True, False))),
        groups=draw(_groups),
        checks_addresses=draw(st.booleans()),
        limits=draw(st.sampled_from((None, None, *(_limits(number, one) for one in (1, 2, 3))))),
    )
    return dataclasses.replace(made, key=draw(st.sampled_from((number, number, number, 9, 17))))


_reached = st.lists(
    st.builds(OutsidePort, st.sampled_from([one.id for one in NETWORKS]), st.sampled_from((8, 9))),
    max_size=2,
    unique_by=lambda one: one.external_network_id,
).map(tuple)
_watched = st.lists(
    st.builds(Watch, st.sampled_from([one.id for one in HOSTS]), st.sampled_from((6, 7))),
    max_size=2,
    unique_by=lambda one: one.host_id,
).map(tuple)
_serving = st.lists(st.sampled_from([one.id for one in HOSTS]), max_size=3, unique=True).map(tuple)
_network_ids = st.sampled_from([NETWORKS[0].id, *(one.id for one in NETWORKS)])
_addresses = st.sampled_from([ip(f"203.0.113.{n}") for n in (10, 11, 12)])
_targets = st.sampled_from(
    [
        *(Target("internet", one.id) for one in INTERNET),
        *(Target("nat", one.id) for one in NATS),
        *(Target("port", one) for one in PORT_IDS[:3]),
    ]
)


@st.composite
def _network(draw: st.DrawFn) -> object:
    one = draw(st.sampled_from(NETWORKS))
    router = draw(st.sampled_from((one.gateway, None)))
    facts: dict[str, object] = {
        "key": draw(st.sampled_from((one.key, 1))),
        "mtu": 1400 if router is None else 1500,
        "port_mtu": 1450,
    }
    return dataclasses.replace(one, gateway=router, **facts)


@st.composite
def _gateway(draw: st.DrawFn) -> object:
    one = draw(st.sampled_from([*INTERNET, *NATS]))
    facts: dict[str, object] = {
        "vpc_id": draw(st.sampled_from([VPCS[0].id, *(vpc.id for vpc in VPCS)])),
        "external_network_id": draw(_network_ids),
        "vni": draw(st.sampled_from((one.vni, one.vni, one.vni, 9, 0x901))),
        "hosts": draw(_serving),
        "leaving": draw(st.one_of(st.just(()), _serving)),
    }
    if isinstance(one, NatGateway):
        facts["key"] = draw(st.sampled_from((one.key, one.key, 1)))
        facts["forwards"] = tuple(draw(st.lists(_forwards, max_size=2)))
    return dataclasses.replace(one, **facts)  # type: ignore[arg-type]


_forwards = st.builds(
    Forward,
    st.sampled_from(("fwd-1", "fwd-2")),
    _addresses,
    st.sampled_from((6, 17)),
    st.sampled_from(((80, 80), (80, 82))),
    st.sampled_from([ip(one) for one in IPV4]),
    st.sampled_from((80, 8080)),
)


@st.composite
def _eip(draw: st.DrawFn) -> object:
    number = draw(st.integers(1, 3))
    made = Eip(
        f"eip-{number:017x}",
        draw(_network_ids),
        draw(st.sampled_from((number, number, 1))),
        draw(_addresses),
    )
    user = draw(st.sampled_from(("port", "port", "nat", "nobody")))
    if user == "nat":
        return dataclasses.replace(made, nat_gateway_id=draw(st.sampled_from(NATS)).id)
    if user == "nobody":
        return made
    fixed = ip(draw(st.sampled_from((*IPV4, "10.0.1.13", "10.0.1.14"))))
    return dataclasses.replace(made, port_id=draw(st.sampled_from(PORT_IDS)), fixed_ip=fixed)


@st.composite
def _table(draw: st.DrawFn) -> object:
    number = draw(st.integers(1, 2))
    blocks = st.sampled_from(("0.0.0.0/0", "192.0.2.0/24", "::/0", "2001:db8:9::/48"))
    routes = [
        Route(ipaddress.ip_network(block), tuple(draw(st.lists(_targets, max_size=3, unique=True))))
        for block in draw(st.lists(blocks, max_size=3, unique=True))
    ]
    return RouteTable(
        f"rtb-{number:017x}",
        draw(st.sampled_from([VPCS[0].id, *(vpc.id for vpc in VPCS)])),
        draw(st.sampled_from((number, number, 1))),
        draw(st.booleans()),
        tuple(routes),
        tuple(draw(st.lists(st.sampled_from([one.id for one in HOSTS]), max_size=2, unique=True))),
    )


@st.composite
def _host(draw: st.DrawFn) -> object:
    one = draw(st.sampled_from(HOSTS))
    vteps = (one.vtep, one.vtep, ip("192.0.2.1"), ip("2001:db8::7"), None)
    return dataclasses.replace(
        one,
        vtep=draw(st.sampled_from(vteps)),
        tunnel_ofport=draw(st.sampled_from((1, 1, 12, None))),
        nd_extensions=draw(st.booleans()),
        guest_services=draw(st.booleans()),
        key=draw(st.sampled_from((one.key, one.key, 17))),
        outside=draw(_reached),
        watches=draw(_watched),
    )


def _vpc() -> st.SearchStrategy[Vpc]:
    keys = st.sampled_from((1, 2, 2))
    cidrs = ("10.0.0.0/8", "198.18.0.0/16", "fd00::/8")
    blocks = st.lists(st.sampled_from([*map(ipaddress.ip_network, cidrs)]), max_size=2, unique=True)
    return st.builds(
        lambda one, key, cidrs: dataclasses.replace(one, key=key, cidrs=tuple(cidrs)),
        *(st.sampled_from(VPCS), keys, blocks),
    )


_locations = st.builds(
    Location,
    st.sampled_from(PORT_IDS),
    st.sampled_from([one.id for one in HOSTS]),
    st.sampled_from((10, 11, 12, 12 | 0x8000)),
)

changes: st.SearchStrategy[Change] = st.builds(
    lambda resource, stays: put(resource) if stays else gone(resource),
    st.one_of(
        *(_port(), _locations, _port(), _locations, _host(), _subnet(), _vpc()),
        *(_group(), _group(), _address_group(), _acl()),
        *(_network(), _gateway(), _gateway(), _eip(), _eip(), _table()),
    ),
    st.sampled_from((True, True, True, True, False)),
)


host_changes: st.SearchStrategy[Change] = st.builds(
    lambda one, stays: put(one) if stays else gone(one),
    _host(),
    st.sampled_from((True, True, True, False)),
)


_WAY = igw(1, VPCS[0], NETWORKS[0], *HOSTS[:2])
_INNER = subnet(1, VPCS[0], "10.0.1.0/24", "fd00:1::/64")
_REACHING = [reaching(one, (NETWORKS[0], 8)) for one in HOSTS[:2]]
_GUEST = port(1, _INNER, MACS[0], "10.0.1.11", "2001:db8:1::11")
_MAIN = RouteTable(
    TABLE_IDS[0],
    *(VPCS[0].id, 1, True),
    (Route(ipaddress.ip_network("::/0"), (Target("internet", _WAY.id),)),),
)


@st.composite
def ways_in(draw: st.DrawFn) -> list[Change]:
    """Changes by which a port is reached from outside, by an EIP and maybe a global address."""
    made = eip(1, NETWORKS[0], "203.0.113.10", _GUEST)
    guest = (draw(_inner()), _GUEST, draw(_guest()), Location(_GUEST.id, HOSTS[0].id, 10))
    return [put(one) for one in (*_REACHING, *VPCS, *NETWORKS, *guest, _WAY, _MAIN, made)]


@st.composite
def _inner(draw: st.DrawFn) -> Subnet:
    """The subnet of the port that is reached from outside, as its owner may change it."""
    return dataclasses.replace(
        _INNER,
        ipv6_gateway=draw(_gateways6),
        acl_id=draw(st.sampled_from((None, *ACL_IDS))),
        route_table_id=draw(st.sampled_from((None, *TABLE_IDS))),
    )


@st.composite
def _guest(draw: st.DrawFn) -> object:
    """The port that is reached from outside, or another one in its subnet."""
    outer = (_GUEST.ips[1],) * 4
    one = draw(st.sampled_from((*outer, ip("fd00:1::10"), ip("fd00:1::1"))))
    one = dataclasses.replace(_GUEST, ips=(*_GUEST.ips[:1], one))
    if draw(st.sampled_from((True, True, True, False))):
        return one
    return dataclasses.replace(one, id=PORT_IDS[1], key=2, mac=2, ips=one.ips[1:])


@st.composite
def _main(draw: st.DrawFn) -> RouteTable:
    routes = draw(st.sampled_from((_MAIN.routes, ())))
    number, is_main = draw(st.sampled_from((0, 1))), draw(st.booleans())
    key = draw(st.sampled_from((1, 1 + number)))
    return dataclasses.replace(_MAIN, id=TABLE_IDS[number], key=key, is_main=is_main, routes=routes)


@st.composite
def _reaching(draw: st.DrawFn) -> object:
    one = draw(st.sampled_from(_REACHING))
    return dataclasses.replace(one, tunnel_ofport=draw(st.sampled_from((1, 10))))


way_changes: st.SearchStrategy[Change] = st.builds(
    lambda one, stays: put(one) if stays else gone(one),
    st.one_of(
        *(_inner(), _inner(), _guest(), _main(), _main(), _eip(), _locations, _reaching()),
        st.just(_WAY),
    ),
    st.sampled_from((True, True, True, True, False)),
)


@st.composite
def ways_out(draw: st.DrawFn) -> list[Change]:
    """Changes by which a VPC's main table has routes to two networks, and hosts that reach some.

    What the table leads to is then a matter of hosts that may have nothing else of the VPC.
    """
    inner = subnet(1, VPCS[0], "10.0.1.0/24", "fd00:1::/64")
    guest = port(1, inner, MACS[0], "10.0.1.11", "fd00:1::11", checks_addresses=False)
    ways = [
        dataclasses.replace(one, external_network_id=network.id, hosts=draw(_serving))
        for one, network in zip(INTERNET, NETWORKS, strict=True)
    ]
    targets = (*(Target("internet", one.id) for one in ways), Target("port", guest.id))
    shared = tuple(draw(st.lists(st.sampled_from(targets), min_size=1, max_size=3, unique=True)))
    routes = tuple(Route(ipaddress.ip_network(one), shared) for one in ("0.0.0.0/0", "::/0"))
    table = RouteTable(TABLE_IDS[0], VPCS[0].id, 1, True, routes, (HOSTS[2].id,))
    place = Location(guest.id, draw(st.sampled_from(HOSTS)).id, 20)
    hosts = [draw(_host()) for _ in range(3)]
    return [put(one) for one in (*VPCS, *NETWORKS, inner, guest, *ways, table, place, *hosts)]


@st.composite
def full_start(draw: st.DrawFn) -> list[Change]:
    """Changes that make a network in which most ports work, as a first batch."""
    first = [put(one) for one in (*HOSTS, *VPCS)]
    first += [put(draw(_host())), *(put(one) for one in NETWORKS)]
    first += [put(draw(made)) for made in (_gateway(), _gateway(), _eip(), _eip(), _table())]
    first += [put(draw(made)) for made in (_group(), _group(), _address_group(), _acl())]
    first += [
        put(subnet(n, VPCS[n // 3], "10.0.1.0/24", "fd00:1::/64" if n != 2 else None))
        for n in (1, 2, 3)
    ]
    for number in range(1, 6):
        owner = dataclasses.replace(subnet(1, VPCS[0], "10.0.1.0/24"), id=SUBNET_IDS[number % 3])
        mac, ips = f"0e:00:00:00:00:0{number}", (f"10.0.1.1{number}", f"fd00:1::1{number}")
        some = port(number, owner, mac, *ips, groups=draw(_groups))
        first.append(put(some))
        first.append(put(Location(some.id, draw(st.sampled_from(HOSTS)).id, 20 + number)))
    return first
