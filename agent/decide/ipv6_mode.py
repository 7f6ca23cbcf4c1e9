"""How one port's guest gets its IPv6 address: what the router says, the metadata say as well."""

from collections.abc import Collection
from ipaddress import IPv6Address, IPv6Network
from typing import Literal

from vpcctl.model.addresses import eui64

Mode = Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]
OWN_ADDRESS: tuple[str, ...] = ("slaac", "dhcpv6-stateless")
"""Modes of a subnet in which guests make their addresses."""


def mode_of_port(
    mode: str | None, block: IPv6Network | None, mac: int, held: Collection[IPv6Address]
) -> Mode | None:
    """Return how a port's guest gets its IPv6 address; None: it has none.

    A guest makes its address of the prefix only where its port has the one that it would make:
    nobody is to use one that is dropped.

    Args:
        mode: of its subnet.
        block: of its subnet.
        mac: of the port.
        held: the port's IPv6 addresses.
    """
    if block is None or not held:
        return None
    if mode not in OWN_ADDRESS or eui64(block, mac) not in held:
        return "dhcpv6-stateful"
    return "slaac" if mode == "slaac" else "dhcpv6-stateless"
