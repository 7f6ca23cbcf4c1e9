"""What the cases about security groups share: a crowd, a server, and a conversation with it."""

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bench.addressing import mass_port
from bench.policies.base import ANYTHING_OUT, Policies, Rule
from bench.probe import Prober
from bench.probe_worker import Flight
from bench.processes import Process
from bench.rig import ANSWER_TIMEOUT_S, Rig
from bench.udp_worker import UdpFlight
from bench.waiting import TooLongError, wait_for
from bench.world import Guest, flight

CROWD, CLIENTS, SERVERS = "crowd", "clients", "servers"
"""A group of mass ports without rules of its own; a group that may send anything; a group whose
rules are the case's."""

ECHO_PORT = 7007
KNOWN = Rule("ingress", "udp", 9, group=CROWD)
"""Names the crowd, so that the hosts of the servers know its members before a sample begins."""

_SILENT_S = 0.25
_FRESH_S = 0.01
_BEFORE_S = 0.1
_SOURCE_PORTS = itertools.count(20_000)


class Conversation:
    """Questions that somebody answers, one a millisecond; each train is a connection of its own.

    Args:
        prober: who asks.
        make: returns what a new train consists of.
    """

    def __init__(self, prober: Prober, make: Callable[[], Flight | UdpFlight]) -> None:
        self._prober = prober
        self._make = make

    def starts(self, change: Callable[[], None]) -> tuple[float, float]:
        """Return milliseconds from before *change* to the first answer, and to its own return.

        Raises:
            TooLongError: no answer came, or one came before the change.
        """
        self._train(until_first=True)
        time.sleep(_BEFORE_S)
        start = time.monotonic()
        try:
            change()
        except Exception:
            self._prober.stop()
            raise
        called = time.monotonic()
        answers = self._prober.result()
        first = answers.first_after(0.0)
        if first is None or first < start:
            raise TooLongError("no answer" if first is None else "an answer that was not allowed")
        return (first - start) * 1000, (called - start) * 1000

    def stops(self, change: Callable[[], None]) -> tuple[float, float]:
        """Return milliseconds from before *change* to the last answer, and to its own return.

        Raises:
            TooLongError: it did not flow before, or not stop after.
        """
        self._train(until_first=False)
        try:
            wait_for("an established connection", self._flows, timeout=ANSWER_TIMEOUT_S)
            time.sleep(_BEFORE_S)
            start = time.monotonic()
            change()
            called = time.monotonic()
            wait_for("the connection's end", self._is_silent, timeout=ANSWER_TIMEOUT_S)
        finally:
            answers = self._prober.stop()
        last = max((time for time in answers.answered if time is not None), default=start)
        return max(0.0, last - start) * 1000, (called - start) * 1000

    def _train(self, *, until_first: bool) -> None:
        self._prober.start(self._make(), until_first=until_first, timeout=2 * ANSWER_TIMEOUT_S)

    def _flows(self) -> bool:
        last = self._prober.last_answer()
        return last is not None and time.monotonic() - last < _FRESH_S

    def _is_silent(self) -> bool:
        last = self._prober.last_answer()
        return last is None or time.monotonic() - last > _SILENT_S


@contextmanager
def serving(rig: Rig, rules: Sequence[Rule], clients: Sequence[Guest]) -> Iterator[Policies]:
    """Put the residents into the group of servers and *clients* into theirs; undo it afterwards.

    Args:
        rig: the system with its guests.
        rules: of the servers' group, besides that they may send anything.
        clients: who may send anything and gets nothing but answers.
    """
    policies = rig.policies
    servers = [guest.spec for guest in (rig.resident, rig.far_resident)]
    specs = [guest.spec for guest in clients]
    with ExitStack() as undo:
        policies.create(CLIENTS, [ANYTHING_OUT])
        undo.callback(policies.delete, CLIENTS)
        policies.join(CLIENTS, specs)
        undo.callback(policies.leave, CLIENTS, specs)
        policies.create(SERVERS, [ANYTHING_OUT, *rules])
        undo.callback(policies.delete, SERVERS)
        policies.join(SERVERS, servers)
        undo.callback(policies.leave, SERVERS, servers)
        rig.settle()
        yield policies
    rig.settle()


@contextmanager
def conversing(rig: Rig) -> Iterator[Conversation]:
    """Let the resident echo datagrams and a guest of another host be ready to send some."""
    client, server = rig.routed_source, rig.resident
    argv = [sys.executable, "-m", "bench.echo_worker", "serve", str(ECHO_PORT)]
    log = server.host.directory / "echo.log"
    with Process(argv, log=log, netns=server.netns, pipes=True) as echo:
        assert echo.popen.stdout is not None
        echo.popen.stdout.readline()
        prober = Prober(
            client.netns,
            "eth0",
            client.host.directory / "udp-probe.log",
            worker="bench.udp_worker",
        )
        try:
            yield Conversation(prober, lambda: _datagrams(client, server))
        finally:
            prober.close()


def _datagrams(client: Guest, server: Guest) -> UdpFlight:
    """Return a train of datagrams to the server's echo."""
    train = flight(client, server, next(_SOURCE_PORTS))
    return UdpFlight(
        train.source_mac,
        train.next_mac,
        train.source,
        train.target,
        train.identifier,
        ECHO_PORT,
    )


def gather(rig: Rig, count: int) -> None:
    """Bring the crowd to *count* mass ports, which stay in it; they have to exist."""
    policies = rig.policies
    members = policies.memberships.members(CROWD)
    if not members:
        policies.create(CROWD, [])
    fresh = [port for port in map(mass_port, range(count)) if port.name not in members]
    if fresh:
        policies.join(CROWD, fresh)
        rig.settle()
