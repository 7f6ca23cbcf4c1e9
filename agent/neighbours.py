"""Resolves the tunnel's neighbours before the first packet needs them.

The userspace datapath keeps neighbours of its own for tunnels and drops a packet whose next hop
it does not know. So every peer's next hop is resolved by the kernel as soon as the peer is known,
and told to ovs-vswitchd; entries there age (15 minutes by default), so they are told again.

A peer that is down never answers: it is asked for less and less often, and costs nobody else
anything. Once it does answer, the kernel says so.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from agent.decide.backoff import Backoff
from agent.decide.rows import BridgeRow
from agent.jsonrpc import RpcError
from agent.netlink.monitor import NeighbourEvent
from agent.ovs_process import Vswitchd
from agent.wire.state import Peer
from agent.worker import Worker

log = logging.getLogger(__name__)

REFRESH_S = 30.0
"""Seconds between two looks at all peers,"""
_REST = 30.0
"""or so many times what a look takes: it costs a few per cent of a core, however many there are."""
_AGAIN = Backoff(first=0.2, limit=REFRESH_S)
"""When peers that do not answer are asked for again."""

Key = tuple[int, str]


class Neighbours:
    """Next hops of all peers.

    Args:
        worker: netlink's thread.
        vswitchd: whose tunnel neighbours are set.
        bridges: gives OVS's bridges by name.
    """

    def __init__(
        self,
        worker: Worker,
        vswitchd: Vswitchd,
        bridges: Callable[[], Mapping[str, BridgeRow]],
    ) -> None:
        self._worker = worker
        self._vswitchd = vswitchd
        self._bridges = bridges
        self._peers: tuple[str, ...] = ()
        self._hops: dict[Key, str | None] = {}
        self._bridge_of: dict[int, str] = {}
        self._silent: tuple[str, ...] = ()  # peers without a MAC
        self._heard: dict[Key, str] = {}  # what ovs-vswitchd is to be told
        self._everything = False
        self._tries = 0
        self._wake = asyncio.Event()

    def want(self, peers: Sequence[Peer]) -> None:
        """Take in the peers of a new host state."""
        wanted = tuple(sorted({peer.vtep_address for peer in peers if peer.vtep_address}))
        if wanted != self._peers:
            self._peers = wanted
            self.wake()

    def wake(self) -> None:
        """Resolve and tell everything again: ovs-vswitchd was restarted, or routes changed."""
        self._everything = True
        self._tries = 0
        self._wake.set()

    def heard(self, event: NeighbourEvent) -> None:
        """A neighbour was resolved or has another MAC."""
        key = (event.device, event.address)
        if key in self._hops and self._hops[key] != event.mac:
            self._hops[key] = self._heard[key] = event.mac
            self._wake.set()

    async def run(self) -> None:
        """Work for ever."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._pause(due - loop.time())
            started = loop.time()
            try:
                if self._everything or started >= due:
                    self._everything = False
                    await self._refresh()
                    due = loop.time() + max(REFRESH_S, _REST * (loop.time() - started))
                elif self._heard:
                    await self._tell_heard()
                else:
                    self._tries += 1
                    self._silent, _ = await self._resolve(self._silent)
            except Exception as error:  # netlink's own errors are plain Exceptions
                expected = isinstance(error, RpcError)
                log.log(logging.DEBUG if expected else logging.WARNING, "neighbours: %r", error)
                self._tries += 1
                due = loop.time() + _AGAIN.delay(self._tries, 1.0)

    async def _pause(self, longest: float) -> None:
        """Wait for news, for the time to ask silent peers again, or for *longest* seconds."""
        again = _AGAIN.delay(self._tries + 1, 1.0) if self._silent else longest
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(again, longest))):
                await self._wake.wait()
        self._wake.clear()

    async def _refresh(self) -> None:
        """Resolve all peers and tell ovs-vswitchd."""
        before = set(self._hops)
        self._silent, present = await self._resolve(self._peers)
        for key in before - present:
            del self._hops[key]

    async def _resolve(self, peers: Sequence[str]) -> tuple[tuple[str, ...], set[Key]]:
        """Have the kernel resolve *peers* and tell ovs-vswitchd.

        Returns:
            Peers without a MAC yet, and the next hops of all.
        """
        driver = self._worker.neighbours
        self._bridge_of = await self._bridge_names()
        found = await self._worker.run(lambda: driver.next_hops(peers))
        silent: list[str] = []
        present: set[Key] = set()
        for peer, hop in found.items():
            if hop is None or hop.device not in self._bridge_of:
                silent.append(peer)  # no bridge leads there, or not yet
                continue
            key = (hop.device, hop.address)
            present.add(key)
            self._hops[key] = hop.mac
            if hop.mac is None:
                silent.append(peer)
            else:
                self._heard[key] = hop.mac
        await self._tell_heard()
        return tuple(silent), present

    async def _tell_heard(self) -> None:
        while self._heard:
            key, mac = next(iter(self._heard.items()))
            if bridge := self._bridge_of.get(key[0]):
                await self._vswitchd.appctl("tnl/neigh/set", bridge, key[1], mac)
            if self._heard.get(key) == mac:
                del self._heard[key]

    async def _bridge_names(self) -> dict[int, str]:
        """Return index → name of the internal ports of OVS's bridges."""
        names = list(self._bridges())
        underlay = self._worker.underlay
        found = await self._worker.run(lambda: {name: underlay.index(name) for name in names})
        return {index: name for name, index in found.items() if index is not None}
