"""Pieces: the units that a host's flow program is made of, and in which it changes.

A piece is a name; its flows are a function of the network as it is now
(``vpcctl.pipeline.compile_piece``). Most pieces are the same on every host that has them.
"""

from dataclasses import dataclass
from ipaddress import IPv6Address

from vpcctl.model.addresses import IPAddress, IPNetwork


@dataclass(frozen=True, slots=True)
class StaticPiece:
    """What every host has, whatever the network is. Shared."""


@dataclass(frozen=True, slots=True)
class BasePiece:
    """What depends on a host's own tunnel and abilities."""

    host_id: str


@dataclass(frozen=True, slots=True)
class PeerPiece:
    """A host's VTEP as the other hosts know it. Shared."""

    host_id: str


@dataclass(frozen=True, slots=True)
class SubnetPiece:
    """A subnet's VNI, gateways, routes and broadcast domain. Shared."""

    subnet_id: str


@dataclass(frozen=True, slots=True)
class PortPiece:
    """Where a port is and who owns its addresses, as seen from any host. Shared."""

    port_id: str


@dataclass(frozen=True, slots=True)
class PairPiece:
    """A single address that ports share by allowed pairs. Shared."""

    subnet_id: str
    ip: IPAddress


@dataclass(frozen=True, slots=True)
class PairMacPiece:
    """A MAC that ports use beside their own, by allowed pairs. Shared."""

    subnet_id: str
    mac: int


@dataclass(frozen=True, slots=True)
class RemoteFloodPiece:
    """The hosts of one shard that get a subnet's copies. Shared."""

    subnet_id: str
    shard: int


@dataclass(frozen=True, slots=True)
class LocalFloodPiece:
    """Some of a host's own ports that get a subnet's copies: one branch of all."""

    host_id: str
    subnet_id: str
    level: int
    number: int


@dataclass(frozen=True, slots=True)
class EdgePiece:
    """A port on its own host: its interface and what it may send."""

    host_id: str
    port_id: str


@dataclass(frozen=True, slots=True)
class GroupPiece:
    """A security group's rules. Shared."""

    group_id: str


@dataclass(frozen=True, slots=True)
class MemberPiece:
    """A block that remote sides of a VPC's rules hold: a port's address, or of an address group.

    Shared.
    """

    vpc_id: str
    block: IPNetwork


@dataclass(frozen=True, slots=True)
class OnLinkMemberPiece:
    """A link-local address in a subnet that remote sides of rules hold. Shared."""

    subnet_id: str
    ip: IPv6Address


@dataclass(frozen=True, slots=True)
class AclPiece:
    """A network ACL's rules. Shared."""

    acl_id: str


@dataclass(frozen=True, slots=True)
class VpcPiece:
    """A VPC's own blocks. Shared."""

    vpc_id: str


@dataclass(frozen=True, slots=True)
class VpcPairPiece:
    """A single allowed pair of a VPC's ports, as a source that nobody outside has. Shared."""

    vpc_id: str
    ip: IPAddress


@dataclass(frozen=True, slots=True)
class RouteTablePiece:
    """A route table's routes. Shared."""

    table_id: str


@dataclass(frozen=True, slots=True)
class GatewayPiece:
    """An internet or NAT gateway, on a host of its VPC."""

    host_id: str
    gateway_id: str


@dataclass(frozen=True, slots=True)
class EipPiece:
    """An EIP, on a host where it may be resident."""

    host_id: str
    eip_id: str


@dataclass(frozen=True, slots=True)
class GlobalPiece:
    """A port's global IPv6 addresses, on a host where they may be resident."""

    host_id: str
    port_id: str


@dataclass(frozen=True, slots=True)
class OutsidePiece:
    """An external network, on a host that reaches it."""

    host_id: str
    network_id: str


@dataclass(frozen=True, slots=True)
class RelayPiece:
    """What a host that is still loading a VPC gives to its relay."""

    host_id: str
    vpc_id: str


@dataclass(frozen=True, slots=True)
class AdmitPiece:
    """What a relay takes from a host that is still loading a VPC."""

    via_id: str
    host_id: str
    vpc_id: str


Piece = (
    StaticPiece
    | BasePiece
    | PeerPiece
    | SubnetPiece
    | PortPiece
    | PairPiece
    | PairMacPiece
    | RemoteFloodPiece
    | LocalFloodPiece
    | EdgePiece
    | GroupPiece
    | MemberPiece
    | OnLinkMemberPiece
    | AclPiece
    | VpcPiece
    | VpcPairPiece
    | RouteTablePiece
    | GatewayPiece
    | EipPiece
    | GlobalPiece
    | OutsidePiece
    | RelayPiece
    | AdmitPiece
)

_OWN = (
    *(BasePiece, EdgePiece, LocalFloodPiece, RelayPiece),
    *(OutsidePiece, GatewayPiece, EipPiece, GlobalPiece),
)
"""Pieces that are each of the host that they name."""


def own_host(piece: Piece) -> str | None:
    """Return the only host that has a piece; None: it is the same on every host that has it."""
    if isinstance(piece, AdmitPiece):
        return piece.via_id
    return piece.host_id if isinstance(piece, _OWN) else None
