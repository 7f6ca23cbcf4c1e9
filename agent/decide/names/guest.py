"""A guest as the process that answers for names and metadata knows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Any

from agent.decide.ipv6_mode import Mode, mode_of_port
from vpcctl.model.addresses import parse_mac

Interface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class Guest:
    """One port of this host.

    Attributes:
        key: number in flows: what tells guests apart.
        port_id: the port.
        vpc_id: its VPC.
        tenant: who shares what the host can do for guests; its VPC's.
        subnet_id: its subnet.
        mac: its MAC.
        addresses: its addresses with their prefix lengths, in order.
        ipv6_mode: how guests of its subnet get their IPv6 addresses; None without a block.
        mtu: bytes.
        host_name: a DNS label.
        domain: that it is told; empty: none.
        resolvers: that it is told.
        public: (its address, the EIP that stands for it), in the order of its addresses.
        availability_zone: where it is; empty: not known.
        tags: (key, value) of its port's, by key.
    """

    key: int
    port_id: str
    vpc_id: str
    tenant: str
    subnet_id: str
    mac: str
    addresses: tuple[str, ...]
    ipv6_mode: str | None
    mtu: int
    host_name: str
    domain: str
    resolvers: tuple[str, ...]
    public: tuple[tuple[str, str], ...]
    availability_zone: str
    tags: tuple[tuple[str, str], ...]

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """Its addresses, taken apart: not when a host has a new state, which costs all of them.

        Raises:
            ValueError: one cannot be read.
        """
        return _apart(self.addresses)

    @property
    def own_ipv6_mode(self) -> Mode | None:
        """How it gets its IPv6 address, as router advertisements tell it; None without one."""
        held = [one for one in self.interfaces if isinstance(one, IPv6Interface)]
        block = held[0].network if held else None
        ips = [one.ip for one in held]
        return mode_of_port(self.ipv6_mode, block, parse_mac(self.mac), ips)

    @property
    def project_id(self) -> str:
        """Its tenant, as OpenStack calls that; empty: an older controller has not said."""
        return self.tenant if self.tenant != self.vpc_id else ""

    @property
    def full_name(self) -> str:
        """The host's name with its domain."""
        return f"{self.host_name}.{self.domain}" if self.domain else self.host_name


@lru_cache(maxsize=64)
def _apart(texts: tuple[str, ...]) -> tuple[Interface, ...]:
    return tuple(map(ip_interface, texts))


def guest_of(said: Mapping[str, Any]) -> Guest:
    """Return the guest that the agent describes.

    Raises:
        KeyError: it cannot be read.
    """
    return Guest(
        said["key"],
        said["port_id"],
        said["vpc_id"],
        said["tenant"],
        said["subnet_id"],
        said["mac"],
        tuple(said["interfaces"]),
        said["ipv6_mode"],
        said["mtu"],
        said["host_name"],
        said["domain"],
        tuple(said["resolvers"]),
        tuple((fixed, eip) for fixed, eip in said["public"]),
        said["availability_zone"],
        tuple((key, value) for key, value in said["tags"]),
    )
