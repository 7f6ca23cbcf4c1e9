"""Link reports as the agent writes them, and answers as it reads them.

What is said there is told in :mod:`vpcctl.wire.report`; what a report may say is judged by the
controller alone.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

from agent.wire.base import Wire, written
from agent.wire.state import HostState
from vpcctl.wire.digests import as_digest, part

_Revision = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class LinkCounters(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.report.LinkCounters`."""

    rx_packets: int = 0
    rx_bytes: int = 0
    rx_dropped: int = 0
    tx_packets: int = 0
    tx_bytes: int = 0
    tx_dropped: int = 0


class Link(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.report.Link`."""

    port_id: str
    interface: str
    interface_uuid: str = ""
    ofport: int | None = None
    mac: str | None = None
    netns: str | None = None
    admin_up: bool = True
    oper_up: bool = True
    error: str | None = None
    counters: LinkCounters = LinkCounters()


class OutsideFact(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.report.OutsideFact`."""

    network_id: str
    ofport: int
    bridge: str = ""


class WatchFact(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.report.WatchFact`."""

    host_id: str
    ofport: int
    up: bool


class EipPorts(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.report.EipPorts`."""

    address: str
    ports: int


class NatCounts(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.report.NatCounts`."""

    gateway_id: str
    connections: int | None = None
    ports: tuple[EipPorts, ...] | None = None
    failures: int | None = None


class HostFacts(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.report.HostFacts`."""

    vtep_address: str
    tunnel_ofport: int | None = None
    dpid: int | None = None
    datapath_type: Literal["system", "netdev"]
    nd_extensions: bool
    guest_services: bool = False
    underlay_mtu: int = 1500
    agent_version: str = ""
    ovs_version: str = ""
    errors: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    outside: tuple[OutsideFact, ...] = ()
    watches: tuple[WatchFact, ...] = ()
    meters: int = 0


class LinkReport(Wire, frozen=True, kw_only=True, omit_defaults=True):
    """As :class:`vpcctl.wire.report.LinkReport`; what it does not say is left out."""

    version: Literal[1] = 1
    agent_id: str
    boot: int
    sequence: int
    digest: str
    state_revision: int = 0
    base: str | None = None
    facts: HostFacts | None = None
    links: tuple[Link, ...] | None = None
    gone: tuple[str, ...] | None = None
    nat: tuple[NatCounts, ...] | None = None


class ReportAnswer(Wire, frozen=True, kw_only=True):
    """As :class:`vpcctl.wire.report.ReportAnswer`."""

    accepted: bool
    full_report_needed: bool = False
    state: HostState | None = None
    realised_revision: _Revision | None = None
    revision: _Revision | None = None
    reached_revision: _Revision | None = None


def link_hash(link: Link) -> int:
    """Return the part of a link, without its counters, in a digest."""
    text = written(link)
    return part(b"link", text[: text.rindex(b',"counters":')] + b"}")


def facts_hash(facts: HostFacts) -> int:
    """Return the part of the facts in a digest."""
    return part(b"facts", written(facts))


def digest(facts: HostFacts, links: Iterable[Link]) -> str:
    """Return the digest of facts and links; see :func:`vpcctl.wire.report.digest`."""
    return as_digest(facts_hash(facts) + sum(map(link_hash, links)))
