"""Counts the connections of the NAT gateways that this host is the active one of.

That costs ovs-vswitchd and the agent time, some microseconds a connection, so it is done once an
interval at most, less often where it takes long, and not by looking at each, or not at all, where
there are too many. What is counted is decided in :mod:`agent.decide.nat`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from msgspec.structs import replace

from agent.decide import nat as decide
from agent.host import Host
from agent.jsonrpc import RpcError
from agent.ofctl import OfctlError, Switch
from agent.ovs_process import Vswitchd
from agent.settings import Settings
from agent.wire.report import NatCounts
from agent.wire.state import HostState, NatGatewayState

log = logging.getLogger(__name__)

_KERNEL_COUNT = Path("/proc/sys/net/netfilter/nf_conntrack_count")


class NatCounter:
    """Counts, and keeps the newest counts for the next report.

    Args:
        settings: of the agent.
        host: knows the datapath's type.
        vswitchd: is asked for connections.
        lives: tells whether another host lives, as far as BFD says.
    """

    def __init__(
        self, settings: Settings, host: Host, vswitchd: Vswitchd, lives: Callable[[str], bool]
    ) -> None:
        self._owner = settings.host_id
        self._host = host
        self._vswitchd = vswitchd
        self._lives = lives
        self._switch = Switch(settings.ovs_rundir / f"{settings.bridge}.mgmt")
        self._wanted: tuple[NatGatewayState, ...] = ()
        self._interval_s = 5.0
        self._counts: tuple[NatCounts, ...] | None = None
        self._wake = asyncio.Event()

    def want(self, state: HostState) -> None:
        """Take in a new host state."""
        self._interval_s = state.settings.report_interval_s
        if self._wanted and not state.nat_gateways:
            self._counts = ()
        if state.nat_gateways and not self._wanted:
            self._wake.set()
        self._wanted = state.nat_gateways

    def take(self) -> tuple[NatCounts, ...] | None:
        """Return what has been counted since the last call; None: nothing."""
        counts, self._counts = self._counts, None
        return counts

    async def run(self) -> None:
        """Work for ever."""
        loop, delay = asyncio.get_running_loop(), 0.0
        while True:
            await self._wait(delay)
            started = loop.time()
            if self._wanted:
                await self._count_all()
            delay = decide.pause(loop.time() - started, self._interval_s)

    async def _wait(self, delay: float) -> None:
        """Wait for the next time to count; for ever when there is nothing to count."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay if self._wanted else None):
                await self._wake.wait()
        self._wake.clear()

    async def _count_all(self) -> None:
        active = [one for one in self._wanted if self._is_active(one)]
        try:
            failures = await self._failures(active)
            how = decide.how(await self._tracked())
            counts = [
                await self._count(NatCounts(gateway_id=one.gateway_id, failures=failed), one, how)
                for one, failed in zip(active, failures, strict=True)
            ]
        except (RpcError, OfctlError) as error:
            log.debug("NAT gateways cannot be counted now: %s", error)
            return
        if self._wanted:
            self._counts = tuple(counts)

    def _is_active(self, gateway: NatGatewayState) -> bool:
        living = [each for each in gateway.hosts if each != self._owner and self._lives(each)]
        return decide.is_active(gateway.hosts, self._owner, living)

    async def _failures(self, gateways: list[NatGatewayState]) -> list[int | None]:
        """Return how many packets found no port, by gateway; None: the datapath does not say.

        The kernel's drops them before any flow sees them.
        """
        if self._host.datapath_type == "system" or not gateways:
            return [None] * len(gateways)
        return [*await self._switch.packets([one.exhausted_cookie for one in gateways])]

    async def _tracked(self) -> int:
        """Return how many connections conntrack has in all zones together."""
        if self._host.datapath_type == "netdev":
            return await self._vswitchd.tracked("netdev") or 0
        try:
            return int(_KERNEL_COUNT.read_text())
        except (OSError, ValueError):
            return 0

    async def _count(
        self, counts: NatCounts, gateway: NatGatewayState, how: Literal["each", "number", "not"]
    ) -> NatCounts:
        """Return *counts* of a gateway with what is to be counted of its connections."""
        kind, zone = self._host.datapath_type, gateway.zone
        news: dict[str, Any] = {}
        if how == "number":
            news["connections"] = decide.total(await self._vswitchd.entries(kind, zone))
        elif how == "each":
            tally = decide.Tally(gateway.addresses)
            await self._vswitchd.connections(kind, zone, tally.take)
            news = {"connections": tally.connections, "ports": tally.ports()}
        return replace(counts, **news)
