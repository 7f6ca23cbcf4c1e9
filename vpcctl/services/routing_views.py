"""What the services of route tables and NAT gateways take and give."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from vpcctl.model.addresses import IPAddress, IPNetwork
from vpcctl.services.views import UNSET, Meta, Status, Unset

Transport = Literal["tcp", "udp"]
Standby = Literal["active", "standby", "unseen", "down", "draining", "drained"]
"""What a gateway host does for a gateway. All but the active one forward nothing now; draining ones
go on with what still comes to them."""


@dataclass(frozen=True, slots=True)
class RouteWanted:
    """A route as it is asked for.

    Attributes:
        destination: a block.
        targets: ids of an internet gateway, NAT gateways or ports; none: a blackhole.
        description: free text.
        at: where it stands in the request, for problems: ``routes.3``; empty: it is the request.
    """

    destination: str
    targets: tuple[str, ...] = ()
    description: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class TargetStateView:
    """A target of a route, and why it is dead; None: it lives."""

    id: str
    dead: str | None


@dataclass(frozen=True, slots=True)
class RouteView:
    """A route of a table; no targets: a blackhole.

    Attributes:
        states: of the targets, in order.
    """

    destination: IPNetwork
    targets: tuple[str, ...]
    description: str
    states: tuple[TargetStateView, ...]


@dataclass(frozen=True, slots=True)
class RouteTableView:
    """A route table.

    Attributes:
        main: whether it is that of its VPC's subnets that name none.
        routes: sorted by family, address and length; None in lists.
        route_count: how many they are.
        subnet_count: how many subnets name it.
    """

    meta: Meta
    vpc_id: str
    key: int
    main: bool
    routes: tuple[RouteView, ...] | None
    route_count: int
    subnet_count: int
    status: Status


@dataclass(frozen=True, slots=True)
class RouteTableCreate:
    """Values of a new route table."""

    vpc_id: str
    routes: tuple[RouteWanted, ...] = ()
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouteTableChange:
    """Partial change of a route table.

    Attributes:
        routes: the whole new list.
        add: routes to add: their destinations must be new to the table.
        put: routes to put in the place of those with their destinations, or where there is none.
        remove: destinations of routes to take out.
        main: True makes it the main one of its VPC, instead of the one that is.
    """

    routes: tuple[RouteWanted, ...] | Unset = UNSET
    add: tuple[RouteWanted, ...] = ()
    put: tuple[RouteWanted, ...] = ()
    remove: tuple[str, ...] = ()
    main: bool | Unset = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET


@dataclass(frozen=True, slots=True)
class GatewayHostView:
    """A host that stands for a gateway, in the order in which they take over."""

    host_id: str
    state: Standby


@dataclass(frozen=True, slots=True)
class GatewayHostsView:
    """Where a gateway is realised.

    Attributes:
        hosts: the one that is meant to be active first.
        active_host_id: the one that carries its traffic; None: none lives.
        since_revision: since when that is so; where it is shown, None while the host has not
            confirmed that, else None where no host lives.
        waits_for: hosts that have to confirm what they have been told until those that are
            draining go on leaving.
    """

    hosts: tuple[GatewayHostView, ...]
    active_host_id: str | None
    since_revision: int | None
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForwardWanted:
    """A port forward as it is asked for.

    Attributes:
        eip_id: one of the NAT gateway's EIPs; None: its only one.
        protocol: tcp or udp.
        ports: ``443`` or ``1000-1999``, of the EIP.
        address: fixed address of a port of the VPC.
        target_port: what the first port becomes; None: the same.
        description: free text.
    """

    protocol: Transport
    ports: str
    address: str
    eip_id: str | None = None
    target_port: int | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class ForwardView:
    """A port forward of a NAT gateway.

    Attributes:
        warning: why nobody outside gets an answer through it; None: nothing speaks against it.
    """

    id: str
    eip_id: str
    eip_address: IPAddress
    protocol: Transport
    ports: tuple[int, int]
    address: IPAddress
    port_id: str
    target_ports: tuple[int, int]
    description: str
    created_at: datetime
    warning: str | None


@dataclass(frozen=True, slots=True)
class ForwardsView:
    """Some port forwards of one NAT gateway, after a write to it; ``meta`` is the gateway's."""

    meta: Meta
    forwards: tuple[ForwardView, ...]


@dataclass(frozen=True, slots=True)
class EipOfGateway:
    """An EIP that a NAT gateway uses."""

    id: str
    address: IPAddress


@dataclass(frozen=True, slots=True)
class PortsInUse:
    """How many TCP and UDP ports of an EIP are in use; what leads to several places counts once."""

    eip: EipOfGateway
    count: int


@dataclass(frozen=True, slots=True)
class NatCountersView:
    """What the active host of a NAT gateway has counted of it.

    Attributes:
        connections: there are now, in both directions; None: the host has too many to count.
        ports: in use, by EIP; None: the host has too many connections to look at each.
        failures: packets of new connections for which no port was left, since the gateway is
            active there; None: the host's datapath does not say.
        reported_at: when the host reported last.
    """

    connections: int | None
    ports: tuple[PortsInUse, ...] | None
    failures: int | None
    reported_at: datetime


@dataclass(frozen=True, slots=True)
class NatGatewayView:
    """A NAT gateway; ``forwards`` is None in lists.

    Attributes:
        counters: None while its active host has not reported any.
    """

    meta: Meta
    vpc_id: str
    external_network_id: str
    key: int
    vni: int
    eips: tuple[EipOfGateway, ...]
    forwards: tuple[ForwardView, ...] | None
    forward_count: int
    placement: GatewayHostsView
    counters: NatCountersView | None
    status: Status


@dataclass(frozen=True, slots=True)
class NatGatewayCreate:
    """Values of a new NAT gateway."""

    vpc_id: str
    external_network_id: str
    eip_ids: tuple[str, ...]
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NatGatewayChange:
    """Partial change of a NAT gateway; ``eip_ids`` is the whole new list."""

    eip_ids: tuple[str, ...] | Unset = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET
