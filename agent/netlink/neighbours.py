"""Next hops of the tunnels: routes, and neighbours that the kernel resolves."""

from collections.abc import Iterable
from dataclasses import dataclass

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

    def next_hops(self, peers: Iterable[str]) -> dict[str, NextHop | None]:
        """Return where packets to each peer go, and have the kernel resolve the MACs.

        Nothing is sent to a peer but ARP or neighbour solicitations. None stands for a peer that
        there is no route to, or that is this host.
        """
        ways = {peer: self._way(peer) for peer in peers}
        hops = {way for way in ways.values() if way is not None}
        for device, address in hops:
            self._solicit(device, address)
        macs = self._macs({10 if ":" in address else 2 for _, address in hops})
        return {
            peer: NextHop(*way, macs.get(way)) if way is not None else None
            for peer, way in ways.items()
        }

    def _way(self, peer: str) -> tuple[int, str] | None:
        """Return device and next hop of the route to a peer."""
        try:
            route = self._sock.route("get", dst=peer)[0]
        except NetlinkError:
            return None
        device = core.attribute(route, "RTA_OIF")
        if route["type"] != 1 or device is None:
            return None
        return device, core.attribute(route, "RTA_GATEWAY") or peer

    def _solicit(self, device: int, address: str) -> None:
        """Ask the kernel to use a neighbour, as a packet to it would, without a packet."""
        try:
            self._sock.neigh("replace", dst=address, ifindex=device, state=0, flags=_NTF_USE)
        except NetlinkError as error:
            if not core.not_found(error):
                raise

    def _macs(self, families: Iterable[int]) -> dict[tuple[int, str], str]:
        """Return the MAC of every neighbour that has one: one listing, however many are wanted."""
        return {
            (message["ifindex"], core.attribute(message, "NDA_DST")): mac
            for family in families
            for message in self._sock.get_neighbours(family=family)
            if message["state"] & _USABLE and (mac := core.attribute(message, "NDA_LLADDR"))
        }
