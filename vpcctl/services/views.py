"""What services take and give: frozen values, never database rows."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

from vpcctl.model.addresses import IPAddress, IPNetwork, Mac
from vpcctl.model.dhcp_options import DhcpOptions
from vpcctl.model.port import AddressPair
from vpcctl.wire.state import Ipv6Mode

T = TypeVar("T")

Tokens = Literal["optional", "required"]
State = Literal["pending", "active", "degraded", "error"]
HostLiveness = Literal["up", "late", "down", "never"]
Role = Literal["admin", "tenant", "host"]


class Unset(Enum):
    """Marks a field that a partial change leaves alone (``None`` would mean: clear it)."""

    UNSET = "unset"


UNSET = Unset.UNSET


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: the owner of the bearer token."""

    role: Role
    tenant_id: str | None = None
    host_id: str | None = None
    token_id: str = ""
    expires_at: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Tell whether the token's time is over."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True)
class Status:
    """How far a resource has come on the hosts.

    Attributes:
        state: pending, active, degraded or error.
        reason: one sentence, None when active.
        realized_revision: the lowest revision that all hosts concerned have acknowledged.
        hosts: number of hosts concerned.
    """

    state: State
    reason: str | None
    realized_revision: int
    hosts: int


@dataclass(frozen=True, slots=True)
class Meta:
    """What every resource has."""

    id: str
    name: str
    description: str
    tags: dict[str, str]
    tenant_id: str
    created_at: datetime
    updated_at: datetime
    revision: int


@dataclass(frozen=True, slots=True)
class LimitValues:
    """Limits of what passes through a port or an EIP, seen from the workload; None: unlimited.

    Attributes:
        ingress_kbps: towards the workload, in 1,000 bit/s.
        egress_kbps: from the workload.
        ingress_pps: towards the workload, packets a second.
        egress_pps: from the workload.
    """

    ingress_kbps: int | None = None
    egress_kbps: int | None = None
    ingress_pps: int | None = None
    egress_pps: int | None = None


@dataclass(frozen=True, slots=True)
class VpcView:
    """A VPC."""

    meta: Meta
    key: int
    cidrs: tuple[IPNetwork, ...]
    dhcp_options_id: str | None
    dns_enabled: bool
    dns_domain: str
    status: Status


@dataclass(frozen=True, slots=True)
class SubnetView:
    """A subnet. ``free_addresses`` counts what is left of the IPv4 block."""

    meta: Meta
    vpc_id: str
    vni: int
    cidr: IPNetwork
    gateway: IPAddress
    ipv6_cidr: IPNetwork | None
    ipv6_gateway: IPAddress | None
    ipv6_mode: Ipv6Mode | None
    availability_zone: str | None
    network_acl_id: str | None
    route_table_id: str | None
    free_addresses: int
    status: Status


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """How the API wants a port attached. ``host_id`` None: any host may plug it."""

    kind: Literal["namespace", "interface"]
    host_id: str | None
    interface: str | None
    netns: str | None


@dataclass(frozen=True, slots=True)
class ClaimView:
    """One host's claim to a port, from its link reports.

    Attributes:
        link: the link as reported (``wire.report.Link`` as a dict, counters included).
        claimed_revision: when this claim first appeared; the newest allowed one wins.
        state: ``won``; ``lost`` to a newer claim; ``refused``: the attachment names another host,
            or the ofport is above 32767; ``waiting``: OVS has given no ofport.
    """

    host_id: str
    link: dict[str, Any]
    claimed_revision: int
    reported_at: datetime
    state: Literal["won", "lost", "refused", "waiting"]


@dataclass(frozen=True, slots=True)
class PortMetadataView:
    """What is said for a port."""

    user_data: str | None = None
    public_keys: tuple[str, ...] = ()
    metadata_tokens: Tokens = "optional"


@dataclass(frozen=True, slots=True)
class PortMetadataChange:
    """A partial change of it."""

    user_data: str | Unset | None = UNSET
    public_keys: tuple[str, ...] | Unset = UNSET
    metadata_tokens: Tokens | Unset = UNSET


@dataclass(frozen=True, slots=True)
class OutsideView:
    """A global IPv6 address of a port, and where it is realised.

    Attributes:
        address: the address.
        internet_gateway_id: the internet gateway by which the outside reaches it.
        mode: ``distributed``: on the port's host; ``gateway``: on a gateway host; None: nowhere.
        host_id: that host, None where there is none.
        since_revision: the host has confirmed it at this revision; None: not yet.
        reason: why it is realised nowhere; None: it is.
    """

    address: IPAddress
    internet_gateway_id: str
    mode: Literal["distributed", "gateway"] | None
    host_id: str | None
    since_revision: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class PortView:
    """A port with its attachment, its location and every claim to it (the winner first).

    ``security_groups`` are sorted ids; None: port security is off, and no group is asked.
    ``limits_enforced``: whether its host can enforce its limits; None: it has none, or no host.
    ``outside``: its global IPv6 addresses that the outside reaches; None in lists.
    """

    meta: Meta
    subnet_id: str
    vpc_id: str
    key: int
    mac: Mac
    fixed_ips: tuple[IPAddress, ...]
    port_security: bool
    security_groups: tuple[str, ...] | None
    allowed_address_pairs: tuple[AddressPair, ...]
    admin_up: bool
    attachment: AttachmentView | None
    host_id: str | None
    claims: tuple[ClaimView, ...]
    mtu: int
    status: Status
    dhcp_options: DhcpOptions | None
    metadata: PortMetadataView
    source_dest_check: bool
    limits: LimitValues | None
    limits_enforced: bool | None
    outside: tuple[OutsideView, ...] | None = None


@dataclass(frozen=True, slots=True)
class HostView:
    """A host. ``tenant_id`` of its meta is empty: hosts belong to the operator.

    Attributes:
        gateway: whether gateways may be placed on it.
        drained: whether they are moved off it.
        providers: provider networks that its agent's settings name.
        external_network_ids: external networks that it reaches.
        watches: hosts that it watches, and whether they live.
        meters: how many OpenFlow meters its datapath has: with none, no limit is enforced there.
    """

    meta: Meta
    key: int
    dpid: int
    vtep_address: IPAddress | None
    availability_zone: str | None
    drained: bool
    agent_version: str | None
    ovs_version: str | None
    datapath_type: str | None
    errors: tuple[str, ...]
    last_report_at: datetime | None
    state: HostLiveness
    ports: int
    realized_revision: int
    connection: Literal["in_sync", "pending", "degraded", "disconnected"]
    connection_error: str | None
    status: Status
    gateway: bool
    providers: tuple[str, ...]
    external_network_ids: tuple[str, ...]
    watches: tuple[tuple[str, bool], ...]
    meters: int


@dataclass(frozen=True, slots=True)
class VpcCreate:
    """Values of a new VPC. ``tenant_id`` only from an admin; a tenant's is its own."""

    cidrs: tuple[str, ...]
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    tenant_id: str | None = None
    dhcp_options_id: str | None = None
    dns_enabled: bool = True
    dns_domain: str | None = None


@dataclass(frozen=True, slots=True)
class VpcChange:
    """Partial change of a VPC; ``cidrs`` is the whole new list."""

    cidrs: tuple[str, ...] | Unset = UNSET
    dhcp_options_id: str | Unset | None = UNSET
    dns_enabled: bool | Unset = UNSET
    dns_domain: str | Unset = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET


@dataclass(frozen=True, slots=True)
class SubnetCreate:
    """Values of a new subnet; gateways default to the first usable address of their block."""

    vpc_id: str
    cidr: str
    gateway: str | None = None
    ipv6_cidr: str | None = None
    ipv6_gateway: str | None = None
    ipv6_mode: Ipv6Mode | None = None
    availability_zone: str | None = None
    network_acl_id: str | None = None
    route_table_id: str | None = None
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SubnetChange:
    """Partial change of a subnet. An IPv6 block may be added, or removed when unused."""

    ipv6_cidr: str | Unset | None = UNSET
    ipv6_gateway: str | Unset | None = UNSET
    ipv6_mode: Ipv6Mode | Unset = UNSET
    availability_zone: str | Unset | None = UNSET
    network_acl_id: str | Unset | None = UNSET
    route_table_id: str | Unset | None = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET


@dataclass(frozen=True, slots=True)
class PortCreate:
    """Values of a new port.

    ``fixed_ips`` empty: one address per family of the subnet is allocated. Given: exactly those,
    and one is allocated for a family of the subnet that none was given for.
    ``security_groups`` None: the VPC's default group, or none where port security is off.
    ``source_dest_check`` False: it may send and get what is not from or for its own addresses.
    """

    subnet_id: str
    mac: str | None = None
    fixed_ips: tuple[str, ...] = ()
    port_security: bool = True
    security_groups: tuple[str, ...] | None = None
    allowed_address_pairs: tuple[tuple[str, str | None], ...] = ()
    admin_up: bool = True
    attachment: AttachmentView | None = None
    dhcp_options: DhcpOptions | None = None
    metadata: PortMetadataChange = PortMetadataChange()
    source_dest_check: bool = True
    limits: LimitValues | None = None
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PortChange:
    """Partial change of a port; lists are the whole new list.

    Port security turned off takes the port out of its groups; turned on without ``security_groups``
    it puts the port into its VPC's default group.
    """

    mac: str | Unset = UNSET
    fixed_ips: tuple[str, ...] | Unset = UNSET
    port_security: bool | Unset = UNSET
    security_groups: tuple[str, ...] | Unset = UNSET
    allowed_address_pairs: tuple[tuple[str, str | None], ...] | Unset = UNSET
    admin_up: bool | Unset = UNSET
    attachment: AttachmentView | Unset | None = UNSET
    dhcp_options: DhcpOptions | Unset | None = UNSET
    metadata: PortMetadataChange = PortMetadataChange()
    source_dest_check: bool | Unset = UNSET
    limits: LimitValues | Unset | None = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET


@dataclass(frozen=True, slots=True)
class HostCreate:
    """Values of a new host. ``vtep_address`` given pins it: reports with another are refused."""

    name: str
    vtep_address: str | None = None
    availability_zone: str | None = None
    gateway: bool = False
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostChange:
    """Partial change of a host; a drained one stands for no gateway."""

    vtep_address: str | Unset | None = UNSET
    availability_zone: str | Unset | None = UNSET
    gateway: bool | Unset = UNSET
    drained: bool | Unset = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET


@dataclass(frozen=True, slots=True)
class TokenView:
    """A token without its secret."""

    id: str
    role: Role
    tenant_id: str | None
    host_id: str | None
    description: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a list call asks for.

    Attributes:
        limit: 1 … 500 items.
        cursor: opaque text from the previous page.
        filters: field name → value; which fields is up to the resource.
        tags: tag → value that must be equal.
    """

    limit: int = 100
    cursor: str | None = None
    filters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; ``next_cursor`` None on the last."""

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class EventView:
    """One entry of the event stream: a change of a resource or something worth telling."""

    revision: int
    sequence: int
    time: datetime
    kind: str
    action: Literal["created", "changed", "deleted", "warning"]
    resource_id: str
    tenant_id: str
    detail: str
