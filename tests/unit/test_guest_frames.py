"""Whatever a guest sends: no crash, no growth, nothing for another port, nothing of another's."""

import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.decide.guest import dhcp4, dhcp6
from agent.decide.guest.answering import answer, asking
from agent.decide.guest.book import Book
from agent.decide.guest.frames import MAX_FRAME, Refused, checksum, parse
from tests.support import guest_frames as g

OTHER_KEY, OTHER_MAC = 0x202, bytes.fromhex("060000000002")
SECRET = b"\x0a\x63\x63\x63"
"""The other tenant's address, 10.99.99.99."""
OTHER = g.guest(OTHER_KEY, OTHER_MAC, "10.99.99.99", "fd99::99", host_name="secret-99")
BOOK = Book(g.state(g.guest(), OTHER, subnet=g.block(options=g.OPTIONS)))
LARGEST_ANSWER = 2_048

DISCOVER = g.from_dhcp4(g.dhcp4(1, (55, bytes(range(1, 122)))))
REQUEST = g.from_dhcp4(g.dhcp4(3, (50, bytes((10, 0, 1, 20)))))
SOLICIT = g.from_dhcp6(1, (1, g.DUID), (3, bytes(12)), (6, b"\0\x17\0\x18"))
ROUTER = g.frame(g.icmp6(str(g.LINK_LOCAL), "ff02::2", b"\x85" + bytes(7) + b"\1\1" + g.MAC))
NEIGHBOUR = g.frame(
    g.icmp6(str(g.LINK_LOCAL), "ff02::1:ff00:1", b"\x87" + bytes(23) + b"\1\1" + g.MAC)
)
QUESTIONS = (DISCOVER, REQUEST, SOLICIT, ROUTER, NEIGHBOUR)


def check(frame: bytes) -> None:
    """Answer a frame and demand of the answer what must hold for every one."""
    try:
        answers = answer(frame, BOOK).frames
    except Refused:
        return
    assert len(answers) <= 1
    for each in answers:
        assert len(each) <= LARGEST_ANSWER
        assert each[6:12] == frame[:6], "for the port that asks"
        if frame[2:6] != OTHER_KEY.to_bytes(4, "big"):
            assert SECRET not in each.replace(frame[26:30], b"")
            assert b"secret-99" not in each
        g.opened(each)


@given(st.binary(max_size=MAX_FRAME + 50))
def test_noise(noise: bytes) -> None:
    check(noise)
    check(g.SERVICE + noise)


@settings(max_examples=300)
@given(
    st.sampled_from(QUESTIONS),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=8),
)
def test_damaged_questions(frame: bytes, damage: list[tuple[int, int]]) -> None:
    damaged = bytearray(frame)
    for at, value in damage:
        damaged[at % len(damaged)] = value
    check(bytes(damaged))


@given(st.sampled_from(QUESTIONS), st.integers(0, 700))
def test_cut_questions(frame: bytes, length: int) -> None:
    check(frame[:length])


@settings(max_examples=300)
@given(st.binary(max_size=1_200), st.sampled_from(((68, 67), (546, 547))))
def test_noise_within_a_datagram_whose_checksums_are_right(
    noise: bytes, ports: tuple[int, int]
) -> None:
    if ports[0] == 68:
        check(g.frame(g.udp("0.0.0.0", "255.255.255.255", ports, noise)))
        head = g.dhcp4(1)[:240]
        check(g.frame(g.udp("0.0.0.0", "255.255.255.255", ports, head + noise)))
    else:
        check(g.frame(g.udp(str(g.LINK_LOCAL), "ff02::1:2", ports, noise)))
        check(g.from_dhcp6(1, (1, g.DUID), (3, noise)))


@given(st.lists(st.tuples(st.integers(1, 254), st.binary(max_size=255)), max_size=6))
def test_any_options_of_dhcp(options: list[tuple[int, bytes]]) -> None:
    check(g.from_dhcp4(g.dhcp4(1, *options)))
    check(g.from_dhcp4(g.dhcp4(3, *options)))


@given(
    st.integers(0, 255),
    st.lists(st.tuples(st.integers(0, 70), st.binary(max_size=60)), max_size=12),
)
@example(1, [(1, g.DUID), (3, b"\0\0\0\1" + bytes(8) + g.option6(5, bytes(24)) * 16)])
def test_any_options_of_dhcpv6(kind: int, options: list[tuple[int, bytes]]) -> None:
    check(g.from_dhcp6(kind, *options))
    check(g.from_dhcp6(kind, (1, g.DUID), *options))


@given(st.binary(max_size=400))
def test_any_router_solicitation(noise: bytes) -> None:
    check(g.frame(g.icmp6(str(g.LINK_LOCAL), "ff02::2", b"\x85\0" + noise + bytes(6))))


def test_option_lengths_that_lead_nowhere_end() -> None:
    """A length of nothing must not be read again and again."""
    check(g.from_dhcp4(g.dhcp4(1)[:240] + bytes(900) + b"\x35\1"))
    check(g.from_dhcp6(1, *([(1, b"")] * 250)))
    check(g.frame(g.icmp6(str(g.LINK_LOCAL), "ff02::2", b"\x85" + bytes(400))))


@pytest.mark.parametrize(
    ("reason", "frame"),
    [
        ("no-port", b"\xff" * 6 + DISCOVER[6:]),
        ("length", DISCOVER[:33]),
        ("length", DISCOVER[:-1]),
        ("length", DISCOVER + bytes(MAX_FRAME)),
        ("protocol", DISCOVER[:12] + b"\x08\x06" + DISCOVER[14:]),
        ("checksum", DISCOVER[:22] + b"\1" + DISCOVER[23:]),
        ("checksum", DISCOVER[:-1] + b"\1"),
        ("checksum", SOLICIT[:60] + bytes(2) + SOLICIT[62:]),
        ("checksum", ROUTER[:-1] + b"\7"),
        ("nd-malformed", NEIGHBOUR[:-1] + b"\7"),
    ],
)
def test_malformed_frames_are_refused_with_their_reason(reason: str, frame: bytes) -> None:
    with pytest.raises(Refused, match=f"^{reason}$"):
        answer(frame, BOOK)


@pytest.mark.parametrize(
    ("reason", "packet"),
    [
        ("no-service", g.udp("10.0.1.20", "10.0.1.1", (68, 69), b"x")),
        ("no-service", g.udp(str(g.LINK_LOCAL), "ff02::1:2", (547, 546), b"x")),
        ("no-service", g.icmp6(str(g.LINK_LOCAL), "ff02::1", b"\x80" + bytes(7))),
        ("no-service", g.icmp6(str(g.LINK_LOCAL), "ff02::1", b"\x86" + bytes(15))),
        ("dhcp6-malformed", g.udp("10.0.1.20", "10.0.1.1", (546, 547), b"\1abc")),
    ],
    ids=["TFTP", "DHCPv6 server", "echo", "router", "DHCPv6 over IPv4"],
)
def test_what_is_no_question_is_counted(reason: str, packet: bytes) -> None:
    with pytest.raises(Refused, match=f"^{reason}$"):
        answer(g.frame(packet), BOOK)


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        *((DISCOVER, "dhcp"), (SOLICIT, "dhcp"), (ROUTER, "neighbour"), (NEIGHBOUR, "neighbour")),
        (ROUTER[:20] + b"\0" + ROUTER[21:], "other"),
        (DISCOVER[:23] + b"\6" + DISCOVER[24:], "other"),
        (DISCOVER[:20], "other"),
    ],
)
def test_what_flows_meter_apart_is_counted_apart(frame: bytes, kind: str) -> None:
    assert asking(frame) == (g.KEY, kind)
    assert asking(b"\xff" * 6 + frame[6:]) == (None, kind)


def test_fragments_are_refused() -> None:
    header = bytearray(DISCOVER[14:34])
    header[6:8], header[10:12] = b"\x20\0", b"\0\0"
    header[10:12] = g.total(bytes(header)).to_bytes(2, "big")
    with pytest.raises(Refused, match=r"^fragment$"):
        parse(DISCOVER[:14] + bytes(header) + DISCOVER[34:])


def test_a_checksum_left_to_the_device_is_taken() -> None:
    """The kernel hands on the sum of the pseudo header where a device is to do the rest."""
    packet = bytearray(DISCOVER)
    length = len(packet) - 34
    pseudo = bytes(packet[26:34]) + struct.pack("!HH", 17, length)
    packet[40:42] = (~g.total(pseudo) & 0xFFFF).to_bytes(2, "big")
    assert answer(bytes(packet), BOOK) == answer(DISCOVER, BOOK)


@given(st.binary(max_size=300))
def test_the_checksum_is_the_one_of_rfc_1071(data: bytes) -> None:
    assert checksum(data) == g.total(data)


def test_a_guest_that_cannot_be_read_is_left_out() -> None:
    broken = [
        g.guest(1, g.MAC, "10.0.1.300"),
        g.guest(2, subnet_id="subnet-00000000000000009"),
        replace(g.guest(3), mac="06"),
    ]
    book = Book(g.state(*broken, g.guest(4)))
    assert [entry.key for entry in book] == [4]


def test_a_new_book_is_the_same_whatever_the_old_one_was() -> None:
    old = Book(g.state(g.guest(), OTHER))
    subnet, state = g.block(mtu=1400), g.state(g.guest(), OTHER)
    moved = g.state(g.guest(g.KEY, g.MAC, "10.0.1.21"), subnet=subnet)
    for new in (state, moved, g.state(OTHER), g.state(OTHER, subnet=subnet)):
        assert list(Book(new, old)) == list(Book(new))
    kept, again = old.get(g.KEY), Book(state, old).get(g.KEY)
    assert kept is again


def test_services_are_where_the_protocols_are() -> None:
    assert (dhcp4.SERVER, dhcp4.CLIENT, dhcp6.SERVER, dhcp6.CLIENT) == (67, 68, 547, 546)
