"""The pipeline's tables, declared once and in order; their numbers follow from the order.

Before adding one, try to use one that is there. Give it a name that says what it does, put it
where its stage belongs, and say what it reads, writes and leads to: ``vpcctl.flows.contract``
holds every flow to that. The tables that are planned have their places already, and numbers leave
gaps, so that a new table renumbers none of the others.
"""

from dataclasses import dataclass
from typing import Literal

from vpcctl.flows import fields as f
from vpcctl.flows.fields import Field

Stage = Literal["classification", "validation", "resolution", "routing", "switching", "output"]

_STEP = 5
_PLACES = (
    *("Classify", "TunnelIn", "SpoofGuard", "NdGuard", "ArpNd", "GuestServices", "EgressAcl"),
    *("Route", "Neighbour", "Respond", "Switch", "Flood", "IngressAcl", "Output", "Drop"),
)
"""The order of tables, those included that are not there yet."""


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
    """

    name: str
    number: int
    stage: Stage
    purpose: str
    reads: frozenset[Field]
    writes: frozenset[Field]
    successors: tuple[str, ...]
    outputs: bool = False

    def __repr__(self) -> str:
        return self.name


_L2 = (f.ETH_DST, f.ETH_SRC, f.ETH_TYPE)
_ARP = (f.ARP_OP, f.ARP_SPA, f.ARP_TPA, f.ARP_SHA, f.ARP_THA)
_IP = (f.IP_PROTO, f.IP_TTL, f.IPV4_SRC, f.IPV4_DST, f.IPV6_SRC, f.IPV6_DST)
_L4 = (f.UDP_SRC, f.UDP_DST, f.ICMP_TYPE, f.ICMP_CODE, f.ICMP6_TYPE, f.ICMP6_CODE)
_ND = (f.ND_TARGET, f.ND_SLL, f.ND_TLL, f.ND_RESERVED, f.ND_OPTIONS_TYPE)

_DECLARED: tuple[tuple[str, Stage, str, tuple[Field, ...], tuple[Field, ...], str], ...] = (
    (
        "Classify",
        "classification",
        "Tells where a packet comes from: a known port's interface, a known VTEP, or nowhere.",
        (f.IN_PORT, f.TUN_SRC, f.TUN_IPV6_SRC, f.FLAGS, f.ETH_SRC),
        (f.SOURCE_PORT, f.DEST_PORT, f.VNI, f.VPC, f.FLAGS, f.ETH_SRC, f.REASON),
        "Classify TunnelIn SpoofGuard Output Drop",
    ),
    (
        "TunnelIn",
        "classification",
        "Turns the VNI of a packet from another host into its subnet and VPC.",
        (f.TUN_ID, f.TUN_SRC, f.TUN_IPV6_SRC, f.ETH_DST),
        (f.VNI, f.VPC, f.FLAGS, f.TUN_DST, f.TUN_IPV6_DST, f.REASON),
        "ArpNd Switch Drop",
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
        (f.SOURCE_PORT, f.FLAGS, *_L2, *_IP, *_L4),
        (*_L2, *_IP, *_L4, f.REASON),
        "Route Drop",
    ),
    (
        "Route",
        "routing",
        "Moves packets for the gateway's MAC into the subnet of their destination.",
        (f.VNI, f.VPC, f.FLAGS, *_L2, *_IP, *_L4),
        (
            *(f.VNI, f.FLAGS, f.REASON, f.LOOKUP_IPV4, f.LOOKUP_IPV6, f.ETH_SRC, f.ETH_DST),
            *(*_IP, *_L4, f.TUN_DST, f.TUN_IPV6_DST),
        ),
        "Neighbour Switch Output Drop",
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
        (f.FLAGS, f.ETH_DST, f.ETH_SRC, f.REASON, *_ARP, *_IP, *_L4, *_ND),
        "Respond Switch Drop",
    ),
    (
        "Switch",
        "switching",
        "Finds the port and the host of a destination MAC within the subnet.",
        (f.VNI, f.VPC, f.FLAGS, f.ETH_DST),
        (f.DEST_PORT, f.TUN_DST, f.TUN_IPV6_DST, f.REASON),
        "Flood Output Drop",
    ),
    (
        "Flood",
        "switching",
        "Copies what every member of a subnet must get: to local ports, to other hosts once each.",
        (f.VNI, f.FLAGS, f.FLOOD_NODE),
        (f.DEST_PORT, f.FLAGS, f.FLOOD_NODE, f.TUN_DST, f.TUN_IPV6_DST, f.REASON),
        "Flood Output Drop",
    ),
    (
        "Output",
        "output",
        "Turns a port key into an interface of this host, or sends the packet to another host.",
        (f.DEST_PORT, f.VNI, f.FLAGS, f.TUN_DST, f.TUN_IPV6_DST),
        (f.TUN_ID, f.REASON),
        "Drop",
    ),
    ("Drop", "output", "Counts what is dropped, by reason.", (f.REASON,), (), ""),
)

_OUTPUTS = frozenset({"GuestServices", "Respond", "Output", "Route"})

TABLES: tuple[Table, ...] = tuple(
    Table(
        name,
        _PLACES.index(name) * _STEP,
        stage,
        purpose,
        frozenset(reads),
        frozenset(writes),
        tuple(successors.split()),
        name in _OUTPUTS,
    )
    for name, stage, purpose, reads, writes, successors in _DECLARED
)
"""All tables in pipeline order."""

BY_NAME: dict[str, Table] = {table.name: table for table in TABLES}
BY_NUMBER: dict[int, Table] = {table.number: table for table in TABLES}

CLASSIFY, TUNNEL_IN, SPOOF_GUARD, ND_GUARD, ARP_ND, GUEST_SERVICES = TABLES[:6]
ROUTE, NEIGHBOUR, RESPOND, SWITCH, FLOOD, OUTPUT, DROP = TABLES[6:]
