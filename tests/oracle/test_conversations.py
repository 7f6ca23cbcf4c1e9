"""Random conversations in random worlds that change: real frames and real connection tracking.

All ports are on one host, so a packet meets both ports' tracking, and copies meet many.
"""

import itertools
import struct
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle.judge import Judge, Packet, Talk, is_followed, talk_of
from tests.oracle.memory import Memory, Remembering
from tests.oracle.oracle import ROUTER_MAC, Oracle, World, policies
from tests.oracle.secured import changed, secured
from tests.oracle.talks import UNREACHABLE, pairs_of, said, to_many
from tests.oracle.test_groups import WORLDS, Programs, resources, step, varied
from tests.support import frames, packets
from tests.support.dummy_ovs import DummyOvs
from tests.support.networks import put
from tests.support.wire import Wire
from vpcctl.model.port import Port
from vpcctl.model.vpc import Vpc

pytestmark = [pytest.mark.ovs]
SHAPES = ("udp 53", "udp 53", "udp 5000", "echo", "gre", "zero", "sctp 53", "tcp 22", "tcp 80")
_prefixes = (f"c{n}" for n in itertools.count())


@pytest.fixture(scope="module")
def ovs() -> Iterator[DummyOvs]:
    with tempfile.TemporaryDirectory() as directory, DummyOvs(Path(directory)) as running:
        # No connection is forgotten because the machine is slow.
        running.control.call("time/stop")
        yield running


@dataclass(frozen=True)
class Said:
    """A packet, as fields and as frames (of a datagram its fragments), and what it is about.

    Attributes:
        about: what it tells an error of, as that packet went; None: it is no error.
        flags: of TCP.
    """

    source: Port
    packet: Packet
    frames: tuple[bytes, ...]
    about: Talk | None = None
    flags: int = 0


NUMBERS = {frames.SYN: (1, 0), frames.SYN_ACK: (50, 2)}
"""Sequence numbers of a handshake, sent and acknowledged."""


def framed(packet: Packet, flags: int = frames.SYN, numbers: tuple[int, int] = (1, 0)) -> bytes:
    """The frame that a packet is; *flags* and *numbers* are TCP's."""
    ends = ends_of(packet)
    if "tcp_src" in packet:
        ports = int(packet["tcp_src"]), int(packet["tcp_dst"])
        return frames.tcp(ends, ports, flags, numbers)
    number = packet.get("nw_proto")
    if number is not None:
        return frames.ip(ends, int(number), bytes(16))
    for name in ("udp", "sctp"):
        if f"{name}_src" in packet:
            ports = int(packet[f"{name}_src"]), int(packet[f"{name}_dst"])
            if name == "udp":
                return frames.udp(ends, ports)
            return frames.ip(ends, 132, struct.pack("!HHII", *ports, 1, 0))
    icmp = "icmp" if ends.version == 4 else "icmpv6"
    return frames.icmp(ends, int(packet[f"{icmp}_type"]), int(packet[f"{icmp}_code"]))


def ends_of(packet: Packet) -> frames.Ends:
    eth = packet["eth_src"], packet["eth_dst"]
    if "nw_src" in packet:
        return frames.Ends(eth, (packet["nw_src"], packet["nw_dst"]))
    return frames.Ends(eth, (packet["ipv6_src"], packet["ipv6_dst"]))


def error(source: Port, eth: tuple[str, str], ip: tuple[str, str], about: Packet) -> Said:
    """An error that *source* sends back about a packet that it got."""
    family = 6 if ":" in ip[0] else 4
    packet = packets.icmp(*UNREACHABLE[family], eth, ip)
    frame = frames.unreachable(ends_of(packet), framed(about))
    return Said(source, packet, (frame,), talk_of(about))


_idents = itertools.count(1)


def in_fragments(packet: Packet) -> tuple[bytes, ...]:
    """A long datagram with the ends and ports that *packet* has."""
    ends = ends_of(packet)
    payload = frames.udp_payload(
        ends, (int(packet["udp_src"]), int(packet["udp_dst"])), bytes(2000)
    )
    return tuple(frames.fragments(ends, frames.UDP, payload, next(_idents) & 0xFFFF))


@dataclass(frozen=True)
class Conversation:
    """Two ports and what they talk about: MACs and addresses as the first one says them.

    Attributes:
        heard: flags of the segments that have got through, of TCP: ends go by what they know.
    """

    one: Port
    other: Port
    eth: tuple[str, str]
    back: tuple[str, str]
    ip: tuple[str, str]
    shape: str
    heard: set[int] = field(default_factory=set[int])

    def says(self, random: Random) -> Said:
        """One of the two asks, answers, or tells of an error."""
        there = (self.one, self.eth, self.ip)
        here = (self.other, self.back, (self.ip[1], self.ip[0]))
        source, eth, ip = random.choice((there, there, here))
        is_first = source is self.one
        question = said(self.shape, self.eth, self.ip)
        answer = said(self.shape, self.back, here[2], back=True)
        if random.random() < 0.25 and is_followed(talk_of(question)):
            return error(source, eth, ip, answer if is_first else question)
        packet = question if is_first else answer
        if "tcp_src" in packet:
            return self._segment(source, packet, is_first=is_first)
        if "udp_src" in packet and random.random() < 0.3:
            return Said(source, packet, in_fragments(packet))
        return Said(source, packet, (framed(packet),))

    def _segment(self, source: Port, packet: Packet, *, is_first: bool) -> Said:
        """The next step of a handshake, or more when it is done."""
        if is_first:
            flags = frames.ACK if frames.SYN_ACK in self.heard else frames.SYN
            numbers = NUMBERS.get(flags, (2, 51))
        else:
            flags = frames.ACK if frames.ACK in self.heard else frames.SYN_ACK
            numbers = NUMBERS.get(flags, (51, 2))
        return Said(source, packet, (framed(packet, flags, numbers),), flags=flags)

    def hear(self, said: Said, scene: "Scene") -> None:
        """Take note of what came of *said*."""
        whom = self.other if said.source.id == self.one.id else self.one
        if scene.has_got(whom):
            self.heard.add(said.flags)


def conversations(world: World, random: Random, count: int) -> list[Conversation]:
    """Choose some; a few ports talk about several things."""
    subnets = {one.id: one for one in world.subnets}
    found = []
    for one, other in itertools.permutations(world.ports, 2):
        home, there = subnets[one.subnet_id], subnets[other.subnet_id]
        if home.vpc_id != there.vpc_id:
            continue
        back = {ip: eth for eth, ip in pairs_of(other, there, one)}
        for eth, ip in pairs_of(one, home, other):
            if (ip[1], ip[0]) in back:
                found.append((one, other, eth, back[ip[1], ip[0]], ip))
    chosen = random.sample(found, min(count, len(found)))
    return [Conversation(*one, random.choice(SHAPES)) for one in chosen]


def gathered(world: World) -> World:
    """*world* with all that is anywhere on its first host."""
    host_id = world.hosts[0].id
    return replace(world, locations=tuple(replace(one, host_id=host_id) for one in world.locations))


class Scene:
    """A world on one host, and what its ports remember.

    Attributes:
        world: as it is now.
        memory: of its ports.
    """

    def __init__(self, ovs: DummyOvs, world: World, vpcs: tuple[Vpc, ...]) -> None:
        self.world, self.memory = gathered(world), Memory()
        self._ovs, self._vpcs, self._programs = ovs, vpcs, Programs()
        self._got = set[int]()
        self._programs.take(tuple(put(one) for one in resources(self.world, vpcs)))
        self.wire = Wire(ovs, self._programs.net, world.hosts[0], next(_prefixes))
        self._program()

    def become(self, new: World) -> None:
        """Change the world; whoever leaves an interface is forgotten there, as agents do."""
        new = gathered(new)
        left = {one.port_id: one for one in self.world.locations}
        for one in new.locations:
            left.pop(one.port_id, None)
        for place in left.values():
            self._ovs.control.call("dpctl/flush-conntrack", f"zone={place.ofport}")
            self.memory.forget(place.port_id)
        old = resources(self.world, self._vpcs)
        self._programs.take(step(old, resources(new, self._vpcs)))
        self.world = new
        self._program()

    def _program(self) -> None:
        self.wire.program(self._programs.flows[self.world.hosts[0].id].values())

    def has_got(self, port: Port) -> bool:
        """Tell whether *port* has got the last packet."""
        return any(
            one.port_id == port.id and one.ofport in self._got for one in self.world.locations
        )

    def _tells_fragments_apart(self, said: Said) -> bool:
        """Tell whether a datagram's pieces may fare differently on their way.

        What has no ports is not what rules are about that judge each packet by itself: those of who
        sends or gets it and has stateless groups alone, and of the ACLs on its way if it is routed.
        """
        at = {one.ofport: one.port_id for one in self.world.locations}
        free = replace(
            self.world, ports=tuple(replace(one, groups=None) for one in self.world.ports)
        )
        source = next(one for one in free.ports if one.id == said.source.id)
        reached = Oracle(free).arrivals(source, said.packet)
        ends = {said.source.id, *(at[one.ofport] for one in reached)}
        judge = Judge(*policies(self.world))
        ports = [one for one in self.world.ports if one.id in ends]
        if any(one.groups and not judge.follows(one) for one in ports):
            return True
        acl_ids = {
            one.acl_id
            for one in self.world.subnets
            if any(one.id == port.subnet_id for port in ports)
        }
        routed = said.packet["eth_dst"] == ROUTER_MAC
        acls = [one for one in self.world.acls if routed and one.id in acl_ids]
        return any(rule.protocol is not None for one in acls for rule in one.rules)

    def difference(self, said: Said) -> str | None:
        """Return how the host and the oracle differ about one packet, or None."""
        judge = Remembering(*policies(self.world))
        judge.memory, judge.about = self.memory, said.about
        judge.accepts = said.flags == frames.SYN_ACK
        self._got = set()
        source = next((one for one in self.world.ports if one.id == said.source.id), None)
        place = {one.port_id: one.ofport for one in self.world.locations}
        if source is None or source.id not in place:
            return None
        if len(said.frames) > 1 and self._tells_fragments_apart(said):
            said = replace(said, frames=(framed(said.packet),))
        before = str(self.memory.seen.get(source.id))
        arrivals = Oracle(self.world, judge).arrivals(source, said.packet)
        expected = Counter(one.ofport for one in arrivals for _ in said.frames)
        got = self.wire.send(place[source.id], *said.frames)
        self._got = set(got)
        actual = Counter({port: len(some) for port, some in got.items()})
        if expected == actual:
            return None
        lines = [f"{source} at {place[source.id]}\nsends {said.packet}\nabout {said.about}"]
        lines += [f"expected {expected}, got {actual}; it knows {before}"]
        lines += [f"{port}: {one[:60].hex()}" for port, some in got.items() for one in some]
        lines += [f"{one}" for one in resources(self.world, ())]
        return "\n".join((*lines, self.wire.connections()))


def check(ovs: DummyOvs, data: st.DataObject, *, talks: int, rounds: int, changes: int) -> None:
    """Let ports talk in a random world, and again after each of some changes."""
    world, vpcs = data.draw(secured())
    random = Random(data.draw(st.integers(0, 1 << 32)))
    chosen = conversations(world, random, talks)
    scene = Scene(ovs, world, vpcs)
    try:
        for nth in range(changes + 1):
            if nth:
                scene.become(data.draw(changed(scene.world, vpcs)))
            for _ in range(rounds):
                for one in random.sample(chosen, len(chosen)):
                    said = one.says(random)
                    difference = scene.difference(said)
                    assert difference is None, difference
                    one.hear(said, scene)
            for said in announcements(scene.world, random):
                difference = scene.difference(said)
                assert difference is None, difference
    finally:
        scene.wire.close()


def announcements(world: World, random: Random) -> Iterator[Said]:
    """What some ports tell all of their subnet."""
    subnets = {one.id: one for one in world.subnets}
    for source in random.sample(world.ports, 2):
        for packet in to_many(source, subnets[source.subnet_id]):
            if "udp_src" in packet:
                yield Said(source, packet, (framed(packet),))


@pytest.mark.timeout(600 * WORLDS)
@varied(7)
@given(st.data())
def test_ports_remember_who_opened_what(ovs: DummyOvs, data: st.DataObject) -> None:
    check(ovs, data, talks=15, rounds=3, changes=3)
