"""Tells the database how far the hosts have come: one write a round, never in the way of sending."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from vpcctl.store.realisation import HostRealised

log = structlog.get_logger(__name__)

_GATHER_S = 0.02
"""How long a write waits for the hosts of its round to confirm."""
_RETRY_S = 1.0
_REPEAT_S = 60.0
_MAX_EVENTS = 2_000


class Outputs(Protocol):
    """Where it is written to (``vpcctl.store.realisation.RealisationStore``)."""

    def record(self, processed_revision: int, hosts: Sequence[HostRealised]) -> None: ...
    def event(self, kind: str, resource_id: str, detail: str) -> None: ...


class Recorder:
    """Gathers standings and events; writes them from a thread, in order, until it succeeds."""

    def __init__(self, outputs: Outputs, standing: Callable[[str], HostRealised | None]) -> None:
        self._outputs = outputs
        self._standing = standing
        self._processed = 0
        self._written = -1
        self._hosts: set[str] = set()
        self._waiting: set[str] = set()
        self._events: deque[tuple[str, str, str]] = deque(maxlen=_MAX_EVENTS)
        self._told: dict[tuple[str, str, str], float] = {}
        self._changed = asyncio.Event()
        self._complete = asyncio.Event()

    def round(self, processed: int, waiting: Sequence[str]) -> None:
        """Note that the feed is taken up to *processed*; *waiting* hosts have work from it."""
        self._processed = processed
        self._waiting.update(waiting)
        self._hosts.update(waiting)
        self._settle()

    def host(self, host_id: str, *, settled: bool = True) -> None:
        """Note that a host's standing changed; *settled*: it has nothing more to send."""
        self._hosts.add(host_id)
        if settled:
            self._waiting.discard(host_id)
        self._settle()

    def _settle(self) -> None:
        if self._waiting:
            self._complete.clear()
        else:
            self._complete.set()
        self._changed.set()

    def event(self, kind: str, resource_id: str, detail: str) -> None:
        """Put something into the event stream; the same thing at most once a minute."""
        key, now = (kind, resource_id, detail), time.monotonic()
        if now - self._told.get(key, -_REPEAT_S) < _REPEAT_S:
            return
        if len(self._told) >= _MAX_EVENTS:
            self._told.clear()
        self._told[key] = now
        self._events.append(key)
        self._changed.set()

    async def run(self) -> None:
        """Write whenever there is something to write."""
        while True:
            await self._changed.wait()
            if self._waiting:
                try:
                    async with asyncio.timeout(_GATHER_S):
                        await self._complete.wait()
                except TimeoutError:
                    self._waiting.clear()
            self._changed.clear()
            if not await self._write():
                self._changed.set()
                await asyncio.sleep(_RETRY_S)

    async def flush(self) -> None:
        """Write what there is, once."""
        await self._write()

    async def _write(self) -> bool:
        hosts, self._hosts = self._hosts, set()
        found = (self._standing(host_id) for host_id in hosts)
        rows = [standing for standing in found if standing is not None]
        processed, events = self._processed, list(self._events)
        try:
            if rows or processed != self._written:
                await asyncio.to_thread(self._outputs.record, processed, rows)
                self._written = processed
            for event in events:
                await asyncio.to_thread(self._outputs.event, *event)
                self._events.popleft()
        except Exception as error:  # whatever a database says: it is tried again
            log.warning("cannot record what is realised", error=str(error))
            self._hosts |= hosts
            return False
        return True
