"""The world outside: a provider's network, and somebody on it who knows nothing of us."""

import ipaddress
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


class Outside(Host):
    """The provider's router, which answers itself for whatever is beyond it."""

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
        """Fill in checksums: whoever reads them from the wire is a userspace datapath."""
        self.cmd(f"ethtool -K {self.device} tx off")

    def within(self, netns: str, *command: str) -> list[str]:
        """Return *command* as an argument list that runs it here; there is one namespace."""
        del netns
        return ["mnexec", "-a", str(self.pid), *command]

    def as_workload(self) -> Workload:
        """Return it in the form of those that scripts run in."""
        return Workload("outside", "", PROVIDER, self, "", {4: ROUTER}, {})  # type: ignore[arg-type]


class Visitor(Script):
    """The visitor inside one namespace; see ``visitor.Visitor``."""

    file = "visitor.py"

    def listen(self, port: int) -> None:
        """Answer at a port from now on."""
        self.ask("listen", port=port)

    def call(self, address: str, port: int, patience_s: float) -> tuple[str | None, str | None]:
        """Return who answers, and as whom this one is seen there; None twice: nobody does."""
        found = self.ask("call", address=address, port=port, patience_s=patience_s)
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

    def transfer(self, address: str, port: int) -> None:
        """Begin to send TCP data to somebody who listens, and to get some: a few seconds each."""
        self.ask("transfer", address=address, port=port)

    def transferred(self) -> dict[str, str]:
        """Return by direction what went wrong, once all has ended; empty: all data has come."""
        return self.ask("transferred")


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

    def testify(self, checks: Checks) -> None:
        """Tell what was seen, and what should not have been."""
        seen = self.ask("testify")
        strangers, doubled = seen["strangers"], seen["doubled"]
        say("\nThe witness at the provider's network, who sees all that is said there")
        say(f"  frames: {seen['frames']}; answers whose an address is: {seen['answers']}")
        say(f"  addresses that are none of the network's: {', '.join(strangers) or 'none'}")
        say(f"  addresses that were answered for twice: {', '.join(doubled) or 'none'}")
        checks.expect(seen["answers"] > 0, "the witness sees what is said")
        checks.expect(not strangers, "no private address leaks out")
        checks.expect(not doubled, "no address is answered for twice")
