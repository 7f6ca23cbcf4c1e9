"""Changes of the network: what the store's feed hands to whoever holds a network in memory."""

from collections.abc import Iterator
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


def slices(batch: ChangeBatch, before: int, size: int) -> Iterator[ChangeBatch]:
    """Yield a batch in parts that may be taken one after the other, others running in between.

    Only where ports are is told apart, *size* ports at a time: what is written at once is about
    one port's place, unless the port itself is concerned, too. All else stays together.

    Args:
        batch: everything up to its revision.
        before: revision before it; parts but the last do not go beyond it.
        size: a batch up to this size stays whole.
    """
    if len(batch.changes) <= size:
        yield batch
        return
    ports = {change.id for change in batch.changes if change.kind == "port"}
    moved = [one for one in batch.changes if one.kind == "location" and one.id not in ports]
    rest = [one for one in batch.changes if one.kind != "location" or one.id in ports]
    parts = [rest] if rest else []
    parts += [moved[start : start + size] for start in range(0, len(moved), size)]
    for part in parts[:-1]:
        yield ChangeBatch(before, tuple(part))
    yield ChangeBatch(batch.revision, tuple(parts[-1]))
