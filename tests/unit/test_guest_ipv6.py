"""Router advertisements and DHCPv6: what each mode of a subnet tells its guests."""

import ipaddress
import struct
from itertools import pairwise

import pytest

from agent.decide.guest.answering import answer
from agent.decide.guest.book import Book
from agent.decide.guest.frames import Refused
from agent.decide.guest.router import advertise
from agent.decide.guest.schedule import FIRST, INTERVAL_S, MOST_AT_ONCE, Schedule
from tests.support import guest_frames as g

SOLICIT, ADVERTISE, REQUEST, CONFIRM, RENEW, REBIND, REPLY, RELEASE, DECLINE = range(1, 10)
INFORMATION = 11
EUI64 = "fd00:1::400:ff:fe00:1"
OWN, OTHER = (ipaddress.ip_address(f"fd00:1::{end}").packed for end in (20, 21))
CLIENT, SERVER = (1, g.DUID), (2, g.SERVER_DUID)
MANAGED = Book(g.state(subnet=g.block(options=g.OPTIONS)))
MODES = ("slaac", "dhcpv6-stateless")
RS = bytes((133, 0)) + bytes(6)
WITH_SOURCE = RS + b"\1\1" + g.MAC


def book(mode: str, *addresses: str) -> Book:
    return Book(
        g.state(
            g.guest(g.KEY, g.MAC, *(addresses or ("10.0.1.20", EUI64))),
            subnet=g.block(mode, options=g.OPTIONS),
        )
    )


def answered(frame: bytes, known: Book) -> list[bytes]:
    return answer(frame, known).frames


def ask(frame: bytes, known: Book = MANAGED) -> g.Datagram:
    (found,) = answered(frame, known)
    return g.opened(found)


def refusal(frame: bytes, known: Book = MANAGED) -> str:
    with pytest.raises(Refused) as raised:
        answer(frame, known)
    return str(raised.value)


def solicited(message: bytes = WITH_SOURCE, source: str = str(g.LINK_LOCAL), hops: int = 255):
    return g.frame(g.icmp6(source, "ff02::2", message, hops))


def options(message: bytes) -> dict[int, bytes]:
    """Options of an advertisement by type, with their headers; the first of each type."""
    return dict(reversed(each_option(message)))


def each_option(message: bytes) -> list[tuple[int, bytes]]:
    found, rest = [], message[16:]
    while rest:
        assert rest[1]
        found.append((rest[0], rest[: rest[1] * 8]))
        rest = rest[rest[1] * 8 :]
    return found


def prefixes(message: bytes) -> list[tuple[int, int, int]]:
    """Flags, valid and preferred lifetime of each prefix option, which are all of the block."""
    found = [one for kind, one in each_option(message) if kind == 3]
    assert {one[16:] for one in found} <= {ipaddress.ip_address("fd00:1::").packed}
    return [struct.unpack("!BII", one[3:12]) for one in found]


# --- router advertisements ------------------------------------------------------------------------


def test_a_solicitation_is_answered_by_the_gateway_to_the_one_that_asks() -> None:
    told = ask(solicited())
    assert (told.source, told.target) == (str(g.GATEWAY_LINK_LOCAL), str(g.LINK_LOCAL))
    assert (told.to_mac, told.from_mac) == (g.MAC, g.SERVICE)
    kind, code, _, hops, _, lifetime = struct.unpack("!BBHBBH", told.payload[:8])
    assert (kind, code, hops, lifetime) == (134, 0, 64, 1800)
    found = options(told.payload)
    assert found[1][2:] == bytes.fromhex("0e7670630001")
    assert int.from_bytes(found[5][4:], "big") == 1450
    assert found[3][2] == 64
    assert found[3][16:] == ipaddress.ip_address("fd00:1::").packed
    assert found[25][8:] == ipaddress.ip_address("fd00::2").packed
    names = b"\4shop\x08internal\0\7example\3com\0"
    assert found[31][8:].rstrip(b"\0") == names.rstrip(b"\0")


def test_who_has_no_address_yet_hears_what_is_for_all_nodes() -> None:
    told = ask(solicited(RS, "::"))
    assert (told.target, told.to_mac) == ("ff02::1", bytes.fromhex("333300000001"))


@pytest.mark.parametrize(
    ("mode", "flags", "autonomous"),
    [("slaac", 0, True), ("dhcpv6-stateless", 0x40, True), ("dhcpv6-stateful", 0xC0, False)],
)
def test_flags_follow_the_subnets_mode(mode: str, flags: int, autonomous: bool) -> None:
    told = ask(solicited(), book(mode))
    assert told.payload[5] == flags
    assert options(told.payload)[3][3] == (0xC0 if autonomous else 0x80)


@pytest.mark.parametrize("mode", MODES)
def test_a_port_with_another_address_is_not_told_to_make_one(mode: str) -> None:
    """What the guest would make would be dropped as spoofed."""
    told = ask(solicited(), book(mode, "10.0.1.20", "fd00:1::20"))
    assert told.payload[5] == 0xC0
    assert prefixes(told.payload)[0] == (0x80, 86_400, 14_400)


@pytest.mark.parametrize("mode", MODES)
def test_an_address_that_a_guest_may_have_made_is_withdrawn(mode: str) -> None:
    """RFC 4862, section 5.5.3: of the second prefix none is made, one that was is deprecated."""
    told = ask(solicited(), book(mode, "10.0.1.20", "fd00:1::20"))
    assert prefixes(told.payload)[1:] == [(0x40, 0, 0)]
    assert len(prefixes(ask(solicited(), book(mode)).payload)) == 1
    never = book("dhcpv6-stateful", "fd00:1::20")
    assert len(prefixes(ask(solicited(), never).payload)) == 1


@pytest.mark.parametrize(
    ("reason", "frame"),
    [
        ("rs-malformed", solicited(hops=64)),
        ("rs-malformed", solicited(RS[:7])),
        ("rs-malformed", solicited(b"\x85\1" + bytes(6))),
        ("rs-malformed", solicited(RS + b"\1\0" + g.MAC)),
        ("rs-malformed", solicited(RS + b"\1\2" + g.MAC)),
        ("rs-malformed", solicited(RS + b"\1")),
        ("rs-malformed", solicited(WITH_SOURCE, "::")),
        ("rs-wrong-mac", g.frame(g.icmp6("fe80::1", "ff02::2", RS), bytes(5) + b"\7")),
    ],
)
def test_malformed_solicitations_are_counted(reason: str, frame: bytes) -> None:
    assert refusal(frame) == reason


def test_without_ipv6_there_is_no_router() -> None:
    assert refusal(solicited(), Book(g.state(subnet=g.block(None)))) == "rs-no-ipv6"
    alone = Book(g.state(g.guest(g.KEY, g.MAC, "10.0.1.20")))
    assert refusal(solicited(), alone) == "rs-no-ipv6"


def test_an_mtu_below_that_of_ipv6_is_not_said() -> None:
    told = ask(solicited(), Book(g.state(subnet=g.block(mtu=1200))))
    assert 5 not in options(told.payload)


# --- when -----------------------------------------------------------------------------------------


def told(schedule: Schedule, now: float) -> list[int]:
    return [int.from_bytes(g.opened(frame).from_mac[2:], "big") for frame in schedule.due(now)]


def test_new_guests_hear_at_once_then_again_then_now_and_then() -> None:
    schedule = Schedule(lambda: 0.5)
    schedule.want(MANAGED, 100.0)
    moments = [now for now in range(100, 1000) if told(schedule, float(now))]
    assert moments[: FIRST + 1] == [100, 116, 132, 532]
    assert all(INTERVAL_S[0] <= b - a <= INTERVAL_S[1] for a, b in pairwise(moments[2:]))


def test_who_has_changed_hears_at_once_and_who_is_gone_never() -> None:
    schedule = Schedule(lambda: 0.0)
    schedule.want(MANAGED, 0.0)
    assert told(schedule, 0.0) == [g.KEY]
    schedule.want(Book(g.state(subnet=g.block(options=g.OPTIONS))), 1.0)
    assert told(schedule, 1.0) == []
    routes = g.block(options=g.OPTIONS, routes=[{"destination": "192.0.2.0/24"}])
    schedule.want(Book(g.state(subnet=routes)), 1.0)
    assert told(schedule, 1.0) == [], "IPv4 routes are none of its business"
    schedule.want(Book(g.state(subnet=g.block(mtu=1400))), 2.0)
    assert told(schedule, 2.0) == [g.KEY]
    schedule.want(Book(), 3.0)
    assert told(schedule, 10_000.0) == []


def heard(schedule: Schedule, now: float) -> bytes:
    (frame,) = schedule.due(now)
    return g.opened(frame).payload


def test_what_a_guest_made_in_another_mode_is_withdrawn_once_its_port_has_it_no_more() -> None:
    schedule = Schedule(lambda: 0.0)
    schedule.want(book("slaac"), 0.0)
    assert prefixes(heard(schedule, 0.0)) == [(0xC0, 86_400, 14_400)]
    schedule.want(book("dhcpv6-stateful"), 1.0)
    assert prefixes(heard(schedule, 1.0)) == [(0x80, 86_400, 14_400)], "the port still has it"
    schedule.want(book("dhcpv6-stateful", "fd00:1::20"), 2.0)
    assert prefixes(heard(schedule, 2.0)) == [(0x80, 86_400, 14_400), (0x40, 0, 0)]


@pytest.mark.parametrize("mode", ["slaac", "dhcpv6-stateful"])
def test_a_port_that_loses_its_addresses_hears_three_times_that_all_is_over(mode: str) -> None:
    """RFC 4861, section 6.2.5."""
    schedule = Schedule(lambda: 0.0)
    schedule.want(book(mode), 0.0)
    assert heard(schedule, 0.0)[6:8] == (1800).to_bytes(2, "big")
    lost = book(mode, "10.0.1.20")
    for now in (1.0, 2.0):  # a state that says nothing new of it is no reason to begin anew
        schedule.want(lost, now)
    moments = [now for now in (1.0, 2.0, 16.0, 17.0, 33.0, 1e6) if schedule.due(now)]
    assert moments == [1.0, 17.0, 33.0]
    schedule.want(book(mode), 2e6)
    schedule.want(lost, 2e6)
    last = heard(schedule, 2e6)
    assert (last[5], last[6:8]) == (0, bytes(2))
    assert prefixes(last) == [(0xC0, 0, 0)]
    assert {options(last)[kind][4:8] for kind in (25, 31)} == {bytes(4)}
    schedule.want(book(mode), 3e6)
    assert heard(schedule, 3e6)[6:8] == (1800).to_bytes(2, "big"), "it has one again"


def test_who_had_no_address_or_is_gone_hears_no_end() -> None:
    schedule = Schedule(lambda: 0.0)
    schedule.want(book("slaac", "10.0.1.20"), 0.0)
    assert schedule.due(0.0) == []
    schedule.want(book("slaac"), 1.0)
    schedule.want(Book(), 2.0)
    assert schedule.due(2.0) == []


def test_a_host_full_of_guests_takes_some_seconds() -> None:
    guests = (g.guest(n, n.to_bytes(6, "big"), f"fd00:1::{n:x}") for n in range(2, 502))
    schedule = Schedule(lambda: 0.0)
    schedule.want(Book(g.state(*guests)), 0.0)
    heard = [told(schedule, float(second)) for second in range(10)]
    assert {len(each) for each in heard} == {MOST_AT_ONCE}
    assert len({key for each in heard for key in each}) == 500


def test_an_advertisement_unasked_is_what_a_solicited_one_says() -> None:
    entry = MANAGED.get(g.KEY)
    assert entry is not None
    unasked = g.opened(advertise(entry))
    assert unasked.payload[4:] == ask(solicited()).payload[4:]
    assert unasked.from_mac == g.SERVICE


# --- DHCPv6 ---------------------------------------------------------------------------------------


def ia(*addresses: bytes, iaid: bytes = b"\0\0\0\1") -> tuple[int, bytes]:
    inner = b"".join(g.option6(5, one + bytes(8)) for one in addresses)
    return 3, iaid + bytes(8) + inner


def asked(*codes: int) -> tuple[int, bytes]:
    return 6, b"".join(code.to_bytes(2, "big") for code in codes)


def given(reply: g.Datagram) -> list[tuple[bytes, int]]:
    """Addresses of the first association with their valid lifetimes."""
    (first, *_) = [value for code, value in g.options6(reply.payload[4:]) if code == 3]
    inner = [value for code, value in g.options6(first[12:]) if code == 5]
    return [(value[:16], int.from_bytes(value[20:24], "big")) for value in inner]


def another(frame: bytes) -> bytes:
    """The same from another MAC, as of a pair that the port is allowed."""
    return frame[:6] + bytes.fromhex("060000000009") + frame[12:]


def status(reply: g.Datagram) -> int:
    (found,) = [value for code, value in g.options6(reply.payload[4:]) if code == 13]
    return int.from_bytes(found[:2], "big")


def test_a_solicitation_gets_the_ports_address_advertised() -> None:
    told = ask(g.from_dhcp6(SOLICIT, CLIENT, ia(), asked(23, 24, 56, 39)))
    assert (told.source, told.target) == (str(g.GATEWAY_LINK_LOCAL), str(g.LINK_LOCAL))
    assert (told.ports, told.to_mac, told.from_mac) == ((547, 546), g.MAC, g.SERVICE)
    assert told.payload[:4] == bytes((ADVERTISE,)) + b"\xab\xcd\xef"
    found = dict(g.options6(told.payload[4:]))
    assert (found[1], found[2]) == (g.DUID, g.SERVER_DUID)
    assert given(told) == [(OWN, 3600)]
    assert struct.unpack("!4sII", found[3][:12]) == (b"\0\0\0\1", 1800, 2880)
    assert found[23] == ipaddress.ip_address("fd00::2").packed
    assert found[24] == b"\4shop\x08internal\0\7example\3com\0"
    assert found[56] == g.option6(1, ipaddress.ip_address("fd00::3").packed)
    assert found[39] == b"\1\5web-1\4shop\x08internal\0"


def test_a_hasty_client_gets_its_reply_at_once() -> None:
    reply = ask(g.from_dhcp6(SOLICIT, CLIENT, ia(), (14, b"")))
    assert reply.payload[0] == REPLY
    assert (14, b"") in g.options6(reply.payload[4:])
    assert given(reply) == [(OWN, 3600)]


@pytest.mark.parametrize(("kind", "server"), [(REQUEST, True), (RENEW, True), (REBIND, False)])
def test_leases_are_given_and_prolonged(kind: int, server: bool) -> None:
    more = (SERVER,) if server else ()
    reply = ask(g.from_dhcp6(kind, CLIENT, *more, ia(OWN)))
    assert reply.payload[0] == REPLY
    assert given(reply) == [(OWN, 3600)]


def test_an_address_that_is_not_the_ports_has_to_go() -> None:
    reply = ask(g.from_dhcp6(RENEW, CLIENT, SERVER, ia(OTHER)))
    assert given(reply) == [(OWN, 3600), (OTHER, 0)]


def test_there_is_one_association_and_no_prefix() -> None:
    reply = ask(g.from_dhcp6(SOLICIT, CLIENT, ia(), ia(iaid=b"\0\0\0\2"), (25, bytes(12))))
    codes = [
        (code, int.from_bytes(dict(g.options6(value[12:]))[13][:2], "big"))
        for code, value in g.options6(reply.payload[4:])
        if code in (3, 25) and 13 in dict(g.options6(value[12:]))
    ]
    assert codes == [(3, 2), (25, 6)]
    assert given(reply) == [(OWN, 3600)]


@pytest.mark.parametrize(("address", "expected"), [(OWN, 0), (OTHER, 4)])
def test_a_moved_client_hears_whether_its_address_is_right(address: bytes, expected: int) -> None:
    assert status(ask(g.from_dhcp6(CONFIRM, CLIENT, ia(address)))) == expected


@pytest.mark.parametrize("kind", [RELEASE, DECLINE])
def test_what_is_given_back_is_noted(kind: int) -> None:
    reply = ask(g.from_dhcp6(kind, CLIENT, SERVER, ia(OWN)))
    assert status(reply) == 0
    assert [code for code, _ in g.options6(reply.payload[4:])] == [1, 2, 13]


@pytest.mark.parametrize("kind", [RELEASE, DECLINE])
def test_of_what_was_never_given_the_association_is_not_known(kind: int) -> None:
    """RFC 8415, sections 18.3.7 and 18.3.8: and nothing else is in the association."""
    others = (ia(OTHER, iaid=b"\0\0\0\2"), ia(iaid=b"\0\0\0\3"), (25, b"\0\0\0\4" + bytes(8)))
    reply = ask(g.from_dhcp6(kind, CLIENT, SERVER, ia(OWN, OTHER), *others))
    assert status(reply) == 0
    told = [(code, value) for code, value in g.options6(reply.payload[4:]) if code in (3, 25)]
    unknown = bytes(8) + g.option6(13, (3).to_bytes(2, "big"))
    assert told == [
        (code, bytes((0, 0, 0, iaid)) + unknown) for code, iaid in ((3, 2), (3, 3), (25, 4))
    ]


def test_parameters_alone() -> None:
    reply = ask(g.from_dhcp6(INFORMATION, asked(23)), book("dhcpv6-stateless"))
    found = dict(g.options6(reply.payload[4:]))
    assert reply.payload[0] == REPLY
    assert found.keys() == {2, 23, 32}
    assert refusal(g.from_dhcp6(INFORMATION, asked(23), ia())) == "dhcp6-malformed"


@pytest.mark.parametrize(
    ("mode", "addresses", "kind", "served"),
    [
        ("slaac", (EUI64,), SOLICIT, False),
        ("slaac", (EUI64,), INFORMATION, False),
        ("dhcpv6-stateless", (EUI64,), SOLICIT, False),
        ("slaac", ("fd00:1::20",), SOLICIT, True),
        ("dhcpv6-stateless", ("fd00:1::20",), SOLICIT, True),
    ],
)
def test_dhcpv6_gives_what_the_guest_does_not_make(
    mode: str, addresses: tuple[str, ...], kind: int, served: bool
) -> None:
    frame = g.from_dhcp6(kind, CLIENT, *([ia()] if kind == SOLICIT else []))
    if served:
        assert given(ask(frame, book(mode, *addresses))) == [(OWN, 3600)]
    else:
        assert refusal(frame, book(mode, *addresses)) == "dhcp6-not-served"


@pytest.mark.parametrize(
    ("reason", "frame"),
    [
        ("dhcp6-malformed", g.from_dhcp6(SOLICIT, ia())),
        ("dhcp6-malformed", g.from_dhcp6(SOLICIT, CLIENT, SERVER, ia())),
        ("dhcp6-malformed", g.from_dhcp6(REQUEST, CLIENT, ia())),
        ("dhcp6-other-server", g.from_dhcp6(REQUEST, CLIENT, (2, g.DUID), ia())),
        ("dhcp6-malformed", g.from_dhcp6(SOLICIT, CLIENT, CLIENT, ia())),
        ("dhcp6-malformed", g.from_dhcp6(SOLICIT, (1, bytes(131)), ia())),
        ("dhcp6-malformed", g.from_dhcp6(SOLICIT, CLIENT, (3, bytes(11)))),
        ("dhcp6-malformed", g.from_dhcp6(SOLICIT, CLIENT, (6, b"\0"))),
        ("dhcp6-malformed", g.from_dhcp6(SOLICIT, CLIENT, *([ia()] * 9))),
        ("dhcp6-malformed", g.from_dhcp6(SOLICIT, CLIENT, ia(*([OTHER] * 17)))),
        ("dhcp6-malformed", g.from_dhcp6(CONFIRM, CLIENT, ia())),
        ("dhcp6-malformed", g.from_dhcp6(SOLICIT, CLIENT, ia(), target="fd00:1::1")),
        ("dhcp6-not-a-client", g.from_dhcp6(ADVERTISE, CLIENT, SERVER, ia())),
        ("dhcp6-not-a-client", g.from_dhcp6(12, CLIENT, ia())),
        (
            "dhcp6-malformed",
            g.frame(g.udp("fd00:1::20", "ff02::1:2", (546, 547), b"\1abc" + g.option6(1, b"x"))),
        ),
        (
            "dhcp6-malformed",
            g.frame(g.udp("fe80::1", "ff02::1:2", (546, 547), b"\1abc\0\1\0\xff")),
        ),
        ("dhcp6-malformed", g.frame(g.udp("fe80::1", "ff02::1:2", (546, 547), b"\1ab"))),
        ("dhcp6-wrong-mac", another(g.from_dhcp6(SOLICIT, CLIENT, ia()))),
        ("dhcp6-wrong-mac", another(g.from_dhcp6(RELEASE, CLIENT, SERVER, ia(OWN)))),
    ],
)
def test_what_is_not_answered_is_counted(reason: str, frame: bytes) -> None:
    assert refusal(frame) == reason
