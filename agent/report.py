"""Sends link reports: at once on a change, else at every interval; one at a time."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from agent.client import Client, ClientError
from agent.decide import links as decide
from agent.decide.backoff import Backoff
from agent.host import Host, Urgency
from agent.statedir import StateDir
from agent.wire.report import HostFacts, LinkCounters, LinkReport, NatCounts, ReportAnswer
from agent.wire.state import HostState

log = logging.getLogger(__name__)

SETTLE_S = 0.1
GONE_S = 0.02
"""Seconds that the report waits which says that an interface is gone. If it is plugged into another
host meanwhile, the port moves in one step: its peers' flows change once, not twice in a row."""
_AT_ONCE = 8
"""So many refused reports in a row are repeated at once, further ones at the interval."""
COUNTERS_EVERY = 12
"""After so many intervals a report is sent in full, with counters, however many changes were."""


@dataclass(frozen=True)
class Callbacks:
    """What the reporter asks of, and tells, the rest of the agent.

    Attributes:
        revision: gives the revision of the state that the agent holds.
        state: takes a new state.
        counters: reads the counters of all interfaces, by UUID.
        back: told when the controller answers again after it did not.
        sending: told that a report of what is known leaves now.
        answered: told what the answer to an accepted report is, after any state in it.
        nat: gives what has been counted of NAT gateways since it was asked last.
    """

    revision: Callable[[], int]
    state: Callable[[HostState], None]
    counters: Callable[[], Awaitable[Mapping[str, LinkCounters]]]
    back: Callable[[], None]
    sending: Callable[[], None]
    answered: Callable[[ReportAnswer], None]
    nat: Callable[[], tuple[NatCounts, ...] | None]


class Reporter:
    """The order of one boot's reports.

    Attributes:
        interval_s: seconds between reports while nothing changes.
        sent: reports sent so far in this boot.
    """

    def __init__(
        self, client: Client, host: Host, directory: StateDir, callbacks: Callbacks
    ) -> None:
        self._client = client
        self._host = host
        self._directory = directory
        self._callbacks = callbacks
        self._agent_id = directory.agent_id()
        self._boot = directory.next_boot()
        self._changed = asyncio.Event()
        self._changed.set()  # the first report leaves at once
        self._known = ""  # digest that the controller has, and of which facts it is
        self._known_facts: HostFacts | None = None
        self._full_asked = False
        self._refused = 0
        self._failures = 0
        self._counted_at = time.monotonic()
        self._soon: asyncio.TimerHandle | None = None
        self.sent = 0
        self.interval_s = 5.0

    def trigger(self, urgency: Urgency) -> None:
        """Ask for a report: now, or in a moment unless another one comes before."""
        if urgency == "now":
            self._changed.set()
        elif urgency != "none":
            self._within(GONE_S if urgency == "shortly" else SETTLE_S)

    def _within(self, seconds: float) -> None:
        """Report within some seconds, sooner if that is planned or something else comes."""
        loop = asyncio.get_running_loop()
        if self._soon is not None:
            if self._soon.when() <= loop.time() + seconds:
                return
            self._soon.cancel()
        self._soon = loop.call_later(seconds, self._changed.set)

    async def run(self) -> None:
        """Report for ever."""
        while True:
            await self._wait()
            if self._soon is not None:
                self._soon.cancel()
                self._soon = None
            if not self._host.may_report():
                continue  # the end of it wakes us
            try:
                await self._report(full=self._counters_are_due())
            except ClientError as error:
                await self._failed(error)
                self._changed.set()
                continue
            self._succeeded()

    def _counters_are_due(self) -> bool:
        return time.monotonic() - self._counted_at >= COUNTERS_EVERY * self.interval_s

    async def _wait(self) -> None:
        """Wait for a change or the interval."""
        try:
            async with asyncio.timeout(self.interval_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    async def _report(self, *, full: bool) -> None:
        counters = await self._callbacks.counters() if full else {}
        started = time.perf_counter()
        report = self._build(full=full or self._full_asked, counters=counters)
        answer = await self._client.report(report)
        if full:
            self._counted_at = time.monotonic()
        log.debug(
            "report %d (%s) answered in %.1f ms",
            report.sequence,
            _form(report),
            (time.perf_counter() - started) * 1000,
        )
        self._take(report, answer)

    def _build(self, *, full: bool, counters: Mapping[str, LinkCounters]) -> LinkReport:
        """Make the next report: unchanged, a change of what the controller knows, or full."""
        self._callbacks.sending()
        facts, inventory = self._host.facts(), self._host.look()
        self.sent += 1
        report = LinkReport(
            agent_id=self._agent_id,
            boot=self._boot,
            sequence=self.sent,
            digest=inventory.digest(facts),
            state_revision=self._callbacks.revision(),
            nat=self._callbacks.nat(),
        )
        change = inventory.take_change()
        same_facts, self._known_facts = facts == self._known_facts, facts
        if self._host.zones.phase == "asking" or (not full and report.digest == self._known):
            return report
        if not full and self._known and same_facts and change is not None:
            links, gone = change
            return replace(report, base=self._known, links=links, gone=gone or None)
        links = decide.with_counters(inventory.links(), counters)
        return replace(report, facts=facts, links=links)

    def _take(self, report: LinkReport, answer: ReportAnswer) -> None:
        if not answer.accepted:
            self._jump()
            return
        self._refused = 0
        self._full_asked = answer.full_report_needed
        self._known = "" if answer.full_report_needed else report.digest
        if answer.state is not None:
            self._callbacks.state(answer.state)
        self._callbacks.answered(answer)
        if answer.full_report_needed and self._host.zones.phase != "asking":
            self._changed.set()

    def _jump(self) -> None:
        """Get past a boot number that the controller has seen and we have not.

        That happens when the directory was lost and the clock was put back. The steps double,
        so any distance is made up within some tens of reports.
        """
        self._refused += 1
        self._boot += 2 ** min(self._refused, 40)
        self.sent = 0
        self._known = ""
        self._directory.save_boot(self._boot)
        log.warning("a report was refused as old; boot number is now %d", self._boot)
        if self._refused <= _AT_ONCE:
            self._changed.set()

    async def _failed(self, error: ClientError) -> None:
        self._failures += 1
        self._known = ""
        log.log(logging.WARNING if self._failures == 1 else logging.DEBUG, "%s", error)
        limit = max(1.0, min(self.interval_s, 5.0))
        await asyncio.sleep(Backoff(limit=limit).delay(self._failures, random.random()))  # noqa: S311

    def _succeeded(self) -> None:
        if self._failures:
            log.info("the controller answers again after %d failures", self._failures)
            self._callbacks.back()
        self._failures = 0


def _form(report: LinkReport) -> str:
    """Say how much a report carries."""
    if report.links is None:
        return "digest"
    kind = "full" if report.base is None else "change"
    return f"{kind}, {len(report.links)} links"
