"""Gateways of a VPC: the internet gateway and NAT gateways."""

from dataclasses import dataclass
from typing import Literal

from vpcctl.model.addresses import IPAddress


@dataclass(frozen=True, slots=True)
class InternetGateway:
    """The way between a VPC's EIPs and global IPv6 addresses, and an external network.

    A host that reaches the external network itself takes this way by itself; every other host
    hands packets to a gateway host.

    Attributes:
        id: ``igw-…``.
        vpc_id: the VPC.
        external_network_id: the external network; one that is not there leads nowhere.
        vni: of packets on their way to a gateway host; from the same numbers as subnets'.
        hosts: ids of gateway hosts, the one that is meant to be active first; those that are not
            leaving are at most three.
        leaving: those of them that are to stand for it no more as soon as another one does: what
            comes to them still goes on.
    """

    id: str
    vpc_id: str
    external_network_id: str
    vni: int
    hosts: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forward:
    """Some ports of a NAT gateway's EIP that lead to a fixed address of its VPC.

    Attributes:
        id: ``fwd-…``.
        eip: the EIP's address.
        protocol: 6 (TCP) or 17 (UDP).
        ports: first and last port of the EIP.
        target: fixed address in the VPC.
        target_port: what the first port becomes; the others follow it.
    """

    id: str
    eip: IPAddress
    protocol: Literal[6, 17]
    ports: tuple[int, int]
    target: IPAddress
    target_port: int


@dataclass(frozen=True, slots=True)
class NatGateway:
    """Source NAT for a VPC's subnets without EIPs, done on one active gateway host.

    Its EIPs are those that name it (``Eip.nat_gateway_id``).

    Attributes:
        id: ``nat-…``.
        vpc_id: the VPC.
        external_network_id: the external network; one that is not there leads nowhere.
        vni: of packets on their way to the active host; from the same numbers as subnets'.
        key: names its conntrack zone, 1 … 2**15-1, see ``nat_zone``.
        hosts: ids of gateway hosts, the one that is meant to be active first; those that are not
            leaving are at most three.
        forwards: port forwardings, sorted by id.
        leaving: those of them that are to stand for it no more as soon as another one does: what
            comes to them still goes on.
    """

    id: str
    vpc_id: str
    external_network_id: str
    vni: int
    key: int
    hosts: tuple[str, ...] = ()
    forwards: tuple[Forward, ...] = ()
    leaving: tuple[str, ...] = ()


NAT_ZONES = 0x8000
"""Conntrack zones from here on are NAT gateways'; those below are ports' (an ofport each)."""
MAX_PORT_OFPORT = NAT_ZONES - 1
"""Largest ofport that a port may be at. Open vSwitch itself gives no larger ones: whoever has one
has asked for it."""


def nat_zone(gateway: NatGateway) -> int:
    """Return the conntrack zone of a NAT gateway, on every host."""
    return NAT_ZONES | gateway.key
