"""What a lab prints: its topology, matrices of expected against seen, and the count of checks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from mininet_labs.common.reachability import PING, Expect, Pair, Service, Services
from mininet_labs.common.workloads import FAMILIES, Workload

Words = Callable[[Services], str]
_CELL = 8


@dataclass
class Checks:
    """Checks of a run: how many there were, how many passed, and what failed."""

    total: int = 0
    failures: list[str] = field(default_factory=list)

    def expect(self, condition: bool, what: str) -> None:
        """Count a check; *what* says what should have been."""
        self.total += 1
        if not condition:
            self.failures.append(what)

    @property
    def passed(self) -> int:
        """How many held."""
        return self.total - len(self.failures)

    def conclude(self) -> int:
        """Print failures and the closing line; return the exit code."""
        for failure in self.failures[:20]:
            print(f"FAILED: {failure}")
        if len(self.failures) > 20:
            print(f"FAILED: and {len(self.failures) - 20} more")
        print(f"lab: {self.passed}/{self.total} checks passed", flush=True)
        return 0 if self.total and not self.failures else 1


def say(text: str = "") -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


def print_topology(workloads: list[Workload], facts: dict[str, str]) -> None:
    """Print hosts with their workloads.

    Args:
        workloads: all of them.
        facts: host's label → what there is to say about it.
    """
    say("\nTopology")
    width = max(_CELL, 2 + max(len(workload.name) for workload in workloads))
    for label, fact in facts.items():
        say(f"  {label}  {fact}")
        for workload in workloads:
            if workload.host.label == label:
                addresses = "  ".join(f"{workload.addresses[f]:<15}" for f in FAMILIES)
                say(f"    {workload.name:<{width}}{workload.subnet:<14}{addresses.rstrip()}")


def print_matrix(
    workloads: list[Workload], sights: dict[Pair, Services], expect: Expect, words: Words, what: str
) -> None:
    """Print expected/seen for every ordered pair, a table a family.

    Args:
        workloads: who tried, and whom.
        sights: what was reached.
        expect: what should have been.
        words: says a set of services in a few letters.
        what: what these are, such as ``ping and TCP``.
    """
    for family in FAMILIES:
        say(f"\nReachability, IPv{family}: rows reach columns, expected/seen ({what})")
        rows = [["", *(workload.name for workload in workloads)]]
        for one in workloads:
            cells = [
                "-"
                if one is other
                else cell(expect(one, other), sights[one.name, other.name, family], words)
                for other in workloads
            ]
            rows.append([one.name, *cells])
        width = max(_CELL, 1 + max(len(text) for row in rows for text in row))
        for row in rows:
            say("".join(f"{text:<{width}}" for text in row).rstrip())


def cell(expected: Services, seen: Services, words: Words) -> str:
    """Return what a cell of the matrix says."""
    return f"{words(expected)}/{words(seen)}" + ("" if expected == seen else "!")


def check_matrix(
    workloads: list[Workload],
    sights: dict[Pair, Services],
    services: Sequence[Service],
    expect: Expect,
    checks: Checks,
) -> None:
    """Count a check for every service of every ordered pair and family."""
    known = {workload.name: workload for workload in workloads}
    for (source, target, family), seen in sights.items():
        expected = expect(known[source], known[target])
        for service in services:
            hoped = service in expected
            word = "reaches" if hoped else "does not reach"
            name = service if service == PING else f"TCP {service}"
            what = f"{source} {word} {target} by IPv{family} {name}"
            checks.expect((service in seen) == hoped, what)
