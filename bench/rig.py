"""A system on its world with its guests in place, and the things cases do with them."""

import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from bench import cpu
from bench.addressing import guest_port
from bench.external import external_of
from bench.host import Host
from bench.policies import policies_of
from bench.probe import Answers, Prober, new_identifier
from bench.systems.base import System
from bench.waiting import TooLongError, wait_for
from bench.world import Guest, World, flight

ANSWER_TIMEOUT_S = 60.0
QUIET_WINDOW_S = 0.15
QUIET_SHARE = 0.03
"""Of one core: what a control plane may use above its own idling and still be called quiet."""

ON_HOSTS = ("agent", "ovn-controller")
"""How the names of processes begin that run on each host."""

_SEATS = 16
"""How many numberings of the guests' ports there are."""

EMPTY_FLOWS = 500
"""More than any system keeps on a host without ports; far fewer than a VPC brings."""


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds: of the control plane, and of the hosts' Open vSwitches."""

    control: float
    switch: float

    def since(self, before: "Spent", seconds: float) -> "Spent":
        """Return the rate since *before*, which was *seconds* ago."""
        used = self - before
        return Spent(used.control / seconds, used.switch / seconds)

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.control - other.control, self.switch - other.switch)


class Rig:
    """One system, its world, and the guests that every case uses.

    Host a holds the sources; b the guest that is plugged, unplugged and moved; c its twin (the
    same port's interface on another host). Residents make b and c know the VPC.
    """

    def __init__(self, system: System) -> None:
        self.system = system
        self.world: World = system.world
        self.name = system.name
        self.policies = policies_of(system)
        self.external = external_of(system)
        self._idle = 0.0
        self._seat = 0
        add = self.world.add_guest
        self.source = add("a", guest_port("a0", 0, 1))
        self.routed_source = add("a", guest_port("a1", 1, 2))
        self.neighbour = add("a", guest_port("a2", 0, 3))
        mover = guest_port("b0", 0, 4)
        self.target = add("b", mover)
        self.twin = add("c", mover)
        self.resident = add("b", guest_port("b1", 1, 5))
        self.far_resident = add("c", guest_port("c1", 1, 6))
        self.world.introduce(list(self.world.guests.values()))

    def setup(self) -> None:
        """Start the system and plug every guest but the mover."""
        self.system.setup()
        for guest in self.residents():
            self.system.create_port(guest.spec)
            self.system.plug(guest)
        self.system.converge(30)
        self.await_answer(self.source, self.resident)
        self.await_answer(self.routed_source, self.far_resident)
        self.quiet(timeout=5)
        rate = self.idle_rate(1.0)
        self._idle = min(rate.control + rate.switch, QUIET_SHARE)

    def residents(self) -> tuple[Guest, ...]:
        """Return the guests that stay plugged."""
        here = (self.source, self.routed_source, self.neighbour)
        return (*here, self.resident, self.far_resident)

    def reseat(self) -> None:
        """Plug the guests anew, each under another of the datapath's port numbers than before.

        In each turn of its main loop ovs-vswitchd reads the ports in an order that follows from
        these numbers. Who is read after the port that a packet came in by answers it within the
        turn, who is read before it a turn later: a quarter of a round trip between hosts, half of
        one on a host. With one numbering for a whole run, that would be a system's luck.
        """
        self._seat = (self._seat + 1) % _SEATS
        with ExitStack() as stack:
            for guest in self.residents():
                self.system.unplug(guest)
            for host in self.world.hosts:
                stack.enter_context(host.numbers_taken(self._seat))
            for guest in self.residents():
                self.system.plug(guest)
                guest.host.ofport(guest.device)
        self.settle()
        for resident in (self.resident, self.far_resident):
            self.await_answer(self.source, resident)

    def start(self, source: Guest, target: Guest, *, until_first: bool) -> Prober:
        """Start probing from one guest to another."""
        prober = self.world.prober(source)
        train = flight(source, target, new_identifier())
        prober.start(train, until_first=until_first, timeout=ANSWER_TIMEOUT_S)
        return prober

    def await_answer(self, source: Guest, target: Guest) -> Answers:
        """Probe until the first answer.

        Raises:
            TooLongError: none came.
        """
        answers = self.start(source, target, until_first=True).result()
        if answers.first_after(0.0) is None:
            raise TooLongError(f"{self.name}: {target.spec.name} does not answer")
        return answers

    def spent(self) -> Spent:
        """Return the CPU time that everything has used so far."""
        pids = self.system.pids().values()
        return Spent(cpu.total(pids), cpu.total(self.world.switch_pids()))

    def quiet(self, *, timeout: float = 60.0) -> None:
        """Wait until the control plane and the switches have nothing more to do.

        Being busy for *timeout* seconds is not an error: some control planes never rest.
        """

        def still() -> bool:
            before, start = self.spent(), time.monotonic()
            time.sleep(QUIET_WINDOW_S)
            used = self.spent() - before
            allowed = (QUIET_SHARE + self._idle) * (time.monotonic() - start)
            return used.control + used.switch <= allowed

        with suppress(TooLongError):
            wait_for("quiet", still, timeout=timeout, every=0.0)

    def settle(self) -> None:
        """Wait until the hosts have acknowledged everything and all is quiet."""
        self.system.converge(120)
        self.quiet()

    def empty_far_host(self) -> None:
        """Unplug host c's resident: c is then as if it had never had a port of the VPC.

        Raises:
            TooLongError: its flows did not go.
        """
        host = self.far_resident.host
        self.system.unplug(self.far_resident)
        self.settle()
        self.system.forget(host)
        self.settle()
        wait_for("an empty host", lambda: host.flow_count() < EMPTY_FLOWS, timeout=60, every=0.1)
        self.quiet()

    def recover(self) -> None:
        """Bring the guests back to where every case begins, whatever an attempt left behind."""
        for guest in (self.target, self.twin):
            self.system.unplug(guest)
        self.system.delete_port(self.target.spec)
        for resident in self.residents():
            if not self.system.is_plugged(resident):
                self.system.plug(resident)
        self.settle()

    def crash(self, host: Host) -> None:
        """Kill a whole host at once: its cables, its Open vSwitch, its control plane."""
        self.world.unplug_cables(host)
        host.kill_vswitchd()
        self.external.kill(host)

    def revive(self, host: Host) -> None:
        """Bring back a host that was killed; returns once it is what it was."""
        self.world.plug_cables(host)
        host.restart_vswitchd()
        self.external.revive(host)
        for resident in (self.resident, self.far_resident):
            self.await_answer(self.source, resident)
        self.quiet()

    def idle_rate(self, seconds: float) -> Spent:
        """Return the CPU seconds that a second costs when nothing happens."""
        before = self.spent()
        time.sleep(seconds)
        return self.spent().since(before, seconds)

    def memory_bytes(self) -> dict[str, int]:
        """Return the resident memory of the control plane: all of it, and by where it runs."""
        pids = self.system.pids()
        sizes = {name: cpu.resident_bytes(pid) for name, pid in pids.items()}
        on_hosts = sum(size for name, size in sizes.items() if name.startswith(ON_HOSTS))
        everything = sum(sizes.values())
        return {
            "control plane": everything,
            "its central part": everything - on_hosts,
            "its part on the three hosts": on_hosts,
        }
