"""Neighbours of external networks, announcements, and what is answered."""

import dataclasses
import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decide.guest.frames import ETH_IPV4, ETH_IPV6, Refused, icmp6_packet
from agent.decide.world import neighbours as decide
from agent.decide.world.announce import HAND_OVER_S, Announcements
from agent.decide.world.answering import Known, answer, asker
from agent.decide.world.book import Book
from agent.decide.world.frames import ETH_ARP, announcement
from agent.decide.world.neighbours import Neighbours
from tests.support.icmp_errors import UDP, Inner, error, packet
from tests.support.outside import (
    EIP,
    EIP_MAC,
    FIXED,
    HOST,
    KEY,
    PEER_MAC,
    PORT_IP,
    PORT_MAC,
    arp,
    asked,
    eip,
    global_address,
    packed,
    state,
    udp_packet,
)
from vpcctl.model.addresses import GATEWAY_MAC
from vpcctl.model.host import Question, error_inwards, error_outwards

BOOK = Book(state(eip(), global_address()))
ADDRESS = BOOK.at(KEY, packed(EIP))
PORT_ADDRESS = BOOK.at(KEY, packed(PORT_IP))
assert ADDRESS is not None
assert PORT_ADDRESS is not None


def _unresolved(target: str, source: str = EIP) -> bytes:
    mac, kind = (PORT_MAC, ETH_IPV6) if ":" in source else (EIP_MAC, ETH_IPV4)
    return asked(Question.UNRESOLVED, packed(mac), kind, udp_packet(source, target))


def _reply(sender: str, mac: bytes = PEER_MAC) -> bytes:
    return asked(Question.HEARD, mac, ETH_ARP, arp(2, (mac, sender), EIP))


def _known(now: float = 0.0, neighbours: Neighbours | None = None) -> Known:
    return Known(BOOK, neighbours if neighbours is not None else Neighbours(), now)


# --- neighbours -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "hop"),
    [("198.51.100.9", "198.51.100.9"), ("192.0.2.1", "198.51.100.1"), ("8.8.8.8", "198.51.100.1")],
)
def test_a_packet_waits_while_its_eip_asks_for_the_next_hop(target: str, hop: str) -> None:
    known, frame = _known(), _unresolved(target)
    name, sent = answer(frame, known)
    assert name == "unresolved"
    assert len(sent) == 1
    assert sent[0][:14] == b"\xff" * 6 + packed(EIP_MAC) + b"\x08\x06"
    assert sent[0][20:22] == b"\0\x01"
    assert sent[0][22:32] == packed(EIP_MAC) + packed(EIP)
    assert sent[0][38:42] == packed(hop)
    assert answer(_reply("198.51.100.77"), known)[1] == []
    assert answer(_reply(hop), known)[1] == [PEER_MAC + frame[6:]]
    assert answer(_reply(hop), known)[1] == []


def test_a_port_solicits_the_next_hop_of_its_global_address() -> None:
    known, frame = _known(), _unresolved("2001:db8::9", PORT_IP)
    sent = answer(frame, known)[1]
    assert len(sent) == 1
    assert sent[0][:12] == bytes.fromhex("3333ff000009") + packed(PORT_MAC)
    assert sent[0][21] == 255
    assert sent[0][22:38] == packed(PORT_IP)
    assert sent[0][62:78] == packed("2001:db8::9")
    said = struct.pack("!BBHI", 136, 0, 0, 0x6000_0000) + packed("2001:db8::9")
    said = icmp6_packet(
        (packed("2001:db8::9"), packed(PORT_IP)), said + b"\x02\x01" + b"\x02\0\0\0\0\x11"
    )
    heard = asked(Question.HEARD, PEER_MAC, ETH_IPV6, said)
    assert answer(heard, known) == ("heard", [b"\x02\0\0\0\0\x11" + frame[6:]])


def test_the_newest_packets_wait_for_a_neighbour_and_nobody_is_asked_twice_at_once() -> None:
    known = _known()
    waiting = [
        _unresolved("198.51.100.9")[:-1] + bytes([number])
        for number in range(decide.MOST_FOR_ONE + 3)
    ]
    first = answer(waiting[0], known)[1]
    assert len(first) == 1
    for one in waiting[1:]:
        assert answer(one, known)[1] == []
    sent = [PEER_MAC + one[6:] for one in waiting[3:]]
    assert answer(_reply("198.51.100.9"), known)[1] == sent


def test_a_packet_that_was_under_way_when_the_answer_came_goes_at_once() -> None:
    neighbours = Neighbours()
    frame = _unresolved("198.51.100.9")
    answer(_reply("198.51.100.9"), _known(0.0, neighbours))
    assert answer(frame, _known(1.0, neighbours))[1] == [PEER_MAC + frame[6:]]
    later = answer(frame, _known(1.0 + decide.REMEMBER_S, neighbours))[1]
    assert later[0][12:14] == b"\x08\x06"


def test_a_neighbour_is_asked_for_three_times_and_then_given_up() -> None:
    neighbours = Neighbours()
    answer(_unresolved("198.51.100.9"), _known(0.0, neighbours))
    sent = [len(neighbours.due(now / 2)) for now in range(1, 9)]
    assert sent == [0, 1, 0, 1, 0, 0, 0, 0]
    assert len(neighbours) == 0
    assert neighbours.next() is None
    assert answer(_reply("198.51.100.9"), _known(9.0, neighbours))[1] == []


def test_what_waits_and_what_is_remembered_is_bounded() -> None:
    neighbours = Neighbours()
    refused = 0
    for number in range(3000):
        target = f"198.51.100.{number % 250 + 2}" if number % 2 else f"fe80::{number:x}"
        source = PORT_IP if ":" in target else EIP
        try:
            answer(_unresolved(target, source), _known(0.0, neighbours))
        except Refused as reason:
            assert str(reason) == "too-many-waiting"  # noqa: PT017
            refused += 1
    assert len(neighbours._waiting) == 2 * decide.MOST_OF_ONE < decide.MOST_WAITING
    assert len(neighbours) <= decide.MOST_IN_ALL + decide.MOST_WAITING
    assert refused > 0
    for number in range(3000):
        ip = f"10.9.{number >> 8}.{number & 255}"
        answer(_reply(ip), _known(0.0, neighbours))
    assert len(neighbours._known) == decide.MOST_REMEMBERED


def test_gateways_are_asked_for_at_once_and_kept_fresh() -> None:
    neighbours = Neighbours()
    neighbours.keep_fresh(list(BOOK), 10.0)
    first = neighbours.due(10.0)
    assert sorted(each[12:14] for each in first) == [b"\x08\x06", b"\x86\xdd"]
    assert neighbours.due(10.5) == []
    answer(_reply("198.51.100.1"), _known(10.6, neighbours))
    assert [each[12:14] for each in neighbours.due(11.1)] == [b"\x86\xdd"]
    again = [
        now for now in range(12, 450) if any(x[:6] == b"\xff" * 6 for x in neighbours.due(now))
    ]
    assert again[0] == pytest.approx(10.6 + decide.FRESH_S, abs=1)
    assert 250 > again[-1] - again[0] > 200  # nobody answers: now and then
    neighbours.refresh(500.0)
    assert len(neighbours.due(500.0)) == 2
    neighbours.keep_fresh([], 501.0)
    assert neighbours.due(900.0) == []


# --- what is answered -----------------------------------------------------------------------------


def _solicitation(source: str, target: str = PORT_IP) -> bytes:
    message = struct.pack("!BBHI", 135, 0, 0, 0) + packed(target)
    body = icmp6_packet((packed(source), packed("ff02::1:ff00:20")), message)
    return asked(Question.SOLICITED, PEER_MAC, ETH_IPV6, body)


def test_a_solicitation_is_answered_from_the_ports_mac() -> None:
    name, sent = answer(_solicitation("2001:db8::9"), _known())
    assert name == "solicited"
    assert len(sent) == 1
    assert sent[0][:12] == PEER_MAC + packed(PORT_MAC)
    assert sent[0][22:54] == packed(PORT_IP) + packed("2001:db8::9")
    assert sent[0][54] == 136
    assert sent[0][58:62] == bytes.fromhex("60000000")
    assert sent[0][62:86] == packed(PORT_IP) + b"\x02\x01" + packed(PORT_MAC)


def test_duplicate_address_detection_is_answered_to_all() -> None:
    sent = answer(_solicitation("::"), _known())[1]
    assert sent == [announcement(PORT_ADDRESS)]
    assert sent[0][:6] == bytes.fromhex("333300000001")
    with pytest.raises(Refused, match="unknown-address"):
        answer(_solicitation("2001:db8::9", "2001:db8:1::21"), _known())


def test_errors_go_on_with_a_mac_that_names_the_eip() -> None:
    quote = packet(Inner(UDP, packed(EIP), packed("192.0.2.9"), b"x"))
    before = error(3, (packed("192.0.2.1"), packed(EIP)), quote)
    name, sent = answer(asked(Question.ERROR_IN, PEER_MAC, ETH_IPV4, before), _known())
    quote = packet(Inner(UDP, packed(FIXED), packed("192.0.2.9"), b"x"))
    after = error(3, (packed("192.0.2.1"), packed(FIXED)), quote)
    ends = GATEWAY_MAC.to_bytes(6, "big"), error_inwards(0x2A).to_bytes(6, "big")
    assert (name, sent) == ("error-in", [ends[0] + ends[1] + b"\x08\0" + after])

    quote = packet(Inner(UDP, packed("192.0.2.9"), packed(FIXED), b"x"))
    before = error(11, (packed(FIXED), packed("192.0.2.9")), quote)
    name, sent = answer(asked(Question.ERROR_OUT, packed(EIP_MAC), ETH_IPV4, before), _known())
    quote = packet(Inner(UDP, packed("192.0.2.9"), packed(EIP), b"x"))
    after = error(11, (packed(EIP), packed("192.0.2.9")), quote)
    ends = ends[0], error_outwards(0x2A).to_bytes(6, "big")
    assert (name, sent) == ("error-out", [ends[0] + ends[1] + b"\x08\0" + after])


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "no-question"),
        (asked(Question.HEARD, PEER_MAC, ETH_ARP, b"", key=8), "unknown-network"),
        (asked(9, PEER_MAC, ETH_ARP, b""), "unknown-question"),  # type: ignore[arg-type]
        (asked(Question.HEARD, PEER_MAC, ETH_ARP, arp(1, (PEER_MAC, EIP), EIP)), "arp-malformed"),
        (_reply("198.51.100.9", b"\x01\0\0\0\0\x01"), "arp-malformed"),
        (asked(Question.UNRESOLVED, PEER_MAC, ETH_IPV4, udp_packet(EIP, EIP)), "unknown-address"),
        (_unresolved("224.0.0.5"), "no-next-hop"),
        (_unresolved("198.51.100.255"), "no-next-hop"),
        (_unresolved("8.8.8.8")[:33], "packet-malformed"),
        (asked(Question.ERROR_IN, PEER_MAC, ETH_IPV4, udp_packet(EIP, FIXED)), "unknown-address"),
        (asked(Question.ERROR_IN, PEER_MAC, ETH_IPV4, udp_packet(FIXED, EIP)), "error-malformed"),
    ],
)
def test_what_cannot_be_answered_has_a_reason(frame: bytes, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        answer(frame, _known())


questions = st.integers(0, 7).flatmap(
    lambda number: st.tuples(
        st.just(number),
        st.sampled_from([PEER_MAC, packed(EIP_MAC), packed(PORT_MAC)]),
        st.sampled_from([ETH_IPV4, ETH_IPV6, ETH_ARP, 1]),
        st.binary(max_size=120),
    )
)


@given(st.lists(questions, max_size=5))
def test_noise_is_survived_and_nothing_is_sent_for_strangers(noise: list) -> None:
    known = _known()
    for number, mac, kind, body in noise:
        frame = asked(number, mac, kind, body)
        asker(frame)
        asker(frame[:20])
        try:
            _, sent = answer(frame, known)
        except Refused:
            continue
        for each in sent:
            assert each[6:8] in (b"\x0a\x76", b"\x0a\x77", b"\x0e\x78", b"\x0e\x79")


def test_askers_are_told_apart_by_the_address_of_ours() -> None:
    one = asked(Question.ERROR_IN, PEER_MAC, ETH_IPV4, udp_packet("192.0.2.1", EIP))
    other = asked(Question.ERROR_IN, PEER_MAC, ETH_IPV4, udp_packet("192.0.2.1", "198.51.100.8"))
    assert asker(one) != asker(other)
    assert asker(_reply("198.51.100.1")) != asker(_reply("198.51.100.2"))


# --- announcements --------------------------------------------------------------------------------


def _times(announcements: Announcements, until: float) -> list[float]:
    found: list[float] = []
    while (due := announcements.next()) is not None and due <= until:
        found += [due] * len(announcements.due(due))
    return found


def test_an_address_is_announced_ever_more_rarely_and_then_every_minute() -> None:
    announcements = Announcements(lambda: 0.5)
    assert announcements.want([ADDRESS], [(ADDRESS, 0)], 10.0)
    first = [10.1, 10.2, 10.4, 10.8, 11.6]
    assert _times(announcements, 140.0) == pytest.approx([*first, 71.6, 131.6])
    assert not announcements.want([ADDRESS], [(ADDRESS, 0)], 141.0)
    assert _times(announcements, 141.0) == []


def test_one_that_comes_by_failover_is_announced_at_once_and_one_that_goes_no_more() -> None:
    announcements = Announcements(lambda: 0.5)
    announcements.want([ADDRESS], [], 0.0)
    assert announcements.next() is None
    assert announcements.want([ADDRESS], [(ADDRESS, 0)], 5.0)
    assert _times(announcements, 6.5) == pytest.approx([5.0, 5.1, 5.3, 5.7, 6.5])
    announcements.want([ADDRESS], [], 6.6)
    assert announcements.next() is None


def test_what_a_host_hands_over_that_goes_on_with_it_is_announced_later() -> None:
    one = dataclasses.replace(ADDRESS, hosts=("host-b", HOST))
    other = dataclasses.replace(ADDRESS, hosts=(HOST, "host-b"))
    announcements = Announcements(lambda: 0.5)
    assert announcements.want([one], [], 0.0) is None
    assert announcements.want([other], [(other, 0)], 5.0) == HAND_OVER_S
    assert _times(announcements, 5.9)[0] == pytest.approx(5.0 + HAND_OVER_S, abs=0.03)
    gone = dataclasses.replace(ADDRESS, hosts=(HOST,))
    announcements = Announcements(lambda: 0.5)
    announcements.want([one], [], 0.0)
    announcements.want([gone], [(gone, 0)], 5.0)
    assert announcements.next() == 5.0


def test_it_is_said_anew_when_a_host_that_may_have_spoken_last_has_left() -> None:
    both = dataclasses.replace(ADDRESS, hosts=(HOST, "host-b"))
    alone = dataclasses.replace(ADDRESS, hosts=(HOST,))
    announcements = Announcements(lambda: 0.5)
    announcements.want([both], [(both, 0)], 0.0)
    _times(announcements, 30.0)
    assert announcements.want([alone], [(alone, 0)], 30.0)
    assert _times(announcements, 35.0) == pytest.approx([30.0, 30.1, 30.3, 30.7, 31.5])
    assert not announcements.want([both], [(both, 0)], 40.0)


def test_many_that_come_at_once_are_all_announced_before_one_is_again() -> None:
    announcements = Announcements(lambda: 0.5)
    book = Book(state(*(eip(address=str(IPv4Address(EIP) + number)) for number in range(250))))
    announcements.want(book, [(each, 0) for each in book], 0.0)
    said = [announcements.due(1.0 + later / 10) for later in range(3)]
    assert [len(each) for each in said] == [100, 100, 100]
    assert len({each.ip for some in said for each in some}) == 250


def test_it_is_said_anew_when_the_seed_changes_and_when_a_rival_comes_back() -> None:
    announcements = Announcements(lambda: 0.5)
    announcements.want([ADDRESS], [(ADDRESS, 0)], 0.0)
    _times(announcements, 30.0)
    again = Book(state(eip(seed=1))).at(KEY, packed(EIP))
    assert again is not None
    assert announcements.want([again], [(again, 0)], 30.0)
    assert _times(announcements, 35.0) == pytest.approx([30.1, 30.2, 30.4, 30.8, 31.6])
    assert announcements.want([again], [(again, 1)], 40.0)
    assert _times(announcements, 45.0) == pytest.approx([40.0, 40.1, 40.3, 40.7, 41.5])


def test_announcements() -> None:
    found = announcement(ADDRESS)
    assert found[:14] == b"\xff" * 6 + packed(EIP_MAC) + b"\x08\x06"
    assert found[20:42] == b"\0\1" + packed(EIP_MAC) + packed(EIP) + bytes(6) + packed(EIP)
    found = announcement(PORT_ADDRESS)
    assert found[:12] == bytes.fromhex("333300000001") + packed(PORT_MAC)
    assert found[58:62] == bytes.fromhex("20000000")  # override, nobody asked


# --- the book -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "living", "here"),
    [
        ((), (), True),
        ((HOST, "b"), ("b",), True),
        (("b", HOST), ("b",), False),
        (("b", HOST), (), True),
        (("b", "c", HOST), ("c",), False),
        (("b", "c"), (), False),
    ],
)
def test_the_first_gateway_host_that_lives_answers(
    hosts: tuple[str, ...], living: tuple[str, ...], here: bool
) -> None:
    address = Book(state(eip(hosts=hosts))).at(KEY, packed(EIP))
    assert address is not None
    assert address.is_here(HOST, lambda host_id: host_id in living) is here


def test_what_cannot_be_read_is_left_out() -> None:
    assert len(Book(state(eip(mac="nonsense"), global_address(network_id="ext-x")))) == 0
    assert len(Book(state(eip(address="x")))) == 0
    assert len(Book(state(eip(), external_networks=()))) == 0
    assert len(Book()) == 0
