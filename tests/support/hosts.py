"""Hypervisor hosts for tests and labs: Open vSwitch in a network namespace each.

Every host has its own ``ovsdb-server`` and ``ovs-vswitchd`` (userspace datapath) with all their
paths in a temporary directory, and a device ``eth0`` on a common underlay: a Linux bridge in the
caller's namespace. Names are unique, so several sets may run beside each other. Needs root.

    with HostSet.make(2) as hosts:
        hosts[0].vsctl("add-br", "br0")
        hosts[0].run("ping", "-c1", hosts[1].address)
"""

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import leftovers
from tests.support.waiting import wait_until

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


def command(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command; its output is in an AssertionError when it fails."""
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done


@contextmanager
def own_netns(prefix: str) -> Iterator[str]:
    """Make a network namespace of a name that nobody else has; remove it at the end."""
    netns = f"{prefix}{leftovers.tag(2)}-{secrets.token_hex(3)}"
    command("ip", "netns", "add", netns)
    try:
        yield netns
    finally:
        command("ip", "netns", "del", netns)


def checksums_off(device: str, *, netns: str | None = None) -> None:
    """Switch transmit checksum offload off, which frames read by a userspace datapath need."""
    inside = ("nsenter", f"--net=/run/netns/{netns}") if netns else ()
    command(*inside, "ethtool", "-K", device, "tx", "off")


@dataclass
class Host:
    """One hypervisor host.

    Attributes:
        name: of its network namespace (under ``/run/netns``).
        address: its underlay address; with *prefix_length* on ``eth0`` at the start.
        directory: holds every file of its Open vSwitch.
        processes: what runs, by name.
    """

    name: str
    address: str
    prefix_length: int
    directory: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def netns(self) -> Path:
        """File of its network namespace."""
        return Path("/run/netns") / self.name

    @property
    def ovsdb(self) -> str:
        """OVSDB remote for clients."""
        return f"unix:{self.directory}/db.sock"

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in its namespace."""
        return command("nsenter", f"--net={self.netns}", *arguments, check=check)

    def spawn(
        self, *arguments: str, env: dict[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start a process in its namespace that ends with the caller at the latest."""
        inside = ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net={self.netns}"]
        return subprocess.Popen([*inside, *arguments], env={**os.environ, **(env or {})}, **options)

    def vsctl(self, *arguments: str, check: bool = True) -> str:
        """Run ovs-vsctl against its database."""
        base = ("ovs-vsctl", f"--db={self.ovsdb}", "--timeout=10")
        return command(*base, *arguments, check=check).stdout.strip()

    def appctl(self, *arguments: str, check: bool = True) -> str:
        """Run ovs-appctl against its ovs-vswitchd."""
        pid = (self.directory / "ovs-vswitchd.pid").read_text().strip()
        target = f"{self.directory}/ovs-vswitchd.{pid}.ctl"
        return command("ovs-appctl", "-t", target, *arguments, check=check).stdout

    def ofctl(self, verb: str, bridge: str, *arguments: str) -> str:
        """Run ovs-ofctl against one of its bridges."""
        target = f"unix:{self.directory}/{bridge}.mgmt"
        return command("ovs-ofctl", "-O", "OpenFlow15", verb, target, *arguments).stdout

    def start_ovsdb(self) -> None:
        """Start ovsdb-server; returns when it answers."""
        database = self.directory / "conf.db"
        if not database.exists():
            command("ovsdb-tool", "create", str(database), SCHEMA)
        self._start_daemon("ovsdb-server", str(database), f"--remote=p{self.ovsdb}", "--no-chdir")
        wait_until(lambda: "Open_vSwitch" in self._databases(), what="ovsdb-server")
        self.vsctl("--no-wait", "init")

    def _databases(self) -> str:
        return command("ovsdb-client", "list-dbs", self.ovsdb, check=False).stdout

    def start_vswitchd(self) -> None:
        """Start ovs-vswitchd; returns when it answers."""
        self._start_daemon("ovs-vswitchd", self.ovsdb, "--disable-system", "--no-chdir")
        wait_until(self._vswitchd_answers, what="ovs-vswitchd")

    def _vswitchd_answers(self) -> bool:
        pid = self.processes["ovs-vswitchd"].pid
        socket = self.directory / f"ovs-vswitchd.{pid}.ctl"
        pidfile = self.directory / "ovs-vswitchd.pid"
        if not socket.exists() or not pidfile.exists() or pidfile.read_text().strip() != str(pid):
            return False
        answer = command("ovs-appctl", "-t", str(socket), "version", check=False)
        return answer.returncode == 0

    def _start_daemon(self, name: str, *arguments: str) -> None:
        directory = str(self.directory)
        self.processes[name] = self.spawn(
            name,
            *arguments,
            f"--pidfile={directory}/{name}.pid",
            f"--log-file={directory}/{name}.log",
            "-vconsole:off",
            env={"OVS_RUNDIR": directory, "OVS_LOGDIR": directory, "OVS_DBDIR": directory},
        )

    def stop_process(self, name: str, number: int = signal.SIGTERM) -> None:
        """End one of its processes and wait for its end."""
        process = self.processes.pop(name, None)
        if process is not None:
            process.send_signal(number)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def stop(self) -> None:
        """End all its processes, the last started first."""
        for name in reversed(list(self.processes)):
            self.stop_process(name, signal.SIGKILL if name == "ovs-vswitchd" else signal.SIGTERM)


@dataclass(frozen=True)
class HostSet:
    """Hosts on one underlay.

    Attributes:
        hosts: in the order of their addresses.
        bridge: the underlay's Linux bridge.
        gateway: address of the bridge itself: how hosts reach the caller's namespace.
        directory: temporary directory of the set.
    """

    hosts: tuple[Host, ...]
    bridge: str
    gateway: str
    directory: Path

    def __getitem__(self, at: int) -> Host:
        return self.hosts[at]

    @staticmethod
    @contextmanager
    def make(count: int, *, mtu: int = 1500, start: bool = True) -> "Iterator[HostSet]":
        """Make hosts, and remove every trace of them at the end.

        Args:
            count: how many.
            mtu: of the underlay, bytes.
            start: start Open vSwitch on them.
        """
        tag = leftovers.tag(3)
        octets = secrets.randbelow(100) + 100, secrets.randbelow(250) + 1
        net = f"10.{octets[0]}.{octets[1]}"
        directory = Path(tempfile.mkdtemp(prefix=f"vpcctl-hosts-{tag}-"))
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
            bridge, gateway = f"vu{tag}", f"{net}.254"
            _make_bridge(stack, bridge, f"{gateway}/24", mtu)
            hosts = tuple(
                _make_host(
                    stack,
                    Host(f"vh{tag}-{at}", f"{net}.{at}", 24, directory / str(at)),
                    bridge,
                    mtu,
                )
                for at in range(1, count + 1)
            )
            for host in hosts if start else ():
                host.start_ovsdb()
                host.start_vswitchd()
            yield HostSet(hosts, bridge, gateway, directory)


def _make_bridge(stack: ExitStack, bridge: str, address: str, mtu: int) -> None:
    command("ip", "link", "add", bridge, "type", "bridge")
    stack.callback(command, "ip", "link", "del", bridge, check=False)
    command("ip", "link", "set", bridge, "mtu", str(mtu), "up")
    command("ip", "addr", "add", address, "dev", bridge)
    checksums_off(bridge)


def _make_host(stack: ExitStack, host: Host, bridge: str, mtu: int) -> Host:
    host.directory.mkdir()
    command("ip", "netns", "add", host.name)
    stack.callback(command, "ip", "netns", "del", host.name, check=False)
    outer = host.name.replace("vh", "ve", 1)
    command(
        *("ip", "link", "add", outer, "mtu", str(mtu), "type", "veth", "peer", "name", "eth0"),
        *("mtu", str(mtu), "netns", host.name),
    )
    # The kernel takes its time with a namespace's devices; the pair goes at once.
    stack.callback(command, "ip", "link", "del", outer, check=False)
    command("ip", "link", "set", outer, "master", bridge, "up")
    checksums_off("eth0", netns=host.name)
    host.run("ip", "link", "set", "lo", "up")
    host.run("ip", "link", "set", "eth0", "up")
    host.run("ip", "addr", "add", f"{host.address}/{host.prefix_length}", "dev", "eth0")
    stack.callback(host.stop)
    return host


def processes_of(hosts: Sequence[Host]) -> list[int]:
    """Return the process ids of everything the hosts started that still runs."""
    return [each.pid for host in hosts for each in host.processes.values() if each.poll() is None]
