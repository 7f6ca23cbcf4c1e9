"""The pipeline's tables, declared once and in order.

Before adding one, try to use one that is there. Give it a name that says what it does, put it
where its stage belongs, and say what it reads, writes and leads to: ``vpcctl.flows.contract``
holds every flow to that. Numbers leave gaps, so that a new table renumbers none of the others.
"""

from dataclasses import dataclass
from typing import Literal

from vpcctl.flows import fields as f
from vpcctl.flows.fields import Field

Stage = Literal[
    "classification",
    "validation",
    "resolution",
    "filtering",
    "routing",
    "translation",
    "switching",
    "output",
]

_NUMBERS = {
    "Classify": 0,
    "TunnelIn": 5,
    "OutsideIn": 7,
    "NatIn": 9,
    "SpoofGuard": 11,
    "NdGuard": 15,
    "OutsideGuard": 17,
    "ArpNd": 20,
    "GuestServices": 25,
    "GuestAddress": 26,
    "SubnetOut": 27,
    "EgressAcl": 29,
    "EgressState": 31,
    "EgressVerdict": 33,
    "Route": 35,
    "Routes": 37,
    "SubnetIn": 39,
    "Neighbour": 42,
    "Respond": 45,
    "Gateway": 48,
    "NatOut": 51,
    "Outside": 54,
    "OutsideNeighbour": 56,
    "Switch": 59,
    "Flood": 62,
    "IngressAcl": 65,
    "IngressState": 68,
    "IngressVerdict": 71,
    "Output": 75,
    "Drop": 80,
    "Groups": 85,
    "Service": 90,
    "Remote": 95,
}
"""OpenFlow's numbers, those of tables included that are not there yet. What filters ask comes after
all who ask, because a look at an earlier table or the same counts against Open vSwitch's limit of
64 such looks within each other, and one at a later table does not."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One table of the pipeline, compared by identity.

    Attributes:
        name: name in dumps.
        number: OpenFlow table number.
        stage: which part of the pipeline it belongs to.
        purpose: one sentence.
        reads: fields that its matches and moves may use.
        writes: fields that its actions may change.
        successors: tables that its flows may lead to, by ``goto`` or ``Resubmit``.
        outputs: whether its flows may send a packet out.
        learns: whether flows may add flows to it, which are no part of the program.
    """

    name: str
    number: int
    stage: Stage
    purpose: str
    reads: frozenset[Field]
    writes: frozenset[Field]
    successors: tuple[str, ...]
    outputs: bool = False
    learns: bool = False

    def __repr__(self) -> str:
        return self.name


_L2 = (f.ETH_DST, f.ETH_SRC, f.ETH_TYPE)
_ARP = (f.ARP_OP, f.ARP_SPA, f.ARP_TPA, f.ARP_SHA, f.ARP_THA)
_IP = (f.IP_PROTO, f.IP_TTL, f.IPV4_SRC, f.IPV4_DST, f.IPV6_SRC, f.IPV6_DST)
_ICMP = (f.ICMP_TYPE, f.ICMP_CODE, f.ICMP6_TYPE, f.ICMP6_CODE)
_L4 = (f.UDP_SRC, f.UDP_DST, *_ICMP)
_CHOICE = f.CHOICE.field
_PORTS = (f.TCP_DST, f.UDP_DST, f.SCTP_DST, *_ICMP)
_CT_IP = (f.CT_IPV4_SRC, f.CT_IPV4_DST, f.CT_IPV6_SRC, f.CT_IPV6_DST)
_FILTERED = (f.ETH_TYPE, f.IP_PROTO, f.IP_FRAG, f.JUDGED)
_ENDS = (f.IPV4_SRC, f.IPV4_DST, f.IPV6_SRC, f.IPV6_DST)
_SUBNET_ACL = (
    *(f.VNI, f.VPC, f.ACL, f.ETH_DST, *_FILTERED),
    *(*_ENDS, *_PORTS),
)
_ND = (f.ND_TARGET, f.ND_SLL, f.ND_TLL, f.ND_RESERVED, f.ND_OPTIONS_TYPE)

_DECLARED: tuple[tuple[str, Stage, str, tuple[Field, ...], tuple[Field, ...], str], ...] = (
    (
        "Classify",
        "classification",
        "Tells where a packet comes from: a known port's interface, a known VTEP, or nowhere.",
        (
            *(f.IN_PORT, f.TUN_SRC, f.TUN_IPV6_SRC, f.FLAGS, f.ETH_SRC, f.ETH_TYPE, *_ENDS),
            f.SOURCE_PORT,
        ),
        (
            *(f.SOURCE_PORT, f.DEST_PORT, f.VNI, f.VPC, f.FLAGS, f.ETH_SRC, f.REASON),
            *(f.OUTSIDE, f.LOOKUP_IPV4, f.IN_PORT, f.IPV4_SRC, f.IPV6_SRC, f.JUDGED),
        ),
        "Classify TunnelIn OutsideIn SpoofGuard OutsideGuard GuestAddress Outside Output Drop",
    ),
    (
        "TunnelIn",
        "classification",
        "Turns the VNI of a packet from another host into its subnet and VPC.",
        (f.TUN_ID, f.TUN_SRC, f.TUN_IPV6_SRC, f.ETH_DST),
        (
            *(f.VNI, f.VPC, f.FLAGS, f.TUN_DST, f.TUN_IPV6_DST, f.REASON),
            *(f.ETH_DST, f.IN_PORT, f.OUTSIDE),
        ),
        "OutsideIn ArpNd Gateway Switch Drop",
    ),
    (
        "OutsideIn",
        "classification",
        "Answers for our addresses on an external network, and lets in what is for them.",
        (
            *(f.OUTSIDE, f.FLAGS, _CHOICE, *_L2, f.VLAN_VID, *_ARP, *_IP, f.IP_FRAG),
            *(*_ICMP, *_ND, f.TCP_DST, f.UDP_DST, f.CT_STATE),
        ),
        (
            *(f.VNI, f.VPC, f.FLAGS, _CHOICE, f.LOOKUP_IPV4, f.LOOKUP_IPV6, f.JUDGED, f.REASON),
            *(f.ETH_SRC, f.ETH_DST, *_ARP, f.IPV4_DST, f.IP_TTL),
        ),
        "OutsideIn NatIn OutsideGuard Drop",
    ),
    (
        "NatIn",
        "translation",
        "Turns what a NAT gateway has translated back over to its VPC.",
        (f.JUDGED, f.FLAGS, f.ETH_TYPE, f.IPV4_DST, f.CT_STATE, f.CT_ZONE),
        (f.VNI, f.VPC, f.ETH_DST, f.TUN_DST, f.TUN_IPV6_DST, f.REASON),
        "OutsideGuard Output Drop",
    ),
    (
        "SpoofGuard",
        "validation",
        "Lets through only what a port may claim as its own source.",
        (f.SOURCE_PORT, f.VLAN_VID, *_L2, *_ARP, *_IP, f.IP_FRAG, *_L4, *_ND),
        (f.REASON,),
        "NdGuard ArpNd Drop",
    ),
    (
        "NdGuard",
        "validation",
        "Lets through only neighbour discovery whose payload says what its port may say.",
        (f.SOURCE_PORT, *_L2, *_IP, *_L4, *_ND),
        (f.REASON,),
        "ArpNd Drop",
    ),
    (
        "OutsideGuard",
        "validation",
        "Drops what comes from outside with a source that means somebody within.",
        (f.VNI, f.VPC, f.ETH_TYPE, f.IPV4_SRC, f.IPV6_SRC),
        (f.REASON,),
        "Route SubnetIn Drop",
    ),
    (
        "ArpNd",
        "resolution",
        "Takes address resolution out of the stream, to be answered and not flooded.",
        (f.SOURCE_PORT, *_L2, *_ARP, *_IP, *_L4, *_ND),
        (f.LOOKUP_IPV4, f.LOOKUP_IPV6, f.FLAGS, f.REASON),
        "GuestServices Neighbour Switch Drop",
    ),
    (
        "GuestServices",
        "resolution",
        "Hands what a guest asks of its network to the agent of its host.",
        (f.SOURCE_PORT, f.FLAGS, f.QUESTION, *_L2, *_IP, f.IP_FRAG, f.TCP_DST, *_L4),
        (*_L2, *_IP, *_L4, f.QUESTION, f.REASON),
        "GuestServices GuestAddress SubnetOut Drop",
    ),
    (
        "GuestAddress",
        "resolution",
        "Names the port, whose address may be others' too, to the agent's sockets, and back.",
        (f.SOURCE_PORT, f.DEST_PORT, f.ETH_TYPE, *_ENDS),
        (f.ETH_DST, *_ENDS, f.REASON),
        "Output Drop",
    ),
    (
        "SubnetOut",
        "filtering",
        "Asks the network ACL of the subnet that a packet is about to leave.",
        _SUBNET_ACL,
        (f.ACL, f.JUDGED, f.REASON),
        "SubnetOut EgressAcl Drop",
    ),
    (
        "EgressAcl",
        "filtering",
        "Knows by its port whether a packet that a port sends is filtered, and how.",
        (f.SOURCE_PORT, *_FILTERED, f.ICMP6_TYPE),
        (f.JUDGED, f.REASON),
        "Groups EgressState EgressVerdict Route Drop",
    ),
    (
        "EgressState",
        "filtering",
        "Finds a packet's connection, and the rules that judge it.",
        (*_FILTERED, *_ENDS, f.ICMP_TYPE, f.ICMP6_TYPE, f.CT_STATE, f.CT_MARK),
        (f.JUDGED, f.LOOKUP_IPV4, f.LOOKUP_IPV6, f.REASON),
        "Groups EgressState EgressVerdict Drop",
    ),
    (
        "EgressVerdict",
        "filtering",
        "Keeps a new connection that is allowed, and drops what is not.",
        (*_FILTERED, f.CT_STATE, f.CT_ZONE, f.CT_MARK),
        (f.JUDGED, f.REASON),
        "EgressVerdict Route Drop",
    ),
    (
        "Route",
        "routing",
        "Moves packets for the gateway's MAC into the subnet of their destination.",
        (f.VNI, f.VPC, f.FLAGS, *_L2, *_IP, *_L4),
        (
            *(f.VNI, f.FLAGS, f.REASON, f.LOOKUP_IPV4, f.LOOKUP_IPV6, f.ETH_SRC, f.ETH_DST),
            *(*_IP, *_L4, f.TUN_DST, f.TUN_IPV6_DST, f.ROUTE_TABLE),
        ),
        "Routes SubnetIn Switch Output Drop",
    ),
    (
        "Routes",
        "routing",
        "Finds the target of what leaves its VPC's own blocks, in its subnet's route table.",
        (f.ROUTE_TABLE, f.FLAGS, _CHOICE, f.ETH_TYPE, f.IPV4_DST, f.IPV6_DST),
        (
            *(f.VNI, f.FLAGS, _CHOICE, f.LOOKUP_IPV4, f.LOOKUP_IPV6, f.ETH_SRC, f.IP_TTL),
            f.REASON,
        ),
        "Routes SubnetIn Gateway Drop",
    ),
    (
        "SubnetIn",
        "filtering",
        "Asks the network ACL of the subnet that a packet has been routed into.",
        _SUBNET_ACL,
        (f.ACL, f.JUDGED, f.REASON),
        "SubnetIn Neighbour Drop",
    ),
    (
        "Neighbour",
        "resolution",
        "Finds the MAC that owns an address in a subnet.",
        (f.VNI, f.VPC, f.LOOKUP_IPV4, f.LOOKUP_IPV6, f.FLAGS),
        (f.FOUND_MAC, f.ETH_DST, f.TUN_DST, f.TUN_IPV6_DST, f.REASON),
        "Respond Switch Output Drop",
    ),
    (
        "Respond",
        "resolution",
        "Uses the MAC found: answers ARP and ND, or addresses a routed packet.",
        (
            *(f.FLAGS, f.SOURCE_PORT, f.FOUND_MAC, f.LOOKUP_IPV4, f.LOOKUP_IPV6),
            *(*_L2, *_ARP, *_IP, *_L4, *_ND),
        ),
        (f.FLAGS, f.ETH_DST, f.ETH_SRC, f.REASON, f.QUESTION, *_ARP, *_IP, *_L4, *_ND),
        "Respond GuestServices Switch Drop",
    ),
    (
        "Gateway",
        "translation",
        "Hands a packet to the gateway host that lives, or translates it to its port's EIP here.",
        (
            *(f.VNI, f.FLAGS, _CHOICE, f.ETH_TYPE, f.IP_PROTO, f.IP_FRAG, *_ICMP),
            *(f.IPV4_SRC, f.IPV6_SRC),
        ),
        (
            *(f.FLAGS, _CHOICE, f.TUN_DST, f.TUN_IPV6_DST, f.ETH_SRC, f.ETH_DST, f.IPV4_SRC),
            *(f.OUTSIDE, f.REASON),
        ),
        "Gateway GuestServices NatOut Outside Output Drop",
    ),
    (
        "NatOut",
        "translation",
        "Translates the sources of many to a NAT gateway's EIPs, by connection.",
        (
            *(f.VNI, f.FLAGS, _CHOICE, f.JUDGED, f.ETH_TYPE, f.IPV4_SRC, f.CT_STATE, f.CT_ZONE),
            *(f.IP_PROTO, f.IP_FRAG, f.TCP_SRC, f.UDP_SRC),
        ),
        (
            *(f.FLAGS, _CHOICE, f.JUDGED, f.ETH_SRC, f.ETH_DST, f.OUTSIDE, f.REASON),
            *(f.IN_PORT, f.TUN_DST, f.TUN_IPV6_DST),
        ),
        "NatOut Outside Output Drop",
    ),
    (
        "Outside",
        "routing",
        "Finds the next hop on an external network, or that the destination is resident here.",
        (f.OUTSIDE, f.FLAGS, _CHOICE, f.ETH_TYPE, f.IPV4_DST, f.IPV6_DST),
        (
            *(f.SOURCE_PORT, f.FLAGS, _CHOICE, f.LOOKUP_IPV4, f.LOOKUP_IPV6, f.IN_PORT),
            *(f.TUN_DST, f.TUN_IPV6_DST, f.ETH_DST, f.REASON),
        ),
        "OutsideIn Outside OutsideNeighbour Drop",
    ),
    (
        "OutsideNeighbour",
        "output",
        "Knows the MACs of neighbours on external networks, as flows have learned them.",
        (f.OUTSIDE, f.LOOKUP_IPV4, f.LOOKUP_IPV6, f.ETH_SRC, f.ETH_TYPE),
        (f.ETH_DST, f.REASON),
        "Drop",
    ),
    (
        "Switch",
        "switching",
        "Finds the port and the host of a destination MAC within the subnet.",
        (f.VNI, f.VPC, f.FLAGS, f.ETH_DST),
        (f.DEST_PORT, f.TUN_DST, f.TUN_IPV6_DST, f.REASON),
        "Flood IngressAcl Output Drop",
    ),
    (
        "Flood",
        "switching",
        "Copies what every member of a subnet must get: to local ports, to other hosts once each.",
        (f.VNI, f.FLAGS, f.FLOOD_NODE),
        (f.DEST_PORT, f.FLAGS, f.FLOOD_NODE, f.TUN_DST, f.TUN_IPV6_DST, f.REASON),
        "Flood IngressAcl Output Drop",
    ),
    (
        "IngressAcl",
        "filtering",
        "Knows by its port whether a packet for a port of this host is filtered, and how.",
        (f.SOURCE_PORT, f.DEST_PORT, f.FLAGS, *_FILTERED, f.ICMP6_TYPE),
        (f.JUDGED, f.REASON),
        "Groups IngressState IngressVerdict Output Drop",
    ),
    (
        "IngressState",
        "filtering",
        "Finds a packet's connection, and the rules that judge it.",
        (*_FILTERED, *_ENDS, f.ICMP_TYPE, f.ICMP6_TYPE, f.CT_STATE, f.CT_MARK),
        (f.JUDGED, f.LOOKUP_IPV4, f.LOOKUP_IPV6, f.REASON),
        "Groups IngressState IngressVerdict Drop",
    ),
    (
        "IngressVerdict",
        "filtering",
        "Keeps a new connection that is allowed, and drops what is not.",
        (*_FILTERED, f.CT_STATE, f.CT_ZONE, f.CT_MARK),
        (f.JUDGED, f.REASON),
        "IngressVerdict Output Drop",
    ),
    (
        "Output",
        "output",
        "Turns a port key into an interface of this host, or sends the packet to another host.",
        (f.DEST_PORT, f.VNI, f.FLAGS, f.TUN_DST, f.TUN_IPV6_DST),
        (f.TUN_ID, f.FLAGS, f.REASON),
        "Output Drop",
    ),
    (
        "Drop",
        "output",
        "Counts what is dropped, by reason, and what filters drop by port too.",
        (f.REASON, f.SOURCE_PORT, f.DEST_PORT, f.JUDGED),
        (),
        "",
    ),
    (
        "Groups",
        "filtering",
        "Asks the groups of the port that is judged, one after the other.",
        (f.JUDGED,),
        (f.GROUP,),
        "Service",
    ),
    (
        "Service",
        "filtering",
        "Finds which of a group's rules are about the packet's protocol and port: its cell.",
        (
            *(f.GROUP, *_FILTERED, f.IPV4_SRC, f.IPV4_DST, f.IPV6_SRC, f.IPV6_DST, *_PORTS),
            *(f.CT_STATE, *_CT_IP, f.CT_PROTO, f.CT_TP_SRC, f.CT_TP_DST),
        ),
        (f.CELL, f.JUDGED, f.LOOKUP_IPV4, f.LOOKUP_IPV6),
        "Remote",
    ),
    (
        "Remote",
        "filtering",
        "Finds whether a rule of the cell allows the remote side.",
        (
            *(f.CONJ_ID, f.GROUP, f.CELL, f.VNI, f.VPC, f.LOOKUP_IPV4, f.LOOKUP_IPV6, f.ETH_TYPE),
            *(f.IPV4_SRC, f.IPV4_DST, f.IPV6_SRC, f.IPV6_DST, f.CT_STATE, *_CT_IP),
        ),
        (f.CELL, f.JUDGED, f.LOOKUP_IPV4, f.LOOKUP_IPV6),
        "Remote",
    ),
)

_OUTPUTS = frozenset(
    {
        *("Classify", "OutsideIn", "GuestServices", "GuestAddress", "Route", "Respond", "Gateway"),
        *("OutsideNeighbour", "Output"),
    }
)
_LEARNS = frozenset({"OutsideNeighbour"})

TABLES: tuple[Table, ...] = tuple(
    Table(
        name,
        _NUMBERS[name],
        stage,
        purpose,
        frozenset(reads),
        frozenset(writes),
        tuple(successors.split()),
        name in _OUTPUTS,
        name in _LEARNS,
    )
    for name, stage, purpose, reads, writes, successors in _DECLARED
)
"""All tables in pipeline order."""

BY_NAME: dict[str, Table] = {table.name: table for table in TABLES}
BY_NUMBER: dict[int, Table] = {table.number: table for table in TABLES}

CLASSIFY, TUNNEL_IN, OUTSIDE_IN, NAT_IN, SPOOF_GUARD, ND_GUARD = TABLES[:6]
OUTSIDE_GUARD, ARP_ND, GUEST_SERVICES = TABLES[6:9]
GUEST_ADDRESS, SUBNET_OUT, EGRESS_ACL, EGRESS_STATE, EGRESS_VERDICT = TABLES[9:14]
ROUTE, ROUTES, SUBNET_IN, NEIGHBOUR, RESPOND = TABLES[14:19]
GATEWAY, NAT_OUT, OUTSIDE, OUTSIDE_NEIGHBOUR, SWITCH, FLOOD = TABLES[19:25]
INGRESS_ACL, INGRESS_STATE, INGRESS_VERDICT, OUTPUT, DROP = TABLES[25:30]
GROUPS, SERVICE, REMOTE = TABLES[30:]
