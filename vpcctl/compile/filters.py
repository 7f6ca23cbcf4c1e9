"""What a change of groups, address groups, ACLs and who is in them may touch.

The cost of a rule that comes or goes is its group's own piece, and when it is the first or the
last to name a remote side, that side's addresses.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address
from itertools import permutations

from vpcctl.model.address_group import AddressGroup
from vpcctl.model.addresses import IPNetwork, block_of, link_local
from vpcctl.model.membership import (
    FAMILIES,
    Naming,
    distinct_blocks,
    is_on_link,
    named_remotes,
    own_addresses,
    single_pairs,
)
from vpcctl.model.network import Network
from vpcctl.model.network_acl import NetworkAcl
from vpcctl.model.port import Port
from vpcctl.model.security_group import Family, SecurityGroup
from vpcctl.model.subnet import Subnet
from vpcctl.pipeline.pieces import (
    AclPiece,
    EdgePiece,
    GroupPiece,
    MemberPiece,
    OnLinkMemberPiece,
    Piece,
    SubnetPiece,
)
from vpcctl.pipeline.port_acl import openings

# --- addresses ------------------------------------------------------------------------------------


def member_pieces(
    port: Port, vpc_ids: Iterable[str], families: Iterable[Family] = FAMILIES
) -> Iterator[MemberPiece | OnLinkMemberPiece]:
    """Yield the pieces of the addresses that *port* has in VPCs, and of its link-local ones."""
    families = tuple(families)
    if not port.groups:
        return
    vpc_ids = tuple(vpc_ids)
    for ip in own_addresses(port):
        if ip.version in families:
            yield from (MemberPiece(vpc_id, block_of(ip)) for vpc_id in vpc_ids)
    if 6 in families:
        yield OnLinkMemberPiece(port.subnet_id, link_local(port.mac))
        for ip, _ in single_pairs(port):
            if isinstance(ip, IPv6Address) and is_on_link(ip):
                yield OnLinkMemberPiece(port.subnet_id, ip)


def by_port(net: Network, ports: list[Port]) -> Iterator[Piece]:
    """Yield what depends on which groups a port is in, as it was and as it will be."""
    if len(ports) == 2 and _as_members_see(ports[0]) == _as_members_see(ports[1]):
        return
    for port in ports:
        vpc_id = net.vpc_of(port.subnet_id)
        yield from member_pieces(port, () if vpc_id is None else (vpc_id,))
    yield from _mixed(net, [{*permutations(port.groups or (), 2)} for port in ports])


def _mixed(net: Network, pairs: list[set[tuple[str, str]]]) -> Iterator[GroupPiece]:
    """Yield stateless groups that a port may be the first, or the last, to have beside another one.

    Args:
        net: the network before the change.
        pairs: of groups that the port names both, as it was and as it will be, or one of these.
    """
    before, after = pairs if len(pairs) > 1 else (pairs[0], set[tuple[str, str]]())
    for one, other in before ^ after:
        if net.membership.companions.get(one, {}).get(other, 0) <= 1 and _is_stateless(net, one):
            yield GroupPiece(one)


def _is_stateless(net: Network, group_id: str) -> bool:
    group = net.groups.get(group_id)
    return group is not None and not group.stateful


def _as_members_see(port: Port) -> tuple[object, ...]:
    return (port.groups, port.subnet_id, port.mac, port.ips, port.allowed_pairs)


def of_subnet(net: Network, subnet_id: str, vpc_ids: Iterable[str]) -> Iterator[Piece]:
    """Yield the addresses of all members in a subnet."""
    vpc_ids = tuple(vpc_ids)
    for port_id in net.segment(subnet_id).ports:
        yield from member_pieces(net.ports[port_id], vpc_ids)


def as_members_see(subnet: Subnet | None) -> tuple[object, ...] | None:
    """Return what members' flows depend on."""
    return subnet and (subnet.vpc_id, subnet.vni, subnet.ipv6_cidr is None)


def all_members(net: Network, vpc_id: str) -> Iterator[MemberPiece | OnLinkMemberPiece]:
    """Yield all addresses that remote sides of a VPC's rules may hold, each once."""
    families = {
        family
        for group_id in net.membership.groups_of.get(vpc_id, ())
        for _, family in named_remotes(net.groups[group_id])
    }
    blocks = {
        block: None
        for group_id in net.membership.address_groups.get(vpc_id, ())
        for block in net.membership.blocks.get(group_id, ())
    }
    yield from (MemberPiece(vpc_id, block) for block in blocks)
    holders = net.membership.holders.get(vpc_id)
    for ip in () if holders is None else holders.claimed():
        if ip.version in families and (block := block_of(ip)) not in blocks:
            yield MemberPiece(vpc_id, block)
    if 6 in families:
        for subnet_id in sorted(net.subnets_of.get(vpc_id, ())):
            yield from _on_link(net, subnet_id)


def _on_link(net: Network, subnet_id: str) -> Iterator[OnLinkMemberPiece]:
    subnet, segment = net.subnets.get(subnet_id), net.segments.get(subnet_id)
    if subnet is None or segment is None or subnet.ipv6_cidr is None:
        return
    found = {link_local(mac) for mac in segment.macs.claimed()}
    found.update(ip for ip in segment.pairs if isinstance(ip, IPv6Address) and is_on_link(ip))
    yield from (OnLinkMemberPiece(subnet_id, ip) for ip in found)


def named_by(net: Network, pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the addresses of the remote sides that the groups among *pieces* name."""
    for piece in pieces:
        group = net.groups.get(piece.group_id) if isinstance(piece, GroupPiece) else None
        if group is not None:
            for remote_id, family in sorted(named_remotes(group)):
                yield from _addresses(net, remote_id, (group.vpc_id, family))


# --- groups ---------------------------------------------------------------------------------------


def by_group(net: Network, group_id: str, states: tuple[object, object]) -> Iterator[Piece]:
    """Yield what depends on a group, as it was and as it will be."""
    old, new = (state if isinstance(state, SecurityGroup) else None for state in states)
    yield GroupPiece(group_id)
    if _as_ports_see(old) != _as_ports_see(new):
        yield from _edges(net, group_id)
    if (old is not None and old.stateful) != (new is not None and new.stateful):
        for one in net.membership.companions.get(group_id, ()):
            if _is_stateless(net, one):
                yield GroupPiece(one)
    if _identity(old) != _identity(new):
        yield from _remote_side(net, group_id)
        for key in {state.key for state in (old, new) if state is not None}:
            for rival in net.group_keys.of(key):
                if rival != group_id:
                    yield GroupPiece(rival)
                    yield from _edges(net, rival)
                    yield from _remote_side(net, rival)
    for remote_id, naming in _namings(old) ^ _namings(new):
        others = net.membership.naming.get(remote_id, {}).get(naming, set())
        if others <= {group_id}:
            yield from _addresses(net, remote_id, naming)


def _identity(group: SecurityGroup | None) -> tuple[object, ...] | None:
    return group and (group.vpc_id, group.key)


def _as_ports_see(group: SecurityGroup | None) -> tuple[object, ...] | None:
    if group is None:
        return None
    return (*_identity(group), group.stateful, group.keep_established, openings(group))  # type: ignore[misc]


def _namings(group: SecurityGroup | None) -> set[tuple[str, Naming]]:
    if group is None:
        return set()
    return {(one, (group.vpc_id, family)) for one, family in named_remotes(group)}


def _edges(net: Network, group_id: str) -> Iterator[Piece]:
    """Yield the filters of a group's members on their own hosts."""
    for port_id in net.membership.members.get(group_id, ()):
        location = net.locations.get(port_id)
        if location is not None:
            yield EdgePiece(location.host_id, port_id)


def _remote_side(net: Network, remote_id: str) -> Iterator[Piece]:
    """Yield the groups whose rules name a remote side, and its addresses."""
    for naming, group_ids in net.membership.naming.get(remote_id, {}).items():
        yield from map(GroupPiece, group_ids)
        yield from _addresses(net, remote_id, naming)


def _addresses(net: Network, remote_id: str, naming: Naming) -> Iterator[Piece]:
    """Yield the addresses of a group or address group in a VPC and family."""
    vpc_id, family = naming
    for port_id in net.membership.members.get(remote_id, ()):
        port = net.ports[port_id]
        if net.vpc_of(port.subnet_id) == vpc_id:
            yield from member_pieces(port, (vpc_id,), (family,))
    for block in net.membership.blocks.get(remote_id, ()):
        if block.version == family:
            yield MemberPiece(vpc_id, block)


def by_address_group(net: Network, group_id: str, states: tuple[object, object]) -> Iterator[Piece]:
    """Yield what depends on an address group, as it was and as it will be."""
    old, new = (state if isinstance(state, AddressGroup) else None for state in states)
    naming = net.membership.naming.get(group_id, {})
    before, after = _blocks(old), _blocks(new)
    changed = before ^ after
    keys = {state.key for state in (old, new) if state is not None}
    if old is None or new is None or len(keys) > 1:
        changed = before | after
        rivals = {rival for key in keys for rival in net.address_group_keys.of(key)}
        for one in (group_id, *sorted(rivals - {group_id})):
            yield from _remote_side(net, one)
    for block in changed:
        for vpc_id, family in naming:
            if block.version == family:
                yield MemberPiece(vpc_id, block)


def _blocks(group: AddressGroup | None) -> frozenset[IPNetwork]:
    return frozenset() if group is None else distinct_blocks(group.cidrs)


# --- ACLs -----------------------------------------------------------------------------------------


def by_acl(net: Network, acl_id: str, states: tuple[object, object]) -> Iterator[Piece]:
    """Yield what depends on a network ACL, as it was and as it will be."""
    old, new = (state if isinstance(state, NetworkAcl) else None for state in states)
    yield AclPiece(acl_id)
    if old is not None and new is not None and (old.vpc_id, old.key) == (new.vpc_id, new.key):
        return
    keys = {state.key for state in (old, new) if state is not None}
    rivals = {rival for key in keys for rival in net.acl_keys.of(key)}
    for one in (acl_id, *sorted(rivals - {acl_id})):
        yield AclPiece(one)
        yield from map(SubnetPiece, net.acl_subnets.get(one, ()))
