"""What the agent knows of its host at this moment: the material of a report."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from agent import VERSION
from agent.decide import links as decide
from agent.decide import marks, outside, watch, work
from agent.decide.inventory import Inventory
from agent.decide.rows import InterfaceRow
from agent.decide.zones import Zones
from agent.wire.report import HostFacts, Link
from agent.wire.state import Attachment
from vpcctl.model import ids

_MAX_ERRORS = 32
_IN_FACTS = (marks.NETWORK_KEY, marks.WATCH_KEY)

Urgency = Literal["none", "soon", "shortly", "now"]
"""How soon a change is worth a report; *shortly*: nobody loses by some milliseconds."""
_URGENCIES: tuple[Urgency, ...] = get_args(Urgency)


def most_urgent(*each: Urgency) -> Urgency:
    """Return the most urgent of several."""
    return _URGENCIES[max(map(_URGENCIES.index, each), default=0)]


@dataclass(slots=True)
class Host:
    """The host, changed by whoever learns something new.

    Attributes:
        datapath_type: ``system`` or ``netdev``.
        rows: interfaces of OVS by UUID.
        shown: the same as they are reported: without an ofport that is not to be told yet.
        marked: those that lead to external networks or watch other hosts, by our marks.
        wanted: attachments of the host state by port id; replaced as a whole.
        problems: gives port id → what the agent failed to do.
        nd_extensions: flows answer solicitations for gateways here; else the agent does.
        errors: who says it → a fault that concerns no one link.
        vtep_address: local tunnel address; empty while unknown.
        underlay_mtu: MTU of the underlay device, bytes.
        dpid: datapath id of br-int.
        ovs_version: of ovs-vswitchd.
        meters: how many meters the datapath has; None: not asked yet.
        providers: names of the provider networks, sorted.
        reached: external network → bridge of its provider.
        cut: bridges of providers that have no link: what they lead to is not reached now.
        owner: the host id, which marks what is ours.
        is_known: whether OVSDB's rows have been read once. What is not known yet must not be
            reported as absent: flows would go for ports that are there.
        is_heard: whether the controller has been heard. A state from disk may be older than what
            is there, so nothing is removed by it.
        meeting: hosts that are watched anew and not reported yet: BFD needs a second or two to
            meet them, and what it says until then is not that they are dead.
        zones: conntrack zones; an interface is not reported at its ofport before the zone is its.
        clock: gives the present, seconds.
    """

    datapath_type: Literal["system", "netdev"]
    problems: Callable[[], Mapping[str, str]]
    nd_extensions: bool = True
    rows: dict[str, InterfaceRow] = field(default_factory=dict[str, InterfaceRow])
    shown: dict[str, InterfaceRow] = field(default_factory=dict[str, InterfaceRow])
    marked: dict[str, InterfaceRow] = field(default_factory=dict[str, InterfaceRow])
    wanted: dict[str, Attachment] = field(default_factory=dict[str, Attachment])
    errors: dict[str, str] = field(default_factory=dict[str, str])
    vtep_address: str = ""
    underlay_mtu: int = 1500
    dpid: int | None = None
    ovs_version: str = ""
    meters: int | None = None
    providers: tuple[str, ...] = ()
    reached: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: frozenset[str] = frozenset()
    owner: str = ""
    is_known: bool = False
    is_heard: bool = False
    meeting: frozenset[str] = frozenset()
    zones: Zones = field(default_factory=Zones)
    clock: Callable[[], float] = time.monotonic
    _tunnel: InterfaceRow | None = None
    _inventory: Inventory = field(default_factory=Inventory)

    def take_row(self, row: InterfaceRow) -> Urgency:
        """Take in an interface; tell how soon that is worth a report."""
        before = self.rows.get(row.uuid)
        self.rows[row.uuid] = row
        self.zones.take_row(row, self.clock())
        urgency = self._show(row)
        if row.name == marks.TUNNEL:
            self._tunnel = row
            return "none" if before is not None and before.ofport == row.ofport else "now"
        return most_urgent(urgency, self._mark(row))

    def _mark(self, row: InterfaceRow) -> Urgency:
        """Note an interface of ours that facts speak of; tell how soon that is worth a report."""
        ours = row.external_ids.get(marks.OWNER_KEY) == self.owner
        if not ours or row.external_ids.keys().isdisjoint(_IN_FACTS):
            return "none" if self.marked.pop(row.uuid, None) is None else "now"
        before, self.marked[row.uuid] = self.marked.get(row.uuid), row
        return "none" if before == row else "now"

    def _show(self, row: InterfaceRow) -> Urgency:
        """Put an interface among the links, without its ofport while that is not to be told."""
        before = self.shown.get(row.uuid)
        if not self.zones.may_claim(row):
            row = replace(row, ofport=None)
        self.shown[row.uuid] = row
        self._inventory.take_row(before, row)
        old = decide.link_of(before, None, None) if before is not None else None
        new = decide.link_of(row, None, None)
        if old == new:
            return "none"
        return "soon" if new is not None and not decide.is_settled(new) else "now"

    def take_again(self, uuid: str) -> bool:
        """Look again if an interface may be reported at its ofport; tell whether that changes."""
        row = self.rows.get(uuid)
        return row is not None and self._show(row) != "none"

    def forget_row(self, uuid: str) -> InterfaceRow | None:
        """Forget an interface that is gone; return it when it was known."""
        row = self.rows.pop(uuid, None)
        self.marked.pop(uuid, None)
        self.zones.forget_row(uuid, self.clock())
        self._inventory.take_row(self.shown.pop(uuid, None), None)
        if self._tunnel is not None and self._tunnel.uuid == uuid:
            self._tunnel = None
        return row

    def may_report(self) -> bool:
        """Tell whether a report would say what is, and nothing that is over in a moment."""
        if not self.vtep_address or not self.is_known:
            return False  # it would say that nothing is here
        if self.zones.phase == "asking" and not (self.ovs_version or "ovs-vswitchd" in self.errors):
            return False  # it is to be what the last one was
        return not self.zones.is_hurrying(self.clock())

    def error(self, source: str, text: str | None) -> bool:
        """Note or clear a fault; tell whether anything changed."""
        before = self.errors.get(source)
        if text:
            self.errors[source] = decide.clip(text)
        else:
            self.errors.pop(source, None)
        return before != self.errors.get(source)

    def facts(self) -> HostFacts:
        """Return the host's facts as they are now."""
        tunnel, cut = self._tunnel, self.cut
        reached = {id: bridge for id, bridge in self.reached.items() if bridge not in cut}
        errors = dict(self.errors)
        if tunnel is not None and tunnel.error:
            errors["tunnel"] = decide.clip(f"{marks.TUNNEL}: {tunnel.error}")
        return HostFacts(
            vtep_address=self.vtep_address,
            tunnel_ofport=tunnel.ofport if tunnel is not None else None,
            dpid=self.dpid,
            datapath_type=self.datapath_type,
            nd_extensions=self.nd_extensions,
            guest_services=True,
            underlay_mtu=self.underlay_mtu,
            agent_version=VERSION,
            ovs_version=self.ovs_version,
            errors=tuple(errors[source] for source in sorted(errors))[:_MAX_ERRORS],
            providers=self.providers,
            outside=outside.facts(self.marked.values(), reached),
            watches=watch.facts(self.marked.values(), self.meeting),
            meters=self.meters or 0,
        )

    def look(self) -> Inventory:
        """Return the host's links as they are now."""
        refused = work.refusals(self.wanted.values(), self.rows.values(), self.owner)
        self._inventory.look(self.wanted, {**self.problems(), **refused})
        return self._inventory

    def links(self) -> tuple[Link, ...]:
        """Return the host's links as they are now, sorted by port and interface."""
        return self.look().links()


def is_told(row: InterfaceRow) -> bool:
    """Tell whether reports speak of an interface: as a link, or in the facts."""
    return is_link(row) or not row.external_ids.keys().isdisjoint(_IN_FACTS)


def is_link(row: InterfaceRow) -> bool:
    """Tell whether an interface is some port's."""
    return ids.is_id("port", row.external_ids.get("iface-id", ""))
