"""Route tables: the longest prefix, targets that share or are dead, and ports that forward."""

import dataclasses
from collections.abc import Callable, Iterator

import pytest

from tests.oracle.oracle import ROUTER_MAC, text
from tests.pipeline.outward import (
    AGENT,
    BLUES,
    DATA,
    FAR,
    HOST,
    NETWORK,
    OTHER,
    RED,
    RED_IGW,
    WEB,
    Town,
    guest,
    leaving,
    ofport,
    only,
)
from tests.support import frames as f
from tests.support import networks as n
from tests.support.dummy_ovs import DummyOvs
from tests.support.frames import Ends
from vpcctl.flows.reasons import Reason
from vpcctl.model.changes import Resource
from vpcctl.model.route_table import Route, RouteTable

pytestmark = pytest.mark.ovs
ONE, TWO = guest(1), guest(2)
WALL, WALL_2 = (guest(one, DATA, checks_addresses=False) for one in (5, 6))
EIP = n.eip(1, NETWORK, "203.0.113.10", ONE)
FAR6 = "2001:db8:99::1"
Setting = Callable[..., Town]


@pytest.fixture(scope="module")
def place(ovs: DummyOvs) -> Iterator[Town]:
    made = Town(ovs, ONE, TWO, WALL, WALL_2)
    yield made
    made.close()


@pytest.fixture
def town(place: Town) -> Setting:
    def make(*routes: Route, others: tuple[Resource, ...] = ()) -> Town:
        return place.anew(ONE, TWO, WALL, WALL_2, EIP, table(*routes), *others)

    return make


def table(*routes: Route) -> RouteTable:
    return n.table(1, RED, *routes)


@pytest.mark.parametrize("version", [4, 6])
def test_a_port_is_a_next_hop(town: Setting, version: int) -> None:
    made = town(n.route("0.0.0.0/0", WALL), n.route("::/0", WALL))
    far = FAR if version == 4 else FAR6
    got = only(made.sends(TWO, f.udp(leaving(TWO, far, version), (5000, 53))), ofport(WALL))
    field = "nw_dst" if version == 4 else "ipv6_dst"
    assert (got[field], got["nw_ttl"]) == (far, "63")
    assert (got["eth_src"], got["eth_dst"]) == (ROUTER_MAC, text(WALL.mac))


@pytest.mark.parametrize("version", [4, 6])
def test_a_port_that_forwards_sends_on_from_others(town: Setting, version: int) -> None:
    far = FAR if version == 4 else FAR6
    source = leaving(TWO, far, version).ip[0]
    on = Ends((text(WALL.mac), ROUTER_MAC), (far, source))
    made = town()
    got = only(made.sends(WALL, f.udp(on, (53, 5000))), ofport(TWO))
    assert got["eth_dst"] == text(TWO.mac)
    lies = Ends((text(TWO.mac), ROUTER_MAC), (far, source))
    assert made.sends(WALL, f.udp(lies, (53, 5000))) == {}


def test_a_port_that_checks_addresses_is_a_dead_target(town: Setting) -> None:
    made = town(n.route("0.0.0.0/0", TWO))
    assert made.sends(ONE, f.udp(leaving(ONE), (5000, 53))) == {}
    assert made.wire.dropped(Reason.BLACKHOLE) == 1
    lies = Ends((text(TWO.mac), ROUTER_MAC), (FAR, "10.0.1.11"))
    assert made.sends(TWO, f.udp(lies, (53, 5000))) == {}
    assert made.wire.dropped(Reason.SPOOFED_IPV4) == 1


def test_the_longest_prefix_decides(town: Setting) -> None:
    made = town(
        n.route("0.0.0.0/0", RED_IGW),
        n.route("192.0.2.0/24"),
        n.route("192.0.2.64/26", WALL),
    )
    assert list(made.sends(ONE, f.udp(leaving(ONE, "198.51.100.1"), (1, 2)))) == [AGENT]
    assert list(made.sends(ONE, f.udp(leaving(ONE, "192.0.2.77"), (1, 2)))) == [ofport(WALL)]
    assert made.sends(ONE, f.udp(leaving(ONE, "192.0.2.1"), (1, 2))) == {}
    assert made.wire.dropped(Reason.BLACKHOLE) == 1


def test_local_wins_and_what_no_subnet_has_stays_in(town: Setting) -> None:
    made = town(n.route("0.0.0.0/0", WALL))
    assert list(made.sends(ONE, f.udp(leaving(ONE, "10.0.2.16"), (1, 2)))) == [ofport(WALL_2)]
    assert made.sends(ONE, f.udp(leaving(ONE, "10.0.77.1"), (1, 2))) == {}
    for nowhere in ("169.254.1.1", "127.0.0.1", "240.0.0.1", "0.0.0.1"):
        assert made.sends(ONE, f.udp(leaving(ONE, nowhere), (1, 2))) == {}
    assert made.wire.dropped(Reason.NO_ROUTE) == 5


def test_a_subnet_may_have_a_table_of_its_own(town: Setting) -> None:
    own = n.table(9, RED, n.route("0.0.0.0/0", WALL_2), main=False)
    home = dataclasses.replace(WEB, route_table_id=own.id)
    made = town(n.route("0.0.0.0/0", WALL), others=(own, home))
    assert list(made.sends(ONE, f.udp(leaving(ONE), (1, 2)))) == [ofport(WALL_2)]
    made.change(dataclasses.replace(WEB, route_table_id="rtb-nowhere"))
    assert made.sends(ONE, f.udp(leaving(ONE), (1, 2))) == {}
    made.change(WEB)
    assert list(made.sends(ONE, f.udp(leaving(ONE), (1, 2)))) == [ofport(WALL)]


def test_targets_share_connections(town: Setting) -> None:
    made = town(n.route("0.0.0.0/0", WALL, WALL_2), n.route("::/0", WALL, WALL_2))
    used = {port: _wall(made, leaving(ONE), port) for port in range(5000, 5016)}
    assert set(used.values()) == {ofport(WALL), ofport(WALL_2)}
    assert used == {port: _wall(made, leaving(ONE), port) for port in used}
    used6 = {_wall(made, leaving(ONE, FAR6, 6), port) for port in range(5000, 5016)}
    assert used6 == {ofport(WALL), ofport(WALL_2)}


def test_a_port_on_a_dead_host_gets_nothing_while_there_is_another(town: Setting) -> None:
    away = n.at(WALL_2, OTHER, 12)
    both = table(n.route("0.0.0.0/0", WALL, WALL_2))
    made = town(*both.routes, others=(away,))

    def ways() -> list[set[int]]:
        asked = (f.udp(leaving(ONE), (port, 53)) for port in range(5000, 5016))
        return [set(made.sends(ONE, one)) for one in asked]

    before = ways()
    assert set(map(frozenset, before)) == {frozenset(), frozenset({ofport(WALL)})}
    made.change(dataclasses.replace(both, dead_hosts=(OTHER.id,)))
    assert ways() == [{ofport(WALL)}] * 16
    made.change(dataclasses.replace(both, dead_hosts=()))
    assert ways() == before
    made.change(n.at(WALL_2, HOST, ofport(WALL_2)))
    made.change(dataclasses.replace(both, dead_hosts=(OTHER.id,)))
    assert {ofport(WALL_2)} in ways()
    # With nothing else left, it is tried.
    alone = table(n.route("0.0.0.0/0", WALL_2))
    made.change(away, dataclasses.replace(alone, dead_hosts=(OTHER.id,)))
    ways()
    assert made.wire.dropped(Reason.BLACKHOLE) == 0


def test_a_nat_gateway_all_of_whose_hosts_are_dead_gets_nothing_while_there_is_another(
    town: Setting,
) -> None:
    one, two = n.nat(1, RED, NETWORK, HOST), n.nat(2, RED, NETWORK, HOST, OTHER)
    eips = [
        n.eip(20 + at, NETWORK, f"203.0.113.{20 + at}", nat) for at, nat in enumerate((one, two))
    ]
    both = table(n.route("0.0.0.0/0", one, two))
    made = town(*both.routes, others=(one, two, *eips))

    def ways(*dead: str) -> list[str]:
        made.change(dataclasses.replace(both, dead_hosts=dead))
        asked = (f.udp(leaving(ONE), (port, 53)) for port in range(5000, 5016))
        return [only(made.sends(ONE, frame), AGENT)["nw_src"] for frame in asked]

    before = ways()
    assert set(before) == {"203.0.113.20", "203.0.113.21"}
    assert ways(HOST.id) == ["203.0.113.21"] * 16
    assert ways(OTHER.id) == before
    # With nothing else left, they are tried.
    assert ways(HOST.id, OTHER.id) == before
    made.change(dataclasses.replace(one, hosts=()))
    assert ways(HOST.id, OTHER.id) == ["203.0.113.21"] * 16
    made.change(one)
    assert ways() == before


def test_a_network_that_nobody_reaches_gets_nothing_while_there_is_another(town: Setting) -> None:
    network = n.outside(8, "198.51.100.0/24")
    beyond = n.igw(3, RED, network)
    both = table(n.route("0.0.0.0/0", WALL, beyond))
    made = town(*both.routes, others=(network, beyond))

    def ways() -> set[frozenset[int]]:
        asked = (f.udp(leaving(ONE), (port, 53)) for port in range(5000, 5016))
        return {frozenset(made.sends(ONE, one)) for one in asked}

    wall = frozenset({ofport(WALL)})
    assert ways() == {wall}
    reaching = n.reaching(OTHER, (NETWORK, 9), (network, 8))
    made.change(reaching)
    assert ways() == {wall, frozenset()}  # here it is not reached, so it needs a gateway host
    made.change(dataclasses.replace(beyond, hosts=(OTHER.id,)))
    assert ways() == {wall, frozenset()}
    made.change(OTHER)
    assert ways() == {wall}
    # A dead host may still forward; what nobody reaches cannot.
    away = n.at(WALL, OTHER, 12)
    made.change(away, dataclasses.replace(both, dead_hosts=(OTHER.id,)))
    before = made.wire.dropped(Reason.NO_GATEWAY)
    ways()
    assert made.wire.dropped(Reason.NO_GATEWAY) == before
    # With nothing else left, it is tried.
    made.change(table(n.route("0.0.0.0/0", beyond)))
    assert ways() == {frozenset()}
    assert made.wire.dropped(Reason.BLACKHOLE) == 0


def _wall(made: Town, ends: Ends, port: int) -> int:
    (found,) = made.sends(ONE, f.udp(ends, (port, 53)))
    return found


def test_a_dead_target_leaves_the_set(town: Setting) -> None:
    made = town(n.route("0.0.0.0/0", WALL, WALL_2))
    made.change(dataclasses.replace(WALL_2, admin_up=False))
    used = {_wall(made, leaving(ONE), port) for port in range(5000, 5016)}
    assert used == {ofport(WALL)}
    made.change(dataclasses.replace(WALL, checks_addresses=True))
    assert made.sends(ONE, f.udp(leaving(ONE), (5000, 53))) == {}
    assert made.wire.dropped(Reason.BLACKHOLE) == 1


def test_what_another_vpc_has_is_no_target(town: Setting) -> None:
    stranger = guest(4, BLUES, checks_addresses=False)
    made = town(n.route("0.0.0.0/0", stranger), others=(stranger,))
    assert made.sends(ONE, f.udp(leaving(ONE), (1, 2))) == {}
    assert made.wire.dropped(Reason.BLACKHOLE) == 1


def test_a_port_that_forwards_cannot_speak_for_others_addresses(town: Setting) -> None:
    made = town()
    wall = (text(WALL.mac), "10.0.2.99")
    announced = f.arp(2, (text(WALL.mac), "ff:ff:ff:ff:ff:ff"), wall, wall)
    assert made.sends(WALL, announced) == {}
    assert made.wire.dropped(Reason.SPOOFED_ARP) == 1


def test_a_port_that_forwards_is_reached_by_its_own_address_too(town: Setting) -> None:
    made = town()
    assert list(made.sends(ONE, f.udp(leaving(ONE, "10.0.2.15"), (1, 2)))) == [ofport(WALL)]
    assert list(made.sends(WALL, f.udp(leaving(WALL, "10.0.1.11"), (1, 2)))) == [ofport(ONE)]
