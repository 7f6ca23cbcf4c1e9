"""What the services of external networks, internet gateways and EIPs take and give."""

from dataclasses import dataclass, field
from typing import Literal

from vpcctl.model.addresses import IPAddress, IPNetwork
from vpcctl.services.routing_views import GatewayHostsView
from vpcctl.services.views import UNSET, LimitValues, Meta, Status, Unset


@dataclass(frozen=True, slots=True)
class ExternalNetworkView:
    """An external network. ``tenant_id`` of its meta is empty: it belongs to the operator.

    Attributes:
        vlan: on the provider's network; None: untagged.
        pools: first and last address of each, in order.
        pool_addresses: how many addresses the pools have.
        eips: how many of them are EIPs.
        host_ids: hosts that reach it, as they report, sorted.
    """

    meta: Meta
    key: int
    provider: str
    vlan: int | None
    cidr: IPNetwork | None
    gateway: IPAddress | None
    ipv6_cidr: IPNetwork | None
    ipv6_gateway: IPAddress | None
    mtu: int
    pools: tuple[tuple[IPAddress, IPAddress], ...]
    pool_addresses: int
    eips: int
    host_ids: tuple[str, ...]
    status: Status


@dataclass(frozen=True, slots=True)
class ExternalNetworkCreate:
    """Values of a new external network.

    ``pools`` are ranges ``first-last``, blocks, or single addresses of its IPv4 block.
    """

    provider: str
    vlan: int | None = None
    cidr: str | None = None
    gateway: str | None = None
    ipv6_cidr: str | None = None
    ipv6_gateway: str | None = None
    pools: tuple[str, ...] = ()
    mtu: int = 1500
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExternalNetworkChange:
    """Partial change of an external network; ``pools`` is the whole new list.

    Provider, VLAN and IPv4 block are for good.
    """

    gateway: str | Unset | None = UNSET
    ipv6_cidr: str | Unset | None = UNSET
    ipv6_gateway: str | Unset | None = UNSET
    pools: tuple[str, ...] | Unset = UNSET
    mtu: int | Unset = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET


@dataclass(frozen=True, slots=True)
class InternetGatewayView:
    """An internet gateway.

    Attributes:
        placement: gateway hosts for ports whose hosts do not reach the external network.
        distributed_host_ids: hosts with ports of the VPC that do, sorted; None in lists.
    """

    meta: Meta
    vpc_id: str
    external_network_id: str
    vni: int
    placement: GatewayHostsView
    status: Status
    distributed_host_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class InternetGatewayCreate:
    """Values of a new internet gateway."""

    vpc_id: str
    external_network_id: str
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InternetGatewayChange:
    """Partial change of an internet gateway; VPC and external network are for good."""

    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET


@dataclass(frozen=True, slots=True)
class PlacementView:
    """Where an EIP is realised.

    Attributes:
        mode: ``distributed``: on its port's host; ``gateway``: on a gateway host; None: nowhere.
        host_id: that host, None where there is none.
        since_revision: the host has confirmed it at this revision; None: not yet.
        limits_enforced: whether that host can enforce limits; None: there are none to enforce.
    """

    mode: Literal["distributed", "gateway"] | None = None
    host_id: str | None = None
    since_revision: int | None = None
    limits_enforced: bool | None = None


@dataclass(frozen=True, slots=True)
class EipView:
    """An EIP: associated with a port's fixed address, used by a NAT gateway, or neither.

    Attributes:
        warning: why nobody outside gets an answer from its port; None: nothing speaks against it.
    """

    meta: Meta
    key: int
    external_network_id: str
    address: IPAddress
    port_id: str | None
    vpc_id: str | None
    fixed_ip: IPAddress | None
    nat_gateway_id: str | None
    limits: LimitValues | None
    placement: PlacementView
    status: Status
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class EipCreate:
    """Values of a new EIP. ``address`` None: the next free one; ``tenant_id`` as of a VPC."""

    external_network_id: str
    address: str | None = None
    limits: LimitValues | None = None
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    tenant_id: str | None = None


@dataclass(frozen=True, slots=True)
class Association:
    """What an EIP is to stand for.

    Attributes:
        port_id: the port.
        fixed_ip: one of its IPv4 addresses; None: the first.
        move: take it from what it stands for now; without, that is refused.
    """

    port_id: str
    fixed_ip: str | None = None
    move: bool = False


@dataclass(frozen=True, slots=True)
class EipChange:
    """Partial change of an EIP; ``association`` None: it stands for nothing any more."""

    association: Association | Unset | None = UNSET
    limits: LimitValues | Unset | None = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET
