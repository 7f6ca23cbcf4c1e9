"""Forgets connections of addresses that changed hands: drives ovs-vswitchd, and keeps the record.

What is to be done when is decided in ``agent.decide.handovers``.
"""

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path

from agent.decide.handovers import Finder, Handovers, Search
from agent.host import Host
from agent.jsonrpc import RpcError
from agent.ovs_process import REST, Vswitchd
from agent.settings import Settings
from agent.statedir import write_atomically
from agent.wire.report import ReportAnswer
from agent.wire.state import HostState
from agent.zones import ASK_SOON_S, RETRY_S, boot_id

log = logging.getLogger(__name__)

_TIMES = 2
"""So often a zone is looked at where something is found. Before Open vSwitch 3.1.1 some entries may
be missed; but not until there are none, for the new port makes its own."""


class HandoverKeeper:
    """Looks through zones when the controller tells of addresses that changed hands.

    Args:
        settings: with the state directory.
        host: knows the zones.
        vswitchd: whose conntrack it is.
        report: asks for a report now.
    """

    def __init__(
        self, settings: Settings, host: Host, vswitchd: Vswitchd, report: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._path = settings.state_dir / "handovers"
        self._host = host
        self._vswitchd = vswitchd
        self._report = report
        self._handovers = Handovers(_read(self._path, settings.host_id))
        self._saved: int | None = self._handovers.done
        self._wake = asyncio.Event()
        self._failures = 0
        self._asked = 0

    def want(self, state: HostState) -> None:
        """Take in a host state."""
        self._handovers.want(state)
        self._wake.set()

    def answered(self, answer: ReportAnswer) -> None:
        """Take in the answer to an accepted report."""
        self._handovers.answered(answer)
        if self._handovers.is_pending():
            self._wake.set()

    async def run(self) -> None:
        """Work for ever."""
        while True:
            await self._wait()
            try:
                await self._work()
            except RpcError as error:
                self._failures += 1
                log.log(
                    logging.WARNING if self._failures == 1 else logging.DEBUG,
                    "connections of addresses that changed hands cannot be deleted now: %s",
                    error,
                )
            else:
                self._failures = 0
            await self._save()

    async def _wait(self) -> None:
        """Wait for news, or the time to try again; ask now and then how far the switch is."""
        if self._failures:
            await asyncio.sleep(RETRY_S[min(self._failures, len(RETRY_S)) - 1])
            return
        if not self._handovers.is_pending():
            self._asked = 0
        asks = self._handovers.is_pending() and self._asked < len(ASK_SOON_S)
        try:
            async with asyncio.timeout(ASK_SOON_S[self._asked] if asks else None):
                await self._wake.wait()
        except TimeoutError:
            self._asked += 1
            self._report()
        self._wake.clear()

    async def _work(self) -> None:
        """Do what may be done now, with pauses.

        Raises:
            RpcError: ovs-vswitchd does not do it; it is to be tried again.
        """
        loop, zones = asyncio.get_running_loop(), self._host.zones
        while zones.phase == "certain" and (search := self._handovers.due(zones.uses)) is not None:
            started = loop.time()
            await self._search(search)
            self._handovers.finished(search)
            took = loop.time() - started
            await self._save()
            await asyncio.sleep(REST * took)

    async def _search(self, search: Search) -> None:
        datapath = self._host.datapath_type
        for zone, addresses in search.zones.items():
            for _ in range(_TIMES):
                finder = Finder(addresses)
                await self._vswitchd.connections(datapath, zone, finder.take)
                for address in sorted(finder.found):
                    await self._vswitchd.forget(datapath, zone, address)
                    log.debug("zone %d: connections of %s deleted", zone, address)
                if not finder.found:
                    break
            self._handovers.looked(search, zone)

    async def _save(self) -> None:
        """Write down what is done: an agent that is killed before does it once more."""
        done = self._handovers.done
        if done is None or done == self._saved:
            return
        what = {"host_id": self._settings.host_id, "kernel": boot_id(), "revision": done}
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, write_atomically, self._path, json.dumps(what))
        except OSError as error:
            text = f"cannot write {self._path}: {error.strerror}"
        else:
            self._saved, text = done, None
        if self._host.error("handovers", text):
            self._report()


def _read(path: Path, host_id: str) -> int | None:
    """Return the revision up to which an earlier agent has done everything; None: not known.

    A record of another boot of the kernel says nothing, for the entries are gone, too.
    """
    try:
        found = json.loads(path.read_text())
        if (found["host_id"], found["kernel"]) == (host_id, boot_id()):
            return int(found["revision"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.debug("%s: %s", path, error)
    return None
