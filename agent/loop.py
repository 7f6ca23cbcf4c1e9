"""The agent: wires drivers, reconcilers and the controller together, and runs them."""

import asyncio
import functools
import logging
import os
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from agent import certificates, ovs_process
from agent.bridges import Bridges, Ovs
from agent.client import Client
from agent.decide import marks, work
from agent.decide.backoff import Backoff
from agent.decide.rows import InterfaceRow, Wish
from agent.decide.sharing import sharing
from agent.guests import GuestAnswers
from agent.handovers import HandoverKeeper
from agent.host import Host, Urgency, is_link, is_told, most_urgent
from agent.jsonrpc import RpcError
from agent.names.child import Child
from agent.names.keeper import Keeper
from agent.names.plug import Plug
from agent.nat import NatCounter
from agent.nat_zones import NatZoneKeeper
from agent.neighbours import Neighbours
from agent.netlink import monitor
from agent.outside import Outside
from agent.ovsdb import Change, Ovsdb, OvsdbError
from agent.poll import Poller
from agent.program import Program
from agent.reconciler import Reconciler, ports_of
from agent.report import Callbacks, Reporter
from agent.settings import Settings
from agent.stand import Stand
from agent.statedir import StateDir
from agent.watches import Watches
from agent.wire.report import LinkCounters, ReportAnswer
from agent.wire.state import HostState
from agent.worker import Worker
from agent.world import World
from agent.zones import ZoneKeeper

log = logging.getLogger(__name__)

_VSWITCHD_POLL_S = 0.1
_RESCAN_S = 5.0


class Agent:
    """One host's agent. Everything but the drivers' threads runs in one event loop.

    Args:
        settings: checked, with a host id.
        datapath: ``system`` or ``netdev``, found out already.
    """

    def __init__(self, settings: Settings, host: Host, worker: Worker) -> None:
        self._settings = settings
        self._host = host
        self._worker = worker
        self._directory = StateDir(settings.state_dir)
        self._state: HostState | None = None
        self._scanned = False
        self._shut: set[str] = set()  # interfaces that the host's stack was shut out of
        self._loop = asyncio.get_running_loop()
        self._commits = ThreadPoolExecutor(1, thread_name_prefix="ovsdb-commit")
        self._ovsdb = Ovsdb(settings.ovsdb, settings.bridge, self._from_thread)
        self._vswitchd = ovs_process.Vswitchd(settings.ovs_rundir)
        self._client = Client(settings)
        self._reconciler = Reconciler(
            worker,
            self._apply,
            bridge=settings.bridge,
            owner=settings.host_id,
            changed=self._report_now,
        )
        host.problems = self._reconciler.ledger.problems
        ovs = Ovs(self._apply, self._ovsdb.bridges)
        self._bridges = Bridges(settings, worker, ovs, host, self._bridges_changed)
        self._watches = Watches(settings, ovs, host, self._report_now, self._look_outside)
        cut_off = self._watches.cut_off
        self._outside = Outside(settings, worker, ovs, host, self._report_now, cut_off)
        guests = functools.partial(self._tap_error, "guests")
        self._guests = GuestAnswers(worker, guests, self._keeper("guests"))
        world = functools.partial(self._tap_error, "outside")
        keep = self._keeper("outside")
        self._world = World(worker, settings.host_id, self._watches, world, keep)
        stand = functools.partial(self._tap_error, "stand")
        self._stand = Stand(worker, self._watches, stand)
        plug = Plug(ovs, self._vswitchd, settings.bridge, settings.host_id)
        self._names = Child(worker, plug, self._guests.counts.update, self._names_error)
        names = settings.state_dir / "names"
        self._documents = Keeper(self._client, names, self._names.tell)
        self._neighbours = Neighbours(worker, self._vswitchd, self._ovsdb.bridges)
        self._poller = Poller(self._client, self._revision, self._take)
        self._program = Program(settings, host, self._watches.flows_are_back)
        self._zones = ZoneKeeper(settings, host, self._vswitchd, self._report_now)
        self._handovers = HandoverKeeper(settings, host, self._vswitchd, self._report_now)
        self._nat_zones = NatZoneKeeper(host, self._vswitchd, self._report_now)
        self._nat = NatCounter(settings, host, self._vswitchd, self._watches.lives)
        callbacks = Callbacks(
            self._revision,
            self._take_newer,
            self._counters,
            self._poller.resync,
            self._zones.sending,
            self._answered,
            self._nat.take,
        )
        self._reporter = Reporter(self._client, host, self._directory, callbacks)

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT, which leave everything on the host as it is."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, os._exit, 0)
        self._host.error("ovsdb", f"OVSDB at {self._settings.ovsdb} does not answer")
        self._take_saved()
        self._ovsdb.start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(monitor.watch(self._kernel_event))
            tasks.create_task(self._watch_vswitchd())
            tasks.create_task(self._bridges.run())
            tasks.create_task(self._outside.run())
            tasks.create_task(self._watches.run())
            tasks.create_task(self._stand.run())
            tasks.create_task(self._reconciler.run())
            tasks.create_task(self._reporter.run())
            tasks.create_task(self._poller.run())
            tasks.create_task(self._program.run())
            tasks.create_task(self._zones.run())
            tasks.create_task(self._handovers.run())
            tasks.create_task(self._nat_zones.run())
            tasks.create_task(self._nat.run())
            tasks.create_task(certificates.keep(self._settings, self._client, self._bridges.wake))
            tasks.create_task(self._guests.run())
            tasks.create_task(self._world.run())
            tasks.create_task(self._names.run())
            tasks.create_task(self._documents.run())
            if self._host.datapath_type == "netdev":
                tasks.create_task(self._neighbours.run())

    def _revision(self) -> int:
        return self._state.revision if self._state is not None else 0

    def _report_now(self) -> None:
        self._reporter.trigger("now")

    def _look_outside(self) -> None:
        self._world.look()
        self._stand.look()

    def _bridges_changed(self) -> None:
        self._report_now()
        self._watches.wake()  # they need the tunnels' address

    async def _counters(self) -> Mapping[str, LinkCounters]:
        try:
            return await ovs_process.counters(self._settings.ovsdb)
        except RpcError as error:
            log.debug("interface counters: %s", error)
            return {}

    async def _apply(self, wishes: Sequence[Wish]) -> None:
        await self._loop.run_in_executor(
            self._commits, functools.partial(self._ovsdb.apply, wishes)
        )

    # --- what comes from the controller -------------------------------------------------------

    def _answered(self, answer: ReportAnswer) -> None:
        self._program.realised(answer.realised_revision)
        self._zones.answered(answer)
        self._handovers.answered(answer)
        self._nat_zones.answered(answer)
        self._loop.create_task(self._watches.answered(answer))

    def _take_newer(self, state: HostState) -> None:
        """Take a state that came beside the long poll, when it is newer."""
        if state.revision > self._revision():
            self._take(state)

    def _take_saved(self) -> None:
        saved = self._directory.load_state(self._settings.host_id)
        if saved is not None:
            self._take(saved, save=False)

    def _take(self, state: HostState, *, save: bool = True) -> None:
        if state.host_id != self._settings.host_id:
            log.warning("host state of another host (%s) ignored", state.host_id)
            return
        is_first = save and not self._host.is_heard
        if is_first:
            self._host.is_heard = True
            self._reconciler.may_remove()
            self._outside.wake()
            self._watches.wake()
        if state == self._state:
            if is_first:
                self._name_interfaces(tuple(self._host.rows.values()))
            return
        log.debug("host state at revision %d", state.revision)
        self._state = state = sharing(state, self._state)
        self._host.wanted = {each.port_id: each for each in state.attachments}
        self._reporter.interval_s = state.settings.report_interval_s
        self._reconciler.want(state.attachments)
        self._bridges.want(state)
        self._outside.want(state)
        self._watches.want(state)
        self._neighbours.want(state.peers)
        self._guests.want(state)
        self._world.want(state)
        self._documents.want(state)
        self._zones.want(state)
        self._handovers.want(state)
        self._nat_zones.want(state)
        self._nat.want(state)
        self._name_interfaces(tuple(self._host.rows.values()))
        if save:
            self._loop.call_later(0.05, self._save, state)

    def _save(self, state: HostState) -> None:
        """Write the newest state to disk, off the loop."""
        if state is self._state:
            self._loop.run_in_executor(None, self._save_now, state)

    def _save_now(self, state: HostState) -> None:
        self._directory.save_state(state)
        self._loop.call_soon_threadsafe(self._saved)

    def _saved(self) -> None:
        if self._host.error("state directory", self._directory.error):
            self._report_now()

    # --- what comes from OVSDB ----------------------------------------------------------------

    def _from_thread(self, change: Change) -> None:
        self._loop.call_soon_threadsafe(self._ovsdb_changed, change)

    def _ovsdb_changed(self, change: Change) -> None:
        urgency: Urgency = "none"
        error = None if change.connected else f"OVSDB at {self._settings.ovsdb} does not answer"
        if self._host.error("ovsdb", error):
            urgency = "now"
        self._host.is_known |= change.connected
        if change.everything:
            kept = {row.uuid for row in change.interfaces}
            urgency = most_urgent(urgency, *self._forget(self._host.rows.keys() - kept))
        urgency = most_urgent(urgency, *self._forget(change.gone))
        for row in change.interfaces:
            urgency = most_urgent(urgency, self._host.take_row(row))
            self._reconciler.row_changed(row)
            self._outside.row_changed(row)
            if row.uuid in self._host.marked:
                self._watches.row_changed(row)
        self._zones.changed(everything=change.everything and change.connected)
        self._reporter.trigger(urgency)
        if change.structure and change.connected:
            self._bridges.wake()
            self._outside.wake()
            self._watches.wake()
            self._names.suspect()
        self._name_interfaces(change.interfaces)
        self._shut_out_kernel(change.interfaces)
        if change.connected and not self._scanned:
            self._scanned = True
            self._loop.create_task(self._scan())

    def _forget(self, uuids: Sequence[str] | set[str]) -> list[Urgency]:
        urgencies: list[Urgency] = []
        for uuid in uuids:
            is_fact = uuid in self._host.marked
            row = self._host.forget_row(uuid)
            self._shut.discard(uuid)
            if row is not None:
                self._reconciler.device_gone(row.name)
                if row.name == marks.SERVICES:
                    self._names.suspect()
                if is_told(row):
                    # A link may have moved to another host: its claim is to come first.
                    urgencies.append("now" if is_fact else "shortly")
                    self._watches.row_gone(row)
        return urgencies

    def _name_interfaces(self, rows: Sequence[InterfaceRow]) -> None:
        """Set iface-ids on interfaces that others plugged and the host state names."""
        if self._state is None or not rows:
            return
        wishes = work.iface_ids(self._state.attachments, rows, self._settings.host_id)
        if not self._host.is_heard:
            wishes = [each for each in wishes if each.port_id is not None]
        if wishes:
            self._loop.create_task(self._set_names(wishes))

    def _shut_out_kernel(self, rows: Sequence[InterfaceRow]) -> None:
        """Keep the host's stack off ports that others plugged, as off our own host ends.

        The kernel's datapath takes frames before the stack sees them, and an internal device is
        the workload's own.
        """
        if self._host.datapath_type != "netdev":
            return
        for row in rows:
            if (
                is_link(row)
                and row.ofport
                and not (row.type or row.foreign or row.uuid in self._shut)
            ):
                self._shut.add(row.uuid)
                self._loop.create_task(self._shut_out(row.name))

    async def _shut_out(self, name: str) -> None:
        try:
            await self._worker.run(lambda: self._worker.underlay.shut_out_kernel(name, shut=True))
        except OSError as error:
            log.warning("the host's stack cannot be shut out of %s: %s", name, error)

    async def _set_names(self, wishes: Sequence[Wish]) -> None:
        try:
            await self._apply(wishes)
        except OvsdbError as error:
            log.warning("iface-id cannot be set: %s", error)

    async def _scan(self) -> None:
        """Find what earlier agents left on this host with our mark."""
        try:
            await self._find_leftovers()
        except Exception:  # netlink's own errors are plain Exceptions
            log.warning("leftovers cannot be found now", exc_info=True)
            self._loop.call_later(_RESCAN_S, setattr, self, "_scanned", False)

    async def _find_leftovers(self) -> None:
        driver, owner = self._worker.attachments, self._settings.host_id
        plugged = ports_of(self._ovsdb.owned_ports(self._settings.bridge, owner))
        await self._worker.run(driver.delete_half_made)
        ours, namespaces = await self._worker.run(lambda: (driver.ours(), driver.our_namespaces()))
        self._reconciler.found([*plugged, *ours], namespaces)

    # --- what comes from the kernel and from ovs-vswitchd ---------------------------------------

    def _kernel_event(self, event: monitor.Event) -> None:
        match event:
            case monitor.NeighbourEvent():
                self._neighbours.heard(event)
            case monitor.LinkEvent(name="*"):
                self._bridges.wake()
                self._outside.wake()
                self._stand.look()
                self._reconciler.suspect_all()
                self._names.suspect()
            case monitor.LinkEvent():
                self._bridges.device_changed(event.name)
                self._outside.device_changed(event.name)
                self._stand.device_changed(event.name)
                self._guests.device_changed(event.name, gone=event.gone)
                self._world.device_changed(event.name, gone=event.gone)
                if event.gone:
                    self._reconciler.device_gone(event.name)
                    self._names.suspect()

    async def _watch_vswitchd(self) -> None:
        """Notice each start and each end of ovs-vswitchd at once."""
        while True:
            watched = self._vswitchd.watch()
            if watched is None:
                self._vswitchd_error("ovs-vswitchd does not run")
                await asyncio.sleep(_VSWITCHD_POLL_S)
                continue
            pid, fd = watched
            log.info("ovs-vswitchd runs as process %d", pid)
            try:
                self._vswitchd_error(None)
                self._host.ovs_version = await self._vswitchd.version()
                self._host.meters = None
                self._bridges.wake()
                self._neighbours.wake()
                self._report_now()
                self._program.vswitchd_started()
                self._zones.vswitchd_started()
                if self._host.datapath_type == "netdev":
                    self._loop.create_task(self._hold_fragments())
                self._loop.create_task(self._watches.vswitchd_started())
                await self._readable(fd)
            finally:
                self._program.vswitchd_ended()
                self._watches.vswitchd_ended()
                os.close(fd)

    async def _hold_fragments(self) -> None:
        """Have ovs-vswitchd hold more fragments, as soon as it can be told.

        Those of packets that a port must not get wait for a first one that never comes.
        """
        tries = 0
        while not await self._vswitchd.hold_fragments():
            tries += 1  # an Open vSwitch that knows no such command never does
            await asyncio.sleep(Backoff().delay(tries, random.random()))  # noqa: S311

    async def _readable(self, fd: int) -> None:
        ready = self._loop.create_future()
        self._loop.add_reader(fd, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            self._loop.remove_reader(fd)

    def _keeper(self, kind: str) -> Callable[[Mapping[str, int]], None]:
        def keep(counts: Mapping[str, int]) -> None:
            self._loop.run_in_executor(None, self._directory.save_counts, kind, counts)

        return keep

    def _tap_error(self, source: str, text: str | None) -> None:
        if self._host.error(source, text):
            self._report_now()

    def _names_error(self, text: str | None) -> None:
        if self._host.error("names", text):
            self._report_now()

    def _vswitchd_error(self, text: str | None) -> None:
        if self._host.error("ovs-vswitchd", text):
            self._report_now()
