"""Which pieces a host has: everything of every VPC that has a port there, and no other."""

from collections.abc import Iterable, Iterator

from vpcctl.flows.flow import Flow
from vpcctl.model.network import Network
from vpcctl.pipeline.flood import SHARDS
from vpcctl.pipeline.pieces import (
    BasePiece,
    EdgePiece,
    LocalFloodPiece,
    PairMacPiece,
    PairPiece,
    PeerPiece,
    Piece,
    PortPiece,
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
    yield from vpc_pieces(net, host_id, sorted(net.vpcs_at(host_id)), first)


def common_pieces(net: Network, host_id: str) -> Iterator[Piece]:
    """Yield the pieces that a host has without any port."""
    yield StaticPiece()
    yield BasePiece(host_id)
    yield from (PeerPiece(other) for other in tuple(net.hosts) if other != host_id)


def vpc_pieces(
    net: Network, host_id: str, vpc_ids: Iterable[str], first: Iterable[str] = ()
) -> Iterator[Piece]:
    """Yield the pieces that VPCs bring to a host.

    Ids are taken at once and pieces are made one by one, so a reader may take its time while the
    network changes.
    """
    subnet_ids = [one for vpc_id in vpc_ids for one in sorted(net.subnets_of.get(vpc_id, ()))]
    urgent = [port_id for port_id in first if port_id in net.ports]
    urgent_subnets = dict.fromkeys(net.ports[port_id].subnet_id for port_id in urgent)
    order = [one for one in urgent_subnets if one in subnet_ids]
    order += [one for one in subnet_ids if one not in urgent_subnets]
    members = {one: tuple(net.segment(one).ports) for one in order}
    for subnet_id in order[: len(urgent_subnets)]:
        yield SubnetPiece(subnet_id)
    for port_id in urgent:
        yield EdgePiece(host_id, port_id)
        yield PortPiece(port_id)
    for subnet_id in order:
        if subnet_id not in urgent_subnets:
            yield SubnetPiece(subnet_id)
        yield from _members(net, host_id, subnet_id, set(members[subnet_id]).difference(urgent))
        yield from _shared(net, host_id, subnet_id)


def _members(net: Network, host_id: str, subnet_id: str, port_ids: set[str]) -> Iterator[Piece]:
    here = set(net.segment(subnet_id).placed.get(host_id, ()))
    yield from (EdgePiece(host_id, port_id) for port_id in here & port_ids)
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
