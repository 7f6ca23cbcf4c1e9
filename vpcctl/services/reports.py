"""Link reports: what hosts say they have, diffed against the database.

A report that is not newer than the last one accepted changes nothing. One that says what is known
already costs one read; when it came and what it counted is gathered in memory and written about
once a second for all hosts together.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from vpcctl.model.problems import Invalid, NotFound
from vpcctl.services import rules
from vpcctl.services.context import Context
from vpcctl.services.gateway_candidates import judged_otherwise
from vpcctl.services.gateway_hosts import rearrange
from vpcctl.services.host_state import compose
from vpcctl.services.hosts import require_host
from vpcctl.services.liveness import SWITCH_LOST_AFTER, thresholds
from vpcctl.services.lost_hosts import retarget
from vpcctl.services.report_writer import ReportWriter, one_per_port
from vpcctl.services.views import Actor
from vpcctl.store import hosts, locations, nat_gateways
from vpcctl.store.hosts import HOSTS, Reported, Stale
from vpcctl.store.units import Unchanged, Unit
from vpcctl.wire.report import HostFacts, Link, LinkReport, NatCounts, ReportAnswer, digest
from vpcctl.wire.state import HostState

Position = tuple[int, int]


@dataclass(slots=True)
class _Seen:
    """The newest report of a host that this process has taken."""

    position: Position
    at: datetime
    dirty: bool = True
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    nat: list[dict[str, Any]] | None = None


class Sightings:
    """What reports brought that need not be written at once; shared by the API's threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}

    def take(self, host_id: str, position: Position, stored: Position, at: datetime) -> bool:
        """Take a report; tell whether it is newer than all before it."""
        with self._lock:
            seen = self._seen.get(host_id)
            newest = max(stored, seen.position) if seen else stored
            if position <= newest:
                return False
            counters, nat = (seen.counters, seen.nat) if seen else ({}, None)
            self._seen[host_id] = _Seen(position, at, counters=counters, nat=nat)
            return True

    def count(self, host_id: str, links: Sequence[Link]) -> None:
        """Keep the links' counters until the next flush."""
        with self._lock:
            seen = self._seen.get(host_id)
            if seen is not None:
                seen.counters = {link.port_id: link.counters.model_dump() for link in links}
                seen.dirty = True

    def count_nat(self, host_id: str, counts: Sequence[NatCounts]) -> None:
        """Keep what a host has counted of NAT gateways until the next flush."""
        with self._lock:
            seen = self._seen.get(host_id)
            if seen is not None:
                seen.nat = [one.model_dump(mode="json") for one in counts]
                seen.dirty = True

    def position(self, host_id: str) -> Position:
        """Return the position of the newest report taken, (0, 0) for none."""
        with self._lock:
            seen = self._seen.get(host_id)
            return seen.position if seen else (0, 0)

    def last_seen(self, host_id: str) -> datetime | None:
        """Return when the host reported last to this process, None for never."""
        with self._lock:
            seen = self._seen.get(host_id)
            return seen.at if seen else None

    def forget(self, host_id: str) -> None:
        """Forget a host."""
        with self._lock:
            self._seen.pop(host_id, None)

    def drain(self) -> dict[str, _Seen]:
        """Return what is to be written, by host, and consider it written."""
        with self._lock:
            dirty: dict[str, _Seen] = {}
            for id, seen in self._seen.items():
                if seen.dirty:
                    dirty[id] = replace(seen)
                    seen.dirty, seen.counters, seen.nat = False, {}, None
            return dirty

    def restore(self, drained: dict[str, _Seen]) -> None:
        """Put back what could not be written."""
        with self._lock:
            for id, old in drained.items():
                seen = self._seen.get(id)
                if seen is not None:
                    seen.counters = {**old.counters, **seen.counters}
                    seen.nat = old.nat if seen.nat is None else seen.nat
                    seen.dirty = True


class ReportService:
    """Takes reports, and notices when they stop."""

    def __init__(self, context: Context, sightings: Sightings) -> None:
        self._context = context
        self._units = context.units
        self._sightings = sightings
        self._started = context.units.clock()
        self._returned: dict[str, datetime] = {}  # dead hosts' switches → connected again at

    def accept(self, actor: Actor, host_id: str, report: LinkReport) -> ReportAnswer:
        """Take a report of a host and answer what it needs to hear.

        Raises:
            Problem: Forbidden (another host's token), NotFound, Invalid (it contradicts itself),
                Conflict (the VTEP is another host's, or not the pinned one).
        """
        require_host(actor, host_id)
        answer = self._accept(host_id, report)
        if answer.accepted and report.nat is not None:
            self._sightings.count_nat(host_id, report.nat)
        return answer

    def _accept(self, host_id: str, report: LinkReport) -> ReportAnswer:
        if report.base is not None:
            return self._take_change(host_id, report, report.base)
        facts, links = _content(report)
        stored = self._units.read(lambda connection: hosts.reported(connection, host_id))
        if stored is None:
            self._sightings.forget(host_id)
            raise NotFound(f"There is no host {rules.printable(host_id)}.")
        position = (report.boot, report.sequence)
        if facts is not None and report.digest != stored.digest:
            return self._change(host_id, report, facts, links)
        if not self._sightings.take(host_id, position, stored.position, self._units.clock()):
            return ReportAnswer(accepted=False)
        if links:
            self._sightings.count(host_id, tuple(one_per_port(links).values()))
        if report.digest != stored.digest:
            return ReportAnswer(accepted=True, full_report_needed=True)
        answer = _accepted(stored, stored.revision, realised=stored.realised)
        return self._with_state(answer, host_id, report, stored.state_revision)

    def _change(
        self, host_id: str, report: LinkReport, facts: HostFacts, links: Sequence[Link]
    ) -> ReportAnswer:
        position = (report.boot, report.sequence)

        def work(unit: Unit) -> ReportAnswer:
            stored = hosts.reported(unit.connection, host_id)
            if stored is None:
                raise NotFound(f"There is no host {rules.printable(host_id)}.")
            if not self._is_newer(host_id, position, stored):
                raise Unchanged(ReportAnswer(accepted=False))
            writer = ReportWriter(unit, host_id)
            writer.write(report, facts, one_per_port(links))
            hosts.note_reports(unit.connection, [(host_id, position, unit.now)])
            return _accepted(stored, unit.revision)

        # A power cut may take it back: then the digest is the old one again and it is asked for.
        answer = self._units.write(work, durable=False)
        if not answer.accepted:
            return answer
        self._sightings.take(host_id, position, (0, 0), self._units.clock())
        return self._with_state(answer, host_id, report, -1)

    def _take_change(self, host_id: str, report: LinkReport, base: str) -> ReportAnswer:
        """Take a change: one transaction, whose cost is that of the change."""
        links = _changed_links(report)
        position = (report.boot, report.sequence)

        def work(unit: Unit) -> tuple[ReportAnswer, int]:
            stored = hosts.reported(unit.connection, host_id)
            if stored is None:
                self._sightings.forget(host_id)
                raise NotFound(f"There is no host {rules.printable(host_id)}.")
            known = stored.state_revision
            if not self._is_newer(host_id, position, stored):
                raise Unchanged((ReportAnswer(accepted=False), known))
            if report.digest == stored.digest:
                answer = _accepted(stored, unit.revision - 1)  # that of this unit will not be
                raise Unchanged((answer, known))
            fits = (base, report.agent_id) == (stored.digest, stored.agent_id)
            if not (fits and ReportWriter(unit, host_id).write_change(report, base, links)):
                raise Unchanged((ReportAnswer(accepted=True, full_report_needed=True), known))
            hosts.note_reports(unit.connection, [(host_id, position, unit.now)])
            return _accepted(stored, unit.revision), known

        answer, known = self._units.write(work, durable=False)
        if not answer.accepted:
            return answer
        self._sightings.take(host_id, position, (0, 0), self._units.clock())
        if answer.full_report_needed:
            return answer
        return self._with_state(answer, host_id, report, known)

    def _is_newer(self, host_id: str, position: Position, stored: Reported) -> bool:
        return position > max(stored.position, self._sightings.position(host_id))

    def _with_state(
        self, answer: ReportAnswer, host_id: str, report: LinkReport, known: int
    ) -> ReportAnswer:
        """Add the host's state to the answer to a report whose agent holds another one."""
        if report.state_revision == known:
            return answer

        def work(connection: Any) -> HostState | None:
            row = HOSTS.get(connection, host_id)
            if row is None or row.state_revision == report.state_revision:
                return None
            return compose(connection, row, self._context.settings)

        return answer.model_copy(update={"state": self._units.read(work)})

    def flush_liveness(self) -> int:
        """Write report times and counters gathered since the last call; return how many hosts.

        Raises:
            Unavailable: the database does not answer; what was gathered is kept.
        """
        drained = self._sightings.drain()
        if not drained:
            return 0

        def work(connection: Any) -> None:
            notes = [(id, seen.position, seen.at) for id, seen in sorted(drained.items())]
            hosts.note_reports(connection, notes)
            counters = [
                (id, port_id, values)
                for id, seen in sorted(drained.items())
                for port_id, values in sorted(seen.counters.items())
            ]
            locations.write_counters(connection, counters)
            nat = [(id, seen.nat) for id, seen in drained.items() if seen.nat is not None]
            nat_gateways.note_counts(connection, sorted(nat))

        try:
            self._units.write_aside(work, durable=False)
        except Exception:
            self._sightings.restore(drained)
            raise
        return len(drained)

    def sweep_liveness(self) -> int:
        """Tell of every host that came up, is late or went down since told last.

        Gateways of one that is gone are handed on: not before it is known whether its switch hears
        that, and not from one whose switch is back, whose agent then has its time to report, too.

        After a start nothing is late before hosts have had their time to report again.
        """
        interval = self._context.settings.report_interval_s
        now, started = self._units.clock(), self._started
        late, down = thresholds(now, interval)
        down = min(down, now - SWITCH_LOST_AFTER)
        when = hosts.Thresholds(late, _lenient(late, started), _lenient(down, started))
        waiting = self._units.read(lambda connection: hosts.stale_announcements(connection, when))
        if not self._due(waiting, late):
            return 0

        def work(unit: Unit) -> int:
            found = self._due(hosts.stale_announcements(unit.connection, when), late)
            if not found:
                raise Unchanged(0)
            for id, name, now, _ in found:
                hosts.announce(unit.connection, id, now)
                action = "changed" if now == "up" else "warning"
                unit.tell("host", id, "", action, f"{name} is {now}")
            retarget(unit, {one.host_id for one in found if hosts.DEAD in (one.now, one.announced)})
            rearrange(unit, judged_otherwise(unit.connection, [one.host_id for one in found]))
            return len(found)

        return self._units.write(work, durable=False)

    def _due(self, found: Sequence[Stale], late: datetime) -> list[Stale]:
        """Return what is to be told now: not that dead hosts' switches are back since *late*."""
        back = {
            one.host_id for one in found if (one.announced, one.now) == (hosts.DEAD, hosts.DOWN)
        }
        now = self._units.clock()
        self._returned = {id: self._returned.get(id, now) for id in back}
        return [one for one in found if self._returned.get(one.host_id, late) <= late]


def _accepted(stored: Reported, revision: int, realised: int | None = None) -> ReportAnswer:
    """Return the answer to a report that is in force at *revision*."""
    return ReportAnswer(
        accepted=True,
        realised_revision=realised,
        revision=revision,
        reached_revision=stored.reached,
    )


def _lenient(before: datetime, started: datetime) -> datetime:
    """Return *before*, or no time at all while that lies before our own start."""
    return before if before >= started else started - timedelta(days=36_500)


def _content(report: LinkReport) -> tuple[HostFacts | None, Sequence[Link]]:
    """Return facts and links of a full report, (None, ()) of an unchanged one.

    Raises:
        Invalid: it has one without the other, or the digest is of something else.
    """
    facts, links = report.facts, report.links
    if report.gone is not None:
        raise Invalid(
            "Only a change says what is gone.", field="gone", accepted="null without base"
        )
    if facts is None and links is None:
        return None, ()
    if facts is None or links is None:
        raise Invalid(
            "A report has both facts and links, or neither.",
            field="links" if links is None else "facts",
            accepted="both in a full report, null in an unchanged one",
        )
    _require_storable(facts, links)
    expected = digest(facts, links)
    if expected != report.digest:
        raise Invalid(
            "The digest is not that of the facts and links.", field="digest", accepted=expected
        )
    return facts, links


def _changed_links(report: LinkReport) -> dict[str, Link]:
    """Return the links of a change by port.

    Raises:
        Invalid: it has facts, no links, or one port twice.
    """
    if report.facts is not None or report.links is None:
        raise Invalid(
            "A change has links and no facts.",
            field="links" if report.links is None else "facts",
            accepted="links and null for facts beside a base",
        )
    _require_storable(None, report.links)
    found = {link.port_id: link for link in report.links}
    gone = frozenset(report.gone or ())
    if len(found) < len(report.links) or len(gone) < len(report.gone or ()) or gone & found.keys():
        raise Invalid("A change names a port twice.", field="links", accepted="each port once")
    return found


def _require_storable(facts: HostFacts | None, links: Sequence[Link]) -> None:
    """Refuse the one character that PostgreSQL's texts cannot hold, and facts said twice."""
    texts: dict[str, str] = {}
    if facts is not None:
        texts = {"facts.agent_version": facts.agent_version, "facts.ovs_version": facts.ovs_version}
        texts |= {f"facts.errors.{n}": text for n, text in enumerate(facts.errors)}
        texts |= {f"facts.providers.{n}": text for n, text in enumerate(facts.providers)}
        texts |= {f"facts.outside.{n}.bridge": one.bridge for n, one in enumerate(facts.outside)}
        _require_once("facts.outside", [one.network_id for one in facts.outside])
        _require_once("facts.watches", [one.host_id for one in facts.watches])
    for n, link in enumerate(links):
        for name in ("interface", "interface_uuid", "netns", "error"):
            texts[f"links.{n}.{name}"] = getattr(link, name) or ""
    for name, text in texts.items():
        if "\0" in text:
            raise Invalid("A text holds a NUL.", field=name, accepted="a text without NUL")


def _require_once(field: str, ids: Sequence[str]) -> None:
    if len(set(ids)) < len(ids):
        raise Invalid("The facts name something twice.", field=field, accepted="each id once")
