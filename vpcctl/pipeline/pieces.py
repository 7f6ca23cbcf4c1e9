"""Pieces: the units that a host's flow program is made of, and in which it changes.

A piece is a name; its flows are a function of the network as it is now
(``vpcctl.pipeline.compile_piece``). Most pieces are the same on every host that has them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BasePiece:
    """What a host needs before it has any port: table misses, drop counters, its tunnel."""

    host_id: str


@dataclass(frozen=True, slots=True)
class PeerPiece:
    """A host's VTEP as the other hosts know it. Shared."""

    host_id: str


@dataclass(frozen=True, slots=True)
class VpcPiece:
    """A VPC's gateways. Shared."""

    vpc_id: str


@dataclass(frozen=True, slots=True)
class SubnetPiece:
    """A subnet's VNI, its routes and its broadcast domain. Shared."""

    subnet_id: str


@dataclass(frozen=True, slots=True)
class PortPiece:
    """Where a port is and who owns its addresses, as seen from any host. Shared."""

    port_id: str


@dataclass(frozen=True, slots=True)
class PairPiece:
    """A single address that ports share by allowed pairs. Shared.

    Attributes:
        subnet_id: the subnet that the address belongs to.
        address: the address as a number.
        version: 4 or 6.
    """

    subnet_id: str
    address: int
    version: int


@dataclass(frozen=True, slots=True)
class RemoteFloodPiece:
    """The hosts of one shard that get a subnet's copies. Shared."""

    subnet_id: str
    shard: int


@dataclass(frozen=True, slots=True)
class LocalFloodPiece:
    """A host's own ports of one shard that get a subnet's copies."""

    host_id: str
    subnet_id: str
    shard: int


@dataclass(frozen=True, slots=True)
class FloodEntryPiece:
    """Which shards of a subnet are not empty, as a host sees it."""

    host_id: str
    subnet_id: str


@dataclass(frozen=True, slots=True)
class EdgePiece:
    """A port on its own host: its interface and what it may send."""

    host_id: str
    port_id: str


Piece = (
    BasePiece
    | PeerPiece
    | VpcPiece
    | SubnetPiece
    | PortPiece
    | PairPiece
    | RemoteFloodPiece
    | LocalFloodPiece
    | FloodEntryPiece
    | EdgePiece
)
