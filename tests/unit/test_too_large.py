"""Who sent a packet that is too large is told what would fit, and told nothing that is wrong."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.decide import too_large
from agent.decide.guest import answering
from agent.decide.guest.book import Book as Guests
from agent.decide.guest.frames import Refused
from agent.decide.world.answering import Known, answer, asker
from agent.decide.world.book import Book
from agent.decide.world.neighbours import Neighbours
from tests.support import frames as f
from tests.support import guest_frames as g
from tests.support.frames import Ends
from tests.support.icmp_errors import UDP, Inner, packet, sum_of
from tests.support.outside import (
    EIP,
    EIP_MAC,
    KEY,
    PEER_MAC,
    PORT_IP,
    PORT_MAC,
    asked,
    eip,
    global_address,
    network,
    packed,
    state,
)
from vpcctl.model.host import Question, too_large_for

FAR, FAR6 = "192.0.2.77", "2001:db8:99::1"
ROUTER = packed("198.51.100.1")


def long(source: str, target: str, size: int) -> bytes:
    """A UDP packet of so many bytes in all."""
    ends = Ends(("02:00:00:00:00:09", "02:00:00:00:00:0a"), (source, target))
    head = 48 if ":" in source else 28
    return f.udp(ends, (5000, 53), bytes(size - head))[14:]


def opened4(told: bytes) -> tuple[str, str, int, bytes]:
    """Source, target, what fits and what is quoted, of an IPv4 error that is whole."""
    assert told[0] == 0x45
    assert told[9] == 1
    assert int.from_bytes(told[2:4], "big") == len(told) <= 576
    assert sum_of(told[:20]) == sum_of(told[20:]) == 0
    kind, code, _, _, fits = struct.unpack_from("!BBHHH", told, 20)
    assert (kind, code) == (3, 4)
    ends = [str(ipaddress.ip_address(told[at : at + 4])) for at in (12, 16)]
    return ends[0], ends[1], fits, told[28:]


def opened6(told: bytes) -> tuple[str, str, int, bytes]:
    """The same of IPv6."""
    assert (told[0], told[6], told[7]) == (0x60, 58, 255)
    assert int.from_bytes(told[4:6], "big") == len(told) - 40 <= 1240
    pseudo = told[8:40] + struct.pack("!II", len(told) - 40, 58)
    assert sum_of(pseudo + told[40:]) == 0
    kind, code, _, fits = struct.unpack_from("!BBHI", told, 40)
    assert (kind, code) == (2, 0)
    ends = [str(ipaddress.ip_address(told[at : at + 16])) for at in (8, 24)]
    return ends[0], ends[1], fits, told[48:]


@pytest.mark.parametrize("size", [1451, 1500, 9000])
def test_the_sender_is_told_what_fits_and_what_did_not(size: int) -> None:
    sent = long(FAR, EIP, size)
    told = too_large.answer(sent[:1280], 1450, ROUTER)
    assert opened4(told) == ("198.51.100.1", FAR, 1450, sent[:548])
    sent = long(FAR6, PORT_IP, size)
    told = too_large.answer(sent[:1280], 1450, packed("2001:db8::1"))
    assert opened6(told) == ("2001:db8::1", FAR6, 1450, sent[:1232])


def refused(sent: bytes, mtu: int = 1450, source: bytes = ROUTER) -> str:
    with pytest.raises(Refused) as found:
        too_large.answer(sent, mtu, source)
    return str(found.value)


def test_what_must_not_be_answered_is_not() -> None:
    ends = packed(FAR), packed(EIP)
    fits = long(FAR, EIP, 1450)
    assert refused(fits) == "fits"
    assert refused(long(FAR6, PORT_IP, 1450), 1450, packed("2001:db8::1")) == "fits"
    piece = packet(Inner(UDP, *ends, bytes(1480), offset=185))
    assert refused(piece) == "too-large-unanswered"
    first = packet(Inner(UDP, *ends, bytes(1480), offset=0x2000))
    assert opened4(too_large.answer(first, 1450, ROUTER))[3] == first[:548]
    eth = ("02:00:00:00:00:09", "02:00:00:00:00:0a")
    for kind in (3, 4, 5, 11, 12):
        about = f.icmp(Ends(eth, (FAR, EIP)), kind, 0, bytes(1480))
        assert refused(about[14:]) == "too-large-unanswered"
    echo = f.icmp(Ends(eth, (FAR, EIP)), 8, 0, bytes(1480))
    assert opened4(too_large.answer(echo[14:], 1450, ROUTER))[1] == FAR
    six = Ends(eth, (FAR6, PORT_IP))
    assert refused(f.icmp(six, 1, 4, bytes(1480))[14:], 1450, packed(FAR6)) == (
        "too-large-unanswered"
    )
    for source in ("0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1"):
        assert refused(long(source, EIP, 1500)) == "too-large-unanswered"
    assert refused(long("::", PORT_IP, 1500), 1450, packed(FAR6)) == "too-large-unanswered"
    assert refused(long(FAR6, "ff02::1", 1500), 1450, packed(FAR6)) == "too-large-unanswered"


def test_damaged_packets_are_refused() -> None:
    sent = long(FAR, EIP, 1500)
    bad = [b"", sent[:19], sent[:8] + b"\1" + sent[9:], b"\x4f" + sent[1:30], b"\x41" + sent[1:]]
    for each in (*bad, long(FAR6, PORT_IP, 1500)):
        assert refused(each) == "too-large-malformed"
    assert refused(long(FAR6, PORT_IP, 1500)[:39], 1450, packed(FAR6)) == "too-large-malformed"


@given(st.binary(max_size=80), st.sampled_from([ROUTER, packed(FAR6)]))
def test_noise_is_survived(noise: bytes, source: bytes) -> None:
    for head in (b"", b"\x45", b"\x60"):
        try:
            too_large.answer(head + noise, 0, source)
        except Refused:
            continue


# --- from outside ---------------------------------------------------------------------------------

WORLD = Known(Book(state(eip(), global_address())), Neighbours(), 0.0)


@pytest.mark.parametrize(
    ("source", "target", "mac", "kind", "opened"),
    [(FAR, EIP, EIP_MAC, 0x0800, opened4), (FAR6, PORT_IP, PORT_MAC, 0x86DD, opened6)],
)
def test_the_world_is_told_by_the_address_itself(
    source: str, target: str, mac: str, kind: int, opened
) -> None:
    sent = long(source, target, 1500)
    name, frames = answer(asked(Question.TOO_LARGE, PEER_MAC, kind, sent), WORLD)
    assert name == "too-large"
    (told,) = frames
    assert told[:14] == PEER_MAC + packed(mac) + struct.pack("!H", kind)
    assert opened(told[14:])[:3] == (target, source, 1450)


def test_an_address_that_is_not_ours_tells_nobody() -> None:
    sent = asked(Question.TOO_LARGE, PEER_MAC, 0x0800, long(FAR, "198.51.100.8", 1500))
    with pytest.raises(Refused, match="unknown-address"):
        answer(sent, WORLD)
    mine = asked(Question.TOO_LARGE, PEER_MAC, 0x0800, long(FAR, EIP, 1500))
    assert asker(sent) != asker(mine)


# --- from guests ----------------------------------------------------------------------------------

GUESTS = Guests(replace(g.state(), external_networks=(network(mtu=1400),)))


def by_guest(source: str, target: str, network_key: int = KEY) -> bytes:
    kind = 0x86DD if ":" in source else 0x0800
    name = too_large_for(network_key).to_bytes(6, "big")
    return g.SERVICE + name + struct.pack("!H", kind) + long(source, target, 1450)


@pytest.mark.parametrize(
    ("source", "target", "gateway", "opened"),
    [
        ("10.0.1.20", FAR, "10.0.1.1", opened4),
        ("fd00:1::20", FAR6, "fd00:1::1", opened6),
        ("172.16.0.9", FAR, "10.0.1.1", opened4),
    ],
)
def test_a_guest_is_told_by_its_gateway(source: str, target: str, gateway: str, opened) -> None:
    found = answering.answer(by_guest(source, target), GUESTS)
    assert found.service == "too-large"
    (told,) = found.frames
    assert told[:12] == g.MAC + g.SERVICE
    assert opened(told[14:])[:3] == (gateway, source, 1400)


def test_packets_that_are_too_large_count_apart() -> None:
    large, other = by_guest("10.0.1.20", FAR), g.SERVICE + g.MAC + b"\x08\0" + bytes(9) + b"\x11"
    assert answering.asking(large).kind == "too-large"
    assert answering.asking(other) == (g.KEY, "dhcp")
    assert answering.marks_of(large) == ((0, g.SERVICE), (6, b"\x0e\x7a"))
    assert answering.marks_of(other) == ((0, g.SERVICE), (23, b"\x11"))


def test_unknown_guests_and_networks_get_nothing() -> None:
    frame = by_guest("10.0.1.20", FAR)
    for wrong in (by_guest("10.0.1.20", FAR, KEY + 1), b"\x0e\x76\0\0\0\x07" + frame[6:]):
        with pytest.raises(Refused, match="unknown-port"):
            answering.answer(wrong, GUESTS)
