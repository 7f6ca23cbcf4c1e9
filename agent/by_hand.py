"""Commands for people: plug an interface by hand, clean a host."""

import contextlib
import sys
import threading

from agent import targets
from agent.decide import marks, underlay
from agent.decide.rows import IfaceIdWish, PlugWish, PortWish, ReleaseWish, UnplugWish
from agent.ovsdb import Ovsdb, OvsdbError
from agent.settings import Settings
from agent.worker import Worker
from vpcctl.model import addresses, ids

_TIMEOUT_S = 10.0


class _Connected:
    """An OVSDB connection for the length of one command."""

    def __init__(self, settings: Settings) -> None:
        self._read = threading.Event()
        self._remote = settings.ovsdb
        self.ovsdb = Ovsdb(settings.ovsdb, settings.bridge, lambda change: self._heard(change))

    def _heard(self, change: object) -> None:
        del change
        self._read.set()

    def __enter__(self) -> Ovsdb:
        self.ovsdb.start()
        if not self._read.wait(_TIMEOUT_S) or not self.ovsdb.wait_ready(_TIMEOUT_S):
            self.ovsdb.stop()
            raise OvsdbError(f"OVSDB at {self._remote} does not answer")
        return self.ovsdb

    def __exit__(self, *exception: object) -> None:
        self.ovsdb.stop()


def _fail(text: str) -> int:
    print(f"vpc-agent: {text}", file=sys.stderr)
    return 1


def plug(settings: Settings, port_id: str, interface: str, *, mac: str | None, tap: bool) -> int:
    """Put an interface onto br-int as the interface of a port; returns the exit code.

    Args:
        settings: of the agent.
        port_id: the port.
        interface: a device, or an interface that OVS has already.
        mac: MAC of the guest, or None.
        tap: have OVS make a tap device of that name.
    """
    if not ids.is_id("port", port_id):
        return _fail(f"{port_id!r} is not a port id")
    try:
        given = {} if mac is None else {"attached-mac": _mac(mac)}
        with _Connected(settings) as ovsdb:
            names = {"iface-id": port_id, **given}
            if interface in ovsdb.interfaces():
                wish = IfaceIdWish(
                    interface,
                    port_id,
                    given.get("attached-mac"),
                    marks.by_hand(settings.host_id),
                )
            else:
                kind = "tap" if tap else ""
                port = PortWish(interface, settings.host_id, type=kind, external_ids=names)
                wish = PlugWish(settings.bridge, port)
            ovsdb.apply([wish])
    except (OvsdbError, ValueError) as error:
        return _fail(str(error))
    return 0


def _mac(text: str) -> str:
    return addresses.format_mac(addresses.parse_mac(text))


def clean(settings: Settings) -> int:
    """Remove everything of ours from the host; returns the exit code.

    Only what carries the mark of this host id goes. The underlay device gets its addresses and
    routes back first.
    """
    worker = Worker(settings.netns_dir, settings.host_id, checksums_off=False)
    try:
        with _Connected(settings) as ovsdb:
            _clean_ovs(settings, ovsdb, worker)
    except OvsdbError as error:
        return _fail(str(error))
    finally:
        left = _clean_links(worker)
        targets.remove_links(settings.ovs_rundir)
        worker.close()
    for netns in left:
        print(f"vpc-agent: network namespace {netns} is still in use and stays", file=sys.stderr)
    return 0


def _clean_ovs(settings: Settings, ovsdb: Ovsdb, worker: Worker) -> None:
    owner = settings.host_id
    row = ovsdb.bridges().get(settings.underlay_bridge)
    if row is not None and row.external_ids.get(marks.OWNER_KEY) == owner:
        record = underlay.parse(row.external_ids.get(marks.UNDERLAY_KEY))
        ovsdb.apply([ReleaseWish(settings.underlay_bridge, owner)])
        if record is not None:
            worker.call(lambda: _give_back(worker, settings.underlay_bridge, record))
    _clean_providers(settings, ovsdb, worker)
    named = [
        IfaceIdWish(name, None, None, by)
        for name, have in ovsdb.interfaces().items()
        if (by := have.get(marks.NAMED_KEY)) in (owner, marks.by_hand(owner))
    ]
    ports = ovsdb.owned_ports(settings.bridge, owner)
    unplug = [UnplugWish(settings.bridge, name, owner) for name in ports if name != settings.bridge]
    ovsdb.apply([*unplug, *named, ReleaseWish(settings.bridge, owner)])


def _clean_providers(settings: Settings, ovsdb: Ovsdb, worker: Worker) -> None:
    """Take the ports to external networks off the providers' bridges, and our own bridges away."""
    owner, bridges, interfaces = settings.host_id, ovsdb.bridges(), ovsdb.interfaces()
    patches = [
        UnplugWish(bridge.name, name, owner)
        for bridge in bridges.values()
        for name in bridge.ports
        if marks.NETWORK_KEY in interfaces.get(name, {})
    ]
    made = {
        bridge.name: bridge.external_ids[marks.PROVIDER_KEY]
        for bridge in bridges.values()
        if bridge.external_ids.get(marks.OWNER_KEY) == owner
        and marks.PROVIDER_KEY in bridge.external_ids
    }
    ovsdb.apply([*patches, *(ReleaseWish(name, owner) for name in made)])
    for device in made.values():
        worker.call(lambda device=device: worker.underlay.shut_out_kernel(device, shut=False))


def _give_back(worker: Worker, bridge_name: str, record: underlay.Record) -> None:
    driver = worker.underlay
    driver.delete(bridge_name)  # it outlives an ovs-vswitchd that does not run
    device = driver.device(record.device)
    if device is None:
        return
    driver.shut_out_kernel(device.name, shut=False)
    driver.move(underlay.plan_return(record, device), None, device)


def _clean_links(worker: Worker) -> list[str]:
    """Delete pairs and empty namespaces of ours; return namespaces that are still in use."""
    driver = worker.attachments

    def clean_up() -> list[str]:
        for name in driver.ours().values():
            driver.delete_link(name)
        driver.delete_half_made()
        with contextlib.suppress(OSError):  # a device of that name that is somebody else's stays
            worker.services.remove()
        return [name for name in driver.our_namespaces() if not driver.release_namespace(name)]

    return worker.call(clean_up)
