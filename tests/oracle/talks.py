"""What ports say to each other, at every stage of a connection."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from tests.oracle.judge import Packet, Stage, is_followed, talk_of
from tests.oracle.oracle import ROUTER_LINK_LOCAL, ROUTER_MAC, World, eui64, text
from tests.support import packets
from tests.support.tracing import Tracked
from vpcctl.model.port import Port
from vpcctl.model.subnet import Subnet

SHAPES = ("udp 53", "udp 5000", "tcp 22", "tcp 80", "echo", "sctp 53", "gre", "zero", "odd icmp")
STAGES = ("first", "later", "answer", "error", "error about an answer")
ODD = {4: 9, 6: 139}
"""ICMP types that neither ask nor answer nor tell of errors."""
UNREACHABLE = {4: (3, 3), 6: (1, 4)}
TOO_BIG = {4: (3, 4), 6: (2, 0)}
ON_LINK = (130, 131, 132, 134, 136, 137, 143)
"""ICMPv6 types that no router passes on; solicitations are answered instead."""


@dataclass(frozen=True)
class Question:
    """A packet that a port sends, and its place in a connection.

    Attributes:
        source: who sends it.
        packet: its fields.
        stage: its place in a connection, if there are connections of its kind.
        is_misrouted: whether it is for the router, but of a type that stays on its link.
    """

    source: Port
    packet: tuple[tuple[str, str], ...]
    stage: Stage | None
    is_misrouted: bool = False

    @property
    def tracked(self) -> Tracked:
        """What Open vSwitch's connection tracking would find."""
        return tracked(self.stage)


def tracked(stage: Stage | None) -> Tracked:
    """Return what a lookup finds for a packet at *stage*; None: of a protocol not followed."""
    if stage is None:
        return Tracked("trk,inv")
    talk = stage.talk
    state = "new" if stage.is_first else "rel" if stage.is_error else "est"
    family = "ct_nw" if talk.family == 4 else "ct_ipv6"
    original = (
        (f"{family}_src", talk.source),
        (f"{family}_dst", talk.target),
        ("ct_nw_proto", str(talk.protocol)),
        *(() if talk.first is None else (("ct_tp_src", str(talk.first)),)),
        *(() if talk.second is None else (("ct_tp_dst", str(talk.second)),)),
    )
    return Tracked(f"trk,{state},rpl" if stage.answers else f"trk,{state}", original)


def said(shape: str, eth: tuple[str, str], ip: tuple[str, str], *, back: bool = False) -> Packet:
    """Return a packet of *shape* from one end to the other, or the other end's answer to one."""
    kind, _, port = shape.partition(" ")
    if kind in ("udp", "tcp", "sctp"):
        make = {"udp": packets.udp, "tcp": packets.tcp, "sctp": packets.sctp}[kind]
        ports = (40000, int(port))
        return make(eth, ip, (ports[1], ports[0]) if back else ports)
    family = 6 if ":" in ip[0] else 4
    if kind == "echo":
        types = {4: (8, 0), 6: (128, 129)}[family]
        return packets.icmp(types[back], 0, eth, ip)
    if kind == "odd":
        return packets.icmp(ODD[family], 0, eth, ip)
    # Of IPv6 it would be an extension header.
    return packets.other(0 if kind == "zero" and family == 4 else 47, eth, ip)


def staged(shape: str, stage: str, eth: tuple[str, str], ip: tuple[str, str]) -> Question | None:
    """Return the packet alone: *source* is filled in by the caller."""
    opened = talk_of(said(shape, eth, ip))
    if not is_followed(opened):
        return _asked(said(shape, eth, ip), None) if stage == "first" else None
    if stage in ("first", "later"):
        return _asked(said(shape, eth, ip), Stage(opened, is_first=stage == "first"))
    other = talk_of(said(shape, (eth[1], eth[0]), (ip[1], ip[0])))
    if stage == "answer":
        return _asked(said(shape, eth, ip, back=True), Stage(other, answers=True))
    family = 6 if ":" in ip[0] else 4
    if stage == "error":
        error = packets.icmp(*UNREACHABLE[family], eth, ip)
        return _asked(error, Stage(other, answers=True, is_error=True))
    return _asked(packets.icmp(*TOO_BIG[family], eth, ip), Stage(opened, is_error=True))


def _asked(packet: Packet, stage: Stage | None) -> Question:
    return Question(NOBODY, tuple(packet.items()), stage)


NOBODY = Port("", "", 0, 0, ())


def spoken(world: World) -> Iterator[Question]:
    """Yield all that ports may say to each other: every pair, address, shape and stage."""
    for source, home in _placed(world):
        for target in world.ports:
            if _vpc(world, target) != home.vpc_id:
                continue
            for eth, ip in pairs_of(source, home, target):
                for shape, stage in itertools.product(SHAPES, STAGES):
                    found = staged(shape, stage, eth, ip)
                    if found is not None:
                        yield replace(found, source=source)


def spoken_besides(world: World, random: Random, each: int) -> Iterator[Question]:
    """Yield *each* packets from and to every address beside ports' own, and some to many."""
    for source, home in _placed(world):
        pairs = [pair for one in world.subnets for pair in _virtual(source, home, one)]
        for eth, ip in pairs:
            for _ in range(each):
                found = staged(random.choice(SHAPES), random.choice(STAGES), eth, ip)
                if found is not None:
                    yield replace(found, source=source)
        for packet in to_many(source, home):
            stage = Stage(talk_of(packet), is_first=random.random() < 0.5)
            yield Question(source, tuple(packet.items()), stage)
        near = [one for one in world.ports if _vpc(world, one) == home.vpc_id]
        pairs += [pair for target in near for pair in pairs_of(source, home, target)]
        for eth, ip in random.sample(pairs, min(2, len(pairs))):
            if ":" in ip[0]:
                packet = packets.icmp6(random.choice(ON_LINK), (eth[0], ROUTER_MAC), ip)
                yield Question(source, tuple(packet.items()), None, is_misrouted=True)


def _placed(world: World) -> Iterator[tuple[Port, Subnet]]:
    """Yield the ports that are on a host, each with its subnet."""
    subnets = {one.id: one for one in world.subnets}
    placed = {one.port_id for one in world.locations}
    for port in world.ports:
        if port.id in placed:
            yield port, subnets[port.subnet_id]


def _vpc(world: World, port: Port) -> str:
    return next(one.vpc_id for one in world.subnets if one.id == port.subnet_id)


Pair = tuple[tuple[str, str], tuple[str, str]]


def pairs_of(source: Port, home: Subnet, target: Port) -> Iterator[Pair]:
    """Yield MACs and addresses of what goes from one port to another."""
    if target.id == source.id:
        return
    near = target.subnet_id == home.id
    eth = (text(source.mac), text(target.mac) if near else ROUTER_MAC)
    for address in target.ips:
        own = next((str(one) for one in source.ips if one.version == address.version), None)
        if own is not None:
            yield eth, (own, str(address))
    if near and home.ipv6_cidr is not None:
        yield eth, (eui64(source.mac), eui64(target.mac))
        yield eth, (eui64(source.mac), str(target.ips[-1]))


def _virtual(source: Port, home: Subnet, there: Subnet) -> Iterator[Pair]:
    """Yield what goes to and comes from addresses that ports have beside their own."""
    eth = (text(source.mac), ROUTER_MAC)
    own4 = next((str(one) for one in source.ips if one.version == 4), None)
    if own4 is None:
        return
    yield eth, (own4, str(there.cidr[77]))
    yield eth, (str(home.cidr[77]), str(there.cidr[11]))
    own6 = next((str(one) for one in source.ips if one.version == 6), None)
    if own6 is not None and there.ipv6_cidr is not None:
        yield eth, (own6, str(there.ipv6_cidr[0x77]))
        yield eth, (str(home.ipv6_cidr[0x77]) if home.ipv6_cidr else own6, own6)


def to_many(source: Port, home: Subnet) -> Iterator[Packet]:
    """Yield what goes to all of the subnet, and to its gateway."""
    mac = text(source.mac)
    four = next((str(one) for one in source.ips if one.version == 4), None)
    six = next((str(one) for one in source.ips if one.version == 6), None)
    if four is not None:
        yield packets.udp((mac, packets.BROADCAST), (four, str(home.cidr.broadcast_address)))
        yield packets.udp((mac, packets.multicast_mac("224.0.0.251")), (four, "224.0.0.251"))
        yield packets.echo((mac, ROUTER_MAC), (four, str(home.gateway)))
    if six is not None:
        local = eui64(source.mac)
        yield packets.udp((mac, packets.multicast_mac("ff02::fb")), (local, "ff02::fb"))
        yield packets.echo((mac, packets.multicast_mac("ff02::1")), (local, "ff02::1"))
        yield packets.echo((mac, ROUTER_MAC), (local, ROUTER_LINK_LOCAL))
        yield packets.icmp6(143, (mac, packets.multicast_mac("ff02::16")), (local, "ff02::16"))
        yield packets.icmp6(130, (mac, packets.multicast_mac("ff02::1")), (local, "ff02::1"))
