"""Actions of flows: few, frozen, and each with one encoding.

All of them are *apply* actions; going on to the next table is a flow's ``goto``.
There is deliberately nothing here that reaches the controller, the host's own stack or a learning
switch: outputs are port numbers, and the codec knows no reserved port but ``IN_PORT``.
"""

from dataclasses import dataclass
from typing import NamedTuple

from vpcctl.flows.fields import Bits, Field
from vpcctl.flows.tables import Table

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
    """

    zone: Bits
    table: Table


@dataclass(frozen=True, slots=True)
class Commit:
    """Keep the packet's connection, and go on with the packet in *table* (NXAST_CT).

    Attributes:
        zone: bits that hold the conntrack zone.
        table: where the packet is looked up next.
        mark: what the connection's ``CONNECTION`` bits become; None leaves them as they are.
    """

    zone: Bits
    table: Table
    mark: int | None = None


@dataclass(frozen=True, slots=True)
class ClearTracking:
    """Forget what connection the packet belongs to (NXAST_CT_CLEAR)."""


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
)
