"""Random security groups, address groups and network ACLs, and how they change."""

import ipaddress
import itertools
from dataclasses import replace

from hypothesis import strategies as st

from tests.oracle.oracle import World
from tests.support.networks import at, host, pair, port, subnet, vpc
from vpcctl.model.address_group import AddressGroup
from vpcctl.model.addresses import IPNetwork
from vpcctl.model.network_acl import AclRule, NetworkAcl
from vpcctl.model.port import AddressPair, Port
from vpcctl.model.security_group import (
    AddressGroupRemote,
    AnyRemote,
    Direction,
    Family,
    GroupRemote,
    Remote,
    Rule,
    SecurityGroup,
)
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

GROUPS_A_VPC = 3
DIRECTIONS: tuple[Direction, ...] = ("ingress", "egress")
PORTS = ((53, 53), (22, 53), (40, 80), (0, 1023), (0, 65535), (54, 65535), (1, 53), (5000, 5000))
ICMP_TYPES = {4: (8, 0, 3), 6: (128, 129, 1)}
BLOCKS = {
    4: (
        *("10.0.1.0/24", "10.0.2.0/24", "10.0.1.8/30", "10.0.1.11/32", "10.0.0.0/16"),
        *("224.0.0.0/4", "0.0.0.0/0"),
    ),
    6: (
        *("fd00:1::/64", "fd00:2::/64", "fd00:1::b/128", "fd00:1::8/126", "fe80::/10"),
        *("ff00::/8", "::/0"),
    ),
}


def group_id(vpc: Vpc, number: int) -> str:
    return f"sg-{vpc.key * 0x10 + number:017x}"


@st.composite
def _block(draw: st.DrawFn, family: Family) -> IPNetwork:
    return ipaddress.ip_network(draw(st.sampled_from(BLOCKS[family])))


@st.composite
def _service(draw: st.DrawFn, family: Family) -> dict[str, object]:
    """What rules of groups and of ACLs say of protocols."""
    icmp = 1 if family == 4 else 58
    protocol = draw(st.sampled_from((None, None, 6, 17, 17, 17, icmp, icmp, 132, 47, 0)))
    if protocol in (6, 17, 132):
        return {"protocol": protocol, "ports": draw(st.sampled_from((None, *PORTS)))}
    if protocol == icmp:
        kind = draw(st.sampled_from((None, *ICMP_TYPES[family])))
        code = None if kind is None else draw(st.sampled_from((None, None, 0, 3)))
        return {"protocol": protocol, "icmp_type": kind, "icmp_code": code}
    return {"protocol": protocol}


@st.composite
def _remote(
    draw: st.DrawFn,
    vpc: Vpc,
    family: Family,
    ags: tuple[AddressGroup, ...],
    kinds: tuple[str, ...] = ("any", "any", "block", "group", "group", "group", "addresses"),
) -> Remote:
    """Many rules name a group, this one too, or one that is not there."""
    kind = draw(st.sampled_from(kinds))
    if kind == "any":
        return AnyRemote()
    if kind == "block":
        return draw(_block(family))
    if kind == "addresses":
        known = [one.id for one in ags]
        return AddressGroupRemote(draw(st.sampled_from([*known, *known, "ag-none"])))
    return GroupRemote(group_id(vpc, draw(st.integers(1, GROUPS_A_VPC + 1))))


def _rule(
    vpc: Vpc, number: int, nth: int, what: tuple[Direction, Family, Remote, dict[str, object]]
) -> Rule:
    key = vpc.key * 0x1000 + number * 0x100 + nth
    direction, family, remote, service = what
    return Rule(f"sgr-{key:017x}", key, direction, family, remote=remote, **service)  # type: ignore[arg-type]


@st.composite
def rules(
    draw: st.DrawFn, vpc: Vpc, number: int, ags: tuple[AddressGroup, ...]
) -> tuple[Rule, ...]:
    """Few or many rules; groups that let out all are common, as they are in life.

    Some groups have wide and narrow rules that overlap, none of which lets in everybody.
    """
    made = []
    if draw(st.sampled_from((True, False, False))):
        direction, family = draw(st.sampled_from(DIRECTIONS)), draw(st.sampled_from((4, 6)))
        for nth in range(draw(st.integers(3, 8))):
            remote = draw(_remote(vpc, family, ags, ("block", "block", "group", "addresses")))
            what = (direction, family, remote, draw(_service(family)))
            made.append(_rule(vpc, number, nth, what))
        return tuple(made)
    for nth in range(draw(st.integers(1, 7))):
        family: Family = draw(st.sampled_from((4, 6)))
        direction = draw(st.sampled_from(DIRECTIONS))
        what = (direction, family, draw(_remote(vpc, family, ags)), draw(_service(family)))
        made.append(_rule(vpc, number, nth, what))
    if draw(st.sampled_from((True, True, False))):
        wide = draw(
            st.sampled_from((("egress",), ("egress",), ("ingress",), ("egress", "ingress")))
        )
        for direction, family in itertools.product(wide, (4, 6)):
            what = (direction, family, AnyRemote(), {})
            made.append(_rule(vpc, number, len(made), what))
    return tuple(made)


@st.composite
def _group(draw: st.DrawFn, vpc: Vpc, number: int, ags: tuple[AddressGroup, ...]) -> SecurityGroup:
    stateful = draw(st.sampled_from((True, True, True, False)))
    return SecurityGroup(
        group_id(vpc, number),
        vpc.id,
        vpc.key * 0x10 + number,
        draw(rules(vpc, number, ags)),
        stateful=stateful,
        keep_established=stateful and draw(st.sampled_from((False, False, True))),
    )


@st.composite
def _acl(draw: st.DrawFn, vpc: Vpc) -> NetworkAcl:
    made = {}
    for _ in range(draw(st.integers(1, 6))):
        family: Family = draw(st.sampled_from((4, 6)))
        rule = AclRule(
            draw(st.integers(1, 32766)),
            draw(st.sampled_from(DIRECTIONS)),
            draw(st.sampled_from((True, True, False))),
            draw(_block(family)),
            **draw(_service(family)),  # type: ignore[arg-type]
        )
        made[rule.direction, rule.number] = rule
    if draw(st.booleans()):
        for direction in DIRECTIONS:
            for number, block in ((32765, "0.0.0.0/0"), (32766, "::/0")):
                last = AclRule(number, direction, True, ipaddress.ip_network(block))
                made[direction, number] = last
    in_order = sorted(made.values(), key=lambda rule: (rule.direction, rule.number))
    return NetworkAcl(f"nacl-{vpc.key:017x}", vpc.id, vpc.key, tuple(in_order))


@st.composite
def _address_groups(draw: st.DrawFn) -> tuple[AddressGroup, ...]:
    blocks = [ipaddress.ip_network(one) for family in (4, 6) for one in BLOCKS[family]]
    chosen = draw(st.lists(st.sampled_from(blocks), max_size=4, unique=True))
    in_order = tuple(sorted(chosen, key=lambda one: (one.version, one)))
    return (AddressGroup(f"ag-{1:017x}", "tenant-1", 1, in_order),)


@st.composite
def member(draw: st.DrawFn, port: Port, vpc: Vpc) -> Port:
    """*port* in other groups; one in a few is in one that is not there, or is not filtered."""
    known = [group_id(vpc, number) for number in range(1, GROUPS_A_VPC + 2)]
    chosen = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3, unique=True))
    if draw(st.integers(0, 9)) == 0:
        chosen = []
    groups = None if draw(st.integers(0, 5)) == 0 else tuple(sorted(chosen))
    return replace(port, groups=groups)


def _vpc_of(world: World, vpcs: tuple[Vpc, ...], port: Port) -> Vpc:
    subnet = next(one for one in world.subnets if one.id == port.subnet_id)
    return next(one for one in vpcs if one.id == subnet.vpc_id)


@st.composite
def _with_acl(draw: st.DrawFn, subnet: Subnet, acls: tuple[NetworkAcl, ...]) -> Subnet:
    mine = [one.id for one in acls if one.vpc_id == subnet.vpc_id]
    none = (None, None, None)
    return replace(subnet, acl_id=draw(st.sampled_from((*none, *mine, *mine, "nacl-none"))))


@st.composite
def _pairs(draw: st.DrawFn, owner: Subnet) -> tuple[AddressPair, ...]:
    assert owner.ipv6_cidr is not None
    choices = [pair(f"{owner.cidr[77]}/32"), pair(f"{owner.ipv6_cidr[0x77]}/128")]
    choices += [pair("fe80::77/128"), pair("172.16.0.0/12")]
    return tuple(draw(st.lists(st.sampled_from(choices), max_size=2, unique=True)))


@st.composite
def _network(draw: st.DrawFn) -> tuple[World, tuple[Vpc, ...]]:
    """Two subnets of one VPC with most of the ports, and another VPC with the same addresses.

    Each port is on a host of its own, see ``Tracked``.
    """
    hosts = tuple(host(number) for number in range(1, 8))
    vpcs = (vpc(1), vpc(2))
    first, second = (subnet(10 + n, vpcs[0], f"10.0.{n}.0/24", f"fd00:{n}::/64") for n in (1, 2))
    other = subnet(21, vpcs[1], "10.0.1.0/24", "fd00:1::/64")
    ports, locations = [], []
    for number, owner in enumerate((first, first, second, second, other, other, first), 101):
        nth = sum(one.subnet_id == owner.id for one in ports)
        assert owner.ipv6_cidr is not None
        ips = (str(owner.cidr[10 + nth]), str(owner.ipv6_cidr[10 + nth]))
        security = draw(st.sampled_from((True, True, False)))
        pairs = draw(_pairs(owner)) if security else ()
        mac = f"0e:00:00:00:00:{nth + 1:02x}"
        made = port(number, owner, mac, *ips, port_security=security, allowed_pairs=pairs)
        ports.append(made)
        locations.append(at(made, hosts[len(locations)], number))
    return World(hosts, (first, second, other), tuple(ports), tuple(locations)), vpcs


@st.composite
def with_acls(draw: st.DrawFn, world: World, vpcs: tuple[Vpc, ...]) -> World:
    """*world* with an ACL for each VPC, and on some subnets."""
    acls = tuple(draw(_acl(vpc)) for vpc in vpcs)
    subnets = tuple(draw(_with_acl(subnet, acls)) for subnet in world.subnets)
    return replace(world, acls=acls, subnets=subnets)


@st.composite
def secured(draw: st.DrawFn) -> tuple[World, tuple[Vpc, ...]]:
    """A network with groups, and with ACLs on some subnets."""
    world, vpcs = draw(_network())
    ags = draw(_address_groups())
    groups = tuple(
        draw(_group(vpc, number, ags)) for vpc in vpcs for number in range(1, GROUPS_A_VPC + 1)
    )
    acls = tuple(draw(_acl(vpc)) for vpc in vpcs)
    return replace(
        world,
        ports=tuple(draw(member(port, _vpc_of(world, vpcs, port))) for port in world.ports),
        subnets=tuple(draw(_with_acl(subnet, acls)) for subnet in world.subnets),
        groups=groups,
        address_groups=ags,
        acls=acls,
    ), vpcs


# --- changes --------------------------------------------------------------------------------------


@st.composite
def _changed_group(draw: st.DrawFn, world: World, vpcs: tuple[Vpc, ...]) -> World:
    old = draw(st.sampled_from(world.groups))
    vpc = next(one for one in vpcs if one.id == old.vpc_id)
    number = old.key % 0x10
    kind = draw(st.sampled_from(("fewer", "more", "new", "mode", "gone")))
    new = old
    if kind == "fewer" and old.rules:
        at = draw(st.integers(0, len(old.rules) - 1))
        new = replace(old, rules=(*old.rules[:at], *old.rules[at + 1 :]))
    elif kind == "more":
        fresh = [
            replace(rule, id=f"{rule.id}b", key=rule.key + 0x80)
            for rule in draw(rules(vpc, number, world.address_groups))
        ]
        kept = [rule for rule in old.rules if rule.key & 0x80 == 0]
        new = replace(old, rules=(*kept, *fresh))
    elif kind == "mode":
        new = replace(old, stateful=not old.stateful, keep_established=False)
    else:
        new = draw(_group(vpc, number, world.address_groups))
    rest = [one for one in world.groups if one.id != old.id]
    return replace(world, groups=tuple(rest) if kind == "gone" else (*rest, new))


@st.composite
def _changed_port(draw: st.DrawFn, world: World, vpcs: tuple[Vpc, ...]) -> World:
    old = draw(st.sampled_from(world.ports))
    kind = draw(st.sampled_from(("groups", "groups", "groups", "address", "pairs", "down", "gone")))
    rest = [one for one in world.ports if one.id != old.id]
    if kind == "gone":
        places = tuple(one for one in world.locations if one.port_id != old.id)
        return replace(world, ports=tuple(rest), locations=places)
    new = old
    if kind == "groups":
        new = draw(member(old, _vpc_of(world, vpcs, old)))
    elif kind == "address":
        taken = {address for port in rest for address in port.ips}
        moved = tuple(one + draw(st.integers(0, 3)) for one in old.ips)
        free = not taken & set(moved)
        new = replace(old, ips=moved) if free else old
    elif kind == "pairs":
        new = replace(old, allowed_pairs=())
    else:
        new = replace(old, admin_up=not old.admin_up)
    return replace(world, ports=(*rest, new))


@st.composite
def _moved_port(draw: st.DrawFn, world: World, vpcs: tuple[Vpc, ...]) -> World:
    if not world.locations:
        return world
    old = draw(st.sampled_from(world.locations))
    rest = [one for one in world.locations if one.port_id != old.port_id]
    if draw(st.booleans()):
        return replace(world, locations=tuple(rest))
    free = {one.id for one in world.hosts} - {one.host_id for one in rest}
    host_id = draw(st.sampled_from(sorted(free)))
    return replace(world, locations=(*rest, replace(old, host_id=host_id)))


@st.composite
def _changed_acl(draw: st.DrawFn, world: World, vpcs: tuple[Vpc, ...]) -> World:
    if draw(st.booleans()):
        old = draw(st.sampled_from(world.subnets))
        new = draw(_with_acl(old, world.acls))
        rest = [one for one in world.subnets if one.id != old.id]
        return replace(world, subnets=(*rest, new))
    vpc = draw(st.sampled_from(vpcs))
    rest_acls = [one for one in world.acls if one.vpc_id != vpc.id]
    if draw(st.integers(0, 4)) == 0:
        return replace(world, acls=tuple(rest_acls))
    return replace(world, acls=(*rest_acls, draw(_acl(vpc))))


@st.composite
def _changed_addresses(draw: st.DrawFn, world: World, vpcs: tuple[Vpc, ...]) -> World:
    return replace(world, address_groups=draw(_address_groups()))


@st.composite
def changed(draw: st.DrawFn, world: World, vpcs: tuple[Vpc, ...]) -> World:
    """*world* after one to three things have changed in it."""
    kinds = (_changed_group, _changed_group, _changed_port, _changed_port)
    every = (*kinds, _moved_port, _changed_acl, _changed_addresses)
    for _ in range(draw(st.integers(1, 3))):
        world = draw(draw(st.sampled_from(every))(world, vpcs))
    return world
