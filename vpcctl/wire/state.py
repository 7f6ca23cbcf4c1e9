"""Host state: what the controller wants one host to be and to have. The agent makes it so."""

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vpcctl.model import ids

FORM = 8
"""Grows when host states say something that they did not say before: then all are told anew."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class InterfaceAddress(_Wire):
    """A fixed address of a port with its subnet's prefix length and gateway."""

    address: str
    prefix_length: Annotated[int, Field(ge=0, le=128)]
    gateway: str | None = None


class Attachment(_Wire):
    """A port that the API asked to be attached on this host.

    Attributes:
        port_id: the port.
        kind: ``namespace``: the agent makes a veth pair into a network namespace that it
            creates when absent; ``interface``: somebody else plugs an OVS interface, the agent
            only sets iface-id on the named one when it exists.
        interface: name inside the namespace (``namespace``) or of the OVS interface.
        netns: name of the namespace; None for ``interface``.
        mac: MAC to set.
        addresses: addresses to set, with the gateway for the default route.
        mtu: MTU to set, bytes.
        admin_up: whether the link is up.
    """

    port_id: Annotated[str, Field(pattern=ids.PATTERNS["port"])]
    kind: Literal["namespace", "interface"]
    interface: str
    netns: str | None = None
    mac: str
    addresses: tuple[InterfaceAddress, ...]
    mtu: int
    admin_up: bool = True


_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
DOMAIN_PATTERN = rf"^{_LABEL}(\.{_LABEL})*$"
Domain = Annotated[str, Field(max_length=253, pattern=DOMAIN_PATTERN)]
"""A DNS name without a final dot."""


class GuestOptions(_Wire):
    """What guests are told beside their addresses, as far as it is known.

    Attributes:
        lease_time_s: how long a lease is good for, seconds.
        dns_servers: resolvers of both families, in order of preference.
        domain: DNS domain of the guests; None says nothing.
        search: domains that short names are looked up in; empty: the domain alone.
        ntp_servers: time servers of both families.
        routes: further IPv4 routes, (block, next hop).
    """

    lease_time_s: Annotated[int, Field(ge=60, le=2**32 - 2)] = 86_400
    dns_servers: tuple[str, ...] = ()
    domain: Domain | None = None
    search: tuple[Domain, ...] = ()
    ntp_servers: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()


MAX_ROUTES = 41
"""Destinations of the shortest that one option of DHCP holds beside the default route."""

Ipv6Mode = Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]
"""How guests of a subnet get their IPv6 addresses."""


class GuestRoute(_Wire):
    """A route of a subnet's route table.

    Attributes:
        destination: what is sent to the gateway.
        port_ids: the ports that the gateway sends it to, sorted: to these it is not told, as what
            they are to pass on would come back.
    """

    destination: IPv4Network
    port_ids: tuple[str, ...] = ()


class GuestSubnet(_Wire):
    """A subnet of guests: what its router and its DHCP servers say to all of them.

    Attributes:
        subnet_id: the subnet.
        vpc_id: its VPC.
        tenant_id: whose it is: what guests cost the agent is shared out by tenant.
        cidr: IPv4 block.
        gateway: IPv4 address of the router, which is also the DHCP server.
        ipv6_cidr: IPv6 block, or None.
        ipv6_gateway: IPv6 address of the router, or None.
        ipv6_mode: how addresses of the block are given out; None without a block.
        mtu: of guests' interfaces, bytes.
        options: of guests that have none of their own.
        routes: those of its route table for IPv4 but the default, the most specific first, at most
            :data:`MAX_ROUTES`.
    """

    subnet_id: str
    vpc_id: str
    tenant_id: str = ""
    cidr: str
    gateway: str
    ipv6_cidr: str | None = None
    ipv6_gateway: str | None = None
    ipv6_mode: Ipv6Mode | None = None
    mtu: Annotated[int, Field(ge=68, le=65535)]
    options: GuestOptions = GuestOptions()
    routes: tuple[GuestRoute, ...] = ()


class Guest(_Wire):
    """A port of this host whose workload may ask the agent for what it needs to know.

    Attributes:
        port_id: the port.
        key: its number in flows; names the asking port in frames from br-int.
        subnet_id: its subnet, one of the state's ``guest_subnets``.
        mac: its MAC.
        addresses: its fixed addresses, in order.
        host_name: a DNS label.
        options: its own, instead of its subnet's; None when it has none.
        metadata_revision: that of what its owner has said for it (``PortMetadata``), another one
            after each change; 0: nothing.
        tags: (key, value) of each of its tags, by key.
        public_addresses: (fixed address, EIP) of each EIP that stands for one of its addresses, in
            the order of the addresses.
    """

    port_id: Annotated[str, Field(pattern=ids.PATTERNS["port"])]
    key: Annotated[int, Field(ge=1, le=2**32 - 1)]
    subnet_id: str
    mac: str
    addresses: tuple[str, ...]
    host_name: Annotated[str, Field(pattern=rf"^({_LABEL})?$")] = ""
    options: GuestOptions | None = None
    metadata_revision: Annotated[int, Field(ge=0)] = 0
    tags: tuple[tuple[str, str], ...] = ()
    public_addresses: tuple[tuple[str, str], ...] = ()


class Peer(_Wire):
    """Another host's VXLAN endpoint, so that the tunnel's neighbour can be resolved early."""

    host_id: str
    vtep_address: str


class ExternalNetworkState(_Wire):
    """An external network that a host with its provider is to reach.

    Attributes:
        network_id: the network.
        key: its number in flows.
        provider: name of the provider network; the agent's settings say which bridge or device
            reaches it. A host without it does not reach the network.
        vlan: VLAN of the network on the provider's bridge; None: untagged.
        cidr: IPv4 block, or None.
        gateway: IPv4 address of the provider's router, or None.
        ipv6_cidr: IPv6 block, or None.
        ipv6_gateway: IPv6 address of the provider's router, or None.
        mtu: of the network, bytes.
        port_mtu: of ports, bytes.
    """

    network_id: Annotated[str, Field(pattern=ids.PATTERNS["ext"])]
    key: Annotated[int, Field(ge=1, le=2**16 - 1)]
    provider: str
    vlan: Annotated[int, Field(ge=1, le=4094)] | None = None
    cidr: str | None = None
    gateway: str | None = None
    ipv6_cidr: str | None = None
    ipv6_gateway: str | None = None
    mtu: Annotated[int, Field(ge=576, le=65535)] = 1500
    port_mtu: Annotated[int, Field(ge=68, le=65535)] = 1450


class OutsideAddress(_Wire):
    """An address of an external network that this host answers for, or may have to.

    Attributes:
        address: IPv4 or IPv6 address.
        mac: MAC that answers for it.
        network_id: the external network.
        fixed_address: what an EIP of a port is translated to; None for others.
        port_key: key of the port that an EIP stands for; None for a NAT gateway's.
        hosts: the gateway hosts that may answer, the first that lives does; empty: this host alone.
        seed: changes when the address is to be announced again.
    """

    address: str
    mac: str
    network_id: str
    fixed_address: str | None = None
    port_key: Annotated[int, Field(ge=1, le=2**32 - 1)] | None = None
    hosts: tuple[str, ...] = ()
    seed: int = 0


class NatForward(_Wire):
    """Some ports of a NAT gateway's EIP that lead to a fixed address of its VPC.

    Attributes:
        address: the EIP.
        protocol: 6 (TCP) or 17 (UDP).
        first: first of its ports.
        last: last of its ports.
        target: where they lead to.
        target_port: what the first port becomes; the others follow it.
    """

    address: str
    protocol: Literal[6, 17]
    first: Annotated[int, Field(ge=1, le=65535)]
    last: Annotated[int, Field(ge=1, le=65535)]
    target: str
    target_port: Annotated[int, Field(ge=1, le=65535)]


class NatGatewayState(_Wire):
    """A NAT gateway that this host stands for: which connections it may have, and what is counted.

    Connections are counted while the host is the active one, and deleted whenever neither an EIP
    nor a forward of today is how they are translated.

    Attributes:
        gateway_id: the gateway.
        vpc_id: its VPC.
        zone: its conntrack zone.
        addresses: its EIPs.
        forwards: its port forwards, sorted.
        hosts: its gateway hosts, the first that lives is the active one.
        exhausted_cookie: cookie of the flow that counts what found no port.
    """

    gateway_id: Annotated[str, Field(pattern=ids.PATTERNS["nat"])]
    vpc_id: str = ""
    zone: Annotated[int, Field(ge=1, le=2**16 - 1)]
    addresses: tuple[str, ...] = ()
    forwards: tuple[NatForward, ...] = ()
    hosts: tuple[str, ...] = ()
    exhausted_cookie: Annotated[int, Field(ge=0, le=2**64 - 1)]


class HandedOver(_Wire):
    """An address that one port of a VPC had and another one has now.

    Attributes:
        vpc_id: the VPC.
        address: IPv4 or IPv6 address, in canonical form.
        freed: revision at which the one gave it up: once the host's switch has confirmed it, no
            flow is left by which packets of that one are followed as connections.
        revision: at which the other one got it.
    """

    vpc_id: str
    address: str
    freed: Annotated[int, Field(ge=0)]
    revision: Annotated[int, Field(ge=0)]


class Watched(_Wire):
    """Another host that this one watches by BFD in a tunnel of its own."""

    host_id: str
    vtep_address: str


class Settings(_Wire):
    """Settings of an agent that the controller decides.

    Attributes:
        report_interval_s: seconds between two reports.
        dns_forwarders: resolvers that are asked for what is in no VPC's zone, in order.
    """

    report_interval_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    dns_forwarders: tuple[str, ...] = ()


class HostState(_Wire):
    """Everything that one host has to do, at a revision.

    Attributes:
        revision: database revision of the newest thing in it.
        host_id: the host.
        name: its name.
        dpid: datapath id for its br-int.
        openflow_targets: OVSDB controller targets for br-int, such as
            ``tcp:127.0.0.1:6653``, ``ssl:192.0.2.1:6653`` or ``unix:/run/vpcctl/of.sock``.
        settings: agent settings.
        availability_zone: that the host is in; None: none is known.
        attachments: what to attach, sorted by port id.
        peers: the other hosts' VTEPs, sorted by host id.
        guests: ports that are attached to this host or located on it, sorted by port id.
        guest_subnets: their subnets, sorted by id.
        released: ports that the host has an interface for and that are not on it (any more):
            deleted, or on another host; sorted. Once the host's switch has confirmed the
            state's revision, no flow of theirs is left here.
        handed_over: addresses that changed hands in VPCs since interfaces for ports of theirs, or
            NAT gateways, are on the host, the oldest first; some days, and of a VPC the newest few
            hundred. Connections of those that had them before are to be forgotten, once.
        external_networks: all external networks, sorted by id.
        outside_addresses: sorted by network and address.
        watched: gateway hosts of the VPCs here, and, on a gateway host, whoever watches it; sorted.
        nat_gateways: those that this host stands for, sorted by id.
    """

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
