"""A small universe of resources in which nearly everything collides with something."""

import dataclasses
import ipaddress

from hypothesis import strategies as st

from tests.support.networks import gone, host, ip, pair, port, put, subnet, vpc
from vpcctl.model.changes import Change
from vpcctl.model.location import Location
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

HOSTS = [host(n) for n in (1, 2, 3)]
VPCS = [vpc(n) for n in (1, 2)]
MACS = ["0e:00:00:00:00:01", "0e:00:00:00:00:02", "0e:00:00:00:00:03"]
IPV4 = ["10.0.1.1", "10.0.1.10", "10.0.1.11", "10.0.1.12"]
IPV6 = ["fd00:1::1", "fd00:1::10", "fd00:1::11"]
PAIRS = [
    pair("10.0.1.11/32"),
    pair("10.0.1.99/32"),
    pair("10.0.1.99/32", "0e:00:00:00:00:63"),
    pair("fd00:1::99/128", "0e:00:00:00:00:63"),
    pair("fe80::99/128"),
    pair("fe80::c00:ff:fe00:1/128"),
    pair("172.16.0.0/12"),
    pair("10.0.1.10/32", "0e:00:00:00:00:02"),
]
SUBNET_IDS = [f"subnet-{n:017x}" for n in (1, 2, 3)]
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
    )


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
    )
    return dataclasses.replace(made, key=draw(st.sampled_from((number, number, number, 9, 17))))


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
    )


def _vpc() -> st.SearchStrategy[Vpc]:
    keys = st.sampled_from((1, 2, 2))
    return st.builds(
        lambda one, key: dataclasses.replace(one, key=key), st.sampled_from(VPCS), keys
    )


_locations = st.builds(
    Location,
    st.sampled_from(PORT_IDS),
    st.sampled_from([one.id for one in HOSTS]),
    st.sampled_from((10, 11, 12)),
)

changes: st.SearchStrategy[Change] = st.builds(
    lambda resource, stays: put(resource) if stays else gone(resource),
    st.one_of(_port(), _locations, _port(), _locations, _host(), _subnet(), _vpc()),
    st.sampled_from((True, True, True, True, False)),
)


@st.composite
def full_start(draw: st.DrawFn) -> list[Change]:
    """Changes that make a network in which most ports work, as a first batch."""
    first = [put(one) for one in (*HOSTS, *VPCS)]
    first += [
        put(subnet(n, VPCS[n // 3], "10.0.1.0/24", "fd00:1::/64" if n != 2 else None))
        for n in (1, 2, 3)
    ]
    for number in range(1, 6):
        owner = dataclasses.replace(subnet(1, VPCS[0], "10.0.1.0/24"), id=SUBNET_IDS[number % 3])
        some = port(number, owner, f"0e:00:00:00:00:0{number}", f"10.0.1.1{number}")
        first.append(put(some))
        first.append(put(Location(some.id, draw(st.sampled_from(HOSTS)).id, 20 + number)))
    return first
