"""What passed at ports and what was dropped, as flows of their hosts have counted it."""

from dataclasses import dataclass
from typing import NamedTuple


class Count(NamedTuple):
    """Packets and their bytes, whole Ethernet frames."""

    packets: int = 0
    bytes: int = 0

    def plus(self, other: "Count") -> "Count":
        """Return the sum."""
        return Count(self.packets + other.packets, self.bytes + other.bytes)

    def less(self, other: "Count") -> "Count":
        """Return the difference, never below zero: counts are read one after the other."""
        return Count(max(0, self.packets - other.packets), max(0, self.bytes - other.bytes))


@dataclass(frozen=True, slots=True)
class Side:
    """One direction, said from the workload's side.

    Attributes:
        allowed: what the port's groups let pass.
        dropped: reason → what was dropped for it; reasons that never occurred are there too.
    """

    allowed: Count
    dropped: dict[str, Count]


@dataclass(frozen=True, slots=True)
class RuleCount:
    """What a rule let pass, at all ports of its group that are on the same host."""

    rule_id: str
    group_id: str
    count: Count


@dataclass(frozen=True, slots=True)
class PortCounters:
    """Counters of one port since its flows are there.

    Attributes:
        egress: what the port sent.
        ingress: what was for it.
        rules: of its groups, group by group.
    """

    egress: Side
    ingress: Side
    rules: tuple[RuleCount, ...]


class Drops(NamedTuple):
    """Packets that hosts have dropped, whoever's they were; the numbers only grow.

    Attributes:
        by_reason: reason → packets, of all hosts that there have been; every reason is there.
        by_host: host id → reason → packets; reasons that never occurred are not there.
    """

    by_reason: dict[str, int]
    by_host: dict[str, dict[str, int]]
