"""The host's links and their digest, kept up to date at the cost of what changes."""

from collections.abc import Mapping

from agent.decide import links as decide
from agent.decide.rows import InterfaceRow
from agent.wire import report as wire
from agent.wire.report import HostFacts, Link
from agent.wire.state import Attachment
from vpcctl.wire.digests import MAX_LINKS, as_digest

_NOTHING: Mapping[str, str] = {}


class Inventory:
    """Links by port: what rows, attachments and problems make of them together."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, InterfaceRow]] = {}
        self._links: dict[str, tuple[Link, ...]] = {}
        self._wanted: Mapping[str, Attachment] = {}
        self._problems: Mapping[str, str] = _NOTHING
        self._total = 0  # sum of the links' hashes
        self._count = 0
        self._stale: set[str] = set()
        self._changed: set[str] = set()

    def take_row(self, before: InterfaceRow | None, after: InterfaceRow | None) -> None:
        """Take in an interface that came, changed or went."""
        if before is not None:
            port_id = _port_of(before)
            rows = self._rows.get(port_id, {})
            rows.pop(before.uuid, None)
            if not rows:
                self._rows.pop(port_id, None)
            self._stale.add(port_id)
        if after is not None:
            port_id = _port_of(after)
            self._rows.setdefault(port_id, {})[after.uuid] = after
            self._stale.add(port_id)

    def look(self, wanted: Mapping[str, Attachment], problems: Mapping[str, str]) -> None:
        """Bring the links up to date with the rows, these attachments and these problems.

        Args:
            wanted: attachments of the host state by port; another object when any of them changed.
            problems: port id → what the agent failed to do; usually empty.
        """
        if wanted is not self._wanted:
            self._stale |= _differing(self._wanted, wanted)
            self._wanted = wanted
        if problems or self._problems:
            self._stale |= _differing(self._problems, problems)
            self._problems = dict(problems)
        for port_id in self._stale:
            self._renew(port_id)
        self._stale.clear()

    def _renew(self, port_id: str) -> None:
        rows = self._rows.get(port_id, {}).values()
        problem = self._problems.get(port_id)
        problems = _NOTHING if problem is None else {port_id: problem}
        before = self._links.pop(port_id, ())
        after = decide.links(rows, self._wanted, problems)
        if after:
            self._links[port_id] = after
        if after != before:
            self._total += sum(map(wire.link_hash, after)) - sum(map(wire.link_hash, before))
            self._count += len(after) - len(before)
            self._changed.add(port_id)

    def links(self) -> tuple[Link, ...]:
        """Return the links of a full report, sorted by port and interface."""
        found = [link for port_id in sorted(self._links) for link in self._links[port_id]]
        return tuple(found[:MAX_LINKS])

    def digest(self, facts: HostFacts) -> str:
        """Return the digest of *facts* and :meth:`links`."""
        if self._count > MAX_LINKS:
            return wire.digest(facts, self.links())
        return as_digest(wire.facts_hash(facts) + self._total)

    def take_change(self) -> tuple[tuple[Link, ...], tuple[str, ...]] | None:
        """Return links that changed, and ports that lost theirs, since the last call.

        Returns:
            None when that cannot be said by a change: a port has two links, or the host too many.
        """
        changed, self._changed = sorted(self._changed), set()
        found = [self._links.get(port_id, ()) for port_id in changed]
        if self._count > MAX_LINKS or any(len(links) > 1 for links in found):
            return None
        gone = tuple(id for id, links in zip(changed, found, strict=True) if not links)
        return tuple(link for links in found for link in links), gone


def _port_of(row: InterfaceRow) -> str:
    return row.external_ids.get("iface-id", "")


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    """Return the keys whose values are not the same in both."""
    keys = before.keys() | after.keys()
    return {key for key in keys if before.get(key) != after.get(key)}
