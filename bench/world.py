"""Three hypervisors on one machine: a namespace each, with an Open vSwitch of its own.

Every host runs its own ovsdb-server and ovs-vswitchd on the userspace datapath. Its underlay
device sits in a netdev bridge that holds its tunnel address; a Linux bridge in a further
namespace is the underlay. Control traffic shares nothing with what is measured, for no system: it
goes through Unix sockets, which all namespaces see, or, where Open vSwitch accepts none, through
a management network of its own.
"""

import contextlib
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bench import netns
from bench.addressing import GATEWAY_MAC, GUEST_MTU, PortSpec
from bench.ovsdb import Ovsdb, insert, ovs_map, ovs_set, where
from bench.probe import Prober
from bench.probe_worker import Flight
from bench.processes import CommandError, Process, run
from bench.waiting import wait_for

HOSTS = ("a", "b", "c")
UNDERLAY_MTU = 1500
MANAGEMENT = "172.30.0.254"
"""Address that every host reaches through the management network; in the underlay's namespace."""
_RUNS = Path(tempfile.gettempdir()) / "vpcctl-bench"
_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")


class Host:
    """One hypervisor."""

    def __init__(self, index: int, prefix: str, directory: Path) -> None:
        self.index = index
        self.name = HOSTS[index]
        self.netns = f"{prefix}{self.name}"
        self.directory = directory / self.name
        self.vtep = f"172.31.0.{index + 1}"
        self.env = {
            "OVS_RUNDIR": str(self.directory),
            "OVS_LOGDIR": str(self.directory),
            "OVS_DBDIR": str(self.directory),
            "OVN_RUNDIR": str(self.directory),
            "OVN_LOGDIR": str(self.directory),
        }
        self.database: Process | None = None
        self.vswitchd: Process | None = None
        self._ovsdb: Ovsdb | None = None

    @property
    def socket(self) -> Path:
        """Its OVSDB server's socket."""
        return self.directory / "db.sock"

    @property
    def ovsdb(self) -> Ovsdb:
        """A persistent connection to its OVSDB server."""
        assert self._ovsdb is not None
        return self._ovsdb

    def connect(self) -> Ovsdb:
        """Return a further connection to its OVSDB server."""
        return Ovsdb(self.socket, "Open_vSwitch")

    def start(self) -> None:
        """Start its Open vSwitch and join it to the underlay (device ``phy`` must exist)."""
        self.directory.mkdir(parents=True)
        run("ovsdb-tool", "create", str(self.directory / "conf.db"), str(_SCHEMA))
        self.database = Process(
            [
                "ovsdb-server",
                str(self.directory / "conf.db"),
                f"--remote=punix:{self.socket}",
                f"--unixctl={self.directory}/ovsdb.ctl",
            ],
            log=self.directory / "ovsdb-server.log",
            netns=self.netns,
            env=self.env,
        )
        self._ovsdb = Ovsdb.await_server(self.socket, "Open_vSwitch")
        self.ovsdb.transact(insert("Open_vSwitch", {}))
        self.start_vswitchd()
        self._add_bridges()

    def start_vswitchd(self) -> None:
        """Start ovs-vswitchd."""
        self.vswitchd = Process(
            [
                "ovs-vswitchd",
                f"unix:{self.socket}",
                f"--pidfile={self.directory}/ovs-vswitchd.pid",
                "-vconsole:off",
                f"--log-file={self.directory}/ovs-vswitchd.log",
            ],
            log=self.directory / "ovs-vswitchd.out",
            netns=self.netns,
            env=self.env,
        )
        wait_for("ovs-vswitchd", self._control().exists, timeout=10)

    def _control(self) -> Path:
        assert self.vswitchd is not None
        return self.directory / f"ovs-vswitchd.{self.vswitchd.pid}.ctl"

    def restart_vswitchd(self) -> float:
        """Kill ovs-vswitchd as a crash would and start it again; return when, monotonic."""
        assert self.vswitchd is not None
        self.vswitchd.kill()
        self._control().unlink(missing_ok=True)
        start = time.monotonic()
        self.start_vswitchd()
        self._configure_underlay()
        return start

    def _add_bridges(self) -> None:
        for bridge, fail_mode in (("br-phy", "standalone"), ("br-int", "secure")):
            self.ovsdb.transact(
                insert("Interface", {"name": bridge, "type": "internal"}, "interface"),
                insert("Port", {"name": bridge, "interfaces": ["named-uuid", "interface"]}, "port"),
                insert(
                    "Bridge",
                    {
                        "name": bridge,
                        "datapath_type": "netdev",
                        "fail_mode": fail_mode,
                        "ports": ["named-uuid", "port"],
                        "other_config": ovs_map({"disable-in-band": "true"}),
                    },
                    "bridge",
                ),
                _into("Open_vSwitch", [], "bridges", "bridge"),
            )
        self.add_interface("br-phy", "phy")
        self._configure_underlay()

    def _configure_underlay(self) -> None:
        def has_bridge() -> bool:
            with contextlib.suppress(CommandError):
                netns.ip_batch(self.netns, "link show br-phy")
                return True
            return False

        wait_for("br-phy", has_bridge, timeout=20)
        netns.ip_batch(self.netns, f"addr replace {self.vtep}/20 dev br-phy", "link set br-phy up")
        # Idle worlds must not pay for an ARP of the underlay in a sample.
        wait_for(
            "the tunnels' neighbours", lambda: self.appctl("tnl/neigh/aging", "3600"), timeout=10
        )

    def add_interface(
        self, bridge: str, device: str, external_ids: dict[str, str] | None = None
    ) -> None:
        """Plug *device* into *bridge*: one transaction on the persistent connection."""
        row = {"name": device, "external_ids": ovs_map(external_ids or {})}
        self.ovsdb.transact(
            insert("Interface", row, "interface"),
            insert("Port", {"name": device, "interfaces": ["named-uuid", "interface"]}, "port"),
            _into("Bridge", where("name", bridge), "ports", "port"),
        )

    def remove_interface(self, bridge: str, device: str) -> None:
        """Unplug *device* from *bridge*."""
        ports = self.ovsdb.select("Port", where("name", device), ["_uuid"])
        gone = ovs_set([port["_uuid"] for port in ports])
        mutation = [["ports", "delete", gone]]
        self.ovsdb.transact(
            {
                "op": "mutate",
                "table": "Bridge",
                "where": where("name", bridge),
                "mutations": mutation,
            }
        )

    def ofport(self, device: str) -> int:
        """Wait until *device* has an OpenFlow port number and return it."""

        def probe() -> int:
            rows = self.ovsdb.select("Interface", where("name", device), ["ofport"])
            value = rows[0]["ofport"] if rows else 0
            return value if isinstance(value, int) and value > 0 else 0

        return wait_for(f"an OpenFlow port for {device}", probe, timeout=10)

    def appctl(self, *words: str) -> str:
        """Run ``ovs-appctl`` against ovs-vswitchd."""
        with contextlib.suppress(CommandError):
            return run("ovs-appctl", "-t", str(self._control()), *words) or "ok"
        return ""

    def ofctl(self, command: str, *words: str, stdin: str | None = None) -> str:
        """Run ``ovs-ofctl`` against br-int."""
        target = f"unix:{self.directory}/br-int.mgmt"
        return run("ovs-ofctl", "-O", "OpenFlow14", command, target, *words, stdin=stdin)

    def flow_count(self) -> int:
        """Return how many flows br-int has; cheap, the flows are not dumped."""
        text = self.ofctl("dump-aggregate")
        return int(text.rpartition("flow_count=")[2].split()[0])

    def switch_pids(self) -> tuple[int, ...]:
        """Return the process ids of its Open vSwitch."""
        return tuple(process.pid for process in (self.database, self.vswitchd) if process)

    def stop(self) -> None:
        """Stop its Open vSwitch."""
        if self._ovsdb is not None:
            self._ovsdb.close()
        for process in (self.vswitchd, self.database):
            if process is not None:
                process.kill()


def _into(table: str, condition: list[object], column: str, name: str) -> dict[str, object]:
    return {
        "op": "mutate",
        "table": table,
        "where": condition,
        "mutations": [[column, "insert", ["named-uuid", name]]],
    }


@dataclass(frozen=True, slots=True)
class Guest:
    """A workload that really exists: a namespace behind a veth pair.

    Attributes:
        spec: its port.
        host: the hypervisor it is on.
        netns: its namespace; the device inside is ``eth0``.
        device: name of the veth's other end, the one to plug into br-int.
    """

    spec: PortSpec
    host: Host
    netns: str
    device: str


class World:
    """Three hosts, their underlay and guests; a context manager that leaves nothing behind."""

    def __init__(self, label: str) -> None:
        self.prefix = f"vb{random.randrange(0x10000):04x}"
        self.directory = _RUNS / f"{os.getpid()}-{label}-{self.prefix}"
        self.hosts = tuple(Host(index, self.prefix, self.directory) for index in range(len(HOSTS)))
        self.guests: dict[tuple[str, str], Guest] = {}
        self._probers: dict[str, Prober] = {}
        self._netns: list[str] = []

    def __enter__(self) -> "World":
        self.directory.mkdir(parents=True)
        (self.directory / "prefix").write_text(self.prefix)
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _build(self) -> None:
        underlay = self._add_netns("u")
        netns.ip_batch(
            underlay,
            "link add underlay type bridge",
            "link set underlay up",
            "link add management type bridge",
            "link set management up",
            f"addr add {MANAGEMENT}/24 dev management",
        )
        for host in self.hosts:
            self._add_netns(host.name)
            for bridge, device in (("underlay", "phy"), ("management", "mgmt")):
                near = f"{device}-{host.name}"
                netns.add_veth((underlay, near), (host.netns, device), UNDERLAY_MTU)
                netns.ip_batch(underlay, f"link set {near} master {bridge}")
            address = f"172.30.0.{host.index + 1}"
            netns.ip_batch(host.netns, f"addr add {address}/24 dev mgmt")
            host.start()

    @property
    def central_netns(self) -> str:
        """The namespace that has the address MANAGEMENT."""
        return f"{self.prefix}u"

    def _add_netns(self, suffix: str) -> str:
        name = f"{self.prefix}{suffix}"
        self._netns.append(name)
        netns.add_netns(name)
        return name

    def host(self, name: str) -> Host:
        """Return the host called *name* (a, b or c)."""
        return self.hosts[HOSTS.index(name)]

    def add_guest(self, host: str, spec: PortSpec) -> Guest:
        """Make the guest of port *spec* on *host*, unplugged.

        The same port may have a guest on several hosts: an interface that moves between them.
        """
        home = self.host(host)
        number = len(self.guests)
        device = f"{self.prefix}g{number}"
        space = self._add_netns(f"g{number}")
        netns.add_veth((home.netns, device), (space, "eth0"), GUEST_MTU)
        netns.ip_batch(
            space,
            f"link set eth0 address {spec.mac}",
            f"addr add {spec.address}/16 dev eth0",
            f"neigh replace {spec.gateway} lladdr {GATEWAY_MAC} dev eth0 nud permanent",
            f"route add default via {spec.gateway}",
        )
        guest = Guest(spec, home, space, device)
        self.guests[host, spec.name] = guest
        return guest

    def introduce(self, guests: Sequence[Guest]) -> None:
        """Give the guests of one subnet each other's MACs, so that no sample waits for ARP."""
        for guest in guests:
            lines = {
                f"neigh replace {other.spec.address} lladdr {other.spec.mac} dev eth0 nud permanent"
                for other in guests
                if other.spec.subnet == guest.spec.subnet and other.spec != guest.spec
            }
            if lines:
                netns.ip_batch(guest.netns, *sorted(lines))

    def prober(self, guest: Guest) -> Prober:
        """Return the probing process of *guest*, started at its first use."""
        if guest.netns not in self._probers:
            log = self.directory / f"probe-{guest.device}.log"
            self._probers[guest.netns] = Prober(guest.netns, "eth0", log)
        return self._probers[guest.netns]

    def switch_pids(self) -> tuple[int, ...]:
        """Return the process ids of all Open vSwitches."""
        return tuple(pid for host in self.hosts for pid in host.switch_pids())

    def close(self) -> None:
        """Remove everything that this world made."""
        for prober in self._probers.values():
            prober.close()
        for host in self.hosts:
            host.stop()
        present = set(netns.list_netns(self.prefix))
        for name in self._netns:
            if name in present:
                netns.delete_netns(name)
        shutil.rmtree(self.directory, ignore_errors=True)


def flight(source: Guest, target: Guest, identifier: int) -> Flight:
    """Return what a probe from *source* to *target* looks like; routed between subnets."""
    routed = source.spec.subnet != target.spec.subnet
    return Flight(
        source_mac=source.spec.mac,
        next_mac=GATEWAY_MAC if routed else target.spec.mac,
        source=source.spec.address,
        target=target.spec.address,
        identifier=identifier,
    )


def sweep() -> None:
    """Remove what an earlier bench left behind that was killed without a chance to clean up."""
    for directory in _leftovers():
        with contextlib.suppress(OSError, CommandError):
            prefix = (directory / "prefix").read_text().strip()
            for name in netns.list_netns(prefix) if prefix.startswith("vb") else []:
                netns.delete_netns(name)
        shutil.rmtree(directory, ignore_errors=True)


def _leftovers() -> Iterator[Path]:
    for directory in _RUNS.glob("*-*"):
        owner = directory.name.partition("-")[0]
        if owner.isdigit() and not _is_bench(int(owner)):
            yield directory


def _is_bench(pid: int) -> bool:
    try:
        return b"bench" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
