"""Names and addresses of every port in the bench, the same for each system that is measured."""

from dataclasses import dataclass

SUBNETS = 8
"""Subnets of the one VPC (switches of the one router); mass ports are spread over all."""

GATEWAY_MAC = "0e:76:70:63:00:01"
"""MAC of every subnet's gateway. Fixed, so that guests need no ARP before their first packet."""

VPC_CIDR = "10.0.0.0/12"
GUEST_MTU = 1400


@dataclass(frozen=True, slots=True)
class PortSpec:
    """A port as a user asks for it.

    Attributes:
        name: unique name.
        subnet: number of its subnet, 0 … SUBNETS-1.
        mac: its MAC.
        address: its IPv4 address.
    """

    name: str
    subnet: int
    mac: str
    address: str

    @property
    def gateway(self) -> str:
        """Gateway's address of its subnet."""
        return gateway(self.subnet)


def cidr(subnet: int) -> str:
    """Return the block of subnet number *subnet*."""
    return f"10.{subnet}.0.0/16"


def gateway(subnet: int) -> str:
    """Return the gateway's address of subnet number *subnet*."""
    return f"10.{subnet}.0.1"


def guest_port(name: str, subnet: int, number: int) -> PortSpec:
    """Return the port of a guest that really exists (and is probed); *number* is 1 … 250."""
    return PortSpec(name, subnet, f"0e:00:00:ff:00:{number:02x}", f"10.{subnet}.255.{number}")


def mass_port(number: int) -> PortSpec:
    """Return the *number*-th (from 0) of the ports that only make the network large."""
    subnet, index = number % SUBNETS, number // SUBNETS
    octets = ":".join(f"{(number >> shift) & 0xFF:02x}" for shift in (16, 8, 0))
    return PortSpec(
        f"mass-{number}",
        subnet,
        f"0e:01:00:{octets}",
        f"10.{subnet}.{1 + index // 250}.{1 + index % 250}",
    )


SHADOW_PORTS = 2_000
"""Mass ports on one shadow host: a host that exists in the control plane only."""


def shadow_host(number: int) -> int:
    """Return which shadow host (from 0) holds mass port *number*."""
    return number // SHADOW_PORTS


def shadow_vtep(number: int) -> str:
    """Return the tunnel address of shadow host *number*; nothing answers there."""
    return f"172.31.8.{1 + number}"
