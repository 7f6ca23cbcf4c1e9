"""One hypervisor: a namespace with an ovsdb-server and an ovs-vswitchd of its own."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from bench import netns
from bench.flow_count import FlowCount
from bench.ovsdb import Ovsdb, insert, ovs_map, ovs_set, where
from bench.processes import CommandError, Process, run
from bench.waiting import wait_for
from vpcctl.flows.cookie import LEARNED_COOKIE, OWNER_MASK

HOSTS = ("a", "b", "c")
"""Names of the hosts."""

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

    def kill_vswitchd(self) -> None:
        """Kill ovs-vswitchd as a crash would; :meth:`restart_vswitchd` starts it again."""
        assert self.vswitchd is not None
        self.vswitchd.kill()

    def _add_bridges(self) -> None:
        self.add_bridge("br-phy", "standalone")
        self.add_bridge("br-int", "secure")
        self.add_interface("br-phy", "phy")
        self._configure_underlay()

    def add_bridge(self, bridge: str, fail_mode: str) -> None:
        """Make a bridge on the userspace datapath, without ports."""
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

    def add_patch(self, bridge: str, name: str, peer: str) -> None:
        """Add one end of a pair of patch ports to *bridge*."""
        row = {"name": name, "type": "patch", "options": ovs_map({"peer": peer})}
        self.ovsdb.transact(
            insert("Interface", row, "interface"),
            insert("Port", {"name": name, "interfaces": ["named-uuid", "interface"]}, "port"),
            _into("Bridge", where("name", bridge), "ports", "port"),
        )

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
        self,
        bridge: str,
        device: str,
        external_ids: dict[str, str] | None = None,
        kind: str = "",
    ) -> None:
        """Plug *device* into *bridge*: one transaction on the persistent connection."""
        row = {"name": device, "type": kind, "external_ids": ovs_map(external_ids or {})}
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

    @contextlib.contextmanager
    def numbers_taken(self, count: int) -> Iterator[None]:
        """Keep the datapath's next *count* port numbers taken, by devices that do nothing."""
        names = [f"taken{index}" for index in range(count)]
        try:
            for name in names:
                self.add_interface("br-phy", name, kind="internal")
            for name in names:
                self.ofport(name)
            yield
        finally:
            for name in names:
                self.remove_interface("br-phy", name)

    def has_interface(self, device: str) -> bool:
        """Tell whether *device* is plugged into a bridge."""
        return bool(self.ovsdb.select("Port", where("name", device), ["_uuid"]))

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
        """Return how many flows br-int was given, not learned; cheap, the flows are not dumped."""
        return self._flow_count() - self._flow_count(f"cookie={LEARNED_COOKIE:#x}/{OWNER_MASK:#x}")

    def _flow_count(self, *which: str) -> int:
        text = self.ofctl("dump-aggregate", *which)
        return int(text.rpartition("flow_count=")[2].split()[0])

    def counting(self) -> FlowCount:
        """Return what counts br-int's flows, learned ones too, as often as one likes."""
        return FlowCount(self.directory / "br-int.mgmt")

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
