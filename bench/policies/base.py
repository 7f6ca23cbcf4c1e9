"""Security groups as a case asks for them of any system."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bench.addressing import PortSpec

Direction = Literal["ingress", "egress"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What a group allows, IPv4 alone, as everything in the bench.

    Attributes:
        direction: from the workload's side.
        protocol: ``tcp``, ``udp``, ``icmp``, or None for any.
        port: destination port, or None for all.
        cidr: block of the other side, or None.
        group: name of the group that the other side is in, or None; with ``cidr`` None too it is
            anybody.
    """

    direction: Direction
    protocol: str | None = None
    port: int | None = None
    cidr: str | None = None
    group: str | None = None


ANYTHING_OUT = Rule("egress")


class Memberships:
    """Which ports are in which groups."""

    def __init__(self) -> None:
        self._groups: dict[str, set[str]] = {}

    def groups_of(self, port: PortSpec) -> frozenset[str]:
        """Return the groups that a port is in."""
        return frozenset(self._groups.get(port.name, ()))

    def members(self, group: str) -> frozenset[str]:
        """Return the names of the ports that are in a group."""
        return frozenset(name for name, groups in self._groups.items() if group in groups)

    def join(self, group: str, ports: Sequence[PortSpec]) -> list[PortSpec]:
        """Note that ports are in a group as well; return those that were in none before."""
        fresh = [port for port in ports if not self._groups.get(port.name)]
        for port in ports:
            self._groups.setdefault(port.name, set()).add(group)
        return fresh

    def leave(self, group: str, ports: Sequence[PortSpec]) -> list[PortSpec]:
        """Note that ports left a group; return those that are in none now."""
        for port in ports:
            self._groups.get(port.name, set()).discard(group)
        return [port for port in ports if not self._groups.get(port.name)]


class Policies(Protocol):
    """The security groups of one system.

    A port in none of them is not filtered and not tracked; one that is may do what a rule of any
    of its groups allows, and nothing else.

    Attributes:
        memberships: who is in what, as far as it was asked for here.
    """

    memberships: Memberships

    def create(self, group: str, rules: Sequence[Rule]) -> None:
        """Create a group with its rules, in one change."""
        ...

    def delete(self, group: str) -> None:
        """Delete a group that has no members and that no rule names."""
        ...

    def add_rules(self, group: str, rules: Sequence[Rule]) -> None:
        """Add rules, in one change where the system can."""
        ...

    def remove_rules(self, group: str, rules: Sequence[Rule]) -> None:
        """Remove rules, in one change where the system can; one that is not there is no error."""
        ...

    def join(self, group: str, ports: Sequence[PortSpec]) -> None:
        """Put ports into a group as well, in one change where the system can."""
        ...

    def leave(self, group: str, ports: Sequence[PortSpec]) -> None:
        """Take ports out of a group, in one change where the system can."""
        ...
