"""Takes the steps by which drained hosts leave their gateways, as soon as each is due."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from vpcctl.services.context import Context
from vpcctl.services.gateway_hosts import hand_on
from vpcctl.services.gateway_leaving import Step, steps
from vpcctl.services.gateway_order import Leaving
from vpcctl.store.units import Unchanged, Unit

CALM = timedelta(seconds=2)
"""How long a host goes on when nobody sends to it any more: until the provider's network, which
learns from what the new one says, sends there too. It says so five times in the first 1.5 s."""


class Departures:
    """Takes the next step wherever it can be taken."""

    def __init__(self, context: Context) -> None:
        self._units = context.units
        self._quiet: dict[tuple[str, int], datetime] = {}  # (gateway, revision) → confirmed at

    def advance(self) -> int:
        """Take the steps that are due; return how many gateways moved.

        Raises:
            Unavailable: the database does not answer.
        """
        if not self._due(self._units.read(steps)):
            return 0

        def work(unit: Unit) -> int:
            due = self._due(steps(unit.connection))
            if not due:
                raise Unchanged(0)
            return hand_on(unit, due)

        return self._units.write(work)

    def _due(self, found: Mapping[str, Step]) -> dict[str, Leaving]:
        """Return which steps are to be taken now."""
        now, due, quiet = self._units.clock(), dict[str, Leaving](), self._quiet
        self._quiet = {}
        for id, step in found.items():
            if step.late:
                continue
            since = self._quiet[id, step.since] = quiet.get((id, step.since), now)
            if step.leaving == "behind" or now - since >= CALM:
                due[id] = step.leaving
        return due
