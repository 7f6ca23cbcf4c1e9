"""A host: a machine that runs Open vSwitch and the agent."""

import enum
from dataclasses import dataclass

from vpcctl.model.addresses import IPAddress

GUEST_SERVICE_OFPORT = 65_000
"""OpenFlow port number that an agent requests for the internal port of br-int through which it
answers guests. A constant, so that flows need not wait for a report of it."""

STAND_OFPORT = 65_002
"""OpenFlow port number that an agent requests for the internal port of br-int that is up while the
host may be taken for the active one of gateways. Nothing goes through it: flows ask if it is up."""

GUEST_SERVICE_MAC = 0x0E76 << 32
"""Between flows and agent a MAC names the guest: these 16 bits, then its 32-bit port key."""

QUESTION_RATE, QUESTION_BURST = 20, 40
"""Packets a second and at once that the agent hears of one port and kind of question."""

# --- between flows and the agent: the world outside, through the same port ------------------------
#
# br-int to agent: the destination MAC is ``outside_question(network key, question)``, all else is
# as it was when the flow let go of it.
# Agent to br-int: the source MAC says what is to become of the frame, and which address it is of:
#
# ``Eip.mac``, ``outside_mac(port key)``: onto the wire, unchanged, at the outside port of that
#     address's network. ARP, neighbour discovery, and packets whose next hop is found by now.
# ``error_inwards(EIP key)``: an ICMP error that has been translated to the EIP's fixed address.
#     Goes on in table SubnetIn, routed into the port's subnet, whatever its destination MAC.
# ``error_outwards(EIP key)``: an ICMP error that has been translated to be from the EIP. Goes on in
#     table Outside, as if the port had sent it, so it may come back as a question; whatever its
#     destination MAC.
#
# Packets that are too large for an external network come as what guests ask, see
# ``GUEST_SERVICE_MAC``, from ``too_large_for(network key)`` as their source MAC.
#
# A frame that names an address that is not resident on the host is dropped (unknown-port). On a
# gateway host an address is resident whether the host is the active one or not.


class Question(enum.IntEnum):
    """What flows want of the agent, in the low 16 bits of ``outside_question``."""

    UNRESOLVED = 1
    """An IP packet on its way out whose next hop has no known MAC. It is translated already, its
    TTL too is final, and its source MAC is the one of its address (``Eip.mac`` or
    ``outside_mac``). To be sent with the next hop's MAC as its destination: of the packet's
    destination if that is on the network's link, else of the network's gateway."""
    HEARD = 2
    """An ARP reply to, or a neighbour advertisement for one of ours; flows have learned from it.
    A copy: nobody else gets it."""
    SOLICITED = 3
    """A neighbour solicitation for a global address of a port, which nobody else answers. On
    gateway hosts only the active one's agent gets it. The answer's source MAC is the port's
    ``outside_mac``."""
    ERROR_IN = 4
    """An ICMP error (types 3, 11, 12) for an EIP of a port, untranslated. Its outer destination,
    and the source of the packet inside, are the EIP and are to become the fixed address; the
    checksum of the inner header too, and that of its TCP, UDP or ICMP header where it is all
    there. To be sent with ``error_inwards``."""
    ERROR_OUT = 5
    """An ICMP error from the fixed address under an EIP, untranslated, with ``Eip.mac`` as its
    source MAC. Its outer source, and the destination of the packet inside, are the fixed address
    and are to become the EIP. To be sent with ``error_outwards``."""
    TOO_LARGE = 6
    """A packet for an address of ours that is longer than ports take, as it has come. Its sender is
    to be told (RFC 1191, RFC 8201), by the address, through whom it has come from."""


def outside_question(network_key: int, question: Question) -> int:
    """Return the destination MAC by which flows ask the agent about an external network."""
    return 0x0E77 << 32 | network_key << 16 | question


QUESTION_SLOTS = 1_696
"""Addresses whose MACs leave the same rest share what they may ask of an agent: there are not
enough meters for all."""


def question_slot(mac: int) -> int:
    """Return which share the address that a MAC of ours answers for has."""
    return mac % QUESTION_SLOTS


def error_inwards(eip_key: int) -> int:
    """Return the source MAC of an ICMP error that the agent sends on to an EIP's port."""
    return 0x0E78 << 32 | eip_key


def error_outwards(eip_key: int) -> int:
    """Return the source MAC of an ICMP error that the agent sends on for an EIP's port."""
    return 0x0E79 << 32 | eip_key


def too_large_for(network_key: int) -> int:
    """Return the source MAC of a port's packet that is too large for an external network."""
    return 0x0E7A << 32 | network_key


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


def outside_ofport(host: Host, network_id: str) -> int | None:
    """Return the ofport by which *host* reaches an external network, if it is that port's alone."""
    found = [one.ofport for one in host.outside if one.external_network_id == network_id]
    if len(found) != 1 or found[0] in (host.tunnel_ofport, GUEST_SERVICE_OFPORT, STAND_OFPORT):
        return None
    return found[0] if [one.ofport for one in host.outside].count(found[0]) == 1 else None


def networks_reached(host: Host) -> frozenset[str]:
    """Return the ids of the external networks to which *host* has a port of their own."""
    named = (one.external_network_id for one in host.outside)
    return frozenset(one for one in named if outside_ofport(host, one) is not None)
