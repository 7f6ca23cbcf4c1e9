"""The hand-written pipeline has no rules: either all of its traffic is tracked or none is."""

from collections.abc import Sequence

from bench.addressing import PortSpec
from bench.policies.base import Memberships, Rule
from bench.systems.static import Static


class StaticPolicies:
    """Tracks everything as soon as any port is in a group."""

    def __init__(self, static: Static) -> None:
        self._static = static
        self.memberships = Memberships()

    def create(self, group: str, rules: Sequence[Rule]) -> None:
        """Do nothing: what is tracked is also allowed."""

    def delete(self, group: str) -> None:
        """Do nothing."""

    def add_rules(self, group: str, rules: Sequence[Rule]) -> None:
        """Do nothing."""

    def remove_rules(self, group: str, rules: Sequence[Rule]) -> None:
        """Do nothing."""

    def join(self, group: str, ports: Sequence[PortSpec]) -> None:
        """Track everything."""
        self.memberships.join(group, ports)
        self._static.track(everything=True)

    def leave(self, group: str, ports: Sequence[PortSpec]) -> None:
        """Track nothing any more once nobody is in the group."""
        self.memberships.leave(group, ports)
        self._static.track(everything=bool(self.memberships.members(group)))
