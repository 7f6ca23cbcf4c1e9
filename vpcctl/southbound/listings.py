"""How much of what switches list is held in memory: of one, and of all together."""

from typing import Protocol

from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.transport.validate import Fault

_MAX_LISTING = 64 * 1024 * 1024
"""Bytes of one listing: more than 350,000 flows of ours, ten times those of a host with 1,000
filtered ports. It does not depend on the program: what is left of a larger one is read, too."""
_MAX_LISTINGS = 96 * 1024 * 1024
"""Bytes of all listings that are held: a quarter of a gigabyte as objects, usually."""
_METER_WEIGHT = 12
"""A meter can have 8 bytes on the wire, and is an object then. With this factor one listing may
have all 200,000 that are ours."""


class Holder(Protocol):
    """Who holds what a switch has listed."""

    def give_up(self, fault: str) -> None:
        """Drop the switch and what it has listed."""
        ...


class Listings:
    """Counts the bytes that are held; the largest listing goes when there are too many."""

    def __init__(self, one: int = _MAX_LISTING, most: int = _MAX_LISTINGS) -> None:
        self._one = one
        self._most = most
        self._held: dict[Holder, int] = {}
        self.total = 0

    def take(self, holder: Holder, message: bytes) -> None:
        """Count one more message of *holder*'s listing.

        Raises:
            Fault: its listing is too long, or the longest of too many.
        """
        size = len(message) * (_METER_WEIGHT if message[9] == m.MP_METER_CONFIG else 1)
        held = self._held.get(holder, 0) + size
        if held > self._one:
            raise Fault("lists far too much")
        while self.total + size > self._most:
            largest = max(self._held, key=self._held.__getitem__, default=holder)
            if largest is holder or self._held[largest] < held:
                raise Fault("lists more than there is room for beside others")
            self.release(largest)
            largest.give_up("lists more than there is room for beside others")
        self._held[holder] = held
        self.total += size

    def release(self, holder: Holder) -> None:
        """Count what *holder* has as gone."""
        self.total -= self._held.pop(holder, 0)
