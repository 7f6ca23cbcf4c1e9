"""The event stream: one reader of the database for all streams, and a ring of recent events."""

from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import structlog
from pydantic_core import to_json

from api.context import SELF, Context
from api.schemas import events as schema
from api.wakeups import Pulse
from vpcctl.model.problems import Invalid, Unavailable
from vpcctl.services.views import Actor, EventView

Position = tuple[int, int]
T = TypeVar("T")

_RING = 5000
_BATCH = 500
_LAST = 2**31 - 1
_LARGEST = 2**63 - 1


def parse_position(text: str, field: str) -> Position:
    """Return the position that an event id (``<revision>.<sequence>``) or revision names.

    Raises:
        Invalid: it is neither.
    """
    revision, dot, sequence = text.partition(".")
    numbers = [revision, sequence] if dot else [revision]
    if all(number.isascii() and number.isdigit() and len(number) <= 19 for number in numbers):
        position = (int(revision), int(sequence) if dot else _LAST)
        if position[0] <= _LARGEST and position[1] <= _LAST:
            return position
    raise Invalid(
        f"{field} is no position in the event stream",
        field=field,
        accepted="<revision> or <revision>.<sequence>",
    )


def frame(event: EventView) -> bytes:
    """Return *event* as one server-sent event."""
    data = to_json(schema.render(event))
    return b"id: %d.%d\ndata: %s\n\n" % (event.revision, event.sequence, data)


class EventHub:
    """Follows the stored events while anybody listens.

    The ring holds every event in ``(ring start, cursor]``, so a stream within that range needs
    no query; one that is further behind reads the database until it has caught up.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._ring: deque[EventView] = deque()
        self._start: Position = (0, 0)
        self._cursor: Position = (0, 0)
        self._followed = False
        self._streams = 0
        self._of_tenants: Counter[str] = Counter()
        self._news = Pulse()
        self._wanted = Pulse()

    @property
    def streams(self) -> int:
        """Number of streams open."""
        return self._streams

    def streams_of(self, tenant_id: str) -> int:
        """Return the number of streams open by a tenant's tokens."""
        return self._of_tenants[tenant_id]

    async def run(self) -> None:
        """Follow the events until cancelled."""
        log = structlog.get_logger("api.events")
        while True:
            if not self._streams:
                self._followed = False
                await self._wanted.wait(3600.0)
                continue
            try:
                await self._follow()
            except Exception as error:  # the database may be away for a while: try again
                log.warning("events cannot be read", error=str(error))
            await self._pause()

    async def _pause(self) -> None:
        wakeups = self._context.wakeups
        with wakeups.pulse("realised").held() as realised:
            await wakeups.pulse("written").wait(self._context.config.poll_s, realised)

    async def _follow(self) -> None:
        events = self._context.services.events
        if not self._followed:
            self._cursor = self._start = await self._context.aside(events.latest)
            self._ring.clear()
            self._followed = True
            self._news.fire()
        while batch := await self._context.aside(events.since, SELF, self._cursor, _BATCH):
            self._ring.extend(batch)
            self._cursor = (batch[-1].revision, batch[-1].sequence)
            while len(self._ring) > _RING:
                gone = self._ring.popleft()
                self._start = (gone.revision, gone.sequence)
            self._news.fire()

    async def stream(
        self, actor: Actor, after: Position | None, stands: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[bytes]:
        """Yield frames for *actor* from *after* (None: from now) until the process stops.

        It ends before the first frame for which *stands* does not tell that the token still does.
        """
        self._streams += 1
        self._of_tenants[actor.tenant_id or ""] += 1
        self._context.metrics.streams.set(self._streams)
        self._wanted.fire()
        try:
            yield b"retry: 1000\n: connected\n\n"
            position = after
            if position is None:
                position = await self._patiently(self._context.services.events.latest)
            elif position[0] < await self._patiently(self._context.services.events.pruned):
                yield b'event: reset\ndata: {"detail":"older events are gone; list again"}\n\n'
            while not self._context.stopped:
                frames, position = await self._read(actor, position)
                is_idle = not frames and not await self._more(position)
                if not await stands():
                    return
                if is_idle:
                    yield b": keep-alive\n\n"
                elif frames:
                    yield b"".join(frames)
        except Unavailable:  # this process stops while the database is away
            return
        finally:
            self._streams -= 1
            self._of_tenants[actor.tenant_id or ""] -= 1
            self._of_tenants += Counter()  # forgets who has none
            self._context.metrics.streams.set(self._streams)

    async def _patiently(self, read: Callable[..., T], *arguments: Any) -> T:
        """Return what *read* returns, once the database answers: the stream has begun.

        Raises:
            Unavailable: this process stops before.
        """
        while True:
            try:
                return await self._context.aside(read, *arguments)
            except Unavailable:
                if self._context.stopped:
                    raise
            with self._context.stopping.held() as stopping:
                await self._news.wait(self._context.config.poll_s, stopping)

    async def _more(self, position: Position) -> bool:
        """Wait for news beyond *position*; False when only the keep-alive time has passed."""
        if self._followed and self._cursor > position:
            return True
        with self._context.stopping.held() as stopping:
            return await self._news.wait(self._context.config.keep_alive_s, stopping)

    async def _read(self, actor: Actor, after: Position) -> tuple[list[bytes], Position]:
        cursor = self._cursor
        if self._followed and after >= self._start:
            seen = [event for event in self._ring if (event.revision, event.sequence) > after]
            frames = [frame(event) for event in seen if _may_see(actor, event)]
            return frames, max(after, cursor)
        followed = self._followed
        events = await self._patiently(self._context.services.events.since, actor, after, _BATCH)
        if events:
            after = (events[-1].revision, events[-1].sequence)
        if len(events) < _BATCH and followed:
            after = max(after, cursor)
        return [frame(event) for event in events], after


def _may_see(actor: Actor, event: EventView) -> bool:
    return actor.role == "admin" or (
        actor.role == "tenant" and bool(actor.tenant_id) and event.tenant_id == actor.tenant_id
    )
