"""Ends connections of NAT gateways whose EIP or port forward is gone: drives ovs-vswitchd.

What is to be deleted when is decided in ``agent.decide.nat_zones``.
"""

import asyncio
import logging
import math
from collections.abc import Callable

from agent.decide.nat_zones import Finder, Look, NatZones
from agent.host import Host
from agent.jsonrpc import RpcError
from agent.ovs_process import REST, Vswitchd
from agent.wire.report import ReportAnswer
from agent.wire.state import HostState
from agent.zones import ASK_SOON_S

log = logging.getLogger(__name__)


class NatZoneKeeper:
    """Looks through the zones of this host's NAT gateways after changes, and at the start.

    Args:
        host: knows the datapath's type.
        vswitchd: whose conntrack it is.
        report: asks for a report now.
    """

    def __init__(self, host: Host, vswitchd: Vswitchd, report: Callable[[], None]) -> None:
        self._host = host
        self._vswitchd = vswitchd
        self._report = report
        self._zones = NatZones()
        self._wake = asyncio.Event()
        self._asked = 0
        self._has_failed = False
        self._walked_s = 0.0

    def want(self, state: HostState) -> None:
        """Take in a host state."""
        self._zones.want(state)
        self._asked = 0
        self._wake.set()

    def answered(self, answer: ReportAnswer) -> None:
        """Take in the answer to an accepted report."""
        self._zones.answered(answer)
        if self._zones.next_at() < math.inf:
            self._wake.set()

    async def run(self) -> None:
        """Work for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wait()
            while (look := self._zones.due(loop.time())) is not None:
                await self._do(look)
                await asyncio.sleep(REST * self._walked_s)

    async def _wait(self) -> None:
        """Wait for news, or for the next look; ask now and then how far the switch is."""
        pause = self._zones.next_at() - asyncio.get_running_loop().time()
        asks = self._zones.is_waiting() and self._asked < len(ASK_SOON_S)
        ask = ASK_SOON_S[self._asked] if asks else math.inf
        delay = max(0.0, min(pause, ask))
        try:
            async with asyncio.timeout(delay if delay < math.inf else None):
                await self._wake.wait()
        except TimeoutError:
            if ask <= pause:
                self._asked += 1
                self._report()
        self._wake.clear()

    async def _do(self, look: Look) -> None:
        """Look at a zone, and delete what nothing explains; later once more if it fails."""
        try:
            is_clean = await self._look(look)
        except RpcError as error:
            log.log(
                logging.DEBUG if self._has_failed else logging.WARNING,
                "connections of %s cannot be looked at now: %s",
                look.gateway.gateway_id,
                error,
            )
            self._has_failed = True
            self._zones.failed(look, asyncio.get_running_loop().time())
        else:
            self._has_failed = False
            self._zones.looked(look, asyncio.get_running_loop().time(), is_clean=is_clean)

    async def _look(self, look: Look) -> bool:
        """Delete what nothing explains; tell whether there was nothing.

        Raises:
            RpcError: ovs-vswitchd does not do it.
        """
        datapath, zone = self._host.datapath_type, look.gateway.zone
        finder = Finder(look.gateway, look.gone)
        await self._walk(finder, datapath, zone)
        for ends in sorted(finder.others):
            try:
                await self._vswitchd.forget_one(datapath, zone, ends)
            except RpcError as error:  # it may have ended by itself; else it is found again
                log.debug("zone %d: %s: %s", zone, ends, error)
        if finder.others:
            log.debug("zone %d: %d forwarded connections deleted", zone, len(finder.others))
        return not finder.has_found()

    async def _walk(self, finder: Finder, datapath: str, zone: int) -> None:
        """Find what nothing explains, and delete what is translated to other addresses.

        Raises:
            RpcError: ovs-vswitchd does not do it.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            await self._vswitchd.connections(datapath, zone, finder.take)
            for address in sorted(finder.addresses):
                await self._vswitchd.forget_translated(datapath, zone, address)
                log.debug("zone %d: connections by %s deleted", zone, address)
        finally:
            self._walked_s = loop.time() - started
