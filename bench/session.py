"""One run: the rigs, the watchdog, the samples, and interleaving."""

import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console

from bench.ovsdb import OvsdbError
from bench.plan import Plan
from bench.processes import CommandError
from bench.rest import ApiError
from bench.rig import Rig
from bench.stats import Sample
from bench.waiting import TooLongError
from bench.watchdog import Stall, Watchdog

_PATIENCE = 3
FAULTS = (TooLongError, CommandError, OvsdbError, ApiError, OSError)
"""What may go wrong in one sample without ending the run."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value that an attempt has given; the session makes a sample of it."""

    key: str
    variant: str
    value: float
    unit: str
    detail: dict[str, Any] = field(default_factory=dict)


class Session:
    """Collects samples, turn by turn between the systems."""

    def __init__(
        self, plan: Plan, rigs: Sequence[Rig], watchdog: Watchdog, console: Console
    ) -> None:
        self.plan = plan
        self.rigs = tuple(rigs)
        self.samples: list[Sample] = []
        self.failures: list[str] = []
        self.console = console
        self.load = self.load_now()
        self._watchdog = watchdog

    def interleave(
        self,
        what: str,
        size: int,
        attempt: Callable[[Rig], Sequence[Value]],
        *,
        count: int,
        rigs: Sequence[Rig] | None = None,
        whole: bool = False,
    ) -> None:
        """Call *attempt* for every rig in turn, *count* times, and keep what it gives.

        The plan's budget ends it earlier, unless it is to be done as a *whole*.

        The order turns round from one turn to the next, so that neither system always comes
        after the other. A system that failed three times is not asked again; what a failed
        attempt has left behind is cleared away before the next one.
        """
        start = time.monotonic()
        least = count if whole else self.plan.minimum
        failed: dict[str, int] = {}
        turns = 0
        for turn in range(count):
            if turn >= least and time.monotonic() - start > self.plan.budget_s:
                break
            chosen = list(self.rigs if rigs is None else rigs)
            for rig in chosen if turn % 2 == 0 else reversed(chosen):
                if failed.get(rig.name, 0) < _PATIENCE:
                    good = self._attempt(what, size, rig, attempt)
                    failed[rig.name] = failed.get(rig.name, 0) + (not good)
            turns += 1
        took = time.monotonic() - start
        self.console.log(f"{what} at {size} ports: {turns} turns in {took:.1f} s")

    def _attempt(
        self, what: str, size: int, rig: Rig, attempt: Callable[[Rig], Sequence[Value]]
    ) -> bool:
        try:
            with self.span() as span:
                values = attempt(rig)
        except FAULTS as error:
            self.fail(f"{what} at {size} ports, {rig.name}", error)
            with self.part(f"clearing up after {what} at {size} ports, {rig.name}"):
                rig.recover()
            return False
        for value in values:
            self.add(value, size, rig.name, stalled=span.stalled)
        return True

    @contextmanager
    def part(self, what: str) -> Iterator[None]:
        """Let a part of the run fail without ending it: that it did is kept and shown."""
        try:
            yield
        except Exception as error:  # whatever it is, the other parts are worth measuring
            self.fail(what, error)

    def fail(self, what: str, error: Exception) -> None:
        """Keep, and show, that *what* failed; where, unless that is one of the expected faults."""
        where = "" if isinstance(error, FAULTS) else f"\n{traceback.format_exc()}"
        self.failures.append(f"{what}: {error or type(error).__name__}{where}")
        self.console.print(self.failures[-1], style="red", markup=False, highlight=False)

    def add(self, value: Value, size: int, system: str, *, stalled: bool) -> None:
        """Keep one sample."""
        sample = Sample(
            value.key, value.variant, size, system, value.value, value.unit, stalled, value.detail
        )
        self.samples.append(sample)

    def load_now(self) -> str:
        """Return the machine's load averages."""
        return "{:.1f} {:.1f} {:.1f}".format(*os.getloadavg())

    def stalls(self) -> tuple[Stall, ...]:
        """Return the machine's stalls so far."""
        return self._watchdog.stalls()

    @contextmanager
    def span(self) -> Iterator["Span"]:
        """Yield a span whose ``stalled`` says, afterwards, whether the machine stood still."""
        span = Span()
        start = time.monotonic()
        yield span
        span.stalled = self._watchdog.touched(start, time.monotonic())


@dataclass(slots=True)
class Span:
    """A span of time."""

    stalled: bool = False


def marked(value: Value, **detail: object) -> Value:
    """Return *value* with more *detail*."""
    return replace(value, detail={**value.detail, **detail})
