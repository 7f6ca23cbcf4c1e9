"""Network ACLs as the API shows and takes them."""

from typing import Annotated, Any, Literal

from pydantic import Field, RootModel

from api.schemas import traffic
from api.schemas.common import (
    Cidr,
    Description,
    Input,
    Name,
    PageOut,
    ResourceOut,
    Tags,
    changes,
    id_field,
    no_id_of,
    render_meta,
)
from api.schemas.traffic import Direction, TrafficIn, TrafficOut, direction_field
from vpcctl.services.network_acls import LARGEST_NUMBER
from vpcctl.services.security_views import (
    AclEntry,
    AclEntryView,
    NetworkAclChange,
    NetworkAclCreate,
    NetworkAclView,
)

MOST_ENTRIES = 1000
"""Entries in one request; the quota says how many an ACL may have."""

Number = Annotated[
    int,
    Field(
        ge=1,
        le=LARGEST_NUMBER,
        description="Of the entries that match a packet, the one with the lowest number decides; "
        "unique within a direction.",
        examples=[100],
    ),
]
Action = Literal["allow", "deny"]
_DIRECTION = direction_field("what is routed into the subnet", "what is routed out of it")
_ACTION = Field(description="What becomes of a packet that it matches.", examples=["allow"])

_Name = Annotated[Name, no_id_of("nacl")]


class ReplacementIn(TrafficIn):
    """An entry, but for its direction and number."""

    action: Action = _ACTION
    cidr: Cidr = Field(
        description="The other side's addresses: a block without host bits, or one address; its "
        "family is the entry's.",
        examples=["0.0.0.0/0"],
    )
    description: Description = ""

    def to_entry(self, direction: Direction, number: int, at: str = "") -> AclEntry:
        """Return the service's value of the entry that stands at *at* in the request."""
        return AclEntry(
            number,
            direction,
            self.action,
            self.cidr,
            **traffic.given(self),
            description=self.description,
            at=at,
        )


class EntryIn(ReplacementIn):
    """A new entry."""

    number: Number
    direction: Direction = _DIRECTION


class EntriesIn(RootModel[Annotated[list[EntryIn], Field(min_length=1, max_length=MOST_ENTRIES)]]):
    """Several new entries: all are added, or none."""


class EntryOrEntriesIn(RootModel[EntryIn | EntriesIn]):
    """One new entry, or an array of entries of which all are added, or none."""


_Entries = Annotated[
    list[EntryIn],
    Field(
        max_length=MOST_ENTRIES,
        description="Its entries; what none decides is dropped.",
        examples=[
            [{"number": 100, "direction": "ingress", "action": "allow", "cidr": "0.0.0.0/0"}]
        ],
    ),
]


def _entries(found: list[EntryIn], at: str = "") -> tuple[AclEntry, ...]:
    return tuple(
        entry.to_entry(entry.direction, entry.number, f"{at}{number}")
        for number, entry in enumerate(found)
    )


def to_added(body: EntryIn | EntriesIn) -> NetworkAclChange:
    """Return the service's value for adding one entry or several."""
    if isinstance(body, EntriesIn):
        return NetworkAclChange(add=_entries(body.root))
    return NetworkAclChange(add=(body.to_entry(body.direction, body.number),))


class NetworkAclIn(Input):
    """A new network ACL."""

    vpc_id: str = Field(
        max_length=64, description="The VPC it is in.", examples=["vpc-0a1b2c3d4e5f60718"]
    )
    entries: _Entries = Field(default_factory=list)
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_create(self) -> NetworkAclCreate:
        """Return the service's value."""
        entries = _entries(self.entries, "entries.")
        return NetworkAclCreate(self.vpc_id, entries, self.name, self.description, self.tags)


class NetworkAclPatch(Input):
    """A partial change of an ACL; absent fields stay, `entries` is the whole new list."""

    entries: _Entries = Field(default_factory=list)
    name: _Name = ""
    description: Description = ""
    tags: Tags = Field(default_factory=dict)

    def to_change(self) -> NetworkAclChange:
        """Return the service's value."""
        given = changes(self)
        if "entries" in given:
            given["entries"] = _entries(self.entries, "entries.")
        return NetworkAclChange(**given)


class EntryOut(TrafficOut):
    """An entry of a network ACL."""

    number: int = Field(description="The lowest that matches decides.", examples=[100])
    direction: Direction = _DIRECTION
    action: Action = _ACTION
    cidr: str = Field(description="The other side's addresses.", examples=["0.0.0.0/0"])
    description: str = Field(description="Free text.", examples=["HTTPS from anywhere."])


class NetworkAclLineOut(ResourceOut):
    """A network ACL without its entries, as lists show it."""

    id: str = id_field("nacl", "Id of the network ACL.")
    vpc_id: str = id_field("vpc", "The VPC it is in.")
    entry_count: int = Field(description="How many entries it has.", examples=[2])


class NetworkAclOut(NetworkAclLineOut):
    """A network ACL: ordered rules for what is routed into and out of the subnets that name it."""

    entries: list[EntryOut] = Field(
        description="Its entries, by direction and number.", examples=[[]]
    )


class NetworkAclPage(PageOut[NetworkAclLineOut]):
    """One page of network ACLs, without their entries."""


def render(view: NetworkAclView) -> dict[str, Any]:
    """Return *view* as :class:`NetworkAclOut` or :class:`NetworkAclLineOut` describes it."""
    body = render_meta(view.meta, view.status)
    body["vpc_id"] = view.vpc_id
    body["entry_count"] = view.entry_count
    if view.entries is not None:
        body["entries"] = [_render_entry(entry) for entry in view.entries]
    return body


def _render_entry(view: AclEntryView) -> dict[str, Any]:
    return {
        "number": view.number,
        "direction": view.direction,
        "action": view.action,
        **traffic.render(view),
        "cidr": str(view.cidr),
        "description": view.description,
    }
