"""Host states as the agent reads them; what is said there is told in :mod:`vpcctl.wire.state`."""

from ipaddress import IPv4Network
from typing import Annotated, Literal

from msgspec import Meta

from agent.wire.base import Wire, exactly
from vpcctl.model import ids

PortId = Annotated[str, Meta(pattern=exactly(ids.PATTERNS["port"]))]
_Port = Annotated[int, Meta(ge=1, le=65535)]
_Mtu = Annotated[int, Meta(ge=68, le=65535)]
_Key16 = Annotated[int, Meta(ge=1, le=2**16 - 1)]
_Key32 = Annotated[int, Meta(ge=1, le=2**32 - 1)]
_NotNegative = Annotated[int, Meta(ge=0)]


class InterfaceAddress(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.InterfaceAddress`."""

    address: str
    prefix_length: Annotated[int, Meta(ge=0, le=128)]
    gateway: str | None = None


class Attachment(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.Attachment`."""

    port_id: PortId
    kind: Literal["namespace", "interface"]
    interface: str
    netns: str | None = None
    mac: str
    addresses: tuple[InterfaceAddress, ...]
    mtu: int
    admin_up: bool = True


_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"

Domain = Annotated[str, Meta(max_length=253, pattern=rf"^{_LABEL}(\.{_LABEL})*\Z")]


class GuestOptions(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.GuestOptions`."""

    lease_time_s: Annotated[int, Meta(ge=60, le=2**32 - 2)] = 86_400
    dns_servers: tuple[str, ...] = ()
    domain: Domain | None = None
    search: tuple[Domain, ...] = ()
    ntp_servers: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()


Ipv6Mode = Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]


class GuestRoute(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.GuestRoute`."""

    destination: IPv4Network
    port_ids: tuple[str, ...] = ()


class GuestSubnet(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.GuestSubnet`."""

    subnet_id: str
    vpc_id: str
    tenant_id: str = ""
    cidr: str
    gateway: str
    ipv6_cidr: str | None = None
    ipv6_gateway: str | None = None
    ipv6_mode: Ipv6Mode | None = None
    mtu: _Mtu
    options: GuestOptions = GuestOptions()
    routes: tuple[GuestRoute, ...] = ()


class Guest(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.Guest`."""

    port_id: PortId
    key: _Key32
    subnet_id: str
    mac: str
    addresses: tuple[str, ...]
    host_name: Annotated[str, Meta(pattern=rf"^({_LABEL})?\Z")] = ""
    options: GuestOptions | None = None
    metadata_revision: _NotNegative = 0
    tags: tuple[tuple[str, str], ...] = ()
    public_addresses: tuple[tuple[str, str], ...] = ()


class Peer(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.Peer`."""

    host_id: str
    vtep_address: str


class ExternalNetworkState(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.ExternalNetworkState`."""

    network_id: Annotated[str, Meta(pattern=exactly(ids.PATTERNS["ext"]))]
    key: _Key16
    provider: str
    vlan: Annotated[int, Meta(ge=1, le=4094)] | None = None
    cidr: str | None = None
    gateway: str | None = None
    ipv6_cidr: str | None = None
    ipv6_gateway: str | None = None
    mtu: Annotated[int, Meta(ge=576, le=65535)] = 1500
    port_mtu: _Mtu = 1450


class OutsideAddress(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.OutsideAddress`."""

    address: str
    mac: str
    network_id: str
    fixed_address: str | None = None
    port_key: _Key32 | None = None
    hosts: tuple[str, ...] = ()
    seed: int = 0


class NatForward(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.NatForward`."""

    address: str
    protocol: Literal[6, 17]
    first: _Port
    last: _Port
    target: str
    target_port: _Port


class NatGatewayState(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.NatGatewayState`."""

    gateway_id: Annotated[str, Meta(pattern=exactly(ids.PATTERNS["nat"]))]
    vpc_id: str = ""
    zone: _Key16
    addresses: tuple[str, ...] = ()
    forwards: tuple[NatForward, ...] = ()
    hosts: tuple[str, ...] = ()
    exhausted_cookie: _NotNegative


class HandedOver(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.HandedOver`."""

    vpc_id: str
    address: str
    freed: _NotNegative
    revision: _NotNegative


class Watched(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.Watched`."""

    host_id: str
    vtep_address: str


class Settings(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.Settings`."""

    report_interval_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0
    dns_forwarders: tuple[str, ...] = ()


class HostState(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.state.HostState`."""

    revision: int
    host_id: str
    name: str
    dpid: int
    openflow_targets: tuple[str, ...]
    settings: Settings = Settings()
    availability_zone: str | None = None
    attachments: tuple[Attachment, ...] = ()
    peers: tuple[Peer, ...] = ()
    guests: tuple[Guest, ...] = ()
    guest_subnets: tuple[GuestSubnet, ...] = ()
    released: tuple[str, ...] = ()
    handed_over: tuple[HandedOver, ...] = ()
    external_networks: tuple[ExternalNetworkState, ...] = ()
    outside_addresses: tuple[OutsideAddress, ...] = ()
    watched: tuple[Watched, ...] = ()
    nat_gateways: tuple[NatGatewayState, ...] = ()
