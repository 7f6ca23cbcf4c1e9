"""Next hops of the tunnels: routes, and neighbours that the kernel resolves."""

from dataclasses import dataclass
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from agent.netlink import core

_NTF_USE = 0x01
_USABLE = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80
"""NUD states with a MAC that is worth using: reachable, stale, delay, probe, noarp, permanent."""


@dataclass(frozen=True, slots=True)
class NextHop:
    """Where packets to a peer leave the host.

    Attributes:
        device: index of the device.
        address: next hop on its link: the gateway, or the peer itself.
        mac: its MAC, or None while it is not resolved.
    """

    device: int
    address: str
    mac: str | None


class NeighbourDriver:
    """Routes and neighbours of the host. Belongs to the worker thread."""

    def __init__(self, namespaces: core.Namespaces) -> None:
        self._sock = namespaces.host

    def next_hop(self, peer: str) -> NextHop | None:
        """Return where packets to *peer* go and have the kernel resolve its MAC.

        Nothing is sent to the peer but ARP or neighbour solicitations. Returns None when there
        is no route, or the peer is this host.
        """
        try:
            route = self._sock.route("get", dst=peer)[0]
        except NetlinkError:
            return None
        device = core.attribute(route, "RTA_OIF")
        if route["type"] != 1 or device is None:
            return None
        address = core.attribute(route, "RTA_GATEWAY") or peer
        self._solicit(device, address)
        return NextHop(device, address, self._mac(device, address))

    def _solicit(self, device: int, address: str) -> None:
        """Ask the kernel to use a neighbour, as a packet to it would, without a packet."""
        try:
            self._sock.neigh("replace", dst=address, ifindex=device, state=0, flags=_NTF_USE)
        except NetlinkError as error:
            if not core.not_found(error):
                raise

    def _mac(self, device: int, address: str) -> str | None:
        family = 10 if ":" in address else 2
        messages: Any = self._sock.get_neighbours(family=family, ifindex=device, dst=address)
        for message in messages:
            if message["state"] & _USABLE:
                return core.attribute(message, "NDA_LLADDR")
        return None
