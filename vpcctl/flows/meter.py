"""Meters: how much of what reaches some flows goes on; the rest is dropped.

A flow that names a meter brings it along: a host's meters are those that its flows name, and
nothing else has to be kept beside them. Meters have no cookies, so a number says whose one is.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Unit = Literal["kbps", "pktps"]

LIMITS = range(4, 1 << 17)
"""Four for each limit of a port or an address, see ``vpcctl.pipeline.limits``."""
GUESTS = range(1 << 17, 3 << 16)
"""Four for each interface: what its guest asks, see ``vpcctl.pipeline.guest_services``."""
OUTSIDE = range(3 << 16, 200_000)
"""Two for each address on external networks, see ``vpcctl.pipeline.outside_questions``.
The kernel's datapath has no higher numbers."""


class Meter(NamedTuple):
    """One meter of a switch, a token bucket.

    Attributes:
        id: its number, 1 … 2**32-2**16.
        unit: what is counted: 1,000 bit/s, or packets a second.
        rate: tokens a second. 0 is only read from switches: nothing is known of it but its number.
        burst: size of the bucket, 1,000 bit or packets.
    """

    id: int
    unit: Unit
    rate: int
    burst: int

    @property
    def is_ours(self) -> bool:
        """Whether it is one of those that we make, so that no other than ours is touched."""
        return self.id in LIMITS or self.id in GUESTS or self.id in OUTSIDE

    def __str__(self) -> str:
        band = f"type=drop rate={self.rate} burst_size={self.burst}"
        return f"meter={self.id} {self.unit} burst bands={band}"


def unknown(number: int) -> Meter:
    """Return the meter that a switch's flow names, of which only the number is known."""
    return Meter(number, "pktps", 0, 0)


def by_number(meters: Iterable[Meter]) -> dict[int, Meter]:
    """Return *meters* by their numbers.

    Raises:
        ValueError: two of one number differ.
    """
    found: dict[int, Meter] = {}
    for meter in meters:
        if found.setdefault(meter.id, meter) != meter:
            raise ValueError(f"two meters of one number: {found[meter.id]} and {meter}")
    return found
