"""The event stream: what changed and what is worth telling, in the order of revisions."""

from vpcctl.model.problems import Invalid
from vpcctl.services import rules
from vpcctl.services.context import Context
from vpcctl.services.views import Actor, EventView
from vpcctl.store import events
from vpcctl.store.tables import ChangeRow

MAX_EVENTS = 5_000
_LARGEST = 2**63 - 1


class EventService:
    """Use cases of events: a tenant sees its own, an admin all."""

    def __init__(self, context: Context) -> None:
        self._units = context.units

    def since(
        self, actor: Actor, after: tuple[int, int], limit: int = 500
    ) -> tuple[EventView, ...]:
        """Return the oldest events after (revision, sequence), at most *limit*.

        Raises:
            Problem: Forbidden, Invalid.
        """
        scope = rules.tenant_scope(actor)
        if not all(0 <= number <= _LARGEST for number in after):
            raise Invalid(
                "The position is none of an event.", field="after", accepted="<revision>.<sequence>"
            )
        revision, sequence = after[0], min(after[1], 2**31 - 1)
        count = max(1, min(limit, MAX_EVENTS))
        rows = self._units.read(
            lambda connection: events.since(connection, (revision, sequence), count, scope)
        )
        return tuple(map(_view, rows))

    def latest(self) -> tuple[int, int]:
        """Return (revision, sequence) of the newest event, (0, 0) when there is none."""
        return self._units.read(events.newest)

    def pruned(self) -> int:
        """Return the revision up to which events are gone."""
        return self._units.read(events.pruned)


def _view(row: ChangeRow) -> EventView:
    return EventView(
        row.revision,
        row.sequence,
        row.time,
        row.kind,
        row.action,  # type: ignore[arg-type] - written by Unit.tell
        row.resource_id,
        row.tenant_id,
        row.detail,
    )
