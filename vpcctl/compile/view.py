"""Which pieces a host has: everything of every VPC that has a port there, and no other."""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from vpcctl.flows.flow import Flow
from vpcctl.model.network import Network
from vpcctl.pipeline.flood import SHARDS
from vpcctl.pipeline.pieces import (
    AdmitPiece,
    BasePiece,
    EdgePiece,
    LocalFloodPiece,
    PairMacPiece,
    PairPiece,
    PeerPiece,
    Piece,
    PortPiece,
    RelayPiece,
    RemoteFloodPiece,
    StaticPiece,
    SubnetPiece,
)
from vpcctl.pipeline.program import compile_piece


def host_pieces(net: Network, host_id: str, first: Iterable[str] = ()) -> Iterator[Piece]:
    """Yield the pieces of a host: what all need, then VPC by VPC, each piece once.

    Args:
        net: the network.
        host_id: the host; one that is not there has no pieces.
        first: ports of this host whose own pieces come before those of all others.
    """
    if host_id not in net.hosts:
        return
    yield from common_pieces(net, host_id)
    vpc_ids = sorted(net.vpcs_at(host_id))
    early = early_pieces(net, host_id, vpc_ids, first) if first else {}
    yield from early
    yield from vpc_pieces(net, host_id, vpc_ids, early)


def common_pieces(net: Network, host_id: str) -> Iterator[Piece]:
    """Yield the pieces that a host has without any port."""
    yield StaticPiece()
    yield BasePiece(host_id)
    yield from (PeerPiece(other) for other in tuple(net.hosts) if other != host_id)


def early_pieces(
    net: Network, host_id: str, vpc_ids: Iterable[str], first: Iterable[str]
) -> dict[Piece, None]:
    """Return what a host needs of VPCs that are new on it before everything else, in order.

    With these its ports *first* are reached by everybody, and reach everybody by way of the relay,
    if there is one.
    """
    pieces: dict[Piece, None] = {}
    for vpc_id in vpc_ids:
        pieces.update(dict.fromkeys(_relayed(net, host_id, vpc_id)))
    urgent = [port_id for port_id in first if port_id in net.ports]
    subnet_ids = dict.fromkeys(net.ports[port_id].subnet_id for port_id in urgent)
    pieces.update(dict.fromkeys(map(SubnetPiece, subnet_ids)))
    for port_id in urgent:
        pieces.update(dict.fromkeys((EdgePiece(host_id, port_id), PortPiece(port_id))))
    for subnet_id in subnet_ids:
        pieces.update(dict.fromkeys(_shared(net, host_id, subnet_id)))
    return pieces


def vpc_pieces(
    net: Network, host_id: str, vpc_ids: Iterable[str], early: Collection[Piece] = ()
) -> Iterator[Piece]:
    """Yield the pieces that VPCs bring to a host, but for *early* ones.

    Ids are taken at once and pieces are made one by one, so a reader may take its time while the
    network changes.
    """
    vpc_ids = tuple(vpc_ids)
    relayed = [piece for one in vpc_ids for piece in _relayed(net, host_id, one)]
    subnet_ids = [one for vpc_id in vpc_ids for one in sorted(net.subnets_of.get(vpc_id, ()))]
    members = {one: tuple(net.segment(one).ports) for one in subnet_ids}
    yield from (piece for piece in relayed if piece not in early)
    for subnet_id in subnet_ids:
        for piece in chain(
            (SubnetPiece(subnet_id),),
            _shared(net, host_id, subnet_id),
            _members(net, host_id, subnet_id, members[subnet_id]),
        ):
            if piece not in early:
                yield piece


def _relayed(net: Network, host_id: str, vpc_id: str) -> Iterator[Piece]:
    """Yield what a VPC's relays need of a host, be it the one that loads or the one that relays."""
    for relay_id in sorted(net.relays_of.get(vpc_id, ())):
        relay = net.relays[relay_id]
        if relay.host_id == host_id:
            yield RelayPiece(host_id, vpc_id)
        if relay.via_id == host_id:
            yield AdmitPiece(host_id, relay.host_id, vpc_id)


def _members(
    net: Network, host_id: str, subnet_id: str, port_ids: tuple[str, ...]
) -> Iterator[Piece]:
    here = tuple(net.segment(subnet_id).placed.get(host_id, ()))
    yield from (EdgePiece(host_id, port_id) for port_id in here)
    yield from (PortPiece(port_id) for port_id in port_ids)


def _shared(net: Network, host_id: str, subnet_id: str) -> Iterator[Piece]:
    """Yield the pieces of a subnet that are about several ports."""
    for shard in range(SHARDS):
        yield LocalFloodPiece(host_id, subnet_id, shard)
        yield RemoteFloodPiece(subnet_id, shard)
    segment = net.segment(subnet_id)
    yield from (PairPiece(subnet_id, ip) for ip in tuple(segment.pairs))
    yield from (PairMacPiece(subnet_id, mac) for mac in tuple(segment.pair_macs))


def compile_host(net: Network, host_id: str) -> Iterator[tuple[Flow, ...]]:
    """Yield the whole program of a host, piece by piece, without empty ones."""
    for piece in host_pieces(net, host_id):
        flows = compile_piece(net, piece)
        if flows:
            yield flows
