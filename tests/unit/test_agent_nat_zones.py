"""Zones of NAT gateways: which connections nothing explains, and when they are looked at."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from agent.decide.nat_zones import AGAIN_S, Ends, Finder, NatZones
from agent.wire.report import ReportAnswer
from agent.wire.state import HostState, NatForward, NatGatewayState

FIRST, SECOND, GONE = "203.0.113.20", "203.0.113.21", "203.0.113.9"
ONE, TWO, FAR = "10.0.2.12", "10.0.2.13", "192.0.2.77"
ZONE, OTHER = 0x8001, 0x8002
WEB = NatForward(address=FIRST, protocol=6, first=8080, last=8080, target=ONE, target_port=80)
MANY = NatForward(address=FIRST, protocol=17, first=6000, last=6003, target=TWO, target_port=6000)


def nat(zone: int = ZONE, *forwards: NatForward, **more: object) -> NatGatewayState:
    values = {"addresses": (FIRST, SECOND), "forwards": forwards, "exhausted_cookie": 1, **more}
    return NatGatewayState(gateway_id=f"nat-{zone:017x}", zone=zone, **values)


def line(protocol: str, *ends: tuple[str, int]) -> str:
    """A connection: source and target of what asked, and of what answers."""
    parts = [
        f"(src={source},dst={to},sport={port},dport={at})"
        for (source, port), (to, at) in (ends[:2], ends[2:])
    ]
    return rf"{protocol},orig={parts[0]},reply={parts[1]},zone={ZONE},labels=0x1\n"


def out(guest: str, eip: str, port: int = 5000, own: int = 5000) -> str:
    return line("udp", (guest, port), (FAR, 53), (FAR, 53), (eip, own))


def come(protocol: str, eip: str, port: int, target: str, at: int) -> str:
    return line(protocol, (FAR, 4000), (eip, port), (target, at), (FAR, 4000))


def answer(*lines: str) -> bytes:
    return f'{{"id":0,"result":"{"".join(lines)}","error":null}}'.encode()


def found(gateway: NatGatewayState, *lines: str, gone: Iterable[NatForward] = ()) -> Finder:
    finder = Finder(gateway, gone)
    finder.take(answer(*lines))
    return finder


def came(protocol: int, eip: str, port: int) -> Ends:
    return Ends(protocol, FAR, 4000, eip, port)


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_what_is_translated_to_an_eip_that_left_is_found_wherever_the_listing_is_cut(
    size: int,
) -> None:
    ping = (
        rf"icmp,orig=(src={ONE},dst={FAR},id=7,type=8,code=0),"
        rf"reply=(src={FAR},dst=203.0.113.8,id=7,type=0,code=0),zone={ZONE}\n"
    )
    text = answer(out(ONE, FIRST), out(TWO, GONE), out(ONE, SECOND), ping)
    finder = Finder(nat())
    for start in range(0, len(text), size):
        finder.take(text[start : start + size])
    assert finder.addresses == {GONE, "203.0.113.8"}
    assert finder.others == set()


def test_forwarded_connections_need_a_forward_that_leads_where_they_go() -> None:
    kept = (
        come("tcp", FIRST, 8080, ONE, 80),
        come("udp", FIRST, 6003, TWO, 6003),
        line("udp", (ONE, 5000), (GONE, 53), (GONE, 53), (FIRST, 5000)),  # to whose EIP it is now
        line("tcp", (GONE, 4000), (FIRST, 8080), (ONE, 80), (GONE, 4000)),  # from there
    )
    ended = (
        come("udp", FIRST, 8080, ONE, 80),
        come("tcp", SECOND, 8080, ONE, 80),
        come("tcp", GONE, 8080, ONE, 80),
        come("udp", FIRST, 6002, TWO, 6001),
        come("udp", FIRST, 6001, ONE, 6001),
        come("udp", FIRST, 6004, TWO, 6004),
        come("udp", FIRST, 5999, TWO, 5999),
    )
    finder = found(nat(ZONE, MANY, WEB), *kept, *ended)
    assert finder.addresses == set()
    ports = (
        (17, FIRST, 8080),
        (6, SECOND, 8080),
        (6, GONE, 8080),
        *((17, FIRST, port) for port in (6002, 6001, 6004, 5999)),
    )
    assert finder.others == {came(*one) for one in ports}
    assert not found(nat(ZONE, MANY, WEB), *kept).has_found()


def test_forwards_of_an_eip_that_is_not_the_gateways_explain_nothing() -> None:
    gateway = nat(ZONE, WEB, addresses=(SECOND,))
    assert found(gateway, come("tcp", FIRST, 8080, ONE, 80)).others == {came(6, FIRST, 8080)}


def test_a_connection_whose_answer_was_heard_first_ends_with_its_forward_too() -> None:
    heard = out(TWO, FIRST, 6001, 6001)
    begun = out(TWO, FIRST, 6001, 1024)
    ends = Ends(17, TWO, 6001, FAR, 53)
    assert not found(nat(), heard, begun).has_found(), "a guest may begin such a one, too"
    assert found(nat(), heard, begun, gone=[MANY]).others == {ends}
    still = replace(MANY, last=6001)
    assert not found(nat(ZONE, still), heard, begun, gone=[MANY]).has_found()
    elsewhere = replace(MANY, target=ONE)
    assert found(nat(ZONE, elsewhere), heard, begun, gone=[MANY]).others == {ends}


def state(revision: int, *gateways: NatGatewayState) -> HostState:
    values = {"host_id": "host-00000000000000001", "name": "h", "dpid": 1, "openflow_targets": ()}
    return HostState(revision=revision, nat_gateways=gateways, **values)


def reached(zones: NatZones, revision: int | None) -> None:
    zones.answered(ReportAnswer(accepted=True, revision=1, reached_revision=revision))


def settled(*gateways: NatGatewayState) -> NatZones:
    """Nothing is to be looked at any more, at revision 10."""
    zones = NatZones()
    zones.want(state(10, *gateways))
    reached(zones, 10)
    for now in (0.0, AGAIN_S):
        while (look := zones.due(now)) is not None:
            zones.looked(look, now, is_clean=True)
    assert not zones.is_waiting()
    return zones


def test_a_zone_is_looked_at_at_the_start_and_until_it_is_clean() -> None:
    zones = NatZones()
    zones.want(state(10, nat()))
    assert zones.due(0.0) is None
    assert zones.is_waiting()
    reached(zones, None)
    reached(zones, 9)
    assert zones.due(0.0) is None, "flows of before may be there"
    reached(zones, 10)
    for now in (0.0, AGAIN_S, 2 * AGAIN_S):
        assert zones.next_at() == now
        look = zones.due(now)
        assert look is not None
        assert look.gateway == nat()
        zones.looked(look, now, is_clean=now != AGAIN_S)
        assert zones.due(now) is None
    assert zones.next_at() == float("inf")


def test_only_changes_of_eips_and_forwards_are_looked_at() -> None:
    zones = settled(nat(ZONE, WEB, MANY), nat(OTHER))
    zones.want(state(20, nat(ZONE, WEB, MANY, hosts=("host-a",)), nat(OTHER)))
    assert not zones.is_waiting()
    zones.want(state(21, nat(ZONE, WEB), nat(OTHER)))
    zones.want(state(22, nat(ZONE), nat(OTHER)))
    reached(zones, 21)
    assert zones.due(9.0) is None
    reached(zones, 22)
    look = zones.due(9.0)
    assert look is not None
    assert (look.gateway, look.gone) == (nat(), frozenset((WEB, MANY)))
    zones.looked(look, 9.0, is_clean=True)
    zones.want(state(23, nat(ZONE, addresses=(FIRST,)), nat(OTHER)))
    reached(zones, 23)
    look = zones.due(9.0)
    assert look is not None
    assert look.gateway.addresses == (FIRST,)


def test_a_change_during_a_look_is_looked_at_again_and_a_failure_is_tried_again() -> None:
    zones = settled(nat())
    zones.want(state(11, nat(ZONE, WEB)))
    reached(zones, 12)
    look = zones.due(5.0)
    assert look is not None
    zones.failed(look, 5.0)
    assert zones.due(5.0) is None
    look = zones.due(5.0 + AGAIN_S)
    assert look is not None
    zones.want(state(12, nat(ZONE, MANY)))
    zones.looked(look, 5.0, is_clean=True)
    again = zones.due(5.0)
    assert again is not None
    assert (again.gateway, again.gone, again.is_first) == (nat(ZONE, MANY), frozenset([WEB]), True)


def test_what_has_changed_last_comes_first_and_gateways_that_left_are_left_alone() -> None:
    zones = NatZones()
    zones.want(state(10, nat(ZONE), nat(OTHER)))
    zones.want(state(11, nat(ZONE), nat(OTHER, WEB)))
    reached(zones, 11)
    look = zones.due(0.0)
    assert look is not None
    assert look.gateway.zone == OTHER
    zones.want(state(12, nat(ZONE)))
    zones.looked(look, 0.0, is_clean=False)
    look = zones.due(0.0)
    assert look is not None
    assert look.gateway.zone == ZONE
