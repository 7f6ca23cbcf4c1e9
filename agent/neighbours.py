"""Resolves the tunnel's neighbours before the first packet needs them.

The userspace datapath keeps neighbours of its own for tunnels and drops a packet whose next hop
it does not know. So every peer's next hop is resolved by the kernel as soon as the peer is known,
and told to ovs-vswitchd; entries there age (15 minutes by default), so they are told again.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from agent.decide.rows import BridgeRow
from agent.jsonrpc import RpcError
from agent.netlink.monitor import NeighbourEvent
from agent.netlink.neighbours import NextHop
from agent.ovs_process import Vswitchd
from agent.worker import Worker
from vpcctl.wire.state import Peer

log = logging.getLogger(__name__)

REFRESH_S = 30.0
_UNRESOLVED_S = 1.0


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
        self._hops: dict[tuple[int, str], str | None] = {}
        self._wake = asyncio.Event()

    def want(self, peers: Sequence[Peer]) -> None:
        """Take in the peers of a new host state."""
        wanted = tuple(sorted({peer.vtep_address for peer in peers if peer.vtep_address}))
        if wanted != self._peers:
            self._peers = wanted
            self._wake.set()

    def wake(self) -> None:
        """Resolve and tell everything again: ovs-vswitchd was restarted, or routes changed."""
        self._wake.set()

    def heard(self, event: NeighbourEvent) -> None:
        """A neighbour was resolved or has another MAC."""
        key = (event.device, event.address)
        if key in self._hops and self._hops[key] != event.mac:
            self._wake.set()

    async def run(self) -> None:
        """Work for ever."""
        unresolved = 0
        while True:
            delay = _UNRESOLVED_S if unresolved else REFRESH_S
            try:
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                unresolved = await self._refresh()
            except RpcError as error:
                log.debug("tunnel neighbours: %s", error)
                unresolved = 1
            except Exception:
                log.warning("tunnel neighbours cannot be resolved", exc_info=True)
                unresolved = 1

    async def _refresh(self) -> int:
        """Resolve all peers and tell ovs-vswitchd; return how many have no MAC yet."""
        peers = self._peers
        hops = await self._worker.run(
            lambda: [hop for peer in peers if (hop := self._worker.neighbours.next_hop(peer))]
        )
        names = await self._bridge_names()
        wanted = {(hop.device, hop.address): hop for hop in hops if hop.device in names}
        self._hops = {key: hop.mac for key, hop in wanted.items()}
        for hop in wanted.values():
            await self._tell(hop, names[hop.device])
        return sum(1 for hop in wanted.values() if hop.mac is None) + (not names and bool(peers))

    async def _tell(self, hop: NextHop, bridge: str) -> None:
        if hop.mac is not None:
            await self._vswitchd.appctl("tnl/neigh/set", bridge, hop.address, hop.mac)

    async def _bridge_names(self) -> dict[int, str]:
        """Return index → name of the internal ports of OVS's bridges."""
        names = list(self._bridges())
        devices = await self._worker.run(
            lambda: [self._worker.underlay.device(name) for name in names]
        )
        return {device.index: device.name for device in devices if device is not None}
