"""For each reason there is a packet that is dropped for it: its trace ends so in table Drop."""

import dataclasses
import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.oracle.oracle import ROUTER_MAC, eui64, text
from tests.pipeline.outward import (
    BLUE,
    BLUES,
    FAR,
    HOST,
    NETWORK,
    OTHER,
    OUT,
    RED,
    RED_IGW,
    ROUTER,
    WEB,
    guest,
    ofport,
)
from tests.pipeline.test_raw_frames import FRAMES
from tests.pipeline.test_reasons import FROM_WEB_1, UNHEARD
from tests.support import networks as n
from tests.support import packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.packets import Packet
from tests.support.showcase import DOWN, HOST_1, HOST_2, WEB_1, WEB_3, showcase
from tests.support.tracing import Fabric, Tracked, dropped_for, replay, sections
from vpcctl.flows.actions import Commit
from vpcctl.flows.cookie import Feature, cookie, split
from vpcctl.flows.flow import Flow
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import DROP
from vpcctl.model.port import Port
from vpcctl.pipeline.counters import FILTERS

pytestmark = pytest.mark.ovs


class Case(NamedTuple):
    """A packet that is dropped.

    Attributes:
        reason: why.
        world: where, see ``worlds``.
        host: id of the host that drops it.
        enters: ofport that it comes in by.
        packet: the packet, or a frame.
        tracked: what its connection is found to be.
        owner: the port for whose counters it is, as docs/api.md says; None: for nobody's.
    """

    reason: Reason
    world: str
    host: str
    enters: int
    packet: Packet | bytes
    tracked: Tracked | None = None
    owner: Port | None = None


# --- within VPCs: the showcase --------------------------------------------------------------------

MAC, FROM_WEB = text(WEB_1.mac), (text(WEB_1.mac), text(WEB_3.mac))
PLAIN = packets.udp(FROM_WEB, ("10.0.1.10", "10.0.1.12"))
TO_ALL = packets.udp((MAC, packets.BROADCAST), ("10.0.1.10", "10.0.1.255"))
TO_RESOLVER = packets.udp((text(WEB_1.mac), ROUTER_MAC), (eui64(WEB_1.mac), "fd00:ec2::253"))


def in_showcase(
    reason: Reason, packet: Packet | bytes, enters: int = 11, world: str = "showcase"
) -> Case:
    owner = {Reason.OWN_ADDRESS: WEB_1, Reason.ADMIN_DOWN: DOWN}.get(reason)
    return Case(reason, world, HOST_1.id, enters, packet, owner=owner)


def by_tunnel(reason: Reason, vtep: str, vni: int, to: str) -> Case:
    """A packet that reaches a host through its tunnel."""
    tunnel = {"tun_id": str(vni), "tun_src": vtep, "tun_dst": str(HOST_1.vtep)}
    packet = packets.echo((text(WEB_3.mac), to), ("10.0.1.12", "10.0.1.10"))
    return in_showcase(reason, packet | tunnel, n.TUNNEL_OFPORT)


WITHIN = (
    *(in_showcase(reason, packet) for reason, packet in dict(FROM_WEB_1).items()),
    *(in_showcase(reason, packet, world="unheard") for reason, packet in dict(UNHEARD).items()),
    *(in_showcase(reason, frame) for reason, frame in dict(FRAMES.values()).items()),
    in_showcase(Reason.UNKNOWN_PORT, PLAIN, 99),
    in_showcase(Reason.ADMIN_DOWN, PLAIN, 15),
    by_tunnel(Reason.UNKNOWN_VTEP, "192.0.2.99", WEB.vni, MAC),
    by_tunnel(Reason.UNKNOWN_VNI, str(HOST_2.vtep), 0x99, MAC),
    by_tunnel(Reason.TUNNEL_TO_GATEWAY, str(HOST_2.vtep), WEB.vni, ROUTER_MAC),
    by_tunnel(Reason.NO_OUTPUT, str(HOST_2.vtep), WEB.vni, text(WEB_3.mac)),
    in_showcase(Reason.GUEST_ADDRESS, TO_RESOLVER),
    in_showcase(Reason.GUEST_UNANSWERED, TO_RESOLVER, world="unheard"),
    in_showcase(Reason.NO_MEMBERS, TO_ALL, world="without its subnets"),
)

# --- filtered, routed, and outside ----------------------------------------------------------------

OPEN, LOCKED = n.group(1, RED, n.allow("egress"), n.allow("ingress")), n.acl(1, RED)
NAT, NOBODY = n.nat(1, RED, NETWORK, HOST), n.igw(2, BLUE, NETWORK)
TABLES = (
    n.table(1, RED, n.route("0.0.0.0/0", RED_IGW), n.route("198.51.100.0/24")),
    n.table(2, BLUE, n.route("0.0.0.0/0", NOBODY)),
    n.table(3, RED, n.route("0.0.0.0/0", NAT), main=False),
)
WALLED = dataclasses.replace(n.subnet(0x13, RED, "10.0.3.0/24"), acl_id=LOCKED.id)
BEHIND = dataclasses.replace(n.subnet(0x14, RED, "10.0.4.0/24"), route_table_id=TABLES[2].id)
ELSEWHERE = n.host(3)
ONE, BARE = guest(1), guest(2)
CLOSED, FILTERED = guest(3, groups=()), guest(4, groups=(OPEN.id,))
SHUT_IN, TRANSLATED, BLUE_ONE = guest(5, WALLED), guest(6, BEHIND), guest(7, BLUES)
ROUTING = guest(8, checks_addresses=False)
HERE = (ONE, BARE, CLOSED, FILTERED, SHUT_IN, TRANSLATED, ROUTING)
EIP = n.eip(1, NETWORK, "203.0.113.10", ONE)
EIP_SHUT_IN = n.eip(2, NETWORK, "203.0.113.11", SHUT_IN)
EIP_CLOSED = n.eip(4, NETWORK, "203.0.113.13", CLOSED)
EIP_NAT = n.eip(3, NETWORK, "203.0.113.12", NAT)
_BY_FILTERS = FILTERS | {Reason.ACL_OUT_DENIED, Reason.ACL_IN_DENIED}
INVALID, NEW = Tracked("trk,inv"), Tracked("trk,new")


def sent(reason: Reason, port: Port, to: Port | str, tracked: Tracked | None = None) -> Case:
    """A datagram of a port's, to a neighbour or to an address elsewhere."""
    address, mac = (str(to.ips[0]), text(to.mac)) if isinstance(to, Port) else (to, ROUTER_MAC)
    packet = packets.udp((text(port.mac), mac), (str(port.ips[0]), address))
    host = ELSEWHERE if port is BLUE_ONE else HOST
    owner = None
    if reason in _BY_FILTERS:
        owner = to if reason in FILTERS and reason.text.startswith("ingress") else port
    return Case(reason, "outside", host.id, ofport(port), packet, tracked, owner)


def entering(
    reason: Reason, packet: Packet, tracked: Tracked | None = None, owner: Port | None = None
) -> Case:
    """A packet from outside."""
    return Case(reason, "outside", HOST.id, OUT, packet, tracked, owner)


def to_eip(mac: int, address: str = "203.0.113.10") -> Packet:
    return packets.udp((ROUTER[0], text(mac)), (FAR, address))


ELSES_EIP = packets.arp(2, (ROUTER[0], packets.BROADCAST), (ROUTER[0], "203.0.113.10"), ROUTER)
NOT_ITS_OWN = packets.solicit(text(ROUTING.mac), "2001:db8:1::99", "2001:db8:1::11")
LATER = packets.other(17, (ROUTER[0], text(EIP.mac)), (FAR, "203.0.113.10"))
WITHOUT = (
    sent(Reason.EGRESS_DENIED, CLOSED, ONE),
    sent(Reason.INGRESS_DENIED, ONE, CLOSED),
    sent(Reason.EGRESS_INVALID, FILTERED, ONE, INVALID),
    sent(Reason.INGRESS_INVALID, ONE, FILTERED, INVALID),
    sent(Reason.ACL_OUT_DENIED, SHUT_IN, str(ONE.ips[0])),
    sent(Reason.ACL_IN_DENIED, ONE, str(SHUT_IN.ips[0])),
    entering(Reason.ACL_IN_DENIED, to_eip(EIP_SHUT_IN.mac, "203.0.113.11"), owner=SHUT_IN),
    entering(Reason.INGRESS_DENIED, to_eip(EIP_CLOSED.mac, "203.0.113.13"), owner=CLOSED),
    Case(Reason.SPOOFED_ND, "outside", HOST.id, ofport(ROUTING), NOT_ITS_OWN, owner=ROUTING),
    sent(Reason.BLACKHOLE, ONE, "198.51.100.7"),
    sent(Reason.NO_EIP, BARE, FAR),
    sent(Reason.NO_GATEWAY, BLUE_ONE, FAR),
    entering(Reason.OUTSIDE_UNKNOWN, to_eip(EIP.mac, "203.0.113.99")),
    entering(Reason.OUTSIDE_SOURCE, ELSES_EIP),
    entering(Reason.OUTSIDE_SOURCE, to_eip(EIP.mac) | {"nw_src": str(BARE.ips[0])}),
    entering(Reason.UNTRANSLATABLE, LATER | {"nw_frag": "later"}),
    entering(Reason.NAT_UNMATCHED, to_eip(EIP_NAT.mac, "203.0.113.12"), NEW),
    sent(Reason.NAT_EXHAUSTED, TRANSLATED, FAR, NEW)._replace(world="no ports left"),
)
CASES = (*WITHIN, *WITHOUT)


@pytest.fixture(scope="module")
def worlds(ovs: DummyOvs) -> Iterator[dict[str, Fabric]]:
    """Fabrics by name."""
    unheard = showcase()
    unheard.apply([n.put(dataclasses.replace(HOST_1, guest_services=False))])
    net = n.network(
        *(HOST, OTHER, ELSEWHERE, NETWORK, RED, BLUE, WEB, BLUES, WALLED, BEHIND, OPEN, LOCKED),
        *(RED_IGW, NOBODY, NAT, *TABLES, *HERE, BLUE_ONE, EIP, EIP_SHUT_IN, EIP_CLOSED, EIP_NAT),
        *(n.at(port, HOST, ofport(port)) for port in HERE),
        n.at(BLUE_ONE, ELSEWHERE, ofport(BLUE_ONE)),
    )
    made = {
        "showcase": Fabric(ovs, showcase(), "known"),
        "unheard": Fabric(ovs, unheard, "quiet"),
        "without its subnets": Fabric(ovs, showcase(), "torn"),
        "outside": Fabric(ovs, net, "out"),
        "no ports left": Fabric(ovs, net, "full"),
    }
    torn = made["without its subnets"]
    known = (flow for flow in torn.flows(HOST_1.id) if split(flow.cookie).feature != Feature.SUBNET)
    torn.program({HOST_1.id: list(known)})
    full = made["no ports left"]
    full.program({HOST.id: [_translating_nothing(flow) for flow in full.flows(HOST.id)]})
    yield made
    for fabric in made.values():
        fabric.close()


def _translating_nothing(flow: Flow) -> Flow:
    """The flow as if conntrack found no port: traces always find one."""
    without = (
        dataclasses.replace(action, nat=None) if isinstance(action, Commit) else action
        for action in flow.actions
    )
    return flow._replace(actions=tuple(without))


def test_every_reason_has_a_packet() -> None:
    assert {case.reason for case in CASES} == set(Reason)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.reason.text}, {case.world}")
def test_its_trace_ends_in_table_drop(case: Case, worlds: dict[str, Fabric]) -> None:
    fabric = worlds[case.world]
    if isinstance(case.packet, bytes):
        shown = fabric.explain_frame(case.host, case.enters, case.packet)
    else:
        packet = {"in_port": str(case.enters), **case.packet}
        shown = fabric.explain(case.host, packet, case.tracked)
    assert dropped_for(shown) == case.reason, shown
    assert list(replay(sections(shown), {}, {})) == []
    assert _counted_for(shown) == (set() if case.owner is None else {case.owner.key})


def _counted_for(shown: str) -> set[int]:
    """Keys of the ports of whom a flow drops it: in table Drop, or on the way there."""
    edge = rf"cookie {cookie(Feature.EDGE) >> 40:#x}([0-9a-f]{{10}})$"
    found = re.findall(rf"^ *{DROP.number}\. .*{edge}", shown, re.MULTILINE)
    found += re.findall(rf"{edge}\n +set_field:\w+->reg6", shown, re.MULTILINE)
    return {int(key, 16) for key in found}
