"""Conntrack zones: what each may hold entries of, and when it has to be emptied.

A port's zone is its ofport. Flows put entries into it from the moment that the controller knows the
port there until the switch has confirmed that they are gone, whatever becomes of the interface. So
a zone whose use has ended is emptied after that confirmation, and until then no other port is
reported at its ofport.
"""

from dataclasses import dataclass
from typing import Literal

from agent.decide.rows import InterfaceRow
from agent.wire.report import ReportAnswer
from agent.wire.state import HostState
from vpcctl.model import ids
from vpcctl.model.gateway import MAX_PORT_OFPORT

PATIENCE_S = 5.0
"""So long a port waits for the end of the flows of the one before it."""

HURRY_S = 0.1
"""So long a report waits for a zone that is being emptied."""

ASKING_S = 2.0
"""So long after its start an agent without a record asks if nothing has changed: at first it may
not know all yet that its last report said."""

_AT_ONCE = -1


@dataclass(frozen=True, slots=True)
class Use:
    """Whose entries a zone holds: a port's, while it was on one OVS interface."""

    port_id: str
    interface_uuid: str


ANYBODY = Use("port-fffffffffffffffff", "-")
"""Recorded of a zone that may hold entries of several uses: no use is equal to it."""


@dataclass(slots=True)
class _End:
    """Why a zone has to be emptied: its use has ended, or it may hold anything.

    Attributes:
        since: when, seconds.
        after: revision that the switch has to confirm first; None: the controller has not been
            told of the end yet; ``_AT_ONCE``: there is nothing to wait for.
    """

    since: float
    after: int | None


@dataclass(frozen=True, slots=True)
class Chore:
    """A zone that may be emptied now.

    Attributes:
        zone: the zone.
        released: the port to which the interface still belongs, but which is not here any more;
            empty when the zone's use has ended.
        again: it was emptied before, too early, and its next use has begun.
    """

    zone: int
    released: str = ""
    again: bool = False


class Zones:
    """What the agent knows of the zones. Not frozen: memory, of which a record is kept on disk.

    Attributes:
        uses: zone → whose entries it may hold; None: known to be empty.
        complete: a zone that is not in ``uses`` is empty. Else it may hold anything.
        phase: ``asking``: there is no record, and the controller is to be asked if anything has
            changed since the last report. If it knows exactly the links that there are, the same
            ports have been in their zones all the time. ``emptying``: something has changed, and
            nothing is reported before zones are empty: without an ofport, ports would lose their
            flows. ``certain``: neither.
    """

    def __init__(
        self,
        uses: dict[int, Use | None] | None = None,
        *,
        complete: bool = True,
        asks: bool = False,
    ) -> None:
        self.uses: dict[int, Use | None] = dict(uses or {})
        self.complete = complete
        self.phase: Literal["asking", "emptying", "certain"] = "asking" if asks else "certain"
        self._present: dict[int, Use] = {}
        self._at: dict[str, tuple[int, Use]] = {}  # interface's UUID → where it was last
        self._ends: dict[int, _End] = {}
        self._early: dict[int, _End] = {}  # emptied before the switch had confirmed it
        self._asked: dict[int, Use] | None = None
        self._asking_until: float | None = None
        self._told: list[_End] = []
        self._reached = _AT_ONCE
        self._released: frozenset[str] = frozenset()
        self._released_at = 0
        self._cleaned: set[str] = set()
        self._written: dict[int, Use | None] = {}

    # --- interfaces -----------------------------------------------------------------------------

    def take_row(self, row: InterfaceRow, now: float) -> None:
        """Take in an interface that is new or has changed."""
        before, port_id = self._at.get(row.uuid), _port_of(row)
        if before is not None and row.ofport is None and before[1].port_id == port_id:
            return  # ovs-vswitchd starts: the interface is on its way back to where it was
        after = None
        if port_id and row.ofport is not None and row.ofport <= MAX_PORT_OFPORT:
            after = row.ofport, Use(port_id, row.uuid)
        if after == before:
            return
        self.forget_row(row.uuid, now)
        if after is not None:
            zone, use = self._at[row.uuid] = after
            self._present[zone] = use
            self._judge(zone, now)

    def forget_row(self, uuid: str, now: float) -> None:
        """Forget an interface that is gone."""
        before = self._at.pop(uuid, None)
        if before is not None and self._present.get(before[0]) == before[1]:
            del self._present[before[0]]
            self._judge(before[0], now)

    def finish_reading(self, now: float) -> None:
        """Note that all interfaces have been taken in: a recorded one that is not there is gone."""
        for zone in list(self.uses):
            self._judge(zone, now)

    def _judge(self, zone: int, now: float) -> None:
        """See what another interface at an ofport, or none, means for its zone."""
        present, use = self._present.get(zone), self.uses.get(zone)
        same_port = present is not None and use is not None and present.port_id == use.port_id
        if (end := self._ends.get(zone)) is not None:
            if same_port:
                end.after = _AT_ONCE
            elif use is not None and end.after == _AT_ONCE:
                end.after = None  # it was to come back, and did not
        elif use is not None:
            if present != use:
                self._ends[zone] = _End(now, _AT_ONCE if same_port else None)
        elif present is not None and self.phase != "asking":
            if self.complete or zone in self.uses:
                self._write(zone, present)
            else:
                self._ends[zone] = _End(now, _AT_ONCE)

    def may_claim(self, row: InterfaceRow) -> bool:
        """Tell whether an interface may be reported at its ofport."""
        zone, port_id = row.ofport or 0, _port_of(row)
        if not port_id or not 1 <= zone <= MAX_PORT_OFPORT:
            return True  # nobody takes it for a port
        if zone in self._ends:
            return self.phase == "emptying" and self._ends[zone].after == _AT_ONCE
        return self.phase != "certain" or self.uses.get(zone) == Use(port_id, row.uuid)

    # --- reports and answers --------------------------------------------------------------------

    def sending(self, now: float) -> None:
        """Note that a report of the present interfaces leaves now."""
        ends = (*self._ends.values(), *self._early.values())
        self._told = [end for end in ends if end.after != _AT_ONCE]
        if self.phase == "asking":
            self._asking_until = self._asking_until or now + ASKING_S
            self._asked = {at: use for at, use in self._present.items() if at not in self.uses}
            if not self._asked:
                self._settle({}, now)

    def answered(self, answer: ReportAnswer, now: float) -> None:
        """Take in the answer to an accepted report."""
        if self.phase == "asking" and self._asked is not None:
            if not answer.full_report_needed:
                self._settle(self._asked, now)
            elif now >= (self._asking_until or now):
                self._settle({}, now)
        if not answer.full_report_needed:
            for end in self._told:
                end.after = _earlier(end.after, answer.revision)
        self._told = []
        if answer.reached_revision is not None:
            self._reached = answer.reached_revision

    def _settle(self, proven: dict[int, Use], now: float) -> None:
        """End the asking: zones of *proven* hold what is theirs, others may hold anything."""
        self.phase = "emptying"
        for zone, use in proven.items():
            if self._present.get(zone) == use and zone not in self._ends:
                self._write(zone, use)
        for zone in list(self._present):
            self._judge(zone, now)
        self._look_if_certain()

    def is_hurrying(self, now: float) -> bool:
        """Tell whether to wait a moment with a report: zones are just being emptied.

        What is reported without an ofport in between would lose its flows for that moment.
        """
        if self.phase == "emptying":
            return True
        return any(
            end.after == _AT_ONCE and zone in self._present and now < end.since + HURRY_S
            for zone, end in self._ends.items()
        )

    def _look_if_certain(self) -> None:
        hurries = any(end.after == _AT_ONCE for end in self._ends.values())
        if self.phase == "emptying" and not hurries:
            self.phase = "certain"

    def want(self, state: HostState) -> None:
        """Take in a host state: which of our ports are not here, at the state's revision."""
        self._released = frozenset(state.released)
        self._released_at = state.revision
        self._cleaned &= self._released

    # --- emptying -------------------------------------------------------------------------------

    def due(self, now: float) -> list[Chore]:
        """Return which zones may be emptied now, each once.

        What was emptied when patience ended is emptied again when its flows are gone, for they may
        have filled it meanwhile. It goes as a whole: the port that is there now has had its flows
        for moments, as they come with the end of the other's or after it, and its connections are
        taken up again by their next packets. Addresses would not tell whose an entry is: one of a
        connection between the two has both.
        """
        found = [Chore(zone) for zone, end in self._ends.items() if self._is_due(zone, end, now)]
        found += [
            Chore(zone, again=True)
            for zone, end in self._early.items()
            if zone not in self._ends and self._is_confirmed(end)
        ]
        waiting = self._released - self._cleaned
        if waiting and self._released_at <= self._reached:
            found += [
                Chore(zone, use.port_id)
                for zone, use in self.uses.items()
                if use is not None and use.port_id in waiting and zone not in self._ends
            ]
        return found

    def _is_due(self, zone: int, end: _End, now: float) -> bool:
        return self._is_confirmed(end) or self._is_tired(zone, end, now)

    def _is_confirmed(self, end: _End) -> bool:
        return end.after is not None and (end.after == _AT_ONCE or end.after <= self._reached)

    def _is_tired(self, zone: int, end: _End, now: float) -> bool:
        return zone in self._present and end.since + PATIENCE_S <= now

    def is_waiting(self) -> bool:
        """Tell whether an interface cannot be reported before the switch has confirmed more."""
        return any(zone in self._present for zone in self._ends)

    def is_pending(self) -> bool:
        """Tell whether a zone is to be emptied once the switch has confirmed more."""
        known = {use.port_id for use in self.uses.values() if use} if self._released else set[str]()
        return bool(self._ends or self._early or (self._released - self._cleaned) & known)

    def is_early(self) -> bool:
        """Tell whether a zone was emptied before the switch had confirmed that flows are gone."""
        return bool(self._early)

    def emptied(self, chore: Chore) -> str | None:
        """Note that a zone is empty now.

        Returns:
            the UUID of an interface that may be reported at its ofport from now on; None: there
            is no such.
        """
        zone, present = chore.zone, self._present.get(chore.zone)
        if chore.released:
            self._cleaned.add(chore.released)
            return None
        if chore.again:
            if self._early.pop(zone, None) is not None:
                self._write(zone, self.uses.get(zone))
            return None
        if (end := self._ends.get(zone)) is None:
            return None
        if present is None and not self._is_confirmed(end):
            return None  # who has waited is gone, so there is time
        del self._ends[zone]
        self._begin(zone, present, end)
        self._look_if_certain()
        return present.interface_uuid if present is not None else None

    def nothing_tracked(self) -> list[str]:
        """Note that there are no entries at all, in any zone of the datapath.

        Returns:
            the UUIDs of interfaces that may be reported at their ofports from now on.
        """
        if self.phase != "certain":
            return []
        self.complete = True
        found = [self.emptied(Chore(zone)) for zone, end in list(self._ends.items()) if _idle(end)]
        return [uuid for uuid in found if uuid is not None]

    def _begin(self, zone: int, present: Use | None, end: _End) -> None:
        """Note the next use of a zone that was emptied at *end*.

        Until flows of earlier uses are known to be gone the record names none, so that an agent
        that starts meanwhile waits for that, too.
        """
        if not self._is_confirmed(end):
            self._early[zone] = end
        elif end.after != _AT_ONCE:  # flows of uses before that one are gone, too
            self._early.pop(zone, None)
        self._write(zone, present)
        if zone in self._early:
            self.uses[zone], self._written[zone] = present, ANYBODY

    # --- record ---------------------------------------------------------------------------------

    def _write(self, zone: int, use: Use | None) -> None:
        self._written[zone] = use
        if use is None and self.complete:
            self.uses.pop(zone, None)
        else:
            self.uses[zone] = use

    def recorded(self) -> dict[int, Use | None]:
        """Return what a whole record says."""
        return self.uses | dict.fromkeys(self._early, ANYBODY)

    def take_written(self) -> dict[int, Use | None]:
        """Return what is to be added to the record, and consider it added."""
        written, self._written = self._written, {}
        return written


def _earlier(known: int | None, told: int | None) -> int:
    """Return the lower revision: one that a controller restored from a copy still has to reach."""
    if told is None:
        return _AT_ONCE
    return told if known is None else min(known, told)


def _idle(end: _End) -> bool:
    """Tell whether no flow of the controller's fills the zone."""
    return end.after == _AT_ONCE


def _port_of(row: InterfaceRow) -> str:
    """Return the port that an interface of br-int is for; empty: none."""
    port_id = row.external_ids.get("iface-id", "")
    return port_id if ids.is_id("port", port_id) and not row.foreign else ""
