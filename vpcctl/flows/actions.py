"""Actions of flows: few, frozen, and each with one encoding.

All of them are *apply* actions; going on to the next table is a flow's ``goto``.
There is deliberately nothing here that reaches the controller, the host's own stack or a learning
switch: outputs are port numbers, and the codec knows no reserved port but ``IN_PORT``. What flows
learn goes into a table of the pipeline, for a limited time.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from vpcctl.flows.fields import Bits, Field
from vpcctl.flows.tables import Table
from vpcctl.model.addresses import IPAddress

OFPP_IN_PORT = 0xFFFF_FFF8
"""The reserved port that means: back to where the packet came from."""
OFPP_MAX = 0xFF00
"""Port numbers from here on (in 16 bits) are reserved."""


class SetField(NamedTuple):
    """Write the whole *field* (OFPAT_SET_FIELD).

    A named tuple, because nearly every flow has one: it is made in a fraction of the time.
    """

    field: Field
    value: int


@dataclass(frozen=True, slots=True)
class Load:
    """Write *value* into some bits of a field (NXAST_REG_LOAD; at most 64 bits)."""

    bits: Bits
    value: int


@dataclass(frozen=True, slots=True)
class Move:
    """Copy *n_bits* bits from one field to another (NXAST_REG_MOVE)."""

    src: Field
    dst: Field
    n_bits: int
    src_offset: int = 0
    dst_offset: int = 0


@dataclass(frozen=True, slots=True)
class Output:
    """Send the packet, as it is now, to a port number or to ``OFPP_IN_PORT``."""

    port: int


@dataclass(frozen=True, slots=True)
class Resubmit:
    """Look the packet, as it is now, up in *table*, then go on here (NXAST_RESUBMIT_TABLE)."""

    table: Table


@dataclass(frozen=True, slots=True)
class DecTtl:
    """Decrement IPv4's TTL or IPv6's hop limit (OFPAT_DEC_NW_TTL)."""


@dataclass(frozen=True, slots=True)
class Conjunction:
    """The flow is one of a dimension of a conjunction; such a flow has no other actions.

    Attributes:
        id: the conjunction's id, matched by ``conj_id``.
        dimension: which one, from 1 on.
        dimensions: how many it has.
    """

    id: int
    dimension: int
    dimensions: int = 2


@dataclass(frozen=True, slots=True)
class Track:
    """Look the packet's connection up and go on with it in *table* (NXAST_CT).

    Attributes:
        zone: bits that hold the conntrack zone.
        table: where the packet, now tracked, is looked up next.
        translate: translate it as its connection is, if it is (NXAST_NAT without a range).
    """

    zone: Bits
    table: Table
    translate: bool = False


@dataclass(frozen=True, slots=True)
class Nat:
    """How a connection's addresses are translated, in both directions (NXAST_NAT).

    Attributes:
        source: whether its first packet's source is, or its destination.
        first: first address to choose from.
        last: last one; None: the first alone.
        ports: first and last port to choose from; None: as it is, as long as nobody else has it.
    """

    source: bool
    first: IPAddress
    last: IPAddress | None = None
    ports: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """Keep the packet's connection, and go on with the packet in *table* (NXAST_CT).

    Attributes:
        zone: bits that hold the conntrack zone.
        table: where the packet is looked up next.
        mark: what the connection's ``CONNECTION`` bits become; None leaves them as they are.
        nat: how it is translated; None: not at all. Never together with a mark.
    """

    zone: Bits
    table: Table
    mark: int | None = None
    nat: Nat | None = None


@dataclass(frozen=True, slots=True)
class ClearTracking:
    """Forget what connection the packet belongs to (NXAST_CT_CLEAR)."""


@dataclass(frozen=True, slots=True)
class Learn:
    """Add a flow to *table*, or renew it, from what the packet at hand says (NXAST_LEARN).

    Attributes:
        table: where.
        priority: of that flow.
        idle_s: seconds without a packet after which it goes.
        hard_s: seconds after which it goes in any case.
        cookie: of that flow; without our mark, so that nobody takes it for one of the program's.
        match: its terms: a field, and the value, or the field of this packet that has it.
        loads: fields that it writes, and the fields of this packet that have the values.
        back: whether it sends packets out where this one came in.
    """

    table: Table
    priority: int
    idle_s: int
    hard_s: int
    cookie: int
    match: tuple[tuple[Field, int | Field], ...]
    loads: tuple[tuple[Field, Field], ...]
    back: bool = False


@dataclass(frozen=True, slots=True)
class BundleLoad:
    """Write the first of *members* that is up, or 0xffff if none is (NXAST_BUNDLE_LOAD).

    Attributes:
        members: OpenFlow port numbers in order of preference (``active_backup``).
        bits: 16 bits that take the number.
    """

    members: tuple[int, ...]
    bits: Bits


@dataclass(frozen=True, slots=True)
class CheckLarger:
    """Write whether the packet is longer than *length* bytes (NXAST_CHECK_PKT_LARGER).

    Everything after it is translated twice, so it comes last but for what leads on.

    Attributes:
        length: of the frame with its Ethernet header, without tags.
        bits: one bit.
    """

    length: int
    bits: Bits


HashFields = Literal["symmetric_l3l4+udp", "nw_src"]
"""What packets are told apart by: both ends' addresses and ports, or the source address."""


@dataclass(frozen=True, slots=True)
class Multipath:
    """Write a number from 0 to *n* - 1, the same for all packets alike (NXAST_MULTIPATH).

    The highest random weight decides, so that one number more or less moves as few as can be.

    Attributes:
        fields: what makes packets alike.
        n: how many numbers, 1 … 65536.
        bits: 16 bits that take the number.
    """

    fields: HashFields
    n: int
    bits: Bits


Action = (
    SetField
    | Load
    | Move
    | Output
    | Resubmit
    | DecTtl
    | Conjunction
    | Track
    | Commit
    | ClearTracking
    | Learn
    | BundleLoad
    | Multipath
    | CheckLarger
)
