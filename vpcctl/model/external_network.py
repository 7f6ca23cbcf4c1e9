"""An external network: a provider's layer-2 network that some hosts reach."""

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExternalNetwork:
    """What is outside: a network that is not ours, with addresses in it that are.

    Attributes:
        id: ``ext-…``.
        key: number in flows, 1 … 2**16-1.
        cidr: its IPv4 block, or None.
        gateway: IPv4 address of the provider's router, or None: only what is on the link.
        ipv6_cidr: its IPv6 block, or None.
        ipv6_gateway: IPv6 address of the provider's router, or None.
        mtu: longest packet that it takes, bytes.
        port_mtu: longest packet that ports take, bytes.
    """

    id: str
    key: int
    cidr: ipaddress.IPv4Network | None
    gateway: ipaddress.IPv4Address | None
    ipv6_cidr: ipaddress.IPv6Network | None = None
    ipv6_gateway: ipaddress.IPv6Address | None = None
    mtu: int = 1500
    port_mtu: int = 1500

    @property
    def most_inwards(self) -> int | None:
        """The longest packet that may come in, if longer ones can come; else None."""
        return self.port_mtu if self.port_mtu < self.mtu else None

    @property
    def most_outwards(self) -> int | None:
        """The longest packet that may go out, if ports can send longer ones; else None."""
        return self.mtu if self.mtu < self.port_mtu else None
