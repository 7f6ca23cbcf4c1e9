"""Table Flood: copies for every member of a subnet, each host once.

A host's own members are a tree by their keys, of at most 64 below each branch, so that a change
rewrites one small flow, however many there are; other hosts are spread over shards by theirs. A
packet enters at stage 0 and is looked up once per branch and shard; a list too long for one
flow goes on in the next chunk. Local branches differ between hosts, the rest does not.
"""

from collections.abc import Iterable, Iterator, Sequence

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, Resubmit, SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, Match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import FLOOD, INGRESS_ACL, OUTPUT
from vpcctl.model.addresses import IPAddress
from vpcctl.model.subnet import Subnet
from vpcctl.pipeline.terms import BASE, NOWHERE, drop, flag, mark

SHARDS = 16
"""Number of shards of hosts."""
CHUNK = 1000
"""Members of one flow: at most 56 bytes of actions each, well below 65,535 bytes."""

_ROOT, _REMOTE = 3, 4
"""Stages: local ports have level + 1; then come the shards of hosts."""
_TO_OUTPUT, _DELIVER = Resubmit(OUTPUT), Resubmit(INGRESS_ACL)

STATIC: tuple[Flow, ...] = (
    drop(FLOOD, 10, (flag(f.FLOOD_STAGE, 0),), Reason.NO_MEMBERS),
    Flow(FLOOD, 0, (), (), None, BASE),
)


def shard_of(key: int) -> int:
    """Return the shard of a host's key."""
    return key % SHARDS


def _at(vni: int, stage: int, chunk: int) -> Match:
    position = stage << f.FLOOD_STAGE.offset | chunk << f.FLOOD_CHUNK.offset
    return ((f.VNI, vni, None), (f.FLAGS, position, f.FLOOD_STAGE.mask | f.FLOOD_CHUNK.mask))


def _visit(stages: Iterable[int]) -> tuple[Action, ...]:
    return tuple(
        action
        for stage in stages
        for action in (mark(f.FLOOD_STAGE, stage), mark(f.FLOOD_CHUNK, 0), Resubmit(FLOOD))
    )


_VISIT_LOCAL = _visit((_ROOT,))
_VISIT_ALL = _visit(range(_ROOT, _REMOTE + SHARDS))


def subnet(subnet: Subnet) -> Iterator[Flow]:
    """Yield the entry: all shards, but remote ones only for a packet that starts here."""
    owner = cookie(Feature.SUBNET, subnet.vni)
    mask = f.FLOOD_STAGE.mask | f.FROM_TUNNEL.mask
    for from_tunnel, actions in ((0, _VISIT_ALL), (1, _VISIT_LOCAL)):
        match = ((f.VNI, subnet.vni, None), (f.FLAGS, from_tunnel, mask))
        yield Flow(FLOOD, 100, match, actions, None, owner)


def local(subnet: Subnet, number: int, keys: Sequence[int]) -> Iterator[Flow]:
    """Yield the copies for the local ports of one leaf."""
    if keys:
        copies = [action for key in keys for action in (SetField(f.DEST_PORT, key), _DELIVER)]
        yield _node(subnet, 1, number, tuple(copies))


def branch(subnet: Subnet, level: int, number: int, below: Sequence[int]) -> Iterator[Flow]:
    """Yield the visits of what is below one branch of local ports."""
    visits: list[tuple[Action, ...]] = [
        (mark(f.FLOOD_STAGE, level), SetField(f.FLOOD_NODE, one), Resubmit(FLOOD)) for one in below
    ]
    if level + 1 == _ROOT:
        yield from _chunks(subnet, _ROOT, (), visits)
    elif visits:
        yield _node(subnet, level + 1, number, tuple(one for visit in visits for one in visit))


def _node(subnet: Subnet, stage: int, number: int, actions: tuple[Action, ...]) -> Flow:
    position = (f.FLAGS, stage << f.FLOOD_STAGE.offset, f.FLOOD_STAGE.mask)
    match = ((f.VNI, subnet.vni, None), position, (f.FLOOD_NODE, number, None))
    return Flow(FLOOD, 100, match, actions, None, cookie(Feature.FLOOD, subnet.vni))


def remote(subnet: Subnet, shard: int, vteps: Sequence[IPAddress]) -> Iterator[Flow]:
    """Yield the copies for hosts with *vteps*; Output leaves out the host itself."""
    ipv4 = sorted(int(vtep) for vtep in vteps if vtep.version == 4)
    ipv6 = sorted(int(vtep) for vtep in vteps if vtep.version == 6)
    copies: list[tuple[Action, ...]] = [(SetField(f.TUN_DST, ip), _TO_OUTPUT) for ip in ipv4]
    copies += [(SetField(f.TUN_DST, 0), SetField(f.TUN_IPV6_DST, ip), _TO_OUTPUT) for ip in ipv6]
    yield from _chunks(subnet, _REMOTE + shard, (SetField(f.DEST_PORT, 0), *NOWHERE), copies)


def _chunks(
    subnet: Subnet, stage: int, before: tuple[Action, ...], copies: list[tuple[Action, ...]]
) -> Iterator[Flow]:
    owner = cookie(Feature.FLOOD, subnet.vni)
    for chunk, start in enumerate(range(0, len(copies), CHUNK)):
        part = [action for copy in copies[start : start + CHUNK] for action in copy]
        if start + CHUNK < len(copies):
            part += [mark(f.FLOOD_STAGE, stage), mark(f.FLOOD_CHUNK, chunk + 1), Resubmit(FLOOD)]
        yield Flow(FLOOD, 100, _at(subnet.vni, stage, chunk), (*before, *part), None, owner)
