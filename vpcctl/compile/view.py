"""Which pieces a host has: all of every VPC that has a port or a gateway there, and no other."""

from collections.abc import Collection, Iterable, Iterator
from itertools import chain

from vpcctl.compile import outward
from vpcctl.compile.filters import all_members, named_by
from vpcctl.flows.flow import Flow
from vpcctl.model.network import Network
from vpcctl.model.residents import Residents
from vpcctl.pipeline.flood import SHARDS
from vpcctl.pipeline.pieces import (
    AclPiece,
    AdmitPiece,
    BasePiece,
    EdgePiece,
    GroupPiece,
    LocalFloodPiece,
    OutsidePiece,
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
    host = net.hosts.get(host_id)
    reached = () if host is None else host.outside
    for network_id in dict.fromkeys(one.external_network_id for one in reached):
        yield OutsidePiece(host_id, network_id)
    yield from (PeerPiece(other) for other in tuple(net.hosts) if other != host_id)


def early_pieces(
    net: Network, host_id: str, vpc_ids: Iterable[str], first: Iterable[str]
) -> dict[Piece, None]:
    """Return what a host needs of VPCs that are new on it before everything else, in order.

    With these its ports *first* are reached by everybody, and reach everybody by way of the relay,
    if there is one; as far as their groups let them, whose members come next (``vpc_pieces``).
    """
    pieces: dict[Piece, None] = {}
    for vpc_id in vpc_ids:
        pieces.update(dict.fromkeys(_relayed(net, host_id, vpc_id)))
    urgent = [port_id for port_id in first if port_id in net.ports]
    subnet_ids = dict.fromkeys(net.ports[port_id].subnet_id for port_id in urgent)
    pieces.update(dict.fromkeys(piece for one in subnet_ids for piece in _acl(net, one)))
    pieces.update(dict.fromkeys(map(SubnetPiece, subnet_ids)))
    for port_id in urgent:
        pieces.update(dict.fromkeys((EdgePiece(host_id, port_id), PortPiece(port_id))))
        pieces.update(dict.fromkeys(_groups(net, port_id)))
    for subnet_id in subnet_ids:
        pieces.update(dict.fromkeys(_shared(net, host_id, subnet_id)))
    return pieces


def _acl(net: Network, subnet_id: str) -> Iterator[AclPiece]:
    """Yield the ACL of a subnet, if it is there."""
    subnet = net.subnets.get(subnet_id)
    if subnet is not None and subnet.acl_id is not None:
        acl = net.live_acl(subnet.acl_id, subnet.vpc_id)
        if acl is not None:
            yield AclPiece(acl.id)


def _groups(net: Network, port_id: str) -> Iterator[GroupPiece]:
    """Yield the groups of a port that are there."""
    vpc_id = net.vpc_of(net.ports[port_id].subnet_id)
    for group_id in net.ports[port_id].groups or ():
        if vpc_id is not None and net.live_group(group_id, vpc_id) is not None:
            yield GroupPiece(group_id)


def vpc_pieces(
    net: Network, host_id: str, vpc_ids: Iterable[str], early: Collection[Piece] = ()
) -> Iterator[Piece]:
    """Yield the pieces that VPCs bring to a host, but for *early* ones.

    Ids are taken at once and pieces are made one by one, so a reader may take its time while the
    network changes.
    """
    vpc_ids = tuple(vpc_ids)
    head = [piece for one in vpc_ids for piece in _relayed(net, host_id, one)]
    for vpc_id in vpc_ids:
        head += map(AclPiece, sorted(net.acls_of.get(vpc_id, ())))
        head += map(GroupPiece, sorted(net.membership.groups_of.get(vpc_id, ())))
        head += outward.head(net, host_id, vpc_id)
        head += outward.resident(net, host_id, vpc_id)
    subnet_ids = [one for vpc_id in vpc_ids for one in sorted(net.subnets_of.get(vpc_id, ()))]
    ports = {one: net.segment(one).ports for one in subnet_ids}
    urgent = dict.fromkeys(named_by(net, early))
    yield from urgent
    early = {*early, *urgent}
    yield from (piece for piece in head if piece not in early)
    for subnet_id in subnet_ids:
        for piece in chain(
            (SubnetPiece(subnet_id),),
            _shared(net, host_id, subnet_id),
            _ports(net, host_id, subnet_id, ports[subnet_id]),
        ):
            if piece not in early:
                yield piece
    for vpc_id in vpc_ids:
        yield from (piece for piece in all_members(net, vpc_id) if piece not in early)


def _relayed(net: Network, host_id: str, vpc_id: str) -> Iterator[Piece]:
    """Yield what a VPC's relays need of a host, be it the one that loads or the one that relays."""
    for relay_id in sorted(net.relays_of.get(vpc_id, ())):
        relay = net.relays[relay_id]
        if relay.host_id == host_id:
            yield RelayPiece(host_id, vpc_id)
        if relay.via_id == host_id:
            yield AdmitPiece(host_id, relay.host_id, vpc_id)


def _ports(
    net: Network, host_id: str, subnet_id: str, port_ids: tuple[str, ...]
) -> Iterator[Piece]:
    here = tuple(net.segment(subnet_id).placed.get(host_id, ()))
    yield from (EdgePiece(host_id, port_id) for port_id in here)
    yield from (PortPiece(port_id) for port_id in port_ids)


def _shared(net: Network, host_id: str, subnet_id: str) -> Iterator[Piece]:
    """Yield the pieces of a subnet that are about several ports."""
    segment = net.segment(subnet_id)
    here = segment.placed.get(host_id, Residents())
    for position in tuple(here.branches()):
        yield LocalFloodPiece(host_id, subnet_id, *position)
    for shard in range(SHARDS):
        yield RemoteFloodPiece(subnet_id, shard)
    yield from (PairPiece(subnet_id, ip) for ip in tuple(segment.pairs))
    yield from (PairMacPiece(subnet_id, mac) for mac in tuple(segment.pair_macs))


def compile_host(net: Network, host_id: str) -> Iterator[tuple[Flow, ...]]:
    """Yield the whole program of a host, piece by piece, without empty ones."""
    for piece in host_pieces(net, host_id):
        flows = compile_piece(net, piece)
        if flows:
            yield flows
