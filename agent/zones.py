"""Keeps conntrack zones clean: drives ovs-vswitchd, and keeps the record on disk.

What is to be done when is decided in ``agent.decide.zones``.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from agent.decide import zone_record
from agent.decide.zone_record import Header
from agent.decide.zones import Chore, Zones
from agent.host import Host
from agent.jsonrpc import RpcError
from agent.ovs_process import Vswitchd
from agent.settings import Settings
from agent.wire.report import ReportAnswer
from agent.wire.state import HostState

log = logging.getLogger(__name__)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LOOK_S = 0.5
"""How often to look if patience has ended."""
RETRY_S = (0.05, 0.2, 1.0, 5.0)
"""Before what ovs-vswitchd has not done is tried again."""
ASK_SOON_S = (0.02, 0.05, 0.1, 0.2, 0.5)
"""Before reports whose answers may say that the switch has confirmed what somebody waits for."""
_ASK_S = (0.25, 1.0)
_ASK_UNCHANGED_S = 0.1
_LINES_MORE = 256
"""So many lines more than zones a record may have before it is written anew."""


class Record:
    """The record in the state directory: made as a whole, then added to.

    It need not outlive a power cut, which ends the entries, too; so nothing waits for the disk.
    """

    def __init__(self, settings: Settings) -> None:
        self._host_id = settings.host_id
        self._path = settings.state_dir / "zones"
        self._stream: IO[str] | None = None
        self._lines = 0

    def load(self) -> Zones:
        """Return what is known from an earlier agent."""
        try:
            found = zone_record.read(self._path.read_text())
        except (OSError, UnicodeDecodeError):
            found = None
        if found is None or found[0].host_id != self._host_id:
            return Zones(complete=False, asks=True)
        header, uses = found
        if header.kernel != boot_id():
            return Zones()
        return Zones(uses, complete=header.complete)

    def add(self, zones: Zones) -> str | None:
        """Add what has changed; return an error that keeps a record from being there.

        None is better than a wrong one: what cannot be added to is removed.
        """
        written = zones.take_written()
        if not written and self._stream is not None:
            return None
        try:
            if self._stream is None or self._lines > len(zones.uses) + _LINES_MORE:
                self._renew(zones)
            elif written:
                self._stream.write(zone_record.lines(written))
                self._stream.flush()
                self._lines += len(written)
        except OSError as error:
            self.forget()
            return f"cannot write {self._path}: {error.strerror}"
        return None

    def forget(self) -> None:
        """Remove it, so that the next :meth:`add` makes it anew."""
        if self._stream is not None:
            try:
                self._stream.close()
            except OSError as error:  # what was not written yet cannot be either now
                log.debug("%s: %s", self._path, error)
        self._stream = None
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", self._path, error.strerror)

    def _renew(self, zones: Zones) -> None:
        """Write a whole record beside the old one and put it in its place."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._path.with_name("zones.new")
        fresh.unlink(missing_ok=True)
        fd = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        stream = os.fdopen(fd, "w")
        try:
            header = Header(self._host_id, boot_id(), zones.complete)
            stream.write(zone_record.write(header, zones.recorded()))
            stream.flush()
            fresh.replace(self._path)
        except OSError:
            stream.close()
            raise
        self._stream, self._lines = stream, len(zones.uses)


class ZoneKeeper:
    """Empties zones as soon as they may be emptied.

    Args:
        settings: with the state directory.
        host: knows the interfaces; has its zones from here.
        vswitchd: whose conntrack it is.
        report: asks for a report now.
    """

    def __init__(
        self, settings: Settings, host: Host, vswitchd: Vswitchd, report: Callable[[], None]
    ) -> None:
        self._host = host
        self._vswitchd = vswitchd
        self._report = report
        self._record = Record(settings)
        self._zones = host.zones = self._record.load()
        self._wake = asyncio.Event()
        self._failures = 0
        self._asked = 0
        self._ask: asyncio.TimerHandle | None = None
        self._must_count = True

    def want(self, state: HostState) -> None:
        """Take in a host state: which of our ports are not here (any more)."""
        self._zones.want(state)
        self._wake.set()

    def changed(self, *, everything: bool) -> None:
        """Hear that interfaces have changed: they have been taken in, and are not reported yet.

        Args:
            everything: all of OVSDB has been read.
        """
        if everything:
            self._zones.finish_reading(self._now())
        self._keep_record()
        self._wake.set()

    def sending(self) -> None:
        """Hear that a report of the interfaces as they are leaves now."""
        self._zones.sending(self._now())
        self._keep_record()

    def answered(self, answer: ReportAnswer) -> None:
        """Take in the answer to an accepted report."""
        self._zones.answered(answer, self._now())
        if self._zones.phase == "asking":
            asyncio.get_running_loop().call_later(_ASK_UNCHANGED_S, self._report)
        self._keep_record()
        self._wake.set()

    def vswitchd_started(self) -> None:
        """Hear that there is a new ovs-vswitchd, perhaps with empty zones."""
        self._must_count, self._failures = True, 0
        self._wake.set()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _keep_record(self) -> None:
        if self._zones.phase != "certain":
            return  # none at all is what the next agent has to find, should this one be killed
        if self._host.error("zones", self._record.add(self._zones)):
            self._report()

    async def run(self) -> None:
        """Work for ever."""
        while True:
            await self._wait()
            try:
                await self._work()
            except RpcError as error:
                self._failures += 1
                if self._failures == 1:
                    self._report()  # without those that wait
                log.log(
                    logging.WARNING if self._failures == 1 else logging.DEBUG,
                    "conntrack zones cannot be emptied now: %s",
                    error,
                )
            else:
                self._failures = 0
            self._ask_again()

    async def _wait(self) -> None:
        """Wait for news, or for the time to try again, which no news makes come earlier."""
        if self._failures:
            await asyncio.sleep(RETRY_S[min(self._failures, len(RETRY_S)) - 1])
        else:
            try:
                async with asyncio.timeout(_LOOK_S if self._zones.is_waiting() else None):
                    await self._wake.wait()
            except TimeoutError:
                pass
        self._wake.clear()

    async def _work(self) -> None:
        """Do what may be done now.

        Raises:
            RpcError: ovs-vswitchd does not do it; it is to be tried again.
        """
        datapath = self._host.datapath_type
        while chores := self._zones.due(self._now()):
            for chore in chores:
                await self._vswitchd.empty_zone(datapath, chore.zone)
                self._done(chore)
        if self._must_count and self._zones.phase == "certain" and not self._zones.complete:
            tracked = await self._vswitchd.tracked(datapath)
            self._must_count = tracked is None and datapath == "netdev"
            if tracked == 0:
                self._let_claim(self._zones.nothing_tracked())
                self._record.forget()
                self._keep_record()

    def _done(self, chore: Chore) -> None:
        log.debug("zone %d emptied%s", chore.zone, chore.released and f": {chore.released} left")
        was_emptying = self._zones.phase == "emptying"
        uuid = self._zones.emptied(chore)
        self._keep_record()
        self._let_claim([uuid] if uuid is not None else [])
        if was_emptying and self._zones.phase == "certain":
            self._report()

    def _let_claim(self, uuids: Sequence[str]) -> None:
        """Report interfaces at their ofports whose zones are empty now."""
        for uuid in uuids:
            if self._host.take_again(uuid):
                self._report()

    def _ask_again(self) -> None:
        """Have a report sent soon whose answer may say that the switch has confirmed more."""
        if self._ask is not None:
            self._ask.cancel()
            self._ask = None
        if not self._zones.is_pending():
            self._asked = 0
            return
        early = self._zones.is_early()  # the sooner it is known, the less is cut
        delays = ASK_SOON_S if early or self._zones.is_waiting() else _ASK_S
        if self._asked < len(delays) or early:
            delay = delays[min(self._asked, len(delays) - 1)]
            self._ask = asyncio.get_running_loop().call_later(delay, self._ask_now)

    def _ask_now(self) -> None:
        self._ask = None
        self._asked += 1
        self._report()


def boot_id() -> str:
    """Return what is another text after each boot of the kernel."""
    return _BOOT_ID.read_text().strip()
