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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from bench import netns
from bench.addressing import GATEWAY_MAC, GUEST_MTU, PortSpec
from bench.host import HOSTS, Host
from bench.outside import REACH, Outside
from bench.probe import Prober
from bench.probe_worker import Flight
from bench.processes import CommandError

UNDERLAY_MTU = 1500
MANAGEMENT = "172.30.0.254"
"""Address that every host reaches through the management network; in the underlay's namespace."""
_RUNS = Path(tempfile.gettempdir()) / "vpcctl-bench"


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
    """Three hosts, their underlay and guests; a context manager that leaves nothing behind.

    Args:
        label: for the names of its files.
        outside: whether there is a provider's network, which some of the hosts reach.
    """

    def __init__(self, label: str, *, outside: bool = False) -> None:
        self.prefix = f"vb{random.randrange(0x10000):04x}"
        self.directory = _RUNS / f"{os.getpid()}-{label}-{self.prefix}"
        self.hosts = tuple(Host(index, self.prefix, self.directory) for index in range(len(HOSTS)))
        self.guests: dict[tuple[str, str], Guest] = {}
        self._probers: dict[str, Prober] = {}
        self._netns: list[str] = []
        self._has_outside = outside
        self._outside: Outside | None = None

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
        underlay = self.add_netns("u")
        netns.ip_batch(
            underlay,
            "link add underlay type bridge",
            "link set underlay up",
            "link add management type bridge",
            "link set management up",
            f"addr add {MANAGEMENT}/24 dev management",
        )
        for host in self.hosts:
            self.add_netns(host.name)
            for bridge, device in (("underlay", "phy"), ("management", "mgmt")):
                near = f"{device}-{host.name}"
                netns.add_veth((underlay, near), (host.netns, device), UNDERLAY_MTU)
                netns.ip_batch(underlay, f"link set {near} master {bridge}")
            address = f"172.30.0.{host.index + 1}"
            netns.ip_batch(host.netns, f"addr add {address}/24 dev mgmt")
            host.start()
        if self._has_outside:
            space = self.add_netns("o")
            log = self.directory / "probe-outside.log"
            self._outside = Outside(underlay, space, self.hosts, log)

    @property
    def outside(self) -> Outside:
        """The provider's network; only in a world that was asked for one."""
        assert self._outside is not None
        return self._outside

    def reaches(self, host: Host) -> bool:
        """Tell whether *host* reaches the provider's network."""
        return self._has_outside and host.name in REACH

    def unplug_cables(self, host: Host) -> None:
        """Take every cable of *host* off: the underlay's, the management's, the provider's."""
        netns.ip_batch(self.central_netns, *(f"link set {one} down" for one in self._cables(host)))

    def plug_cables(self, host: Host) -> None:
        """Put the cables of *host* back."""
        netns.ip_batch(self.central_netns, *(f"link set {one} up" for one in self._cables(host)))

    def _cables(self, host: Host) -> list[str]:
        kinds = ("phy", "mgmt", "ext") if self.reaches(host) else ("phy", "mgmt")
        return [f"{kind}-{host.name}" for kind in kinds]

    @property
    def central_netns(self) -> str:
        """The namespace that has the address MANAGEMENT."""
        return f"{self.prefix}u"

    def add_netns(self, suffix: str) -> str:
        """Make a namespace that goes with the world; return its whole name."""
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
        space = self.add_netns(f"g{number}")
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
        if self._outside is not None:
            self._outside.close()
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
