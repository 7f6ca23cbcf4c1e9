"""Connections of NAT gateways, as ovs-vswitchd lists them, and what is in use by them."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from agent.wire.report import EipPorts

MOST_EACH, MOST = 20_000, 200_000
"""Connections of a host that are looked at one by one, and that are counted at all.

ovs-vswitchd does nothing else meanwhile: it takes some 10 µs for each that it lists, and 4 µs for
each that it only counts (measured, Open vSwitch 3.1 on one core of two)."""
SHARE = 50
"""After counting, the fiftyfold of the time that it took is paused at least."""

_SEPARATOR = rb"\n"
"""Between connections, as it stands in JSON: a backslash and a letter."""
_CONNECTION = re.compile(
    rb"(?:^|\"|\\n)([a-z0-9]+),orig=\(src=[0-9.]+,dst=([0-9.]+),(?:sport=\d+,dport=(\d+))?[^)]*\),"
    rb"reply=\(src=[0-9.]+,dst=([0-9.]+),(?:sport=\d+,dport=(\d+))?"
)
_TOTAL = re.compile(r"Total: (\d+)")


class Tally:
    """Counts the connections of one zone, from a listing that comes in pieces.

    Args:
        addresses: the gateway's EIPs.

    Attributes:
        connections: so many have been seen.
    """

    def __init__(self, addresses: Iterable[str]) -> None:
        self._ports: dict[bytes, set[tuple[bytes, bytes]]] = {
            address.encode(): set() for address in addresses
        }
        self._rest = b""
        self.connections = 0

    def take(self, piece: bytes) -> None:
        """Take in a piece of the listing, cut wherever it may be."""
        whole, _, self._rest = (self._rest + piece).rpartition(_SEPARATOR)
        for protocol, *ends in _CONNECTION.findall(whole):
            self.connections += 1
            self._note(protocol, *ends)

    def _note(self, protocol: bytes, target: bytes, port: bytes, back: bytes, own: bytes) -> None:
        """Note the EIP's port: that answers come back to, or, of what is forwarded, that it is for.

        ICMP has no ports.
        """
        if own and back in self._ports:
            self._ports[back].add((protocol, own))
        elif port and target in self._ports:
            self._ports[target].add((protocol, port))

    def ports(self) -> tuple[EipPorts, ...]:
        """Return how many ports of each EIP are in use."""
        return tuple(
            EipPorts(address=address.decode(), ports=len(found))
            for address, found in self._ports.items()
        )


def total(text: str) -> int | None:
    """Return the number of connections that ``dpctl/ct-stats-show`` tells; None: none."""
    found = _TOTAL.search(text)
    return int(found[1]) if found else None


def how(tracked: int) -> Literal["each", "number", "not"]:
    """Return how connections are to be counted of which conntrack has so many in all zones."""
    if tracked > MOST:
        return "not"
    return "each" if tracked <= MOST_EACH else "number"


def pause(took_s: float, interval_s: float) -> float:
    """Return how long to wait after counting, seconds: it takes little of the host's time."""
    return max(interval_s, SHARE * took_s)


def is_active(hosts: Sequence[str], owner: str, living: Iterable[str]) -> bool:
    """Tell whether *owner* is the first of a gateway's hosts that lives."""
    alive = {*living, owner}
    return next((each for each in hosts if each in alive), None) == owner
