"""The world outside: a provider's network on a Linux bridge of its own, and somebody on it.

Two of the three hosts reach it, by a device in a bridge of their own. The namespace on it is the
provider's router and whoever calls: it knows nothing of the systems that are measured.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench import netns
from bench.addressing import GATEWAY_MAC, GUEST_MTU, PortSpec
from bench.host import Host
from bench.probe import Prober
from bench.probe_worker import Flight
from bench.processes import CommandError, in_netns, run
from bench.waiting import wait_for

PROVIDER, BRIDGE = "isp", "br-ex"
BLOCK = "198.51.100.0/24"
ROUTER, ROUTER_MAC = "198.51.100.1", "0e:00:00:ee:00:01"
POOL = "198.51.100.16-198.51.100.99"
NAT_EIP = "198.51.100.20"
"""The address of the NAT gateway."""

REACH = ("b", "c")
"""Hosts that reach the provider's network; both are gateway hosts."""

_NOBODY = "198.51.100.250"
_MTU = 1500


@dataclass(frozen=True, slots=True)
class Eip:
    """An EIP of the bench.

    Attributes:
        address: it.
        mac: what answers for it, in systems that leave that to whoever asks for it.
    """

    address: str
    mac: str


OWN_EIP = Eip("198.51.100.21", "0e:00:00:ee:00:21")
"""For a port whose host reaches the network."""
FAR_EIP = Eip("198.51.100.22", "0e:00:00:ee:00:22")
"""For a port whose host does not."""


class Outside:
    """The provider's network.

    Args:
        wire: namespace that holds its Linux bridge.
        space: namespace of its router.
        hosts: all hosts, running.
        log: of the router's probing process.
    """

    def __init__(self, wire: str, space: str, hosts: Sequence[Host], log: Path) -> None:
        self.netns = space
        self._wire = wire
        self._log = log
        self._prober: Prober | None = None
        netns.ip_batch(wire, "link add provider type bridge", "link set provider up")
        self._join("ext-router", (space, "eth0"), GUEST_MTU)
        netns.ip_batch(
            space, f"link set eth0 address {ROUTER_MAC}", f"addr add {ROUTER}/24 dev eth0"
        )
        for host in hosts:
            if host.name in REACH:
                self._join(f"ext-{host.name}", (host.netns, "ext"), _MTU)
                host.add_bridge(BRIDGE, "standalone")
                host.add_interface(BRIDGE, "ext")

    def _join(self, near: str, far: tuple[str, str], mtu: int) -> None:
        netns.add_veth((self._wire, near), far, mtu)
        netns.ip_batch(self._wire, f"link set {near} master provider")

    @property
    def prober(self) -> Prober:
        """The router's probing process, started at its first use."""
        if self._prober is None:
            self._prober = Prober(self.netns, "eth0", self._log)
        return self._prober

    def announce(self) -> None:
        """Let everybody on the network hear an ARP request of the router, and learn its MAC."""
        # The kernel asks for the address first, and then drops the datagram.
        words = in_netns(self.netns, ["bash", "-c", f"echo > /dev/udp/{_NOBODY}/9"])
        with suppress(CommandError):
            run(*words)

    def know(self, eip: Eip) -> None:
        """Tell the router the MAC of an EIP for good: nobody answers its ARP requests."""
        entry = f"neigh replace {eip.address} lladdr {eip.mac} dev eth0 nud permanent"
        netns.ip_batch(self.netns, entry)

    def await_mac(self, address: str) -> str:
        """Wait until *address* answers the router; return the MAC that it answers with.

        Raises:
            TooLongError: it does not.
        """
        ping = in_netns(self.netns, ["ping", "-n", "-q", "-c", "1", "-W", "1", address])

        def answered() -> str:
            with suppress(CommandError):
                run(*ping)
                found = run("ip", "-n", self.netns, "neigh", "show", address, "dev", "eth0")
                return found.partition("lladdr ")[2].partition(" ")[0]
            return ""

        return wait_for(f"{address} to answer", answered, timeout=30)

    def close(self) -> None:
        """End the probing process; namespaces and devices go with the world."""
        if self._prober is not None:
            self._prober.close()


def inbound(address: str, mac: str, identifier: int) -> Flight:
    """Return what a probe from the router to *address* looks like."""
    return Flight(ROUTER_MAC, mac, ROUTER, address, identifier)


def outbound(port: PortSpec, identifier: int) -> Flight:
    """Return what a probe from a port to the router looks like."""
    return Flight(port.mac, GATEWAY_MAC, port.address, ROUTER, identifier)
