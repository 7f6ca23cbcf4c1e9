"""Makes, changes and removes namespace attachments until they are as the host state wants."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence

from agent.decide import marks, work
from agent.decide.rows import InterfaceRow, UnplugWish, Wish
from agent.ovsdb import OvsdbError
from agent.wire.state import Attachment
from agent.worker import Worker
from vpcctl.model import ids

log = logging.getLogger(__name__)

BATCH = 16
DELETIONS = 4
AUDIT_S = 60.0
_RETRY_S = 1.0

Apply = Callable[[Sequence[Wish]], Awaitable[None]]
"""Carries out wishes in one OVSDB transaction; raises OvsdbError."""


class Reconciler:
    """The attachments of one host.

    Args:
        worker: netlink's thread.
        apply: OVSDB.
        bridge: name of the integration bridge.
        owner: host id that marks what we make.
        changed: told when a problem appeared or went.

    Attributes:
        ledger: what is wanted and done.
    """

    def __init__(
        self,
        worker: Worker,
        apply: Apply,
        *,
        bridge: str,
        owner: str,
        changed: Callable[[], None],
    ) -> None:
        self._worker = worker
        self._apply = apply
        self._bridge = bridge
        self._owner = owner
        self._changed = changed
        self._wake = asyncio.Event()
        self._loaded = False
        self._may_remove = False
        self._ends: dict[str, str] = {}
        self._namespaces: set[str] = set()  # to be released when nothing is left in them
        self._devices: set[str] = set()  # host ends that were unplugged
        self._retry_removals_at = 0.0
        self._making: set[str] = set()
        self._disturbed: set[str] = set()
        self.ledger = work.Ledger()

    def want(self, attachments: Sequence[Attachment]) -> None:
        """Take in the attachments of a new host state."""
        self.ledger.want(attachments)
        self._ends = {marks.host_end(port_id): port_id for port_id in self.ledger.wanted}
        self._loaded = True
        self._wake.set()

    def may_remove(self) -> None:
        """What is not wanted may go from now on: the controller itself has said what is."""
        self._may_remove = True
        self._wake.set()

    def found(self, port_ids: Sequence[str], namespaces: Sequence[str]) -> None:
        """Take in what carries our mark on the host; what is not wanted of it is removed."""
        self.ledger.leftover.update(port_ids)
        self._namespaces.update(namespaces)
        self._wake.set()

    def device_gone(self, name: str) -> None:
        """A device is gone: if it was the host end of a pair, look at that attachment."""
        self._suspect(self._ends.get(name))

    def row_changed(self, row: InterfaceRow) -> None:
        """An OVS interface changed: if it is our pair's and lost its iface-id, look at it."""
        port_id = self._ends.get(row.name)
        if port_id is not None and row.external_ids.get("iface-id") != port_id:
            self._suspect(port_id)

    def suspect_all(self) -> None:
        """Look at every attachment again."""
        self.ledger.suspect.update(self.ledger.done)
        self._wake.set()

    def _suspect(self, port_id: str | None) -> None:
        if port_id is None:
            return
        if port_id in self._making:
            self._disturbed.add(port_id)
        if port_id in self.ledger.done:
            self.ledger.suspect.add(port_id)
            self._wake.set()

    async def run(self) -> None:
        """Work for ever; nothing is touched before the first host state."""
        audit_at = time.monotonic() + AUDIT_S
        while True:
            await self._wait(audit_at)
            if not self._loaded:
                continue
            if time.monotonic() >= audit_at:
                self.suspect_all()
                audit_at = time.monotonic() + AUDIT_S
            while await self._step():
                pass

    async def _wait(self, audit_at: float) -> None:
        times = [audit_at, self.ledger.next_retry() or audit_at]
        if self._may_remove and (self._devices or self._namespaces or self.ledger.to_remove()):
            times.append(max(self._retry_removals_at, time.monotonic()))
        try:
            async with asyncio.timeout(max(0.0, min(times) - time.monotonic())):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def _step(self) -> bool:
        """Do the next piece of work, what is new before what is to go; tell whether any was."""
        batch = self.ledger.to_make(time.monotonic())[:BATCH]
        if batch:
            await self._make(batch)
            return True
        if not self._may_remove or time.monotonic() < self._retry_removals_at:
            return False
        removals = self.ledger.to_remove()
        if removals:
            return await self._unplug(removals)
        if self._devices:
            return await self._delete()
        return await self._release()

    async def _make(self, batch: Sequence[Attachment]) -> None:
        for each in batch:
            before = self.ledger.done.get(each.port_id)
            if before is not None and before.netns and before.netns != each.netns:
                self._namespaces.add(before.netns)
        self._making, self._disturbed = {each.port_id for each in batch}, set()
        try:
            await self._make_now(batch)
        finally:
            # What was heard of them while they were being made may be news: look again.
            self.ledger.suspect.update(self._disturbed & self.ledger.done.keys())
            self._making = set()

    async def _make_now(self, batch: Sequence[Attachment]) -> None:
        started = time.perf_counter()
        results = await self._worker.run(lambda: [self._converge(each) for each in batch])
        devices = time.perf_counter()
        made = [each for each, problem in zip(batch, results, strict=True) if problem is None]
        for each, problem in zip(batch, results, strict=True):
            if problem is not None:
                self._fail(each, problem)
        if made and not await self._plug(made):
            for each in made:
                await self._plug([each])
        log.debug(
            "%d of %d attachments made: devices %.1f ms, OVSDB %.1f ms",
            len(made),
            len(batch),
            (devices - started) * 1000,
            (time.perf_counter() - devices) * 1000,
        )

    def _converge(self, wanted: Attachment) -> str | None:
        """Make devices and addresses in the worker thread; return what went wrong."""
        try:
            self._worker.attachments.converge(wanted)
        except Exception as error:  # one attachment's trouble must not reach the others
            log.debug("attachment of %s", wanted.port_id, exc_info=True)
            return str(error) or type(error).__name__
        return None

    async def _plug(self, made: Sequence[Attachment]) -> bool:
        """Put host ends onto br-int; tell whether that went well for all."""
        try:
            await self._apply([work.plug(each, self._bridge, self._owner) for each in made])
        except OvsdbError as error:
            if len(made) == 1:
                self._fail(made[0], str(error))
            return len(made) == 1
        for each in made:
            if each.port_id in self.ledger.failed:
                log.info("attachment of %s made after all", each.port_id)
                self._changed()
            self.ledger.succeeded(each)
        return True

    def _fail(self, wanted: Attachment, text: str) -> None:
        before = self.ledger.failed.get(wanted.port_id)
        self.ledger.failure(wanted.port_id, text, time.monotonic(), random.random())  # noqa: S311
        if before is None or before.text != text:
            log.warning("attachment of %s cannot be made: %s", wanted.port_id, text)
            self._changed()

    async def _unplug(self, port_ids: Sequence[str]) -> bool:
        """Take host ends off br-int, all at once; their devices go afterwards."""
        ends = [marks.host_end(port_id) for port_id in port_ids]
        try:
            await self._apply([UnplugWish(self._bridge, end, self._owner) for end in ends])
        except OvsdbError as error:
            log.warning("attachments cannot be removed: %s", error)
            self._retry_removals_at = time.monotonic() + _RETRY_S
            return False
        for port_id in port_ids:
            before = self.ledger.done.get(port_id)
            if before is not None and before.netns is not None:
                self._namespaces.add(before.netns)
            self.ledger.removed(port_id)
        self._devices.update(ends)
        return True

    async def _delete(self) -> bool:
        """Delete some devices that were unplugged; few, so that new attachments need not wait."""
        self._devices -= self._ends.keys()  # wanted again in the meantime
        names = sorted(self._devices)[:DELETIONS]
        failed = await self._worker.run(lambda: [name for name in names if not self._gone(name)])
        self._devices.difference_update(names)
        self._devices.update(failed)
        if failed:
            self._retry_removals_at = time.monotonic() + _RETRY_S
        return not failed

    def _gone(self, name: str) -> bool:
        try:
            self._worker.attachments.delete_link(name)
        except Exception as error:  # netlink's own errors are plain Exceptions
            log.warning("device %s cannot be deleted: %s", name, error)
            return False
        return True

    async def _release(self) -> bool:
        """Remove namespaces of ours that nothing is left in; look again later where not."""
        wanted = {each.netns for each in self.ledger.wanted.values()}
        self._namespaces -= {name for name in self._namespaces if name in wanted}
        candidates = sorted(self._namespaces)[:BATCH]
        if not candidates:
            return False
        results = await self._worker.run(lambda: [self._try_release(name) for name in candidates])
        gone = [name for name, done in zip(candidates, results, strict=True) if done]
        self._namespaces.difference_update(gone)
        if not gone:
            self._retry_removals_at = time.monotonic() + _RETRY_S
        return bool(gone)

    def _try_release(self, netns: str) -> bool:
        try:
            return self._worker.attachments.release_namespace(netns)
        except Exception as error:  # netlink's own errors are plain Exceptions
            log.warning("network namespace %s cannot be removed: %s", netns, error)
            return False


def ports_of(names_and_ids: dict[str, str]) -> list[str]:
    """Return the port ids of OVS ports (name → iface-id) that are host ends of our pairs."""
    return [
        port_id
        for name, port_id in names_and_ids.items()
        if ids.is_id("port", port_id) and name == marks.host_end(port_id)
    ]
