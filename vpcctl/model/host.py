"""A host: a machine that runs Open vSwitch and the agent."""

from dataclasses import dataclass

from vpcctl.model.addresses import IPAddress

GUEST_SERVICE_OFPORT = 65_000
"""OpenFlow port number that an agent requests for the internal port of br-int through which it
answers guests. A constant, so that flows need not wait for a report of it."""

GUEST_SERVICE_MAC = 0x0E76 << 32
"""Between flows and agent a MAC names the guest: these 16 bits, then its 32-bit port key."""


@dataclass(frozen=True, slots=True)
class OutsidePort:
    """How a host reaches an external network.

    Attributes:
        external_network_id: the network.
        ofport: of the port of br-int that leads there, untagged.
    """

    external_network_id: str
    ofport: int


@dataclass(frozen=True, slots=True)
class Watch:
    """How a host sees whether another one lives: a port of br-int with BFD, and nothing else.

    Attributes:
        host_id: the other host.
        ofport: of the port, which Open vSwitch takes to be down while BFD says so.
    """

    host_id: str
    ofport: int


@dataclass(frozen=True, slots=True)
class Host:
    """A machine with a br-int.

    Attributes:
        id: ``host-…``.
        key: small number, 1 … 2**16-1.
        dpid: the OpenFlow datapath id of its br-int, set by the agent as told by the controller.
        vtep: address of its VXLAN endpoint; None until its first report.
        tunnel_ofport: ofport of its VXLAN port as last reported; None until known.
        nd_extensions: its datapath can rewrite ND options (userspace datapath), so flows
            answer neighbour solicitations for gateways; without, its agent does.
        guest_services: its agent answers DHCP and router solicitations of the guests here.
        outside: external networks that it reaches, sorted by network, as last reported.
        watches: gateway hosts, or those it is one for, that it watches, sorted by host, as last
            reported.
    """

    id: str
    key: int
    dpid: int
    vtep: IPAddress | None = None
    tunnel_ofport: int | None = None
    nd_extensions: bool = True
    guest_services: bool = False
    outside: tuple[OutsidePort, ...] = ()
    watches: tuple[Watch, ...] = ()

    @property
    def has_guest_port(self) -> bool:
        """Whether its agent answers guests at all, through a port of br-int."""
        return self.guest_services or not self.nd_extensions
