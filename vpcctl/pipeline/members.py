"""Table Remote, seen from the addresses: which remote sides of rules an address is part of.

One flow an address, however many groups and rules name it: rules of both directions look by the
same register, which they have filled with the remote address. It is one dimension of conjunctions;
the other is a group's cell, see ``service``. The ids are the remote sides' own.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Conjunction
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, match
from vpcctl.flows.tables import REMOTE
from vpcctl.model.addresses import IPNetwork, eui64_mac
from vpcctl.model.network import Network
from vpcctl.model.security_group import Family
from vpcctl.pipeline.service import ADDRESS_GROUP_ID, MOST_CONJUNCTIONS
from vpcctl.pipeline.terms import family, within


def block(net: Network, vpc_id: str, block: IPNetwork) -> Iterator[Flow]:
    """Yield the flow of a block that is an address of ports, or one of address groups'."""
    vpc = net.vpcs.get(vpc_id)
    if vpc is None or net.vpc_keys.owner(vpc.key) is None:
        return
    version: Family = block.version
    ids = set(_address_groups(net, vpc_id, block))
    holders = net.membership.holders.get(vpc_id)
    if holders is not None and block.prefixlen == block.max_prefixlen:
        ids.update(_groups(net, vpc_id, version, holders.of(block.network_address)))
    if ids:
        field = f.LOOKUP_IPV4 if version == 4 else f.LOOKUP_IPV6
        terms = match((f.VPC, vpc.key, None), family(version), *within(field, block))
        yield Flow(REMOTE, 100, terms, _part_of(ids), None, cookie(Feature.MEMBER, vpc.key))


def on_link(net: Network, subnet_id: str, ip: IPv6Address) -> Iterator[Flow]:
    """Yield the flow of a link-local address, which means something in its subnet only."""
    live = net.live_subnet(subnet_id)
    if live is None or live[0].ipv6_cidr is None:
        return
    subnet, vpc = live
    segment = net.segment(subnet_id)
    holders = {*segment.macs.of(eui64_mac(ip)), *segment.pairs.get(ip, ())}
    ids = set(_groups(net, vpc.id, 6, sorted(holders)))
    if ids:
        terms = ((f.VNI, subnet.vni, None), (f.LOOKUP_IPV6, int(ip), None), family(6))
        yield Flow(REMOTE, 100, terms, _part_of(ids), None, cookie(Feature.MEMBER, vpc.key))


def _groups(net: Network, vpc_id: str, version: Family, port_ids: Iterable[str]) -> Iterator[int]:
    """Yield the keys of the groups of ports that some rule names."""
    for port_id in port_ids:
        for group_id in net.ports[port_id].groups or ():
            group = net.live_group(group_id, vpc_id)
            if group is not None and net.membership.is_named(group_id, vpc_id, version):
                yield group.key


def _address_groups(net: Network, vpc_id: str, block: IPNetwork) -> Iterator[int]:
    """Yield the ids of the address groups with *block* that some rule names."""
    for group_id in net.membership.address_groups.get(vpc_id, ()):
        if block not in net.membership.blocks.get(group_id, ()):
            continue
        group = net.live_address_group(group_id)
        if group is not None and net.membership.is_named(group_id, vpc_id, block.version):
            yield ADDRESS_GROUP_ID | group.key


def _part_of(ids: set[int]) -> tuple[Conjunction, ...]:
    return tuple(Conjunction(number, 1) for number in sorted(ids)[:MOST_CONJUNCTIONS])
