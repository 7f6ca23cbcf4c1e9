"""What a lab prints: its topology, matrices of expected against seen, and the count of checks."""

from dataclasses import dataclass, field

from mininet_labs.common.workloads import FAMILIES, Pair, Sight, Workload, is_expected

_SEEN = {
    (True, True): "yes",
    (False, False): "no",
    (True, False): "png",
    (False, True): "tcp",
}
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
    for label, fact in facts.items():
        say(f"  {label}  {fact}")
        for workload in workloads:
            if workload.host.label == label:
                addresses = "  ".join(f"{workload.addresses[f]:<15}" for f in FAMILIES)
                say(f"    {workload.name:<8}{workload.subnet:<14}{addresses.rstrip()}")


def print_matrix(workloads: list[Workload], sights: dict[Pair, Sight]) -> None:
    """Print expected/seen for every ordered pair, a table a family."""
    for family in FAMILIES:
        say(f"\nReachability, IPv{family}: rows reach columns, expected/seen (ping and TCP)")
        say(" " * _CELL + "".join(f"{w.name:<{_CELL}}" for w in workloads).rstrip())
        for source in workloads:
            cells = [_cell(source, target, sights, family) for target in workloads]
            say(f"{source.name:<{_CELL}}" + "".join(f"{c:<{_CELL}}" for c in cells).rstrip())


def check_matrix(workloads: list[Workload], sights: dict[Pair, Sight], checks: Checks) -> None:
    """Count a check for ping and one for TCP of every ordered pair and family."""
    for (source, target, family), sight in sights.items():
        one = next(w for w in workloads if w.name == source)
        other = next(w for w in workloads if w.name == target)
        expected = is_expected(one, other)
        word = "reaches" if expected else "does not reach"
        for protocol, seen in (("ping", sight.ping), ("TCP", sight.tcp)):
            checks.expect(seen == expected, f"{source} {word} {target} by IPv{family} {protocol}")


def _cell(source: Workload, target: Workload, sights: dict[Pair, Sight], family: int) -> str:
    if source is target:
        return "-"
    sight = sights[source.name, target.name, family]
    expected = "yes" if is_expected(source, target) else "no"
    seen = _SEEN[sight.ping, sight.tcp]
    return f"{expected}/{seen}" + ("" if expected == seen else "!")
