"""Fields of packets and registers, by the names that ``ovs-ofctl`` uses.

Numbers are those of OpenFlow 1.3.5 section 7.2.3.7 (class 0x8000) and of Open vSwitch's extensions
(``ovs-fields(7)``; class 0x0001 is Nicira's, class 0x1000 the one of the ND extension fields).
"""

import enum
from dataclasses import dataclass


class Form(enum.Enum):
    """How a field's value is written in text."""

    DECIMAL = "decimal"
    HEX = "hex"
    MAC = "mac"
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    FRAGMENT = "fragment"
    CT_STATE = "ct_state"


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field, compared by identity: there is exactly one object for each.

    Attributes:
        name: name in ``ovs-ofctl`` text.
        bits: width of the value in bits.
        oxm_class: class in an OXM header.
        oxm_field: number within the class, 0 … 127.
        maskable: whether a match may have a mask.
        form: how the value is written in text.
        order: position in a canonical match; prerequisites come before what needs them.
        requires: alternatives of prerequisites, each a set of (field, value) or (field, value,
            mask) terms, one of which a match must hold before this field may be used.
        register: whether it belongs to the pipeline and not to the packet.
    """

    name: str
    bits: int
    oxm_class: int
    oxm_field: int
    order: int
    maskable: bool = False
    form: Form = Form.HEX
    requires: "tuple[Needed, ...]" = ()
    register: bool = False

    @property
    def n_bytes(self) -> int:
        """Length of the value on the wire in bytes."""
        return (self.bits + 7) // 8

    @property
    def ones(self) -> int:
        """The mask that means: every bit."""
        return (1 << self.bits) - 1

    @property
    def header(self) -> int:
        """The 32-bit OXM header without a mask."""
        return self.oxm_class << 16 | self.oxm_field << 9 | self.n_bytes

    @property
    def masked_header(self) -> int:
        """The 32-bit OXM header with a mask."""
        return self.oxm_class << 16 | self.oxm_field << 9 | 1 << 8 | 2 * self.n_bytes

    def __repr__(self) -> str:
        return self.name


Needed = tuple[tuple[Field, int] | tuple[Field, int, int], ...]
"""Terms that all have to be in a match."""


@dataclass(frozen=True, slots=True)
class Bits:
    """Some consecutive bits of a field, with a name of their own.

    Attributes:
        name: what the pipeline calls them.
        field: the field they are part of.
        offset: number of the lowest bit.
        n_bits: how many.
    """

    name: str
    field: Field
    offset: int
    n_bits: int

    @property
    def mask(self) -> int:
        """The bits within the whole field."""
        return ((1 << self.n_bits) - 1) << self.offset


_BASIC, _NICIRA, _ND_EXT = 0x8000, 0x0001, 0x1000


def _registers(prefix: str, width: int, first: int, order: int, count: int) -> tuple[Field, ...]:
    return tuple(
        Field(f"{prefix}{i}", width, _NICIRA, first + i, order + i, maskable=True, register=True)
        for i in range(count)
    )


CONJ_ID = Field("conj_id", 32, _NICIRA, 37, -1, form=Form.DECIMAL)
"""Which conjunction is complete; only in a flow that says what is then to be done."""
IN_PORT = Field("in_port", 32, _BASIC, 0, 0, form=Form.DECIMAL)
TUN_ID = Field("tun_id", 64, _BASIC, 38, 1, maskable=True)
TUN_SRC = Field("tun_src", 32, _NICIRA, 31, 2, maskable=True, form=Form.IPV4)
TUN_DST = Field("tun_dst", 32, _NICIRA, 32, 3, maskable=True, form=Form.IPV4)
TUN_IPV6_SRC = Field("tun_ipv6_src", 128, _NICIRA, 109, 4, maskable=True, form=Form.IPV6)
TUN_IPV6_DST = Field("tun_ipv6_dst", 128, _NICIRA, 110, 5, maskable=True, form=Form.IPV6)
REGS = _registers("reg", 32, 0, 10, 16)
XXREGS = _registers("xxreg", 128, 111, 30, 4)

ETH_DST = Field("eth_dst", 48, _BASIC, 3, 40, maskable=True, form=Form.MAC)
ETH_SRC = Field("eth_src", 48, _BASIC, 4, 41, maskable=True, form=Form.MAC)
ETH_TYPE = Field("eth_type", 16, _BASIC, 5, 42)

VLAN_VID = Field("vlan_vid", 13, _BASIC, 6, 43, maskable=True)
"""Bit 12 tells whether there is a tag at all."""

_IPV4 = ((ETH_TYPE, 0x0800),)
_IPV6 = ((ETH_TYPE, 0x86DD),)
_ARP = ((ETH_TYPE, 0x0806),)

IP_PROTO = Field("nw_proto", 8, _BASIC, 10, 50, form=Form.DECIMAL, requires=(_IPV4, _IPV6))
IP_TTL = Field("nw_ttl", 8, _NICIRA, 29, 51, form=Form.DECIMAL, requires=(_IPV4, _IPV6))
IP_FRAG = Field("nw_frag", 8, _NICIRA, 26, 49, True, Form.FRAGMENT, (_IPV4, _IPV6))
"""0: whole, 1: first fragment, 3: later one; 0 under mask 2: no later one. The header above IP is
read in first ones alone, and only while the switch is told to (``codec.messages``)."""
IPV4_SRC = Field("nw_src", 32, _BASIC, 11, 52, True, Form.IPV4, (_IPV4,))
IPV4_DST = Field("nw_dst", 32, _BASIC, 12, 53, True, Form.IPV4, (_IPV4,))
IPV6_SRC = Field("ipv6_src", 128, _BASIC, 26, 54, True, Form.IPV6, (_IPV6,))
IPV6_DST = Field("ipv6_dst", 128, _BASIC, 27, 55, True, Form.IPV6, (_IPV6,))

_UDP = tuple((*ip, (IP_PROTO, 17)) for ip in (_IPV4, _IPV6))
_TCP = tuple((*ip, (IP_PROTO, 6)) for ip in (_IPV4, _IPV6))
_SCTP = tuple((*ip, (IP_PROTO, 132)) for ip in (_IPV4, _IPV6))
_ICMP = (*_IPV4, (IP_PROTO, 1))
_ICMP6 = (*_IPV6, (IP_PROTO, 58))

TCP_SRC = Field("tcp_src", 16, _BASIC, 13, 60, True, Form.DECIMAL, _TCP)
TCP_DST = Field("tcp_dst", 16, _BASIC, 14, 61, True, Form.DECIMAL, _TCP)
UDP_SRC = Field("udp_src", 16, _BASIC, 15, 62, True, Form.DECIMAL, _UDP)
UDP_DST = Field("udp_dst", 16, _BASIC, 16, 63, True, Form.DECIMAL, _UDP)
SCTP_SRC = Field("sctp_src", 16, _BASIC, 17, 68, True, Form.DECIMAL, _SCTP)
SCTP_DST = Field("sctp_dst", 16, _BASIC, 18, 69, True, Form.DECIMAL, _SCTP)
ICMP_TYPE = Field("icmp_type", 8, _BASIC, 19, 64, False, Form.DECIMAL, (_ICMP,))
ICMP_CODE = Field("icmp_code", 8, _BASIC, 20, 65, False, Form.DECIMAL, (_ICMP,))
ICMP6_TYPE = Field("icmpv6_type", 8, _BASIC, 29, 66, False, Form.DECIMAL, (_ICMP6,))
ICMP6_CODE = Field("icmpv6_code", 8, _BASIC, 30, 67, False, Form.DECIMAL, (_ICMP6,))

ARP_OP = Field("arp_op", 16, _BASIC, 21, 70, False, Form.DECIMAL, (_ARP,))
ARP_SPA = Field("arp_spa", 32, _BASIC, 22, 71, True, Form.IPV4, (_ARP,))
ARP_TPA = Field("arp_tpa", 32, _BASIC, 23, 72, True, Form.IPV4, (_ARP,))
ARP_SHA = Field("arp_sha", 48, _BASIC, 24, 73, True, Form.MAC, (_ARP,))
ARP_THA = Field("arp_tha", 48, _BASIC, 25, 74, True, Form.MAC, (_ARP,))

_NS = (*_ICMP6, (ICMP6_TYPE, 135), (ICMP6_CODE, 0))
_NA = (*_ICMP6, (ICMP6_TYPE, 136), (ICMP6_CODE, 0))

ND_TARGET = Field("nd_target", 128, _BASIC, 31, 80, True, Form.IPV6, (_NS, _NA))
ND_SLL = Field("nd_sll", 48, _BASIC, 32, 81, True, Form.MAC, (_NS,))
ND_TLL = Field("nd_tll", 48, _BASIC, 33, 82, True, Form.MAC, (_NA,))
ND_RESERVED = Field("nd_reserved", 32, _ND_EXT, 1, 83, False, Form.HEX, (_NS, _NA))
ND_OPTIONS_TYPE = Field("nd_options_type", 8, _ND_EXT, 2, 84, False, Form.DECIMAL, (_NS, _NA))

# --- connection tracking: the connection that a packet belongs to, as its first packet was --------

CT_STATE = Field("ct_state", 32, _NICIRA, 105, 100, True, Form.CT_STATE)
CT_ZONE = Field("ct_zone", 16, _NICIRA, 106, 101)
CT_MARK = Field("ct_mark", 32, _NICIRA, 107, 102, True)

CT_NEW, CT_EST, CT_REL, CT_RPL, CT_INV, CT_TRK, CT_SNAT = (1 << bit for bit in range(7))
"""Flags of ``ct_state``."""

_VALID = ((CT_STATE, CT_TRK, CT_TRK | CT_INV),)
_CT_L4 = tuple((*_VALID, *ip) for ip in (_IPV4, _IPV6))
CT_IPV4_SRC = Field("ct_nw_src", 32, _NICIRA, 120, 103, True, Form.IPV4, ((*_VALID, *_IPV4),))
CT_IPV4_DST = Field("ct_nw_dst", 32, _NICIRA, 121, 104, True, Form.IPV4, ((*_VALID, *_IPV4),))
CT_IPV6_SRC = Field("ct_ipv6_src", 128, _NICIRA, 122, 105, True, Form.IPV6, ((*_VALID, *_IPV6),))
CT_IPV6_DST = Field("ct_ipv6_dst", 128, _NICIRA, 123, 106, True, Form.IPV6, ((*_VALID, *_IPV6),))
CT_PROTO = Field("ct_nw_proto", 8, _NICIRA, 119, 107, False, Form.DECIMAL, _CT_L4)

_CT_PORTS = tuple((*some, (CT_PROTO, one)) for some in _CT_L4 for one in (1, 6, 17, 58))
CT_TP_SRC = Field("ct_tp_src", 16, _NICIRA, 124, 108, True, Form.DECIMAL, _CT_PORTS)
"""The source port, or the type of an ICMP message. Only with ``ct_nw_proto`` is it listed."""
CT_TP_DST = Field("ct_tp_dst", 16, _NICIRA, 125, 109, True, Form.DECIMAL, _CT_PORTS)
"""The destination port, or the code of an ICMP message."""

FIELDS: dict[str, Field] = {
    f.name: f
    for f in (
        *(CONJ_ID, IN_PORT),
        *(TUN_ID, TUN_SRC, TUN_DST, TUN_IPV6_SRC, TUN_IPV6_DST, *REGS, *XXREGS),
        *(ETH_DST, ETH_SRC, ETH_TYPE, VLAN_VID, IP_FRAG, IP_PROTO, IP_TTL),
        *(IPV4_SRC, IPV4_DST, IPV6_SRC, IPV6_DST),
        *(TCP_SRC, TCP_DST, UDP_SRC, UDP_DST, SCTP_SRC, SCTP_DST),
        *(ICMP_TYPE, ICMP_CODE, ICMP6_TYPE, ICMP6_CODE),
        *(ARP_OP, ARP_SPA, ARP_TPA, ARP_SHA, ARP_THA),
        *(ND_TARGET, ND_SLL, ND_TLL, ND_RESERVED, ND_OPTIONS_TYPE),
        *(CT_STATE, CT_ZONE, CT_MARK, CT_IPV4_SRC, CT_IPV4_DST, CT_IPV6_SRC, CT_IPV6_DST),
        *(CT_PROTO, CT_TP_SRC, CT_TP_DST),
    )
}
"""Every field by its name in text."""

BY_OXM: dict[tuple[int, int], Field] = {(f.oxm_class, f.oxm_field): f for f in FIELDS.values()}
"""Every field by (class, number) of its OXM header."""

# --- what the pipeline's registers hold -----------------------------------------------------------

SOURCE_PORT = REGS[0]
"""Key of the port that sent the packet; 0 when it came through the tunnel."""
DEST_PORT = REGS[1]
"""Key of the port that is to get the packet; 0 while not known, or for a copy to a VTEP."""
VNI = REGS[2]
"""VNI of the subnet that the packet is in; routing changes it."""
VPC = REGS[3]
"""Key of the VPC that the packet belongs to."""
LOOKUP_IPV4 = REGS[4]
"""IPv4 address whose owner Neighbour looks for, or whose groups Remote looks for."""
FLAGS = REGS[5]
"""Flags and Flood's position, see the named bits below."""
REASON = REGS[6]
"""Why the packet is dropped (``vpcctl.flows.reasons.Reason``)."""
FLOOD_NODE = REGS[7]
"""Which part of a subnet's local members Flood is at."""
ROUTE_TABLE = REGS[7]
"""Key of the route table that is asked, in Routes."""
OUTSIDE = REGS[7]
"""Key of the external network that the packet comes from or is to leave by."""
LOOKUP_IPV6 = XXREGS[2]
"""The same of IPv6 (reg8 … reg11)."""
FOUND_MAC = XXREGS[3]
"""MAC that Neighbour found, in the low 48 bits (reg12 … reg15), for Respond.

Before Neighbour and after Respond these registers hold what filters ask and answer.
"""
GROUP = REGS[12]
"""Key of the security group that is asked."""
ACL = REGS[12]
"""Key of the network ACL that is asked."""
CELL = REGS[13]
"""Which of a group's cells the packet is in (``vpcctl.pipeline.cells``)."""
JUDGED = REGS[14]
"""What a filter is asked, and what it has answered, see the named bits below."""

FROM_TUNNEL = Bits("from_tunnel", FLAGS, 0, 1)
IS_ARP = Bits("arp", FLAGS, 1, 1)
IS_ND = Bits("nd", FLAGS, 2, 1)
ROUTED = Bits("routed", FLAGS, 3, 1)
RELAYED = Bits("relayed", FLAGS, 4, 1)
"""Comes from a host that is still loading its VPC, and may go on into the tunnel."""
PICKED = Bits("picked", FLAGS, 5, 1)
"""``CHOICE`` has been made, by the table that the packet is in."""
SIZED = Bits("sized", FLAGS, 6, 1)
"""``TOO_LARGE`` says whether the packet is."""
METERED = Bits("metered", FLAGS, 7, 1)
"""The first of two meters of the port that is to get the packet has let it pass."""
FLOOD_STAGE = Bits("flood_stage", FLAGS, 8, 8)
"""Flood's position: 0 at entry, then levels of local members, then shards of hosts."""
FLOOD_CHUNK = Bits("flood_chunk", FLAGS, 16, 8)
"""Which part of a list that is too long for one flow."""
TOO_LARGE = Bits("too_large", FLAGS, 24, 1)
"""The packet is longer than what it is on its way to takes."""
HANDED_ON = Bits("handed_on", FLAGS, 25, 1)
"""Another gateway host, which knows nothing of its connection, has handed the packet on to here."""
FOUND_MAC_BITS = Bits("found_mac", FOUND_MAC, 0, 48)

CHOICE = Bits("choice", REGS[13], 0, 16)
"""What has been chosen by hash or by who lives: a number, or the ofport of who does."""
QUESTION = REGS[13]
"""In GuestServices, and on the way there: which kind of question a guest asks, from 1 on."""

JUDGED_ZONE = Bits("zone", JUDGED, 0, 16)
"""The port that is judged: its ofport, which is also its conntrack zone.

Network ACLs are asked about what comes from outside for a port that is here, too: until its own
filter is asked this says which, and serves to count alone.
"""
EGRESS_RULES = Bits("egress_rules", JUDGED, 16, 1)
"""Rules of which direction are asked."""
PLAIN = Bits("plain", JUDGED, 17, 1)
"""The packet is judged by itself, and not the connection that it belongs to."""
STATELESS = Bits("stateless", JUDGED, 18, 1)
"""The port's stateless groups are asked, and not the stateful ones."""
HONOUR_MARK = Bits("honour_mark", JUDGED, 19, 1)
"""The port has a group that keeps established connections."""
ALLOWED = Bits("allowed", JUDGED, 20, 1)
KEPT = Bits("kept", JUDGED, 21, 1)
"""Allowed by a group that keeps established connections."""
BLOCKS_ONLY = Bits("blocks_only", CELL, 29, 1)
"""The remote address is not in ``LOOKUP_IPV4`` or ``LOOKUP_IPV6``, so its groups do not count."""
ACL_OUT_ASKED = Bits("acl_out_asked", JUDGED, 24, 1)
ACL_IN_ASKED = Bits("acl_in_asked", JUDGED, 25, 1)

HELD = Bits("held", JUDGED, 22, 1)
"""The packet has been to conntrack again: to be kept there, or to wait for its fragments."""

CONNECTION = Bits("connection", CT_MARK, 0, 2)
"""In conntrack, of a connection: the two below."""
KEPT_MARK = Bits("kept_mark", CT_MARK, 0, 1)
"""A group let it in that keeps established connections."""
KNOWN_MARK = Bits("known_mark", CT_MARK, 1, 1)
"""It need not be committed again."""
