"""An EIP: an address of an external network that belongs to a tenant."""

from dataclasses import dataclass

from vpcctl.model.addresses import IPAddress, Mac
from vpcctl.model.limits import Limits

EIP_MACS = 0x0A76 << 32
"""What the MACs of EIPs begin with."""


@dataclass(frozen=True, slots=True)
class Eip:
    """An address that the outside can reach.

    Attributes:
        id: ``eip-…``.
        external_network_id: the network that it is an address of.
        key: number in flows and in its MAC, 1 … 2**32-1.
        address: the address, IPv4.
        port_id: the port that it stands for, or None.
        fixed_ip: the port's address that it is translated to; None exactly when ``port_id`` is.
        nat_gateway_id: the NAT gateway that uses it, or None; never together with ``port_id``.
        limits: of what passes through it; None: unlimited.
    """

    id: str
    external_network_id: str
    key: int
    address: IPAddress
    port_id: str | None = None
    fixed_ip: IPAddress | None = None
    nat_gateway_id: str | None = None
    limits: Limits | None = None

    @property
    def mac(self) -> Mac:
        """The MAC that answers for it on the external network, the same on every host."""
        return Mac(EIP_MACS | self.key)


PORT_MACS = 0x0A77 << 32
"""What the MACs of ports with global addresses begin with."""


def outside_mac(port_key: int) -> Mac:
    """Return the MAC that answers on external networks for a port's global IPv6 addresses."""
    return Mac(PORT_MACS | port_key)
