"""Real hosts under a real southbound whose network is made of model objects: no API, no agent.

Guests are network namespaces. Their sockets are made in there and used by the test itself, so what
a guest sends and gets is known to the millisecond.
"""

import asyncio
import ctypes
import json
import os
import re
import socket
import tempfile
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.oracle.oracle import ROUTER_MAC, text
from tests.southbound.rig import MemoryStore, Rig
from tests.support import leftovers
from tests.support import networks as n
from tests.support.hosts import Host, HostSet, checksums_off, command
from tests.support.waiting import wait_until
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import DROP
from vpcctl.model.changes import Resource
from vpcctl.model.host import Host as HostFacts
from vpcctl.model.location import Location
from vpcctl.model.port import Port
from vpcctl.model.subnet import Subnet

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
TUNNEL_OFPORT = 1
LED_NOWHERE = {
    *(Reason.UNKNOWN_VTEP, Reason.UNKNOWN_VNI, Reason.NO_ROUTE, Reason.NO_NEIGHBOUR),
    *(Reason.UNKNOWN_UNICAST, Reason.NO_OUTPUT),
}
"""Why a packet is dropped for which a flow is missing."""


def inside(netns: str, work: Callable[[], T]) -> T:
    """Return what *work* returns in a network namespace; sockets that it makes stay there.

    Raises:
        OSError: as *work* raises it.
    """
    found: list[T] = []
    failed: list[BaseException] = []

    def enter() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        handle = os.open(f"/run/netns/{netns}", os.O_RDONLY)
        try:
            if libc.setns(handle, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {netns}")
            found.append(work())
        except BaseException as error:
            failed.append(error)
        finally:
            os.close(handle)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


@dataclass(frozen=True)
class Guest:
    """A workload in a namespace, and the port that it is behind."""

    port: Port
    netns: str
    outer: str

    @property
    def ipv4(self) -> str:
        return next(str(one) for one in self.port.ips if one.version == 4)

    @property
    def ipv6(self) -> str:
        return next(str(one) for one in self.port.ips if one.version == 6)

    def address(self, family: int) -> str:
        return self.ipv4 if family == 4 else self.ipv6

    def run(self, *arguments: str, check: bool = True) -> str:
        return command("nsenter", f"--net=/run/netns/{self.netns}", *arguments, check=check).stdout

    def opens(self, kind: int, family: int = 4, protocol: int = 0) -> socket.socket:
        """Return a new socket of this guest."""
        of = socket.AF_INET if family == 4 else socket.AF_INET6
        return inside(self.netns, lambda: socket.socket(of, kind, protocol))

    def wire(self) -> socket.socket:
        """Return a socket that sends and gets whole frames."""
        return inside(self.netns, self._wire)

    def _wire(self) -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        made.bind(("eth0", 3))
        return made


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout: float = 60.0) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def call(self, work: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(work)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Site:
    """Hosts, their southbound and guests."""

    def __init__(self, hosts: HostSet, stack: ExitStack) -> None:
        self.machines = hosts
        self.store = MemoryStore()
        self.facts: list[HostFacts] = []
        self._tag = leftovers.tag(2)
        self._guests = 0
        self._locations: dict[str, Location] = {}
        self._stack = stack
        self._loop = Loop()
        stack.callback(self._loop.close)
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vpc-site-")))
        self._rig = Rig(directory, self.store)
        self._loop.run(self._rig.start())
        stack.callback(lambda: self._loop.run(self._rig.stop()))
        for at, machine in enumerate(hosts.hosts, 1):
            facts = n.host(at, vtep=n.ip(machine.address), tunnel_ofport=TUNNEL_OFPORT)
            self.facts.append(facts)
            self._underlay(machine)
            self._bridge(machine, facts)
        self.change(*self.facts)

    @staticmethod
    def _underlay(machine: Host) -> None:
        """Put the underlay's device into a bridge with the host's address, as VXLAN needs it."""
        shown = machine.run("ip", "-j", "link", "show", "eth0").stdout
        mac = json.loads(shown)[0]["address"]
        machine.vsctl(
            *("add-br", "br-phy", "--", "set", "bridge", "br-phy", "datapath_type=netdev"),
            f"other-config:hwaddr={mac}",
            *("--", "add-port", "br-phy", "eth0"),
        )
        address = f"{machine.address}/{machine.prefix_length}"
        machine.run("ip", "addr", "flush", "dev", "eth0")
        machine.run("ip", "addr", "add", address, "dev", "br-phy")
        machine.run("ip", "link", "set", "br-phy", "up")

    def _bridge(self, machine: Host, facts: HostFacts) -> None:
        # Open vSwitch connects only to Unix sockets in its own directory.
        (machine.directory / "of.sock").symlink_to(self._rig.target.removeprefix("unix:"))
        machine.vsctl(
            *("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev"),
            *("fail-mode=secure", "other-config:disable-in-band=true"),
            f"other-config:datapath-id={facts.dpid:016x}",
            *("--", "add-port", "br-int", "vxlan0", "--", "set", "interface", "vxlan0"),
            *("type=vxlan", "options:remote_ip=flow", "options:key=flow"),
            f"ofport_request={TUNNEL_OFPORT}",
            *("--", "set-controller", "br-int", f"unix:{machine.directory}/of.sock"),
            *("--", "set", "controller", "br-int", "max_backoff=1000"),
        )

    def change(self, *resources: Resource) -> None:
        """Make *resources* what they are; returns when the hosts have confirmed it."""
        self.store.put(*resources)
        self.settle()

    def remove(self, *resources: Resource) -> None:
        """Remove *resources*; returns when the hosts have confirmed it."""
        self.store.remove(*resources)
        self.settle()

    def poke(self) -> None:
        """Have the southbound look for changes, without waiting for what it does with them."""
        self._loop.call(self._rig.southbound.engine.poke)

    def settle(self) -> None:
        self._loop.run(self._rig.settle(*(one.id for one in self.facts), timeout=50))

    def guest(self, at: int, port: Port, subnet: Subnet) -> Guest:
        """Attach a namespace to host *at* as *port*; returns when the hosts know it."""
        self._guests += 1
        netns, outer = f"vg{self._tag}-{self._guests}", f"vt{self._tag}-{self._guests}"
        made = Guest(port, netns, outer)
        command("ip", "netns", "add", netns)
        self._stack.callback(command, "ip", "netns", "del", netns, check=False)
        self.machines[at].run(
            *("ip", "link", "add", outer, "mtu", "1450", "type", "veth", "peer", "name", "eth0"),
            *("mtu", "1450", "address", text(port.mac), "netns", netns),
        )
        self.machines[at].run("ip", "link", "set", outer, "up")
        checksums_off("eth0", netns=netns)
        self._configure(made, subnet)
        self.place(at, made)
        return made

    @staticmethod
    def _configure(guest: Guest, subnet: Subnet) -> None:
        guest.run("sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0")
        guest.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0")
        guest.run("ip", "link", "set", "lo", "up")
        guest.run("ip", "link", "set", "eth0", "up")
        for ip in guest.port.ips:
            block, gateway = (
                (subnet.cidr, subnet.gateway)
                if ip.version == 4
                else (subnet.ipv6_cidr, subnet.ipv6_gateway)
            )
            assert block is not None
            family = f"-{ip.version}"
            # Without nodad the kernel takes an address a moment later, whatever accept_dad says.
            at_once = ("nodad",) if ip.version == 6 else ()
            address = f"{ip}/{block.prefixlen}"
            guest.run("ip", family, "addr", "add", address, "dev", "eth0", *at_once)
            neighbour = ("lladdr", ROUTER_MAC, "dev", "eth0", "nud", "permanent")
            guest.run("ip", family, "neigh", "add", str(gateway), *neighbour)
            guest.run("ip", family, "route", "add", "default", "via", str(gateway))

    def place(self, at: int, guest: Guest) -> Location:
        """Plug a guest's device into its host's bridge and tell the southbound where it is."""
        machine = self.machines[at]
        machine.vsctl("add-port", "br-int", guest.outer)
        ofport = wait_until(lambda: self._ofport(machine, guest.outer), 10)
        location = self._locations[guest.port.id] = n.at(guest.port, self.facts[at], ofport)
        self.change(guest.port, location)
        return location

    def location(self, guest: Guest) -> Location:
        """Return where a guest's port is."""
        return self._locations[guest.port.id]

    def unplug(self, at: int, guest: Guest, location: Location) -> None:
        """Take a guest's device out of its host's bridge, and then tell the southbound."""
        self.machines[at].vsctl("del-port", "br-int", guest.outer)
        self.remove(location)

    @staticmethod
    def _ofport(machine: Host, device: str) -> int:
        shown = machine.vsctl("get", "interface", device, "ofport")
        return int(shown) if shown.isdigit() else 0

    def drops(self, at: int, port: Port) -> dict[str, int]:
        """Return what host *at* has dropped, by reason; all told so far.

        That is what is counted for *port*, and of the whole host what no flow led anywhere.
        """
        machine, owner = self.machines[at], f"cookie={cookie(Feature.EDGE, port.key):#x},"
        machine.appctl("revalidator/wait")
        shown = machine.ofctl("dump-flows", "br-int", f"table={DROP.number}")
        found: dict[str, int] = {}
        for line in shown.splitlines():
            counted = re.search(r"n_packets=(\d+),.*reg6=(0x[0-9a-f]+)", line)
            if counted is None:
                continue
            reason = Reason(int(counted[2], 16))
            if owner in line or reason in LED_NOWHERE:
                found[reason.text] = found.get(reason.text, 0) + int(counted[1])
        return found

    def connections(self, at: int) -> str:
        """Return what connection tracking of host *at* holds."""
        return self.machines[at].appctl("dpctl/dump-conntrack")


@contextmanager
def make_site(count: int = 2) -> Iterator[Site]:
    """Make hosts under one southbound; nothing of them is left at the end."""
    with ExitStack() as stack:
        yield Site(stack.enter_context(HostSet.make(count)), stack)
