"""Random consistent networks, and the questions that are asked of them."""

import dataclasses
from collections.abc import Iterator

from hypothesis import strategies as st

from tests.oracle.oracle import ROUTER_LINK_LOCAL, ROUTER_MAC, Packet, World, eui64, text
from tests.oracle.sockets import DNS, METADATA
from tests.oracle.talks import ON_LINK
from tests.support import packets
from tests.support.networks import at, host, ip, pair, port, subnet, vpc
from vpcctl.model.host import Host
from vpcctl.model.port import AddressPair, Port
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

VPC_COUNT = 2
BLOCKS = (("10.0.1.0/24", "fd00:1::/64"), ("10.0.2.0/24", "fd00:2::/64"))
GLOBAL = "2001:db8:{}{}::/64"
"""A block of a VPC, by the numbers of it and of the subnet."""
VIP4, VIP6, VMAC = "{}.77", "{}::77", "0e:00:5e:00:01:07"
WIDE = "172.16.0.0/12"
ABROAD4, ABROAD6 = "198.18.9.9", "2001:db8:aa::9"
"""Addresses in no block of a VPC that ports may use."""


@st.composite
def _host(draw: st.DrawFn, number: int, underlay: str) -> Host:
    able = draw(st.sampled_from((True, True, False)))
    answers = draw(st.booleans())
    vtep = ip(f"{underlay}{number}")
    return host(number, vtep=vtep, nd_extensions=able, guest_services=answers)


@st.composite
def _pairs(draw: st.DrawFn, owner: Subnet) -> tuple[AddressPair, ...]:
    four = str(owner.cidr.network_address).rsplit(".", 1)[0]
    choices = [pair(f"{VIP4.format(four)}/32"), pair(f"{VIP4.format(four)}/32", VMAC), pair(WIDE)]
    choices.append(pair(f"{ABROAD4}/32"))
    if owner.ipv6_cidr is not None:
        choices += [pair(f"{owner.ipv6_cidr.network_address + 0x77}/128"), pair("fe80::77/128")]
        choices.append(pair(f"{ABROAD6}/128"))
    kept = draw(st.lists(st.sampled_from(choices), max_size=2, unique=True))
    return tuple(kept) if draw(st.booleans()) else ()


@st.composite
def _port(draw: st.DrawFn, number: int, owner: Subnet, nth: int) -> Port:
    ips = [str(owner.cidr[10 + nth])]
    if owner.ipv6_cidr is not None:
        ips.append(str(owner.ipv6_cidr[10 + nth]))
    return port(
        number,
        owner,
        f"0e:00:00:00:00:{nth + 1:02x}",
        *ips,
        port_security=draw(st.sampled_from((True, True, False))),
        allowed_pairs=draw(_pairs(owner)),
        admin_up=draw(st.sampled_from((True, True, True, True, False))),
    )


def _blocks(owner: Vpc, routed: bool) -> list[tuple[str, str]]:
    return [
        (four, GLOBAL.format(owner.key, number) if routed else six)
        for number, (four, six) in enumerate(BLOCKS, 1)
    ]


@st.composite
def worlds(
    draw: st.DrawFn, *, all_have_ipv4: bool = False, some_are_global: bool = False
) -> tuple[World, tuple[Vpc, ...]]:
    """Make a world; *some_are_global*: VPCs may have IPv6 addresses that are routed everywhere."""
    underlay = draw(st.sampled_from(("192.0.2.", "2001:db8::")))
    hosts = tuple(draw(_host(n, underlay)) for n in range(1, draw(st.integers(2, 3)) + 1))
    vpcs = tuple(vpc(n) for n in range(1, VPC_COUNT + 1))
    often = (True, True, False) if some_are_global else (False, True)
    routed = [one.id for one in vpcs if some_are_global and draw(st.sampled_from(often))]
    subnets = tuple(
        subnet(10 * owner.key + n, owner, four, six if draw(st.sampled_from(often)) else None)
        for owner in vpcs
        for n, (four, six) in enumerate(_blocks(owner, owner.id in routed), 1)
        if n == 1 or draw(st.booleans())
    )
    ports: list[Port] = []
    locations = []
    in_subnet = {one.id: 0 for one in subnets}
    for number in range(101, 101 + draw(st.integers(3, 7))):
        owner = draw(st.sampled_from(subnets))
        made = draw(_port(number, owner, in_subnet[owner.id]))
        if not all_have_ipv4 and draw(st.sampled_from((False, False, False, False, True))):
            made = dataclasses.replace(made, ips=made.ips[1:])
        in_subnet[owner.id] += 1
        ports.append(made)
        if draw(st.sampled_from((True, True, True, True, False))):
            locations.append(at(made, draw(st.sampled_from(hosts)), number))
    return World(hosts, subnets, tuple(ports), tuple(locations)), vpcs


def questions(world: World) -> Iterator[tuple[Port, Packet]]:
    """Yield what is sent: from every port to every other, and much that should not get far."""
    subnets = {one.id: one for one in world.subnets}
    placed = {one.port_id for one in world.locations}
    for source in world.ports:
        if source.id not in placed:
            continue
        home = subnets[source.subnet_id]
        for target in world.ports:
            yield from ((source, one) for one in _to_port(source, home, target))
        for gateway in world.subnets:
            yield from ((source, one) for one in _to_gateway(source, home, gateway))
        yield from ((source, one) for one in _to_all(source, home))
        yield from ((source, one) for one in _virtual(source, home, world.subnets))
        yield from ((source, one) for one in _lies(source, home, world.ports))


def _own(source: Port, version: int) -> str | None:
    return next((str(one) for one in source.ips if one.version == version), None)


def _to_port(source: Port, home: Subnet, target: Port) -> Iterator[Packet]:
    mac, to_mac = text(source.mac), text(target.mac)
    for address in target.ips:
        own, there = _own(source, address.version), str(address)
        if own is None:
            continue
        near = target.subnet_id == home.id
        yield packets.echo((mac, to_mac if near else ROUTER_MAC), (own, there))
        yield packets.udp((mac, ROUTER_MAC if near else to_mac), (own, there))
        yield packets.echo((mac, ROUTER_MAC), (own, there), ttl=1)
        if address.version == 4:
            yield packets.who_has(mac, own, there)
            yield packets.arp(2, (mac, to_mac), (mac, own), (to_mac, there))
        else:
            yield packets.solicit(mac, own, there)
            yield packets.advertise((mac, to_mac), (own, there), own, mac)
            yield misrouted(source, own, there, source.key + 3 * target.key)
    own = _own(source, 6)
    if own is not None:
        yield packets.solicit(mac, eui64(source.mac), eui64(target.mac))
        yield packets.echo((mac, to_mac), (eui64(source.mac), eui64(target.mac)))


def misrouted(source: Port, own: str, there: str, nth: int) -> Packet:
    """What a port has no business to ask the router to pass on, of the *nth* type."""
    ends = (text(source.mac), ROUTER_MAC), (own, there)
    return packets.icmp6(ON_LINK[nth % len(ON_LINK)], *ends)


def _to_gateway(source: Port, home: Subnet, gateway: Subnet) -> Iterator[Packet]:
    mac = text(source.mac)
    for address in (gateway.gateway, gateway.ipv6_gateway):
        own = None if address is None else _own(source, address.version)
        if own is None:
            continue
        there = str(address)
        yield packets.echo((mac, ROUTER_MAC), (own, there), ttl=1)
        yield packets.udp((mac, ROUTER_MAC), (own, there))
        if ":" in there:
            yield packets.solicit(mac, own, there)
            yield packets.solicit(mac, own, ROUTER_LINK_LOCAL)
            yield packets.solicit(mac, "::", there)
            yield packets.echo((mac, ROUTER_MAC), (eui64(source.mac), ROUTER_LINK_LOCAL))
            yield packets.advertise((mac, ROUTER_MAC), (own, there), own, mac)
        else:
            yield packets.who_has(mac, own, there)
            yield packets.arp(1, (mac, ROUTER_MAC), (mac, own), (ROUTER_MAC, there))
            yield packets.echo((mac, ROUTER_MAC), (own, str(gateway.cidr[200])))


def _to_all(source: Port, home: Subnet) -> Iterator[Packet]:
    mac, four, six = text(source.mac), _own(source, 4), _own(source, 6)
    dhcp = ("0.0.0.0", "255.255.255.255")
    yield packets.udp((mac, packets.BROADCAST), dhcp, (68, 67))
    yield packets.icmp6(133, (mac, packets.multicast_mac("ff02::2")), ("::", "ff02::2"))
    yield from _to_sockets(source)
    # An address that it had once, or means to have: nobody but the agent may hear it.
    for to, whom in ((packets.BROADCAST, dhcp[1]), (ROUTER_MAC, str(home.gateway))):
        yield packets.udp((mac, to), ("172.16.5.5", whom), (68, 67))
    for asked in (home.gateway, home.cidr[20]):
        yield packets.who_has(mac, "172.16.5.5", str(asked))
    if four is not None:
        yield packets.udp((mac, packets.BROADCAST), (four, dhcp[1]), (68, 67))
        yield packets.udp((mac, ROUTER_MAC), (four, str(home.gateway)), (68, 67))
        yield packets.udp((mac, packets.BROADCAST), (four, str(home.cidr.broadcast_address)))
        yield packets.udp((mac, packets.multicast_mac("224.0.0.251")), (four, "224.0.0.251"))
        yield packets.arp(1, (mac, packets.BROADCAST), (mac, four), (packets.NO_MAC, four))
        yield packets.arp(2, (mac, packets.BROADCAST), (mac, four), (packets.BROADCAST, four))
        yield packets.arp(1, (mac, packets.BROADCAST), (mac, "0.0.0.0"), (packets.NO_MAC, four))
        yield packets.udp((mac, "0e:00:00:00:00:fe"), (four, "10.0.1.250"))
        yield packets.echo((mac, ROUTER_MAC), (four, "203.0.113.9"))
    if six is not None:
        local = eui64(source.mac)
        yield packets.udp((mac, packets.multicast_mac("ff02::fb")), (local, "ff02::fb"))
        yield packets.udp(
            (mac, packets.multicast_mac("ff02::1:2")), (local, "ff02::1:2"), (546, 547)
        )
        yield packets.icmp6(133, (mac, packets.multicast_mac("ff02::2")), (local, "ff02::2"))
        yield packets.icmp6(143, (mac, packets.multicast_mac("ff02::16")), ("::", "ff02::16"))
        yield packets.solicit(mac, "::", six)
        yield packets.solicit(mac, "::", local)
        all_nodes = packets.multicast_mac("ff02::1")
        yield packets.advertise((mac, all_nodes), (six, "ff02::1"), six, mac)


def _virtual(source: Port, home: Subnet, subnets: tuple[Subnet, ...]) -> Iterator[Packet]:
    """Yield what concerns addresses that ports share."""
    mac, four, six = text(source.mac), _own(source, 4), _own(source, 6)
    for there in subnets:
        vip = str(there.cidr[77])
        if four is not None:
            yield packets.who_has(mac, four, vip)
            yield packets.arp(1, (mac, VMAC), (mac, four), (VMAC, vip))
            yield packets.echo((mac, ROUTER_MAC), (four, vip))
            yield packets.echo((mac, VMAC), (four, vip))
        if six is not None and there.ipv6_cidr is not None:
            yield packets.solicit(mac, six, str(there.ipv6_cidr[0x77]))
            yield packets.echo((mac, ROUTER_MAC), (six, str(there.ipv6_cidr[0x77])))
    vip = str(home.cidr[77])
    for said in (mac, VMAC):
        yield packets.arp(1, (said, packets.BROADCAST), (said, vip), (packets.NO_MAC, vip))
        yield packets.arp(2, (said, packets.BROADCAST), (said, vip), (packets.BROADCAST, vip))
    if six is not None:
        yield packets.solicit(mac, six, "fe80::77")
        all_nodes = packets.multicast_mac("ff02::1")
        yield packets.advertise((mac, all_nodes), ("fe80::77", "ff02::1"), "fe80::77", mac)


def _lies(source: Port, home: Subnet, ports: tuple[Port, ...]) -> Iterator[Packet]:
    """Yield packets that a port with port security may not send."""
    mac, four, six = text(source.mac), _own(source, 4), _own(source, 6)
    for victim in ports:
        if victim.subnet_id != home.id or victim.id == source.id:
            continue
        theirs = text(victim.mac)
        their4, their6 = _own(victim, 4), _own(victim, 6)
        if four is not None and their4 is not None:
            yield packets.echo((mac, theirs), (their4, their4))
            yield packets.echo((theirs, theirs), (four, their4))
            yield packets.arp(2, (mac, theirs), (mac, their4), (theirs, their4))
            yield packets.arp(2, (mac, theirs), (theirs, four), (theirs, their4))
            yield packets.udp((mac, theirs), (four, their4), (67, 68))
            yield packets.udp((mac, theirs), (four, their4), (1067, 68))
            yield packets.udp((mac, theirs), ("172.16.5.5", their4))
            yield packets.udp((mac, theirs), ("172.16.5.5", their4), (68, 67))
            yield packets.udp((mac, ROUTER_MAC), ("172.16.5.5", their4), (68, 67))
            yield packets.udp((mac, ROUTER_MAC), ("172.16.5.5", their4), (69, 67))
        if six is not None and their6 is not None:
            yield packets.echo((mac, theirs), (their6, their6))
            yield packets.solicit(mac, six, their6, sll=theirs)
            yield packets.solicit(mac, "::", their6)
            yield packets.advertise((mac, theirs), (six, their6), their6, mac)
            yield packets.advertise((mac, theirs), (six, their6), six, theirs)
            yield packets.udp((mac, theirs), (six, their6), (1547, 546))
            yield packets.icmp6(134, (mac, theirs), (eui64(source.mac), their6))
            yield packets.icmp6(137, (mac, theirs), (eui64(source.mac), their6))
            yield packets.icmp6(143, (mac, theirs), ("::", "ff02::16"))
    yield packets.udp(("01:00:5e:00:00:01", packets.BROADCAST), (four or "10.0.1.9", "10.0.1.255"))


def _to_sockets(source: Port) -> Iterator[Packet]:
    """Yield questions for the resolver and for metadata."""
    mac, four, six = text(source.mac), _own(source, 4), _own(source, 6)
    for own, which in ((four, 0), (six, 1)):
        if own is None:
            continue
        for asked in (DNS[which], METADATA[which]):
            ends = ((mac, ROUTER_MAC), (own, asked))
            yield packets.udp(*ends)
            yield packets.tcp(*ends, (5000, 53))
            yield packets.tcp(*ends, (5000, 80))
            if which == 0:
                yield packets.who_has(mac, own, asked)
            else:
                yield packets.solicit(mac, own, asked)
