"""Keeps br-int, the tunnel and, for the userspace datapath, the underlay bridge as wanted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from agent import pki
from agent.convergence import Convergence, Trouble
from agent.decide import bridge as decide
from agent.decide import marks, underlay
from agent.decide.rows import BridgeRow, SslWish, Wish
from agent.host import Host
from agent.ofctl import OfctlError, Switch
from agent.settings import Settings
from agent.targets import reachable
from agent.towards import source_address
from agent.wire.state import HostState
from agent.worker import Worker

log = logging.getLogger(__name__)

_METERS_RETRY_S = 0.5
_NO_ADDRESS = (
    "the tunnels' address cannot be told from the way to the controller: "
    "give --vtep-address or --underlay-device"
)


@dataclass(frozen=True)
class Ovs:
    """OVSDB as this module needs it.

    Attributes:
        apply: carries out wishes in one transaction; raises OvsdbError.
        bridges: gives every bridge by name.
    """

    apply: Callable[[Sequence[Wish]], Awaitable[None]]
    bridges: Callable[[], Mapping[str, BridgeRow]]


class Bridges:
    """Bridges of one host.

    Args:
        settings: of the agent.
        worker: netlink's thread.
        ovs: OVSDB.
        host: learns the tunnel address, the MTU and what goes wrong.
        changed: told when one of those changed.
    """

    def __init__(
        self, settings: Settings, worker: Worker, ovs: Ovs, host: Host, changed: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._ovs = ovs
        self._host = host
        self._changed = changed
        self._state: HostState | None = None
        self._convergence = Convergence(self._converge, self._tell)
        self._switch = Switch(settings.ovs_rundir / f"{settings.bridge}.mgmt")
        self._taken = False
        self._devices: frozenset[str] = frozenset()

    def want(self, state: HostState) -> None:
        """Take in a new host state."""
        before = self._state
        self._state = state
        if before is None or (before.dpid, before.openflow_targets) != (
            state.dpid,
            state.openflow_targets,
        ):
            self.wake()

    def wake(self) -> None:
        """Look at everything again."""
        self._convergence.wake()

    def device_changed(self, name: str) -> None:
        """A device came, changed or went."""
        if name in self._devices:
            self.wake()

    async def run(self) -> None:
        """Work for ever; nothing is touched before the first host state."""
        await self._convergence.run()

    def _tell(self, error: str | None) -> None:
        if self._host.error("bridges", error):
            self._changed()

    async def _converge(self) -> None:
        if not self._host.vtep_address:
            await self._find_vtep()
        if self._state is None:
            return
        await self._ovs.apply([*self._tls(), self._integration_bridge(self._state)])
        row = self._ovs.bridges().get(self._settings.bridge)
        dpid = row.dpid if row is not None else None
        if dpid != self._host.dpid:
            self._host.dpid = dpid
            self._changed()
        if self._host.datapath_type == "netdev":
            await self._underlay(self._state.host_id)
        if dpid is not None and self._host.meters is None:
            await self._count_meters()

    async def _count_meters(self) -> None:
        """Ask the datapath, once for each ovs-vswitchd, how many meters it has."""
        try:
            self._host.meters = await self._switch.meter_count()
        except OfctlError as error:
            log.debug("meters cannot be counted now: %s", error)
            asyncio.get_running_loop().call_later(_METERS_RETRY_S, self.wake)
            return
        self._changed()

    def _integration_bridge(self, state: HostState) -> Wish:
        settings = decide.BridgeSettings(
            self._settings.bridge,
            self._host.datapath_type,
            self._host.vtep_address or None,
            self._settings.vxlan_port,
            stands=bool(self._settings.providers),
        )
        targets = reachable(state.openflow_targets, self._settings.ovs_rundir)
        return decide.integration_bridge(replace(state, openflow_targets=targets), settings)

    def _tls(self) -> list[Wish]:
        key, certificate = self._settings.openflow_key, self._settings.openflow_certificate
        ca = self._settings.openflow_ca
        if self._state is None:
            return []
        if key is None or certificate is None or ca is None:
            return self._enrolled_tls(self._state)
        return [SslWish(str(key), str(certificate), str(ca), self._state.host_id)]

    def _enrolled_tls(self, state: HostState) -> list[Wish]:
        """Return the wish for the certificate of an enrolled host, where a target needs it."""
        credentials = pki.open_store(self._settings.state_dir).current()
        if credentials is None or not any(t.startswith("ssl:") for t in state.openflow_targets):
            return []
        paths = pki.ssl_files(credentials)
        return [SslWish(paths.private_key, paths.certificate, paths.ca_cert, state.host_id)]

    async def _find_vtep(self) -> None:
        """Find the tunnel's address and device; the bridge's record knows them after a restart."""
        address = self._settings.vtep_address
        record = self._record()
        name = self._settings.underlay_device
        if address is None and name is None:
            address = await asyncio.to_thread(source_address, self._settings.api_url)
        if record is not None and self._settings.vtep_address is None:
            address = underlay.vtep(record.addresses, preferred=address)
        if name is None and address is not None:
            wanted = address
            name = await self._worker.run(lambda: self._worker.underlay.device_with(wanted))
        if name is None:
            self._require_known(record)
        device = await self._device(name) if name is not None else None
        if address is None and device is not None:
            address = underlay.vtep(device.addresses)
        if address is None:
            raise Trouble(f"underlay device {name} has no address")
        self._learn(address, device.mtu if device else None)

    def _require_known(self, record: underlay.Record | None) -> None:
        """Demand that the address is one of this host, although no device has it at present.

        Raises:
            Trouble: it is not, or there is none.
        """
        given = self._settings.vtep_address
        if given is None:
            if record is None:
                raise Trouble(_NO_ADDRESS)
        elif record is None or given not in (address for address, _ in record.addresses):
            raise Trouble(f"vtep_address: no device of this host has {given}")

    def _learn(self, address: str, mtu: int | None) -> None:
        before = (self._host.vtep_address, self._host.underlay_mtu)
        self._host.vtep_address = address
        if mtu is not None:
            self._host.underlay_mtu = mtu
        if before != (self._host.vtep_address, self._host.underlay_mtu):
            self._changed()

    async def _device(self, name: str) -> underlay.Device | None:
        return await self._worker.run(lambda: self._worker.underlay.device(name))

    def _record(self) -> underlay.Record | None:
        row = self._ovs.bridges().get(self._settings.underlay_bridge)
        return underlay.parse(row.external_ids.get(marks.UNDERLAY_KEY)) if row else None

    async def _underlay_device(self, record: underlay.Record | None) -> str | None:
        """Return the device to take over, or None when somebody else has made a bridge of it."""
        if record is not None:
            return record.device
        if self._settings.underlay_device is not None:
            return self._settings.underlay_device
        address = self._host.vtep_address
        name = await self._worker.run(lambda: self._worker.underlay.device_with(address))
        if name is None:
            raise Trouble(f"no device of this host has the tunnel address {address}")
        return None if name in self._ovs.bridges() else name

    async def _underlay(self, owner: str) -> None:
        """Put the underlay device into a bridge that takes over its addresses and routes."""
        old = self._record()
        name = await self._underlay_device(old)
        if name is None:
            return
        bridge_name = self._settings.underlay_bridge
        self._devices = frozenset((name, bridge_name))
        device, bridge = await self._device(name), await self._device(bridge_name)
        if device is None:
            raise Trouble(f"underlay device {name} is not there")
        if self._taken and old and bridge is not None and not device.addresses:
            record = underlay.follow(old, bridge)
        else:
            record = underlay.take_over(old, device)
        if not record.addresses:
            raise Trouble(f"underlay device {name} has no address")
        await self._ovs.apply([underlay.bridge_wish(bridge_name, record, owner)])
        known = underlay.vtep(record.addresses, preferred=self._host.vtep_address)
        self._learn(self._settings.vtep_address or known or "", device.mtu)
        await self._move(record, device, await self._device(bridge_name))

    async def _move(
        self, record: underlay.Record, device: underlay.Device, bridge: underlay.Device | None
    ) -> None:
        if bridge is None:
            self._taken = False
            return  # its coming will wake us
        move = underlay.plan_take(record, device, bridge)
        if self._taken and move.is_empty() and bridge.up:
            return
        await self._worker.run(lambda: self._take(move, device, bridge))
        self._taken = True
        log.info("underlay device %s is in %s", device.name, bridge.name)

    def _take(self, move: underlay.Move, device: underlay.Device, bridge: underlay.Device) -> None:
        self._worker.underlay.shut_out_kernel(device.name, shut=True)
        self._worker.underlay.move(move, device, bridge)
