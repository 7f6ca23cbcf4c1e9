"""Changes of the network: what the store's feed hands to whoever holds a network in memory."""

from dataclasses import dataclass
from typing import Literal

from vpcctl.model.address_group import AddressGroup
from vpcctl.model.eip import Eip
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import InternetGateway, NatGateway
from vpcctl.model.host import Host
from vpcctl.model.location import Location
from vpcctl.model.network_acl import NetworkAcl
from vpcctl.model.port import Port
from vpcctl.model.relay import Relay
from vpcctl.model.route_table import RouteTable
from vpcctl.model.security_group import SecurityGroup
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

Resource = (
    Vpc
    | AddressGroup
    | SecurityGroup
    | NetworkAcl
    | Subnet
    | Port
    | Host
    | Location
    | ExternalNetwork
    | InternetGateway
    | NatGateway
    | Eip
    | RouteTable
    | Relay
)
ResourceKind = Literal[
    "vpc",
    "ag",
    "sg",
    "nacl",
    "subnet",
    "port",
    "host",
    "location",
    "ext",
    "igw",
    "nat",
    "eip",
    "rtb",
]
ChangeKind = ResourceKind | Literal["relay"]


@dataclass(frozen=True, slots=True)
class Change:
    """One resource's present state.

    Attributes:
        kind: what it is.
        id: its id; for a location the port's id. Relays come from who loads hosts,
            not from the feed.
        resource: its state now, or None when it is gone.
    """

    kind: ChangeKind
    id: str
    resource: Resource | None


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """All changes up to a revision, at most one per resource, ordered referents first.

    Attributes:
        revision: the database's revision that the batch leads to.
        changes: present states of what changed since the revision asked for.
    """

    revision: int
    changes: tuple[Change, ...]
