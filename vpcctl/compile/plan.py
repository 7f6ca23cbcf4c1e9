"""From a batch of changes to what each host has to do, at the cost of what changed."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from vpcctl.compile import outward
from vpcctl.compile.memory import Memory
from vpcctl.compile.relaying import Presence, Relaying, steering
from vpcctl.compile.touched import touched
from vpcctl.compile.transition import FlowTuple, HostChange, Transition
from vpcctl.compile.view import common_pieces, early_pieces, vpc_pieces
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import meters_of
from vpcctl.model.changes import Change, ChangeBatch
from vpcctl.model.gateway import InternetGateway, NatGateway
from vpcctl.model.location import Location
from vpcctl.model.network import Network
from vpcctl.model.port import Port
from vpcctl.model.relay import Relay
from vpcctl.model.subnet import Subnet
from vpcctl.pipeline.guest_services import metered_ports
from vpcctl.pipeline.outside_questions import metered_addresses
from vpcctl.pipeline.pieces import (
    AclPiece,
    AdmitPiece,
    BasePiece,
    EdgePiece,
    EipPiece,
    GatewayPiece,
    GlobalPiece,
    GroupPiece,
    MemberPiece,
    OutsidePiece,
    PeerPiece,
    Piece,
    PortPiece,
    RelayPiece,
    RouteTablePiece,
    StaticPiece,
    VpcPairPiece,
    VpcPiece,
    own_host,
)
from vpcctl.pipeline.program import compile_piece
from vpcctl.reconcile.delta import difference

EVERYWHERE = ""
"""Stands for the VPC of pieces that hosts have whatever VPCs they have."""


@dataclass(frozen=True, slots=True)
class _Was:
    """A piece before the batch: its flows, and the VPC that brought it."""

    flows: FlowTuple
    vpc_id: str | None


@dataclass(slots=True)
class _Journal:
    """What the batch met, as it was before: filled while changes are applied one by one."""

    memory: Memory
    pieces: dict[Piece, _Was] = field(default_factory=dict[Piece, _Was])
    presence: dict[Presence, bool] = field(default_factory=dict[Presence, bool])
    hosts: dict[str, bool] = field(default_factory=dict[str, bool])
    arrived: dict[str, None] = field(default_factory=dict[str, None])
    relays: dict[str, None] = field(default_factory=dict[str, None])

    def note(self, net: Network, change: Change) -> None:
        """Write down, before *change* is applied, what it may touch."""
        for piece in touched(net, change):
            if piece not in self.pieces:
                self.pieces[piece] = _Was(self.memory.flows(net, piece), _vpc_of(net, piece))
        for host_id, vpc_id in _presence(net, change):
            if (host_id, vpc_id) not in self.presence:
                self.presence[host_id, vpc_id] = net.has_vpc(host_id, vpc_id)
        if change.kind == "host" and change.id not in self.hosts:
            self.hosts[change.id] = change.id in net.hosts
        if change.kind == "location":
            self.arrived[change.id] = None
        if change.kind == "relay":
            self.relays[change.id] = None

    def take(self, net: Network, changes: Iterable[Change]) -> None:
        """Apply *changes*, each noted before."""
        for change in changes:
            self.note(net, change)
            net.apply_one(change)

    def moves(self, net: Network) -> tuple[set[Presence], set[Presence]]:
        """Return the presences that have begun and those that have ended."""
        is_there = {pair: net.has_vpc(*pair) for pair in self.presence}
        return (
            {pair for pair, was in self.presence.items() if is_there[pair] and not was},
            {pair for pair, was in self.presence.items() if was and not is_there[pair]},
        )


def plan_changes(
    net: Network,
    batch: ChangeBatch,
    relaying: Relaying | None = None,
    memory: Memory | None = None,
) -> Transition:
    """Apply *batch* to *net* and return what it changes on which host.

    The cost follows the pieces touched and the hosts that have them. For an empty network or a
    whole snapshot it is cheaper to ``apply`` and to compile every host.

    Args:
        net: the network; it changes.
        batch: the changes.
        relaying: how to choose who forwards for hosts on which a VPC is new; None: nobody does.
        memory: what former plans have made of this network.
    """
    journal = _Journal(memory or Memory())
    journal.take(net, batch.changes)
    net.revision = batch.revision
    arriving, departing = journal.moves(net)
    steered = tuple(steering(net, arriving, departing, relaying, batch.revision))
    journal.take(net, steered)
    return _Planner(net, journal).transition()


class _Planner:
    """Shares out what a journal met among the hosts."""

    def __init__(self, net: Network, journal: _Journal) -> None:
        self._net = net
        self._journal = journal
        self._arriving, self._departing = journal.moves(net)
        self._compiled: dict[Piece, FlowTuple] = {}
        self._new = {h for h, was in journal.hosts.items() if not was and h in net.hosts}
        self._staying: dict[str, frozenset[str]] = {}
        self._removed: dict[str, list[FlowTuple]] = {}
        self._written: dict[str, list[FlowTuple]] = {}

    def transition(self) -> Transition:
        """Return the whole transition."""
        for piece in sorted(self._journal.pieces, key=_urgency):
            self._share(piece, self._journal.pieces[piece])
        departed = self._departed()
        arriving = self._arrivals()
        relays, unmetered = self._relays(), self._unmetered()
        host_ids = {*self._removed, *self._written, *departed, *arriving, *relays, *unmetered}
        return Transition(
            revision=self._net.revision,
            hosts={
                h: dataclasses.replace(
                    self._change(h, departed.get(h, ()), arriving.get(h, ())),
                    relays=relays.get(h, ()),
                    unmetered=unmetered.get(h, ()),
                )
                for h in sorted(host_ids)
            },
            gone=tuple(h for h, was in self._journal.hosts.items() if was and not self._is(h)),
            touched=tuple(self._journal.pieces),
        )

    def _is(self, host_id: str) -> bool:
        return host_id in self._net.hosts

    def _stay(self, vpc_id: str | None) -> frozenset[str]:
        """Return the hosts that had a VPC before the batch and have it now."""
        if vpc_id is None:
            return frozenset()
        found = self._staying.get(vpc_id)
        if found is None:
            if vpc_id == EVERYWHERE:
                found = frozenset(self._net.hosts).difference(self._new)
            else:
                hosts = self._net.hosts_of(vpc_id)
                found = frozenset(h for h in hosts if (h, vpc_id) not in self._arriving)
            self._staying[vpc_id] = found
        return found

    def _share(self, piece: Piece, was: _Was) -> None:
        """Give a piece's difference to the hosts that have it."""
        after = self._compiled[piece] = compile_piece(self._net, piece)
        self._journal.memory.keep(piece, after)
        vpc_id = _vpc_of(self._net, piece)
        if not was.flows and not after:
            return
        before_at = self._audience(piece, was.vpc_id)
        after_at = before_at if vpc_id == was.vpc_id else self._audience(piece, vpc_id)
        removed, written = difference(was.flows, after)
        self._give(before_at & after_at, removed, written)
        self._give(before_at - after_at, was.flows, ())
        self._give(after_at - before_at, (), after)

    def _audience(self, piece: Piece, vpc_id: str | None) -> frozenset[str]:
        hosts = self._stay(vpc_id)
        if isinstance(piece, PeerPiece):
            return hosts - {piece.host_id}
        own = own_host(piece)
        return hosts if own is None else hosts & {own}

    def _give(self, hosts: Iterable[str], removed: FlowTuple, written: FlowTuple) -> None:
        for host_id in hosts:
            if removed:
                self._removed.setdefault(host_id, []).append(removed)
            if written:
                self._written.setdefault(host_id, []).append(written)

    def _departed(self) -> dict[str, tuple[int, ...]]:
        """Return the cookies to delete, by host that a VPC has left."""
        by_vpc = {vpc_id: self._cookies(vpc_id) for _, vpc_id in self._departing}
        found: dict[str, tuple[int, ...]] = {}
        for host_id, vpc_id in sorted(self._departing):
            if self._is(host_id):
                found[host_id] = (*found.get(host_id, ()), *by_vpc[vpc_id])
        return found

    def _cookies(self, vpc_id: str) -> tuple[int, ...]:
        """Return the cookies of everything that a VPC has or had before the batch."""
        cookies = {
            flow.cookie
            for was in self._journal.pieces.values()
            if was.vpc_id == vpc_id
            for flow in was.flows
        }
        if vpc_id in self._net.vpcs:
            key = self._net.vpcs[vpc_id].key
            cookies.update((cookie(Feature.VPC, key), cookie(Feature.MEMBER, key)))
        cookies.update(_filters(self._net, vpc_id))
        cookies.update(outward.cookies(self._net, vpc_id))
        for subnet_id in self._net.subnets_of.get(vpc_id, ()):
            vni = self._net.subnets[subnet_id].vni
            cookies.update(cookie(f, vni) for f in (Feature.SUBNET, Feature.FLOOD, Feature.PAIR))
            ports = (self._net.ports[p] for p in self._net.segment(subnet_id).ports)
            for port in ports:
                cookies.update(cookie(one, port.key) for one in (Feature.PORT, Feature.GLOBAL))
        return tuple(sorted(cookies))

    def _arrivals(self) -> dict[str, list[str]]:
        """Return the VPCs that are new, by host; a host that is new itself is always there."""
        found: dict[str, list[str]] = {host_id: [] for host_id in self._new}
        for host_id, vpc_id in sorted(self._arriving):
            found.setdefault(host_id, []).append(vpc_id)
        return found

    def _relays(self) -> dict[str, tuple[Relay, ...]]:
        """Return, by host, the relays that end as soon as it has confirmed its change."""
        found: dict[str, tuple[Relay, ...]] = {}
        for relay_id in self._journal.relays:
            relay = self._net.relays.get(relay_id)
            if relay is None:
                continue
            if relay.closing or (relay.host_id, relay.vpc_id) in self._arriving:
                found[relay.host_id] = (*found.get(relay.host_id, ()), relay)
        return found

    def _unmetered(self) -> dict[str, tuple[int, ...]]:
        """Return, by host, the meters that its own pieces have named and nobody names any more."""
        before: dict[str, set[int]] = {}
        after: dict[str, set[int]] = {}
        for piece, was in self._journal.pieces.items():
            if isinstance(piece, EdgePiece | EipPiece | GlobalPiece):
                before.setdefault(piece.host_id, set()).update(_numbers(was.flows))
                after.setdefault(piece.host_id, set()).update(_numbers(self._flows(piece)))
        found = {h: numbers - after[h] for h, numbers in before.items() if self._is(h)}
        return {
            h: tuple(sorted(n for n in numbers if not self._is_shared(h, n)))
            for h, numbers in found.items()
            if numbers
        }

    def _is_shared(self, host_id: str, number: int) -> bool:
        """Tell whether another port or address of the host names this meter."""
        ports = metered_ports(self._net, host_id, number)
        others = metered_addresses(self._net, host_id, number)
        pieces = (*(EdgePiece(host_id, one) for one in ports), *others)
        return any(number in _numbers(self._flows(piece)) for piece in pieces)

    def _change(
        self, host_id: str, departed: tuple[int, ...], vpc_ids: Sequence[str]
    ) -> HostChange:
        net, new = self._net, host_id in self._new
        first = [p for p in self._journal.arrived if _is_at(net, p, host_id, vpc_ids)]
        early = early_pieces(net, host_id, vpc_ids, first)
        opening = [flows for piece in early if (flows := self._flows(piece))]

        pieces = vpc_pieces(net, host_id, vpc_ids, early)
        if new:
            pieces = chain(common_pieces(net, host_id), pieces)
        head = tuple(islice(pieces, 1))

        def program() -> Iterator[FlowTuple]:
            # Each is compiled when it is read: what changes before that has been sent by then.
            for piece in chain(head, pieces):
                flows = compile_piece(net, piece)
                if flows:
                    yield flows

        return HostChange(
            host_id=host_id,
            departed=departed,
            removed=tuple(self._removed.get(host_id, ())),
            written=(*self._written.get(host_id, ()), *opening),
            program=program,
            has_program=bool(head),
        )

    def _flows(self, piece: Piece) -> FlowTuple:
        """Return a piece's flows; the same object as other hosts get, if any does."""
        found = self._compiled.get(piece)
        if found is None:
            found = self._compiled[piece] = compile_piece(self._net, piece)
        return found


def _numbers(flows: FlowTuple) -> set[int]:
    return {meter.id for meter in meters_of(flows)}


def _is_at(net: Network, port_id: str, host_id: str, vpc_ids: Sequence[str]) -> bool:
    port, location = net.ports.get(port_id), net.locations.get(port_id)
    if port is None or location is None or location.host_id != host_id:
        return False
    return net.vpc_of(port.subnet_id) in vpc_ids


def _urgency(piece: Piece) -> int:
    """Return the rank of a piece in what is written: a port's own way out comes first."""
    match piece:
        case StaticPiece() | BasePiece() | PeerPiece() | RelayPiece() | AdmitPiece():
            return 0
        case EdgePiece() | PortPiece():
            return 1
        case _:
            return 2


def _vpc_of(net: Network, piece: Piece) -> str | None:
    """Return the VPC that brings a piece to a host, or None when there is none now."""
    match piece:
        case StaticPiece() | BasePiece() | PeerPiece() | OutsidePiece():
            return EVERYWHERE
        case PortPiece(port_id) | EdgePiece(_, port_id) | GlobalPiece(_, port_id):
            port = net.ports.get(port_id)
            return None if port is None else net.vpc_of(port.subnet_id)
        case RelayPiece(_, vpc_id) | AdmitPiece(_, _, vpc_id) | MemberPiece(vpc_id, _):
            return vpc_id
        case VpcPiece(vpc_id) | VpcPairPiece(vpc_id, _):
            return vpc_id
        case RouteTablePiece() | GatewayPiece() | EipPiece():
            return outward.vpc_of(net, piece)
        case GroupPiece(group_id):
            group = net.groups.get(group_id)
            return None if group is None else group.vpc_id
        case AclPiece(acl_id):
            acl = net.acls.get(acl_id)
            return None if acl is None else acl.vpc_id
        case _:
            return net.vpc_of(piece.subnet_id)


def _filters(net: Network, vpc_id: str) -> Iterator[int]:
    """Yield the cookies of a VPC's groups, rules and ACLs."""
    for group_id in net.membership.groups_of.get(vpc_id, ()):
        group = net.groups[group_id]
        yield cookie(Feature.GROUP, group.key)
        yield from (cookie(Feature.RULE, rule.key) for rule in group.rules)
    for acl_id in net.acls_of.get(vpc_id, ()):
        yield cookie(Feature.ACL, net.acls[acl_id].key)


def _presence(net: Network, change: Change) -> Iterator[Presence]:
    """Yield the presences that *change* may begin or end, as seen before it is applied."""
    states = [state for state in (net.present(change), change.resource) if state is not None]
    if change.kind == "host":
        for subnet_id in net.subnets_at.get(change.id, ()):
            yield from _pairs((change.id,), (net.vpc_of(subnet_id),))
        for gateway_id in net.outside.gateways_on.get(change.id, ()):
            gateway = net.outside.gateway(gateway_id)
            if gateway is not None:
                yield from _pairs((change.id,), (gateway.vpc_id,))
    for state in states:
        match state:
            case Location(host_id=host_id):
                port = net.ports.get(change.id)
                if port is not None:
                    yield from _pairs((host_id,), (net.vpc_of(port.subnet_id),))
            case Port(subnet_id=subnet_id):
                location = net.locations.get(change.id)
                if location is not None:
                    yield from _pairs((location.host_id,), (net.vpc_of(subnet_id),))
            case Subnet(vpc_id=vpc_id):
                yield from _pairs(tuple(net.segment(change.id).placed), (vpc_id,))
            case InternetGateway(vpc_id=vpc_id, hosts=hosts):
                yield from _pairs(hosts, (vpc_id,))
            case NatGateway(vpc_id=vpc_id, hosts=hosts):
                yield from _pairs(hosts, (vpc_id,))
            case _:
                pass


def _pairs(hosts: Iterable[str], vpc_ids: Iterable[str | None]) -> Iterator[Presence]:
    for vpc_id in vpc_ids:
        if vpc_id is not None:
            yield from ((host_id, vpc_id) for host_id in hosts)
