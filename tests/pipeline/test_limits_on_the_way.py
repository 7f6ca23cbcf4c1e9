"""Which limits a packet meets where hosts share the work: through gateway hosts, and from one of
ours to another. Each limit of each direction is asked once, whatever else becomes of the packet.
"""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.oracle.oracle import ROUTER_MAC, text
from tests.pipeline.outward import FAR, NETWORK, OUT, RED, ROUTER, TABLES, WEB, guest, ofport
from tests.support import networks as n
from tests.support import packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.packets import Packet
from tests.support.tracing import Fabric
from vpcctl.model.addresses import format_mac
from vpcctl.model.eip import Eip, outside_mac
from vpcctl.model.limits import Limits
from vpcctl.model.port import Port

pytestmark = pytest.mark.ovs
ALL = {"ingress_kbps": 9_000, "egress_kbps": 8_000, "ingress_pps": 7_000, "egress_pps": 6_000}
FAR6 = "2001:db8:99::1"
HOSTS = tuple(n.host(one) for one in (1, 2, 3))
NEAR, STANDBY, AWAY = (
    n.watching(one, *((other, 40 + other.key) for other in HOSTS if other != one)) for one in HOSTS
)
NEAR, STANDBY = (n.reaching(one, (NETWORK, OUT)) for one in (NEAR, STANDBY))
GATEWAYS = (NEAR, STANDBY)
"""Guests 1 and 2 are on a gateway host, 3 and 4 on a host without a way out, 5 has no EIP there."""


def _limited(number: int, home: object = WEB) -> Port:
    return guest(number, home, limits=Limits(100 + number, **ALL))  # type: ignore[arg-type]


PRIVATE = n.subnet(0x12, RED, "10.0.2.0/24")
PRIVATE = dataclasses.replace(PRIVATE, route_table_id=f"rtb-{3:017x}")
GUESTS = {number: _limited(number, WEB if number < 5 else PRIVATE) for number in range(1, 6)}
PLACES = {number: NEAR if number < 3 else AWAY for number in GUESTS}
NAT_EIP = "203.0.113.20"
IGW = n.igw(1, RED, NETWORK, *GATEWAYS)
NAT = n.nat(
    1, RED, NETWORK, *GATEWAYS, forwards=(n.forward(NAT_EIP, 17, (53, 53), "10.0.2.15", 53),)
)


def _eip(number: int, user: object) -> Eip:
    made = n.eip(number, NETWORK, f"203.0.113.{number}", user)
    return dataclasses.replace(made, limits=Limits(number, **ALL))


EIPS = {number: _eip(10 + number, GUESTS[number]) for number in range(1, 5)}
SHARED = _eip(20, NAT)
EVERYTHING = (
    *(NEAR, STANDBY, AWAY, NETWORK, RED, WEB, PRIVATE, IGW, NAT, SHARED),
    *(TABLES[0], n.table(3, RED, n.route("0.0.0.0/0", NAT), main=False)),
    *GUESTS.values(),
    *EIPS.values(),
    *(n.at(port, PLACES[number], ofport(port)) for number, port in GUESTS.items()),
)


@pytest.fixture(scope="module")
def fabric(ovs: DummyOvs) -> Iterator[Fabric]:
    made = Fabric(ovs, n.network(*EVERYTHING), "limits", metered=True)
    yield made
    made.close()


def met(fabric: Fabric) -> Counter[int]:
    """How often each of the meters of limits was met by what was injected last."""
    found = (re.findall(r"^ +meter:(\d+)$", shown, re.MULTILINE) for shown in fabric.shown)
    return Counter(int(number) for some in found for number in some if int(number) < 1_000)


def meters(way: str, *limits: Limits | None) -> Counter[int]:
    """Both meters of a direction, of each of these, once."""
    first = 0 if way == "ingress" else 1
    numbers = [one.number for one in limits if one is not None]
    return Counter(4 * number + unit for number in numbers for unit in (first, first + 2))


def _sends(fabric: Fabric, number: int, to: str, version: int = 4) -> None:
    """Have a guest send a datagram, which must get somewhere."""
    port = GUESTS[number]
    own = next(str(ip) for ip in port.ips if ip.version == version)
    _enters(fabric, PLACES[number].id, ofport(port), packets.udp(_ends(port), (own, to)))


def _ends(port: Port) -> tuple[str, str]:
    return text(port.mac), ROUTER_MAC


def _enters(fabric: Fabric, host_id: str, port: int, packet: Packet) -> None:
    assert len(fabric.inject(host_id, port, packet)) == 1


@pytest.mark.parametrize("number", GUESTS)
def test_what_goes_out_meets_the_limits_of_its_port_and_its_address(
    fabric: Fabric, number: int
) -> None:
    _sends(fabric, number, FAR)
    eip = EIPS.get(number, SHARED)
    assert met(fabric) == meters("egress", GUESTS[number].limits, eip.limits)


@pytest.mark.parametrize("number", GUESTS)
def test_what_comes_in_meets_the_limits_of_its_address_and_its_port(
    fabric: Fabric, number: int
) -> None:
    eip = EIPS.get(number, SHARED)
    packet = packets.udp((ROUTER[0], text(eip.mac)), (FAR, str(eip.address)))
    _enters(fabric, NEAR.id, OUT, packet)
    assert met(fabric) == meters("ingress", GUESTS[number].limits, eip.limits)


@pytest.mark.parametrize("sender", GUESTS)
@pytest.mark.parametrize("number", GUESTS)
def test_from_one_of_ours_to_another_each_address_is_met_on_its_way(
    fabric: Fabric, sender: int, number: int
) -> None:
    """Also to its own address: out by it and in by it."""
    source, target = EIPS.get(sender, SHARED), EIPS.get(number, SHARED)
    _sends(fabric, sender, str(target.address))
    out = meters("egress", GUESTS[sender].limits, source.limits)
    assert met(fabric) == out + meters("ingress", GUESTS[number].limits, target.limits)


@pytest.mark.parametrize("number", [1, 3])
def test_addresses_of_ipv6_have_the_limits_of_their_port(fabric: Fabric, number: int) -> None:
    port = GUESTS[number]
    _sends(fabric, number, FAR6, 6)
    assert met(fabric) == meters("egress", port.limits)
    eth = (ROUTER[0], format_mac(outside_mac(port.key)))
    _enters(fabric, NEAR.id, OUT, packets.udp(eth, (FAR6, str(port.ips[1]))))
    assert met(fabric) == meters("ingress", port.limits)


@pytest.mark.parametrize("number", [3, 5])
def test_a_host_that_leaves_and_who_follows_ask_the_same(ovs: DummyOvs, number: int) -> None:
    moved = [dataclasses.replace(one, leaving=(NEAR.id,)) for one in (IGW, NAT)]
    fabric = Fabric(ovs, n.network(*EVERYTHING, *moved), f"moved{number}", metered=True)
    eip = EIPS.get(number, SHARED)
    packet = packets.udp((ROUTER[0], text(eip.mac)), (FAR, str(eip.address)))
    try:
        for host in GATEWAYS:
            _enters(fabric, host.id, OUT, packet)
            assert met(fabric) == meters("ingress", GUESTS[number].limits, eip.limits)
    finally:
        fabric.close()
