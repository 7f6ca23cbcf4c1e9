"""Random ways out of a VPC, with real frames and real translation: the oracle must agree."""

import dataclasses
import ipaddress
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.oracle.oracle import text
from tests.oracle.translated import (
    ON_LINK,
    Address,
    Flow,
    Place,
    Seen,
    Translated,
    Translation,
)
from tests.pipeline.outward import (
    DATA,
    HOST,
    NETWORK,
    OUT,
    RED,
    RED_IGW,
    ROUTER,
    WEB,
    Town,
    asks,
    guest,
    leaving,
    ofport,
)
from tests.support import frames as f
from tests.support import networks as n
from tests.support.dissect import Packet
from tests.support.dummy_ovs import DummyOvs
from tests.support.frames import Ends
from vpcctl.flows import fields
from vpcctl.flows import flow as program
from vpcctl.flows import tables as t
from vpcctl.flows.actions import SetField
from vpcctl.flows.reasons import Reason
from vpcctl.model.eip import Eip, outside_mac
from vpcctl.model.gateway import NatGateway
from vpcctl.model.port import Port
from vpcctl.model.route_table import Route, RouteTable, Target

pytestmark = [pytest.mark.ovs]
FARS = ("192.0.2.77", "192.0.2.78", "198.51.100.9")
FARS6 = ("2001:db8:99::1", "2001:db8:98::1")
ROUTER6 = "2001:db8:77::1"
ABROAD, ABROAD6 = "198.18.9.9", "2001:db8:aa::9"
SHARED = (n.pair(f"{ABROAD}/32"), n.pair(f"{ABROAD6}/128"), n.pair("198.51.100.0/24"))
GUESTS = tuple(
    guest(one, WEB if one < 4 else DATA, allowed_pairs=SHARED if one == 1 else ())
    for one in range(1, 7)
)
WALLS = tuple(guest(one, DATA, checks_addresses=False) for one in (7, 8))
SHUT = guest(9, DATA)
EVERYBODY = (*GUESTS, *WALLS, SHUT)
NOT_A_GUESTS = {133, 134, 135, 137}
"""ICMPv6 types that are questions for its host, or not a guest's to send."""
BY_OFPORT = {ofport(port): port for port in EVERYBODY}


@pytest.fixture(scope="module")
def ovs() -> Iterator[DummyOvs]:
    with tempfile.TemporaryDirectory() as directory, DummyOvs(Path(directory)) as running:
        running.control.call("time/stop")  # no connection is forgotten meanwhile
        yield running


@pytest.fixture(scope="module")
def town(ovs: DummyOvs) -> Iterator[Town]:
    made = Town(ovs, *EVERYBODY)
    yield made
    made.close()


def place(chance: Random) -> Place:
    """Two NAT gateways of one to three EIPs, and two tables with whatever routes."""
    nats = tuple(_nat(chance, number) for number in (1, 2))
    eips = [_eip(10 * at + nth, nat) for at, nat in enumerate(nats, 1) for nth in range(3)]
    eips = [one for at, one in enumerate(eips) if at % 3 == 0 or chance.random() < 0.5]
    eips += [_eip(40 + at, port) for at, port in enumerate(GUESTS) if chance.random() < 0.5]
    second = _table(chance, 3, nats, main=False)
    tables = (_table(chance, 1, nats), second)
    subnets = (WEB, dataclasses.replace(DATA, route_table_id=second.id))
    return Place(NETWORK, subnets, EVERYBODY, tables, (RED_IGW,), nats, eips, RED.cidrs)


def _eip(number: int, user: NatGateway | Port) -> Eip:
    return n.eip(number, NETWORK, f"203.0.113.{100 + number}", user)


def _nat(chance: Random, number: int) -> NatGateway:
    target, first = chance.choice(GUESTS), f"203.0.113.{100 + 10 * number}"
    forwards = (
        n.forward(first, 6, (8080, 8083), str(target.ips[0]), chance.choice((8080, 80))),
        n.forward(first, 17, (5000, 5000), str(target.ips[0]), 53),
    )
    hosts = (HOST,) if chance.random() < 0.9 else ()
    return n.nat(number, RED, NETWORK, *hosts, forwards=forwards)


def _table(
    chance: Random, number: int, nats: tuple[NatGateway, ...], *, main: bool = True
) -> RouteTable:
    made = n.table(number, RED, *_routes(chance, nats), main=main)
    return dataclasses.replace(made, dead_hosts=(HOST.id,) if chance.random() < 0.2 else ())


def _routes(chance: Random, nats: tuple[NatGateway, ...]) -> Iterator[Route]:
    """A route leads to up to four targets, some of which are dead."""
    dead = [Target("port", SHUT.id), Target("port", "port-none"), Target("nat", "nat-none")]
    walls = [Target("port", one.id) for one in WALLS]
    ways = [Target("nat", one.id) for one in nats] + walls + dead
    for block in ("0.0.0.0/0", "192.0.2.0/24", "192.0.2.78/32"):
        if block == "0.0.0.0/0" or chance.random() < 0.5:
            some = [*ways, Target("internet", RED_IGW.id)]
            chosen = chance.sample(some, chance.randrange(5))
            yield Route(ipaddress.ip_network(block), tuple(chosen))
    if chance.random() < 0.7:
        chosen = chance.sample([*walls, Target("internet", RED_IGW.id)], chance.randrange(1, 4))
        yield Route(ipaddress.ip_network("::/0"), tuple(chosen))


def resources(of: Place) -> tuple:
    return (*of.subnets, *of.ports, *of.nats, *of.eips, *of.tables)


def hear(town: Town, of: Place) -> None:
    """Have the provider's router known, by IPv4 and IPv6."""
    town.sends(OUT, asks(ROUTER, str(of.eips[0].address)))
    option = bytes((2, 1)) + bytes.fromhex(ROUTER[0].replace(":", ""))
    ends = Ends((ROUTER[0], "33:33:00:00:00:01"), (ROUTER6, "ff02::1"))
    rest = (0x60000000).to_bytes(4, "big") + ipaddress.ip_address(ROUTER6).packed + option
    town.sends(OUT, f.icmp(ends, 136, 0, rest))
    town.wire.settle()


def framed(ends: Ends, flow: Flow, *, answers: bool) -> bytes:
    ports = (flow.source_port, flow.to_port)
    if flow.protocol == f.UDP:
        return f.udp(ends, ports)
    return f.tcp(ends, ports, f.SYN_ACK, (7, 2)) if answers else f.tcp(ends, ports)


def read(sent: dict[int, list[Packet]]) -> Seen | None:
    """Where the one packet got to that was sent."""
    if not sent:
        return None
    ((number, (packet,)),) = sent.items()
    names = ("nw_src", "nw_dst") if "nw_src" in packet else ("ipv6_src", "ipv6_dst")
    source, to = (ipaddress.ip_address(packet[name]) for name in names)
    ports = int(packet["tp_src"]), int(packet["tp_dst"])
    flow = Flow(int(packet["nw_proto"]), source, ports[0], to, ports[1])
    return Seen(None if number == OUT else BY_OFPORT[number].id, flow)


def _out(chance: Random, port: Port) -> Flow:
    """What a guest may send: few enough ends that some meet."""
    far = ipaddress.ip_address(chance.choice(FARS if chance.random() < 0.75 else FARS6))
    source = next(ip for ip in port.ips if ip.version == far.version)
    protocol = chance.choice((f.TCP, f.UDP))
    return Flow(protocol, source, chance.choice((5000, 5001)), far, chance.choice((53, 80)))


def _in(chance: Random, of: Place) -> Flow:
    """What somebody outside may send on his own account."""
    port = chance.choice(EVERYBODY)
    if chance.random() < 0.3:
        to, far = next(ip for ip in port.ips if ip.version == 6), chance.choice(FARS6)
    else:
        to, far = chance.choice(of.eips).address, chance.choice(FARS)
    if chance.random() < 0.4:
        far = _lie(chance, to.version)
    protocol, ports = chance.choice((f.TCP, f.UDP)), (8080, 8083, 8084, 5000, 22)
    source = chance.randrange(3000, 3020)
    return Flow(protocol, ipaddress.ip_address(far), source, to, chance.choice(ports))


def _lie(chance: Random, version: int) -> str:
    """Return a source by which somebody outside passes for somebody within."""
    if chance.random() < 0.5:
        return ABROAD if version == 4 else ABROAD6
    return next(str(ip) for ip in chance.choice(EVERYBODY).ips if ip.version == version)


def mac_of(of: Place, address: Address) -> str:
    """Whom the router sends what is for an address."""
    for eip in of.eips:
        if eip.address == address:
            return text(eip.mac)
    port = next(one for one in of.ports if address in one.ips)
    return text(outside_mac(port.key))


@dataclasses.dataclass
class Play:
    """A network, and what is said in it."""

    town: Town
    of: Place
    judge: Translated
    chance: Random

    def step(self) -> str | None:
        """Say something; tell what went wrong."""
        roll, known = self.chance.random(), self.judge.known
        if known and roll < 0.3:
            return self._answer(self.chance.choice(known))
        if roll < 0.5:
            return self._enter(_in(self.chance, self.of), answers=False)
        port = self.chance.choice(GUESTS)
        return self._say(port, _out(self.chance, port), answers=False)

    def _answer(self, one: Translation) -> str | None:
        """Answer a connection of a NAT gateway, on whichever side it was not opened."""
        if not self._is_ours(one.outside.to):
            return self._enter(one.outside.back(), answers=True)
        port = next(port for port in EVERYBODY if one.inside.to in port.ips)
        if not self.judge.leads_only_to(port, one.inside.back(), one.nat):
            return None
        return self._say(port, one.inside.back(), answers=True)

    def whisper(self) -> str | None:
        """Send ICMPv6 of any type from a far address to a port's, and the other way."""
        port, far = self.chance.choice(EVERYBODY), self.chance.choice(FARS6)
        kind = self.chance.choice((1, 128, *sorted(ON_LINK)))
        own = next(ip for ip in port.ips if ip.version == 6)
        inwards = Ends((ROUTER[0], mac_of(self.of, own)), (far, str(own)))
        got = self.town.sends(OUT, f.icmp(inwards, kind, hops=64))
        ends = Flow(f.ICMP6, ipaddress.ip_address(far), kind, own, 0)
        met = [BY_OFPORT[number].id for number in got]
        if met != [one for one in [self.judge.met(kind, ends)] if one is not None]:
            return f"{far} sends {kind} to {port.id}: {met}"
        if kind not in ON_LINK - NOT_A_GUESTS:
            return None
        left = self.town.sends(port, f.icmp(leaving(port, far, 6), kind, hops=64))
        return f"{port.id} sends {kind} to {far}: {left}" if left else None

    def _is_ours(self, address: Address) -> bool:
        return any(one.address == address for one in self.of.eips)

    def _enter(self, flow: Flow, *, answers: bool) -> str | None:
        expected = self.judge.entered(flow)
        ends = Ends((ROUTER[0], mac_of(self.of, flow.to)), (str(flow.source), str(flow.to)))
        got = read(self.town.sends(OUT, framed(ends, flow, answers=answers)))
        return None if got == expected else f"{flow} enters: {got}, but must be {expected}"

    def _say(self, port: Port, flow: Flow, *, answers: bool) -> str | None:
        ends = leaving(port, str(flow.to), flow.to.version)
        got = read(self.town.sends(port, framed(ends, flow, answers=answers)))
        wrong = self.judge.sent(port, flow, got)
        return None if wrong is None else f"{port.id} sends {flow}: {got}, but {wrong}"


def play(town: Town, of: Place, chance: Random, steps: int) -> str | None:
    """Say this and that; return the first that went wrong."""
    played = Play(town.anew(*resources(of)), of, Translated(of), chance)
    hear(town, of)
    found = itertools.chain(
        (played.step() for _ in range(steps)), (played.whisper() for _ in range(steps // 2))
    )
    return next((wrong for wrong in found if wrong is not None), None)


@pytest.mark.parametrize("seed", range(3))
def test_ways_are_shared_and_addresses_translated_as_the_oracle_says(town: Town, seed: int) -> None:
    chance = Random(seed)
    of = place(chance)
    wrong = play(town, of, chance, 60)
    assert wrong is None, f"{wrong}\n{of}"


def _other_way(of: Place) -> Iterator[Place]:
    """Yield networks that differ from one in what the oracle has to notice."""
    shifted = [
        dataclasses.replace(one, target_port=one.target_port + 1) for one in of.nats[0].forwards
    ]
    nat = dataclasses.replace(of.nats[0], forwards=tuple(shifted))
    yield dataclasses.replace(of, nats=(nat, *of.nats[1:]))
    yield dataclasses.replace(
        of, eips=[dataclasses.replace(one, nat_gateway_id=None) for one in of.eips]
    )
    first = dataclasses.replace(of.tables[0], routes=())
    yield dataclasses.replace(of, tables=(first, *of.tables[1:]))


@pytest.mark.parametrize("table", [t.ROUTE, t.OUTSIDE_IN])
def test_the_oracle_notices_what_leaves_its_link(table: t.Table, town: Town) -> None:
    of = dataclasses.replace(place(Random(1)), tables=[n.table(1, RED, n.route("::/0", RED_IGW))])
    of = dataclasses.replace(of, subnets=(WEB, DATA))
    played = Play(town.anew(*resources(of)), of, Translated(of), Random(1))
    hear(town, of)
    kept = [one for one in town.wire.flows() if not (one.table is table and _stays(one))]
    town.wire.program(kept)
    found = (played.whisper() for _ in range(60))
    assert any(wrong is not None for wrong in found)


def _stays(flow: program.Flow) -> bool:
    return SetField(fields.REASON, int(Reason.ON_LINK_ONLY)) in flow.actions


def test_the_oracle_notices_who_passes_for_somebody_within(town: Town) -> None:
    of = place(Random(1))
    played = Play(town.anew(*resources(of)), of, Translated(of), Random(1))
    town.wire.program([one for one in town.wire.flows() if not _unmasks(one)])
    hear(town, of)
    found = (played.step() for _ in range(120))
    assert any(wrong is not None for wrong in found)


def _unmasks(flow: program.Flow) -> bool:
    return flow.table is t.OUTSIDE_GUARD and flow.goto is t.DROP


def test_the_oracle_notices_what_is_otherwise(town: Town) -> None:
    of = place(Random(1))
    for number, other in zip(itertools.count(), _other_way(of), strict=False):
        played = Play(town.anew(*resources(other)), of, Translated(of), Random(1))
        hear(town, of)
        found = (played.step() for _ in range(120))
        assert any(wrong is not None for wrong in found), f"nobody misses {number}"
