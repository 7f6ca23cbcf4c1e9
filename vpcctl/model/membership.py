"""Who is in which security group, and which groups' rules name whom: indexes over a network.

Everything here is kept by ``Network``; it is for reading.
"""

from collections.abc import Iterable, Iterator
from itertools import permutations

from vpcctl.model.address_group import AddressGroup
from vpcctl.model.addresses import IPAddress, IPNetwork
from vpcctl.model.claims import Claims
from vpcctl.model.index import discard
from vpcctl.model.port import Port
from vpcctl.model.security_group import AddressGroupRemote, Family, GroupRemote, SecurityGroup

_LINK_LOCAL = 0xFE80 >> 6
FAMILIES: tuple[Family, ...] = (4, 6)
Naming = tuple[str, Family]
"""VPC and family in which a group's rules name a remote side."""


def single_pairs(port: Port) -> Iterator[tuple[IPAddress, int]]:
    """Yield (address, MAC) of the allowed pairs of *port* that are one address."""
    for pair in port.allowed_pairs:
        if pair.cidr.prefixlen == pair.cidr.max_prefixlen:
            yield pair.cidr.network_address, port.mac if pair.mac is None else pair.mac


def is_on_link(ip: IPAddress) -> bool:
    """Tell whether *ip* means something within one subnet only (RFC 4291, section 2.5.6)."""
    return ip.version == 6 and int(ip) >> 118 == _LINK_LOCAL


def own_addresses(port: Port) -> dict[IPAddress, None]:
    """Return the addresses that *port* has in its VPC: fixed ones and single allowed ones."""
    found = dict.fromkeys(port.ips)
    if port.allowed_pairs:
        found.update(dict.fromkeys(ip for ip, _ in single_pairs(port)))
    return {ip: None for ip in found if not is_on_link(ip)}


def named_remotes(group: SecurityGroup) -> set[tuple[str, Family]]:
    """Return (id, family) of the groups and address groups that *group*'s rules name."""
    found: set[tuple[str, Family]] = set()
    for rule in group.rules:
        match rule.remote:
            case GroupRemote(one) | AddressGroupRemote(one):
                found.add((one, rule.family))
            case _:
                pass
    return found


def distinct_blocks(cidrs: Iterable[IPNetwork]) -> frozenset[IPNetwork]:
    """Return *cidrs* without those that lie in others."""
    kept: list[IPNetwork] = []
    for block in sorted(cidrs, key=_from_wide_to_narrow):
        if not kept or not _covers(kept[-1], block):
            kept.append(block)
    return frozenset(kept)


def blocks_within(blocks: Iterable[IPNetwork], wide: Iterable[IPNetwork]) -> set[IPNetwork]:
    """Return those of *blocks* that lie in one of *wide*."""
    around, mine, found = distinct_blocks(wide), set(blocks), set[IPNetwork]()
    last: IPNetwork | None = None
    for block in sorted(mine | around, key=_from_wide_to_narrow):
        if block in around:
            last = block
        if last is not None and block in mine and _covers(last, block):
            found.add(block)
    return found


def _covers(block: IPNetwork, other: IPNetwork) -> bool:
    """Tell whether *other*, which does not begin before *block*, lies in it."""
    if block.version != other.version:
        return False
    return int(other.network_address) <= int(block.broadcast_address)


def _from_wide_to_narrow(block: IPNetwork) -> tuple[int, int, int]:
    return (block.version, int(block.network_address), block.prefixlen)


class Membership:
    """The indexes.

    Attributes:
        members: ids of the ports that name a group, by group.
        holders: ports in groups that have an address, by VPC and address.
        naming: ids of groups whose rules name a group or an address group, by its id.
        address_groups: ids of the address groups that rules of a VPC's groups name, by VPC.
        blocks: blocks of an address group, none within another.
        groups_of: ids of groups, by VPC.
        companions: how many ports name two groups both, by group and other group.
    """

    __slots__ = (
        *("address_groups", "blocks", "companions", "groups_of", "holders", "members", "naming"),
    )

    def __init__(self) -> None:
        self.members: dict[str, set[str]] = {}
        self.holders: dict[str, Claims[IPAddress]] = {}
        self.naming: dict[str, dict[Naming, set[str]]] = {}
        self.address_groups: dict[str, set[str]] = {}
        self.blocks: dict[str, frozenset[IPNetwork]] = {}
        self.groups_of: dict[str, set[str]] = {}
        self.companions: dict[str, dict[str, int]] = {}

    def is_empty(self) -> bool:
        """Tell whether nothing is left in any index."""
        return not any(getattr(self, name) for name in self.__slots__)

    def is_named(self, remote_id: str, vpc_id: str, family: Family) -> bool:
        """Tell whether a rule of a VPC's groups names a group or an address group."""
        return (vpc_id, family) in self.naming.get(remote_id, ())

    # --- kept by Network --------------------------------------------------------------------------

    def add_port(self, port: Port) -> None:
        """Note which groups *port* names."""
        for group_id in port.groups or ():
            self.members.setdefault(group_id, set()).add(port.id)
        for one, other in permutations(port.groups or (), 2):
            counts = self.companions.setdefault(one, {})
            counts[other] = counts.get(other, 0) + 1

    def drop_port(self, port: Port) -> None:
        """Forget which groups *port* names."""
        for group_id in port.groups or ():
            discard(self.members, group_id, port.id)
        for one, other in permutations(port.groups or (), 2):
            counts = self.companions[one]
            counts[other] -= 1
            if not counts[other]:
                del counts[other]
            if not counts:
                del self.companions[one]

    def add_addresses(self, vpc_id: str | None, port: Port) -> None:
        """Note which addresses *port* has in a VPC."""
        if vpc_id is None or not port.groups:
            return
        holders = self.holders.setdefault(vpc_id, Claims())
        for ip in own_addresses(port):
            holders.add(ip, port.id)
        if not len(holders):
            del self.holders[vpc_id]

    def drop_addresses(self, vpc_id: str | None, port: Port) -> None:
        """Forget which addresses *port* has in a VPC."""
        holders = None if vpc_id is None or not port.groups else self.holders.get(vpc_id)
        if vpc_id is None or holders is None:
            return
        for ip in own_addresses(port):
            holders.drop(ip, port.id)
        if not len(holders):
            del self.holders[vpc_id]

    def add_group(self, group: SecurityGroup) -> None:
        """Note whom *group*'s rules name."""
        self.groups_of.setdefault(group.vpc_id, set()).add(group.id)
        for remote_id, family in named_remotes(group):
            naming = (group.vpc_id, family)
            self.naming.setdefault(remote_id, {}).setdefault(naming, set()).add(group.id)
        for rule in group.rules:
            if isinstance(rule.remote, AddressGroupRemote):
                named = self.address_groups.setdefault(group.vpc_id, set())
                named.add(rule.remote.address_group_id)

    def drop_group(self, group: SecurityGroup) -> None:
        """Forget whom *group*'s rules name."""
        discard(self.groups_of, group.vpc_id, group.id)
        for remote_id, family in named_remotes(group):
            discard(self.naming[remote_id], (group.vpc_id, family), group.id)
            if not any(self.is_named(remote_id, group.vpc_id, one) for one in FAMILIES):
                discard(self.address_groups, group.vpc_id, remote_id)
            if not self.naming[remote_id]:
                del self.naming[remote_id]

    def put_address_group(self, group_id: str, new: AddressGroup | None) -> None:
        """Note the blocks of an address group, or that it is gone."""
        self.blocks.pop(group_id, None)
        if new is not None:
            self.blocks[group_id] = distinct_blocks(new.cidrs)
