"""Link reports: what an agent tells the controller about its host, and what it hears back.

There are three forms. A full report has facts and links. A change has ``base``, the digest of the
report before, and only the links that differ from it. An unchanged report has the digest alone.
The controller asks for a full one when it does not know the digest, or the base, or when the
change does not lead from the base to the digest. Reports are ordered by ``(boot, sequence)``:
whatever is not newer than the last one accepted from the host changes nothing.
"""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from vpcctl.model import ids
from vpcctl.wire.digests import MAX_LINKS, as_digest, part
from vpcctl.wire.state import HostState

VERSION = 1
MAX_NAT_GATEWAYS = 4096
_U63 = 2**63 - 1

Count = Annotated[int, Field(ge=0, le=2**64 - 1)]
Text = Annotated[str, Field(max_length=255)]


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PortId = Annotated[str, Field(pattern=ids.PATTERNS["port"])]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LinkCounters(_Wire):
    """Counters of one interface since it was made (OVS ``statistics``). Not in the digest."""

    rx_packets: Count = 0
    rx_bytes: Count = 0
    rx_dropped: Count = 0
    tx_packets: Count = 0
    tx_bytes: Count = 0
    tx_dropped: Count = 0


class Link(_Wire):
    """One OVS interface whose ``external_ids:iface-id`` has the form of a port id.

    Attributes:
        port_id: the iface-id.
        interface: name of the OVS interface.
        interface_uuid: OVSDB's UUID of the row: a new one is a new claim.
        ofport: OpenFlow port number; None while OVS has not given one. No port is where it is above
            32767 (``MAX_PORT_OFPORT``), which older agents may report.
        mac: MAC in use as ``external_ids:attached-mac`` or the device says; None if unknown.
        netns: network namespace that holds the other end, if the agent made it.
        admin_up: administrative state.
        oper_up: link state.
        error: OVS's or the agent's error text; None when all is well.
    """

    port_id: PortId
    interface: Annotated[str, Field(min_length=1, max_length=255)]
    interface_uuid: Annotated[str, Field(max_length=36)] = ""
    ofport: Annotated[int, Field(ge=1, le=65279)] | None = None
    mac: Annotated[str, Field(pattern=r"^[0-9a-f]{2}(:[0-9a-f]{2}){5}$")] | None = None
    netns: Text | None = None
    admin_up: bool = True
    oper_up: bool = True
    error: Text | None = None
    counters: LinkCounters = LinkCounters()


class OutsideFact(_Wire):
    """A port of br-int that leads to an external network.

    Attributes:
        network_id: the network.
        ofport: OpenFlow port number.
        bridge: the provider's bridge.
    """

    network_id: Annotated[str, Field(pattern=ids.PATTERNS["ext"])]
    ofport: Annotated[int, Field(ge=1, le=65279)]
    bridge: Text = ""


class WatchFact(_Wire):
    """A host that this one watches.

    Attributes:
        host_id: the other host.
        ofport: of the port that BFD runs on.
        up: whether BFD says that the other lives.
    """

    host_id: Annotated[str, Field(pattern=ids.PATTERNS["host"])]
    ofport: Annotated[int, Field(ge=1, le=65279)]
    up: bool


class EipPorts(_Wire):
    """How many TCP and UDP ports of one of a NAT gateway's EIPs are in use.

    A port that leads to several destinations at once counts once.
    """

    address: Annotated[str, Field(max_length=15)]
    ports: Annotated[int, Field(ge=0, le=2 * 65536)]


class NatCounts(_Wire):
    """What the active host of a NAT gateway has counted of it. Not in the digest.

    Attributes:
        gateway_id: the gateway.
        connections: that conntrack knows now, in both directions; None: the host has too many in
            all to count those of one gateway.
        ports: by EIP; None: the host has too many connections to look at each.
        failures: packets of new connections for which no port was left, since the gateway is on
            this host or Open vSwitch was started; None: the datapath does not say.
    """

    gateway_id: Annotated[str, Field(pattern=ids.PATTERNS["nat"])]
    connections: Count | None = None
    ports: Annotated[tuple[EipPorts, ...], Field(max_length=64)] | None = None
    failures: Count | None = None


class HostFacts(_Wire):
    """What the host itself is: part of the digest.

    Attributes:
        vtep_address: address of its VXLAN endpoint.
        tunnel_ofport: ofport of the VXLAN port on br-int; None until it exists.
        dpid: datapath id that br-int has now.
        datapath_type: ``system`` (the kernel's) or ``netdev`` (userspace).
        nd_extensions: whether flows may rewrite ND options here.
        guest_services: whether the agent answers DHCP and router solicitations of guests.
        underlay_mtu: MTU of the device that carries the tunnels, bytes.
        agent_version: version of vpc-agent.
        ovs_version: version of ovs-vswitchd.
        errors: faults the host has that concern no one link.
        providers: provider networks that the agent's settings name, sorted.
        outside: external networks that the host reaches, sorted.
        watches: hosts that it watches, sorted.
        meters: how many OpenFlow meters its datapath has; 0: none.
    """

    vtep_address: Annotated[str, Field(max_length=45)]
    tunnel_ofport: Annotated[int, Field(ge=1, le=65279)] | None = None
    dpid: Annotated[int, Field(ge=1, le=2**64 - 1)] | None = None
    datapath_type: Literal["system", "netdev"]
    nd_extensions: bool
    guest_services: bool = False
    underlay_mtu: Annotated[int, Field(ge=576, le=65535)] = 1500
    agent_version: Annotated[str, Field(max_length=64)] = ""
    ovs_version: Annotated[str, Field(max_length=64)] = ""
    errors: Annotated[tuple[Text, ...], Field(max_length=32)] = ()
    providers: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    outside: Annotated[tuple[OutsideFact, ...], Field(max_length=1024)] = ()
    watches: Annotated[tuple[WatchFact, ...], Field(max_length=4096)] = ()
    meters: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0


class LinkReport(_Wire):
    """One report.

    Attributes:
        version: of this schema.
        agent_id: random id the agent made at its first start and keeps on disk.
        boot: grows with every start of the agent: max(last boot + 1, Unix time at start).
        sequence: grows by one with every report of a boot.
        digest: :func:`digest` of facts and links.
        state_revision: revision of the host state the agent holds; 0 when it holds none.
        base: digest that a change is of; None in other reports.
        facts: in a full report only.
        links: all of them in a full report, those that are new or other in a change.
        gone: in a change, ports of the base that have no link any more.
        nat: NAT gateways that the host is the active one of, counted since the last report; None:
            nothing new. Only a controller whose host states name NAT gateways is told.
    """

    version: Literal[1] = VERSION
    agent_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    boot: Annotated[int, Field(ge=1, le=_U63)]
    sequence: Annotated[int, Field(ge=1, le=_U63)]
    digest: Digest
    state_revision: Annotated[int, Field(ge=0, le=_U63)] = 0
    base: Digest | None = None
    facts: HostFacts | None = None
    links: Annotated[tuple[Link, ...], Field(max_length=MAX_LINKS)] | None = None
    gone: Annotated[tuple[PortId, ...], Field(max_length=MAX_LINKS)] | None = None
    nat: Annotated[tuple[NatCounts, ...], Field(max_length=MAX_NAT_GATEWAYS)] | None = None


class ReportAnswer(_Wire):
    """The controller's answer to a report.

    Attributes:
        accepted: False when the report was not newer than the last one (nothing changed).
        full_report_needed: the digest is unknown; send facts and links.
        state: the host's state when it is newer than the agent's; None when nothing changed.
        realised_revision: while the host's flows are all there and right: the revision at which
            they changed last. None while they are not, and from controllers that do not say it.
        revision: what the report says is in force at this revision, or was before; None from
            controllers that do not say it, like the next one.
        reached_revision: the host's switch has confirmed everything up to this revision.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    accepted: bool
    full_report_needed: bool = False
    state: HostState | None = None
    realised_revision: Annotated[int, Field(ge=0, le=_U63)] | None = None
    revision: Annotated[int, Field(ge=0, le=_U63)] | None = None
    reached_revision: Annotated[int, Field(ge=0, le=_U63)] | None = None


def link_hash(link: Link) -> int:
    """Return the part of a link, without its counters, in a digest."""
    return part(b"link", link.model_dump_json(exclude={"counters"}).encode())


def facts_hash(facts: HostFacts) -> int:
    """Return the part of the facts in a digest."""
    return part(b"facts", facts.model_dump_json().encode())


def digest(facts: HostFacts, links: Iterable[Link]) -> str:
    """Return the digest of facts and links: the sum of their SHA-256 hashes modulo 2**256.

    A sum does not depend on the order and follows a change at the cost of the change. It is no
    defence against a host that lies, which can say what it likes about its links anyway.
    """
    return as_digest(facts_hash(facts) + sum(map(link_hash, links)))


def changed_digest(base: str, before: Iterable[Link], after: Iterable[Link]) -> str:
    """Return what the digest *base* becomes when the links *before* make way for *after*."""
    less, more = sum(map(link_hash, before)), sum(map(link_hash, after))
    return as_digest(int(base, 16) - less + more)
