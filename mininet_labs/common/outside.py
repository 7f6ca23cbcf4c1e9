"""The world outside: a provider's network, and somebody on it who knows nothing of us."""

import ipaddress
from dataclasses import dataclass
from typing import Any

from mininet.node import Host

from mininet_labs.common.processes import Daemons
from mininet_labs.common.report import Checks, say
from mininet_labs.common.runs import PROVIDER, Run
from mininet_labs.common.underlay import Underlay
from mininet_labs.common.workloads import Script, Workload

BLOCK = "203.0.113.0/24"
ROUTER = "203.0.113.1"
POOL = "203.0.113.16-203.0.113.99"
BLOCK6 = "2001:db8:77::/64"
ROUTER6 = "2001:db8:77::1"
TENANTS6 = "2001:db8:10::/44"
"""Blocks that the provider has given to tenants: its router takes them to be on the link."""
FAR_BLOCK = "198.51.100.0/24"
FAR_ROUTER, FAR = "198.51.100.1", "198.51.100.10"
"""A network behind the router, with the router's address there, and who is on it."""


class Outside(Host):
    """The provider's router, with somebody on a network behind it."""

    label = "outside"

    def __init__(self, name: str, run: Run, **params: Any) -> None:
        length = ipaddress.ip_network(BLOCK).prefixlen
        super().__init__(name, **{**params, "ip": f"{ROUTER}/{length}"})
        run.remember(self.pid)

    @property
    def device(self) -> str:
        """Its device on the provider's network."""
        return self.defaultIntf().name

    def begin(self) -> None:
        """Be a router, and fill in checksums: a userspace datapath reads them from the wire."""
        self.cmd(f"ethtool -K {self.device} tx off")
        self.cmd("sysctl -w net.ipv4.ip_forward=1")
        self.cmd(f"ip -6 address add {ROUTER6}/64 dev {self.device} nodad")
        self.cmd(f"ip -6 route add {TENANTS6} dev {self.device}")
        behind = self.intfNames()[1]
        length = ipaddress.ip_network(FAR_BLOCK).prefixlen
        self.cmd(f"ip address add {FAR_ROUTER}/{length} dev {behind}")

    def within(self, netns: str, *command: str) -> list[str]:
        """Return *command* as an argument list that runs it here; there is one namespace."""
        del netns
        return ["mnexec", "-a", str(self.pid), *command]

    def as_workload(self) -> Workload:
        """Return it in the form of those that scripts run in."""
        addresses = {4: ROUTER, 6: ROUTER6}
        return Workload("outside", "", PROVIDER, self, "", addresses, {})  # type: ignore[arg-type]


class Far(Host):
    """Somebody on the network behind the provider's router."""

    def __init__(self, name: str, run: Run, **params: Any) -> None:
        length = ipaddress.ip_network(FAR_BLOCK).prefixlen
        way = f"via {FAR_ROUTER}"
        super().__init__(name, **{**params, "ip": f"{FAR}/{length}", "defaultRoute": way})
        run.remember(self.pid)


class Visitor(Script):
    """The visitor inside one namespace; see ``visitor.Visitor``."""

    file = "visitor.py"

    def listen(self, port: int) -> None:
        """Answer at a port from now on."""
        self.ask("listen", port=port)

    def call(
        self, address: str, port: int, patience_s: float, kind: str = "tcp"
    ) -> tuple[str | None, str | None]:
        """Return who answers, and as whom this one is seen there; None twice: nobody does.

        *kind* is tcp or udp.
        """
        found = self.ask("call", address=address, port=port, patience_s=patience_s, kind=kind)
        return found["who"], found["seen_as"]

    def fit(self, address: str, port: int, size: int) -> tuple[int | None, int | None]:
        """Send a packet of *size* bytes that nobody may cut; return what fits, and what was told.

        None: nothing came back; nobody said anything.
        """
        found = self.ask("fit", address=address, port=port, size=size)
        return found["fits"], found["told"]

    def tick(self, address: str, port: int) -> None:
        """Send a datagram every 10 ms to somebody who sends it back, until told to stop."""
        self.ask("tick", address=address, port=port)

    def stop(self) -> tuple[int, int, int]:
        """Return how many datagrams went, how many came back, and the longest silence, ms."""
        found = self.ask("stop")
        return found["sent"], found["back"], found["silence_ms"]

    def knock(self, address: str, port: int, *, datagrams: bool = True) -> None:
        """Begin a new conversation with somebody every 10 ms, until told to stop."""
        self.ask("knock", address=address, port=port, datagrams=datagrams)

    def knocked(self) -> tuple[int, int, int]:
        """Return how many conversations began, how many were not answered, the longest wait, ms."""
        found = self.ask("knocked")
        return found["sent"], found["lost"], found["longest_ms"]

    def whose(self, device: str, own: str, address: str) -> None:
        """Ask everybody on a device's link whose an address is, as *own*."""
        self.ask("whose", device=device, own=own, address=address)

    def hold(self, address: str, port: int, datagrams: int) -> None:
        """Talk to somebody by a TCP connection and by datagrams to another port, for ever."""
        self.ask("hold", address=address, port=port, datagrams=datagrams)

    def held(self) -> tuple[int, int, str]:
        """Return how much came back by TCP and by UDP, and what ended the connection, if so."""
        found = self.ask("held")
        return found["tcp"], found["udp"], found["ended"]

    def transfer(self, address: str, port: int) -> None:
        """Begin to send TCP data to somebody who listens, and to get some: a few seconds each."""
        self.ask("transfer", address=address, port=port)

    def transferred(self) -> dict[str, str]:
        """Return by direction what went wrong, once all has ended; empty: all data has come."""
        return self.ask("transferred")


@dataclass(frozen=True)
class Hop:
    """What a datagram that went some hops has brought.

    Attributes:
        by: who said something; empty: nobody.
        kind: type and code of the ICMP error.
        own: the datagram's source as it was sent, address and port.
        quoted: the same as the error quotes it.
        told: the error number that its socket was told of, 0: none.
    """

    by: str = ""
    kind: tuple[int, int] = (0, 0)
    own: tuple[str, int] = ("", 0)
    quoted: tuple[str, int] = ("", 0)
    told: int = 0


class Pinger(Script):
    """Who speaks ICMP inside one namespace; see ``pinger.Pinger``."""

    file = "pinger.py"

    def ping(self, address: str, words: str, patience_s: float) -> bool:
        """Tell whether an echo request with *words*, which nobody else says, is answered."""
        found = self.ask("ping", address=address, words=words, patience_s=patience_s)
        return found["answered"]

    def pinged(self) -> dict[str, str]:
        """Return the words of the echo requests that arrived, and from which address."""
        return self.ask("pinged")

    def probe(self, address: str, port: int, hops: int, patience_s: float) -> Hop:
        """Send a datagram that *hops* - 1 routers may pass on; return what was said about it."""
        words = {"address": address, "port": port, "hops": hops, "patience_s": patience_s}
        if not (found := self.ask("probe", **words)):
            return Hop()
        ends = {"own": tuple(found["own"]), "quoted": tuple(found["source"])}
        return Hop(found["by"], tuple(found["kind"]), **ends, told=found["told"])


class Witness(Script):
    """Whoever sees all that is said on a network; see ``witness.Judge``.

    Args:
        wire: the network, which it knows by its devices.
        daemons: the processes of this run.
        blocks: of addresses that may be seen there.
    """

    file = "witness.py"

    def __init__(self, wire: Underlay, daemons: Daemons, blocks: list[str]) -> None:
        place = Workload("wire", "", PROVIDER, wire, "", {}, {})  # type: ignore[arg-type]
        super().__init__(place, daemons, ",".join(wire.cables()), ",".join(blocks))
        self.wait()

    def voices(self, address: str) -> list[str]:
        """Return the MACs that an IPv4 address was said to have, one after the other."""
        return self.ask("testify")["voices"].get(address, [])

    def testify(self, checks: Checks) -> None:
        """Tell what was seen, and what should not have been."""
        seen = self.ask("testify")
        strangers, doubled = seen["strangers"], seen["doubled"]
        say("\nThe witness at the provider's network, who sees all that is said there")
        say(f"  frames: {seen['frames']}; answers whose an address is: {seen['answers']}")
        say(f"  addresses that are none of the network's: {', '.join(strangers) or 'none'}")
        say(f"  addresses that were answered for twice: {', '.join(doubled) or 'none'}")
        alert = seen["watching"] and seen["answers"] > 0
        checks.expect(alert, "the witness sees what is said, until the end")
        checks.expect(not strangers, "no private address leaks out")
        checks.expect(not doubled, "no address is answered for twice")
