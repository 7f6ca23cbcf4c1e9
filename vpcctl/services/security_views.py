"""What the services of security groups, address groups and network ACLs take and give."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from vpcctl.model.addresses import IPNetwork
from vpcctl.model.security_group import Direction, Family
from vpcctl.services.views import UNSET, Meta, Status, Unset

Established = Literal["revoke", "keep"]
"""What becomes of connections that only a removed rule had allowed."""

ITSELF = "self"
"""Named as a rule's remote group: the group that the rule is in."""


@dataclass(frozen=True, slots=True)
class RuleCreate:
    """Values of a new rule. Of the three remotes at most one is set; none: anybody.

    Attributes:
        direction: from the workload's side.
        family: 4 or 6; None: that of the block or protocol, else a rule for each.
        protocol: name or number; None or ``any``: any.
        ports: ``443`` or ``1000-1999``; None: all.
        icmp_type: None: all.
        icmp_code: None: all.
        cidr: a block, or one address.
        security_group_id: a group of the same VPC, or ``self``.
        address_group_id: an address group of the same tenant.
        description: free text.
        at: where it stands in the request, for problems: ``rules.3``; empty: it is the request.
    """

    direction: Direction
    family: Family | None = None
    protocol: str | int | None = None
    ports: str | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    cidr: str | None = None
    security_group_id: str | None = None
    address_group_id: str | None = None
    description: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class RuleView:
    """A rule of a group. All remotes None: anybody."""

    id: str
    group_id: str
    key: int
    direction: Direction
    family: Family
    protocol: int | None
    ports: tuple[int, int] | None
    icmp_type: int | None
    icmp_code: int | None
    cidr: IPNetwork | None
    security_group_id: str | None
    address_group_id: str | None
    description: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RulesView:
    """Some rules of one group, after a write to it; ``meta`` is the group's."""

    meta: Meta
    rules: tuple[RuleView, ...]


@dataclass(frozen=True, slots=True)
class SecurityGroupView:
    """A security group.

    Attributes:
        default: whether it is its VPC's default group.
        rules: in the order of creation; None in lists.
        rule_count: how many they are.
    """

    meta: Meta
    vpc_id: str
    key: int
    default: bool
    stateful: bool
    established: Established
    rules: tuple[RuleView, ...] | None
    rule_count: int
    status: Status


@dataclass(frozen=True, slots=True)
class SecurityGroupCreate:
    """Values of a new group."""

    vpc_id: str
    stateful: bool = True
    established: Established = "revoke"
    rules: tuple[RuleCreate, ...] = ()
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SecurityGroupChange:
    """Partial change of a group; its rules are changed one by one."""

    stateful: bool | Unset = UNSET
    established: Established | Unset = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET


@dataclass(frozen=True, slots=True)
class AddressGroupView:
    """An address group; ``cidrs`` is None in lists."""

    meta: Meta
    key: int
    cidrs: tuple[IPNetwork, ...] | None
    cidr_count: int
    status: Status


@dataclass(frozen=True, slots=True)
class AddressGroupCreate:
    """Values of a new address group. ``tenant_id`` only from an admin."""

    cidrs: tuple[str, ...] = ()
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    tenant_id: str | None = None


@dataclass(frozen=True, slots=True)
class AddressGroupChange:
    """Partial change of an address group.

    Attributes:
        cidrs: the whole new list.
        add: blocks to add to it.
        remove: blocks to take out of it.
    """

    cidrs: tuple[str, ...] | Unset = UNSET
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET


@dataclass(frozen=True, slots=True)
class AclEntry:
    """An entry as it is asked for; ``at`` is where it stands in the request, as of a rule."""

    number: int
    direction: Direction
    action: Literal["allow", "deny"]
    cidr: str
    protocol: str | int | None = None
    ports: str | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    description: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class AclEntryView:
    """An entry of an ACL."""

    number: int
    direction: Direction
    action: Literal["allow", "deny"]
    cidr: IPNetwork
    protocol: int | None
    ports: tuple[int, int] | None
    icmp_type: int | None
    icmp_code: int | None
    description: str


@dataclass(frozen=True, slots=True)
class NetworkAclView:
    """A network ACL; ``entries``, by direction and number, is None in lists."""

    meta: Meta
    vpc_id: str
    key: int
    entries: tuple[AclEntryView, ...] | None
    entry_count: int
    status: Status


@dataclass(frozen=True, slots=True)
class NetworkAclCreate:
    """Values of a new ACL."""

    vpc_id: str
    entries: tuple[AclEntry, ...] = ()
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NetworkAclChange:
    """Partial change of an ACL.

    Attributes:
        entries: the whole new list.
        add: entries to add: their numbers must be free.
        put: an entry to put in the place of the one with its number, or where there is none.
        remove: direction and number of an entry to remove.
    """

    entries: tuple[AclEntry, ...] | Unset = UNSET
    add: tuple[AclEntry, ...] = ()
    put: AclEntry | None = None
    remove: tuple[Direction, int] | None = None
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET
