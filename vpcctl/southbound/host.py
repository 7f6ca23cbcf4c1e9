"""One host: what is still to be sent to it, and how far it has come."""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from vpcctl.compile.transition import FlowTuple, HostChange
from vpcctl.flows.flow import meters_of
from vpcctl.southbound.encoded import Work
from vpcctl.southbound.session import Session
from vpcctl.store.realisation import HostRealised

State = Literal["in_sync", "pending", "degraded", "disconnected"]

_MAX_QUEUE_BYTES = 4 * 1024 * 1024
_MAX_QUEUE_WORKS = 4_096
_BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STABLE_S = 20.0
"""A connection that lasted this long starts the back-off over."""


@dataclass(slots=True)
class AuditMark:
    """What was planned for a host while it was being audited.

    Attributes:
        cookies: cookies of the flows that were planned to change.
        meters: numbers of the meters that were.
        everything: too much was; the audit says nothing.
    """

    cookies: set[int] = field(default_factory=set)
    meters: set[int] = field(default_factory=set)
    everything: bool = False

    def note(self, change: HostChange, *, has_program: bool) -> None:
        """Take note of a change and of whether it brings whole VPCs."""
        self.cookies.update(change.departed)
        for flows in (*change.removed, *change.written):
            self.cookies.update(flow.cookie for flow in flows)
            self.meters.update(meter.id for meter in meters_of(flows))
        self.meters.update(change.unmetered)
        self.everything = self.everything or has_program

    def covers(self, cookie: int, meter: int | None) -> bool:
        """Tell whether it was planned that a flow with this cookie, or this meter, changes."""
        return cookie in self.cookies if meter is None else meter in self.meters


class HostState:
    """Everything that the engine keeps of one host; small, whatever the size of its program.

    While it is ``waiting`` its switch is going to be compared and has not been read yet: what
    changes meanwhile need not be queued.
    """

    __slots__ = (
        *("id", "dpid", "session", "queue", "queued_bytes", "overflowed", "busy", "revision"),
        *("error", "flows", "marks", "_failures", "_connected_at", "state", "problem", "loading"),
        "waiting",
    )

    def __init__(self, host_id: str, dpid: int) -> None:
        self.id = host_id
        self.dpid = dpid
        self.session: Session | None = None
        self.queue: deque[Work] = deque()
        self.queued_bytes = 0
        self.overflowed = False
        self.busy = False
        self.revision = 0
        self.error: str | None = None
        self.problem: str | None = None
        self.flows = 0
        self.loading = True
        self.waiting = True
        self.marks: list[AuditMark] = []
        self.state: State = "disconnected"
        self._failures = 0
        self._connected_at = 0.0

    # --- queue ----------------------------------------------------------------------------------

    def enqueue(self, work: Work, change: HostChange | None = None) -> None:
        """Add work for a connected host; too much of it is replaced by one comparison later.

        Args:
            work: what to do.
            change: what it was made of, for audits that are under way; None for repairs.
        """
        if change is not None:
            for mark in self.marks:
                mark.note(change, has_program=work.has_program)
        self.queue.append(work)
        self.queued_bytes += work.size
        if self.queued_bytes > _MAX_QUEUE_BYTES or len(self.queue) > _MAX_QUEUE_WORKS:
            self.forget()
            self.overflowed = True

    def take(self) -> list[Work]:
        """Take what goes into one bundle: all that waits, up to the first that has a program."""
        works: list[Work] = []
        while self.queue and not (works and works[-1].has_program):
            works.append(self._next())
        return works

    def take_overtaking(self) -> list[Work]:
        """Take what waits first and may be sent while a program is still being read."""
        works: list[Work] = []
        while self.queue and self.queue[0].may_overtake:
            works.append(self._next())
        return works

    def _next(self) -> Work:
        work = self.queue.popleft()
        self.queued_bytes -= work.size
        return work

    def forget(self) -> None:
        """Drop what waits: a comparison will find it."""
        self.queue.clear()
        self.queued_bytes = 0

    def disturb_audits(self) -> None:
        """Have audits that are under way say nothing: the whole switch is put right meanwhile."""
        for mark in self.marks:
            mark.everything = True

    @property
    def is_idle(self) -> bool:
        """Whether nothing is waiting or under way."""
        return not (self.busy or self.queue or self.overflowed)

    @property
    def is_ready(self) -> bool:
        """Whether all that was ever new on the host has been confirmed, so that it may relay."""
        if self.session is None or self.loading or self.overflowed or self.problem is not None:
            return False
        return not any(work.has_program for work in self.queue)

    def fitted(self, flows: FlowTuple) -> FlowTuple:
        """Return *flows* without what the connected switch cannot do."""
        return flows if self.session is None else self.session.meters.fitted(flows)

    # --- standing -------------------------------------------------------------------------------

    def connected(self, session: Session) -> float:
        """Note a connection and return how many seconds to hold back before working on it."""
        self.session = session
        self.state = "pending"
        self.loading = self.waiting = True
        self.error = None
        pause = _BACKOFF_S[min(self._failures, len(_BACKOFF_S) - 1)]
        self._connected_at = time.monotonic()
        return pause

    def disconnected(self, reason: str) -> None:
        """Note the loss of the connection."""
        stable = time.monotonic() - self._connected_at > _STABLE_S
        self._failures = 0 if stable else self._failures + 1
        self.session = None
        self.forget()
        self.overflowed = self.busy = False
        self.state = "disconnected"
        self.error = self.problem or reason
        self.problem = None

    def acknowledge(self, revision: int) -> None:
        """Note that the host has confirmed everything up to *revision*."""
        self.revision = max(self.revision, revision)
        if self.problem is None:
            self.state = "pending" if self.queue or self.overflowed else "in_sync"
            self.error = None
        else:
            self.state = "degraded"
            self.error = self.problem

    def degrade(self, problem: str | None) -> None:
        """Note what keeps the host from being right, or that nothing does any more."""
        self.problem = problem
        if problem is not None:
            self.state = "degraded"
            self.error = problem

    def realised(self) -> HostRealised:
        """Return the host's standing for the record."""
        return HostRealised(self.id, self.revision, self.state, self.error, self.flows)
