"""Makes the ways from br-int to external networks, through the bridges of their providers."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from agent.bridges import Ovs
from agent.convergence import Convergence
from agent.decide import marks
from agent.decide import outside as decide
from agent.decide.rows import InterfaceRow
from agent.host import Host
from agent.settings import Settings
from agent.wire.state import ExternalNetworkState, HostState
from agent.worker import Worker

log = logging.getLogger(__name__)

_CALM_S = 1.0
"""How long a link has to be there again until its networks are reported: some come and go."""


class Outside:
    """Patch ports to the providers' bridges, and the bridges of devices that have none.

    Args:
        settings: of the agent: which provider is reached through what.
        worker: netlink's thread.
        ovs: OVSDB.
        host: learns which networks are reached.
        changed: told when that, or what is wrong, changed.
        cut_off: told which networks this host would reach if there was a link.
    """

    def __init__(
        self,
        settings: Settings,
        worker: Worker,
        ovs: Ovs,
        host: Host,
        changed: Callable[[], None],
        cut_off: Callable[[frozenset[str]], None],
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._ovs = ovs
        self._host = host
        self._changed = changed
        self._cut_off = cut_off
        self._lacking: frozenset[str] = frozenset()
        self._networks: tuple[ExternalNetworkState, ...] | None = None
        self._served: set[tuple[str, int]] = set()  # devices in our bridges that are up
        self._problems: Mapping[str, str] = {}
        self._bridge_of: Mapping[str, str] = {}  # provider → bridge
        self._links = decide.Links(_CALM_S)
        self._lost: set[str] = set()  # UUIDs of devices without a link
        self._convergence = Convergence(self._converge, self._tell)
        host.providers = tuple(sorted(settings.providers))

    def want(self, state: HostState) -> None:
        """Take in a new host state."""
        if state.external_networks != self._networks:
            self._networks = state.external_networks
            self.wake()

    def wake(self) -> None:
        """Look at everything again."""
        self._convergence.wake()

    def device_changed(self, name: str) -> None:
        """A device came, changed or went."""
        if name in self._settings.providers.values():
            self.wake()

    def row_changed(self, row: InterfaceRow) -> None:
        """An interface changed: if it is a way to a provider, take in if it has a link."""
        if decide.leads_on(row) and row.lost != (row.uuid in self._lost):
            (self._lost.add if row.lost else self._lost.discard)(row.uuid)
            self._judge()

    async def run(self) -> None:
        """Work for ever; nothing is touched before the first host state."""
        await self._convergence.run()

    def _tell(self, error: str | None) -> None:
        if self._host.error("external networks", error):
            self._changed()

    async def _converge(self) -> None:
        if self._networks is None or self._settings.bridge not in self._ovs.bridges():
            return  # its coming will wake us
        here = await self._surroundings()
        plan = decide.plan(self._networks, here, may_forget=self._host.is_heard)
        self._problems, self._bridge_of = plan.problems, plan.bridge_of
        self._judge()
        if plan.removals:
            await self._ovs.apply(plan.removals)
            await self._give_back(plan.released)
        if plan.wishes:
            await self._ovs.apply(plan.wishes)
        self._learn(plan)
        for device in plan.devices:
            await self._serve(device)

    async def _surroundings(self) -> decide.Surroundings:
        settings, bridges = self._settings, self._ovs.bridges()
        names = [name for name in settings.providers.values() if name not in bridges]
        underlay = self._worker.underlay
        devices = await self._worker.run(lambda: {name: underlay.device(name) for name in names})
        patches = {
            row.name: row.external_ids[marks.NETWORK_KEY]
            for row in self._host.marked.values()
            if marks.NETWORK_KEY in row.external_ids
        }
        return decide.Surroundings(
            owner=settings.host_id,
            bridge=settings.bridge,
            datapath_type=self._host.datapath_type,
            providers=settings.providers,
            bridges=bridges,
            devices=devices,
            underlay_device=settings.underlay_device,
            patches=patches,
        )

    def _learn(self, plan: decide.Plan) -> None:
        if plan.reached != self._host.reached:
            self._host.reached = plan.reached
            self._changed()
            self._tell_lacking()

    def _judge(self) -> None:
        """Take in which bridges have a link, and say what is wrong with providers."""
        loop = asyncio.get_running_loop()
        here = decide.cut_off(self._ovs.bridges().values(), self._host.rows.values())
        again = self._links.look(set(self._bridge_of.values()), here, loop.time())
        if again is not None:
            loop.call_at(again, self._judge)
        cut = frozenset(self._links.cut)
        if cut != self._host.cut:
            self._host.cut = cut
            self._changed()
            self._tell_lacking()
        self._tell_problems()

    def _tell_lacking(self) -> None:
        reached, cut = self._host.reached, self._host.cut
        lacking = frozenset(id for id, bridge in reached.items() if bridge in cut)
        if lacking != self._lacking:
            self._lacking = lacking
            self._cut_off(lacking)

    def _tell_problems(self) -> None:
        cut = self._links.cut
        texts = {
            name: f"provider {name}: {cut[bridge]}"
            for name, bridge in self._bridge_of.items()
            if bridge in cut
        } | dict(self._problems)
        told = [
            self._host.error(f"provider {name}", texts.get(name))
            for name in self._settings.providers
        ]
        if any(told):
            for text in texts.values():
                log.warning("%s", text)
            self._changed()

    async def _serve(self, name: str) -> None:
        """Bring a device of ours up, and keep the host's own stack off it."""
        device = await self._worker.run(lambda: self._worker.underlay.device(name))
        if device is None or (device.up and (name, device.index) in self._served):
            return
        await self._worker.run(lambda: self._worker.underlay.serve_on(name))
        self._served.add((name, device.index))

    async def _give_back(self, devices: tuple[str, ...]) -> None:
        driver = self._worker.underlay
        for name in devices:
            self._served = {each for each in self._served if each[0] != name}
            await self._worker.run(lambda name=name: driver.shut_out_kernel(name, shut=False))
