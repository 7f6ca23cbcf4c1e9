"""Writing a full report: only what changed of the host's facts and links, then the elections."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from operator import attrgetter
from typing import Any

from vpcctl.model.problems import Conflict
from vpcctl.services import outside_claims, port_mtu
from vpcctl.services.attachments import touch_hosts
from vpcctl.services.claims import Claim
from vpcctl.services.context import changed
from vpcctl.services.gateway_hosts import rearrange
from vpcctl.services.hosts import parse_vtep, require_free_vtep, tell_peers
from vpcctl.services.locating import Contest, claims_of, disputes, settle
from vpcctl.store import gateway_hosts, hosts, locations
from vpcctl.store.hosts import HOSTS
from vpcctl.store.tables import HostRow, LinkRow
from vpcctl.store.units import Unit
from vpcctl.wire.report import HostFacts, Link, LinkReport, changed_digest

VXLAN_OVERHEAD = {4: 50, 6: 70}
"""Bytes that VXLAN, UDP, IP and the inner Ethernet header take of the underlay's MTU."""

Everyone = Mapping[str, Mapping[str, LinkRow]]
"""Links by host, by port."""

_SAME = ("interface", "interface_uuid", "ofport", "mac", "netns", "admin_up", "oper_up", "error")
_values = attrgetter(*_SAME)
_NETWORK = ("vtep", "tunnel_ofport", "nd_extensions", "guest_services", "outside")


def one_per_port(links: Sequence[Link]) -> dict[str, Link]:
    """Return one link per port: of two with one id, the first that has an ofport, by interface."""
    found: dict[str, Link] = {}
    for link in sorted(links, key=lambda link: (link.ofport is None, link.interface)):
        found.setdefault(link.port_id, link)
    return found


class ReportWriter:
    """Writes one report within a unit of work."""

    def __init__(self, unit: Unit, host_id: str) -> None:
        self._unit = unit
        self._connection = unit.connection
        self._id = host_id

    def write(self, report: LinkReport, facts: HostFacts, links: dict[str, Link]) -> None:
        """Make the database say what a full report says.

        Raises:
            Conflict: the VTEP is another host's, or not the pinned one.
        """
        self._write_facts(report, facts)
        stored = locations.links_of_host(self._connection, self._id)
        differing = _differing(stored, links)
        everyone = locations.claims_of(self._connection, differing)
        self._write_links(everyone, {id: links[id] for id in differing if id in links})

    def write_change(self, report: LinkReport, base: str, links: dict[str, Link]) -> bool:
        """Make the database say what a change says; the cost is that of the change.

        Args:
            report: the change.
            base: the digest of what is stored.
            links: its links by port.

        Returns:
            False, and nothing is written, when the change does not lead from *base* to the
            report's digest: then what is stored of these links is not what the agent believes.
        """
        touched = [*links, *(report.gone or ())]
        everyone = locations.claims_of(self._connection, touched)
        stored = self._own(everyone)
        before = [_as_link(row) for row in stored.values()]
        if changed_digest(base, before, links.values()) != report.digest:
            return False
        hosts.set_digest(self._connection, self._id, report.digest)
        differing = dict.fromkeys(_differing(stored, links))
        claims = {id: by_host for id, by_host in everyone.items() if id in differing}
        self._write_links(claims, {id: links[id] for id in differing if id in links})
        return True

    def _write_facts(self, report: LinkReport, facts: HostFacts) -> None:
        unit = self._unit
        row = HOSTS.get_many(unit.connection, [self._id])[self._id]
        columns = _facts_columns(facts)
        self._require_vtep(row, columns["vtep"])
        columns |= {"agent_id": report.agent_id, "digest": report.digest}
        columns["outside"] = self._judged(row, columns["providers"], columns["outside"])
        news = {name: value for name, value in columns.items() if getattr(row, name) != value}
        if row.agent_id not in (None, report.agent_id):
            unit.tell("host", row.id, "", "warning", "another agent reports for this host now")
        if "outside" in news:
            news |= outside_claims.columns(unit, row, news["outside"])
        size = hosts.port_mtu(self._connection)
        if any(name in news for name in _NETWORK) or _watches_others(row, facts):
            news |= changed(unit)
            unit.tell("host", row.id, "", "changed", "reported by its agent")
        elif set(news) - {"digest"}:
            unit.tell("host", row.id, "", "changed", ", ".join(sorted(set(news) - {"digest"})))
        if news:
            HOSTS.update(self._connection, row.id, news)
        if "vtep" in news:
            tell_peers(unit, row.id)
        port_mtu.follow(unit, size)
        if "outside" in news:
            believed = self._reaches_others(row, news["outside"])
            rearrange(unit, [row.id, *believed, *_seen_otherwise(row, columns["watches"])])
        elif "watches" in news:
            rearrange(unit, _seen_otherwise(row, columns["watches"]))

    def _judged(
        self, row: HostRow, providers: list[str], claims: list[outside_claims.Claim]
    ) -> list[outside_claims.Claim]:
        """Return what the host says that it reaches, with what speaks against it."""
        if providers == row.providers and claims == [claim[:3] for claim in row.outside]:
            return row.outside
        return outside_claims.judge(self._unit, row.id, providers, claims)

    def _reaches_others(self, row: HostRow, outside: list[outside_claims.Claim]) -> list[str]:
        """Tell who is concerned by what external networks this host reaches now.

        Returns:
            The hosts whose own claims are believed now.
        """
        outside_claims.tell_new(self._unit, row.id, row.outside, outside)
        believed = outside_claims.reconsider(self._unit, row.id)
        carrying = gateway_hosts.carrying(self._connection)
        touch_hosts(self._unit, row.id, *believed, *carrying)
        return believed

    def _require_vtep(self, row: HostRow, vtep: str) -> None:
        pinned = row.pinned_vtep
        if pinned is not None and vtep != pinned:
            raise Conflict(
                f"The VTEP of {row.id} is pinned to {pinned}; the report says {vtep}.",
                field="facts.vtep_address",
                accepted=pinned,
            )
        if vtep != row.vtep:
            require_free_vtep(self._unit, vtep, row.id, "facts.vtep_address")

    def _own(self, claims: Everyone) -> dict[str, LinkRow]:
        """Return this host's links among those of all hosts."""
        return {id: by_host[self._id] for id, by_host in claims.items() if self._id in by_host}

    def _write_links(self, everyone: Everyone, news: dict[str, Link]) -> None:
        """Write links of the host that differ from what is stored; elect what that may move.

        Args:
            everyone: every host's links as they are stored, to the ports concerned alone.
            news: the host's links to these ports now; it has none to the others any more.
        """
        unit, host_id = self._unit, self._id
        stored = self._own(everyone)
        gone = sorted(stored.keys() - news.keys())
        moved = [id for id, link in news.items() if _matters(stored.get(id), link)]
        ports, places = locations.claimed_ports(self._connection, [*gone, *news])
        contested = {id: ports[id] for id in (*gone, *moved) if id in ports}
        rows = {id: self._link_row(stored.get(id), link) for id, link in sorted(news.items())}
        locations.write_links(self._connection, host_id, sorted(stored), [*rows.values()])
        before = {id: claims_of(by_host.values()) for id, by_host in everyone.items()}
        claims = {id: self._claims(before.get(id, ()), rows.get(id)) for id in contested}
        said = disputes(contested, before)
        settled = settle(unit, Contest(contested, places, claims, said))
        for id in (*gone, *sorted(news)):
            if id in ports and id not in settled:
                unit.tell("link", id, ports[id].tenant_id, "changed", f"reported by {host_id}")

    def _claims(self, before: Sequence[Claim], row: dict[str, Any] | None) -> list[Claim]:
        """Return what becomes of the claims *before* when this host's is as *row* says."""
        others = [claim for claim in before if claim.host_id != self._id]
        if row is None:
            return others
        return [*others, Claim(self._id, row["claimed_revision"], row["ofport"])]

    def _link_row(self, old: LinkRow | None, link: Link) -> dict[str, Any]:
        again = old is not None and old.interface_uuid == link.interface_uuid
        return {
            "host_id": self._id,
            "port_id": link.port_id,
            **{name: getattr(link, name) for name in _SAME},
            "counters": link.counters.model_dump(),
            "claimed_revision": old.claimed_revision if old and again else self._unit.revision,
            "reported_at": self._unit.now,
        }


def _facts_columns(facts: HostFacts) -> dict[str, Any]:
    vtep = parse_vtep(facts.vtep_address, "facts.vtep_address")
    return {
        "vtep": vtep,
        "tunnel_ofport": facts.tunnel_ofport,
        "nd_extensions": facts.nd_extensions,
        "guest_services": facts.guest_services,
        "inner_mtu": facts.underlay_mtu - VXLAN_OVERHEAD[ip_address(vtep).version],
        "reported_dpid": None if facts.dpid is None else f"{facts.dpid:016x}",
        "agent_version": facts.agent_version,
        "ovs_version": facts.ovs_version,
        "datapath_type": facts.datapath_type,
        "errors": list(facts.errors),
        "providers": list(facts.providers),
        "outside": [[one.network_id, one.ofport, one.bridge] for one in facts.outside],
        "watches": [[one.host_id, one.ofport, one.up] for one in facts.watches],
        "meters": facts.meters,
    }


def _watches_others(row: HostRow, facts: HostFacts) -> bool:
    """Tell whether other hosts are watched, or through other ports, whether they live or not."""
    before = [(host_id, ofport) for host_id, ofport, _ in row.watches]
    return before != [(one.host_id, one.ofport) for one in facts.watches]


def _seen_otherwise(row: HostRow, watches: list[list[Any]]) -> set[str]:
    """Return the hosts of which this one says otherwise than before if they live."""
    before = {host_id: is_up for host_id, _, is_up in row.watches}
    after = {host_id: is_up for host_id, _, is_up in watches}
    return {id for id in before.keys() | after.keys() if before.get(id) != after.get(id)}


def _as_link(row: LinkRow) -> Link:
    """Return a stored link as it was reported, but for its counters."""
    return Link(port_id=row.port_id, **{name: getattr(row, name) for name in _SAME})


def _differing(stored: Mapping[str, LinkRow], links: Mapping[str, Link]) -> list[str]:
    """Return the ports whose links are not what is stored: first those that have none now."""
    gone = sorted(stored.keys() - links.keys())
    return [*gone, *(id for id, link in links.items() if not _same(stored.get(id), link))]


def _same(old: LinkRow | None, link: Link) -> bool:
    return old is not None and _values(old) == _values(link)


def _matters(old: LinkRow | None, link: Link) -> bool:
    """Tell whether the link may move its port: a new claim, or another ofport."""
    if old is None:
        return True
    return (old.interface_uuid, old.ofport) != (link.interface_uuid, link.ofport)
