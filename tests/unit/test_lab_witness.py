"""The witness of the labs: it notices a leak and a doubled answer, and only those."""

import socket
import struct

import pytest

from mininet_labs.common import witness
from mininet_labs.common.witness import Judge
from tests.support import frames as f
from tests.support.frames import Ends
from tests.support.packets import multicast_mac, solicited_node

BLOCKS = ["203.0.113.0/24", "2001:db8:77::/64"]
EIP, ROUTER, PRIVATE = "203.0.113.16", "203.0.113.1", "10.0.1.11"
EIP6, ROUTER6, PRIVATE6 = "2001:db8:77::16", "2001:db8:77::1", "fd00:10:0:1::11"
MAC, OTHER_MAC, ROUTER_MAC = "0e:00:00:00:00:01", "0e:00:00:00:00:02", "02:00:00:00:00:01"
ALL, NONE = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"
OUT, IN = Ends((MAC, ROUTER_MAC), (EIP, ROUTER)), Ends((ROUTER_MAC, MAC), (ROUTER, EIP))
OUT6 = Ends((MAC, ROUTER_MAC), (EIP6, ROUTER6))
HOST1, HOST2 = "cable1", "cable2"


def asks(sender: str = ROUTER, target: str = EIP, mac: str = ROUTER_MAC) -> bytes:
    return f.arp(1, (mac, ALL), (mac, sender), (NONE, target))


def tells(mac: str = MAC, sender: str = EIP, target: str = ROUTER) -> bytes:
    return f.arp(2, (mac, ROUTER_MAC), (mac, sender), (ROUTER_MAC, target))


def announces(operation: int = 1) -> bytes:
    return f.arp(operation, (MAC, ALL), (MAC, EIP), (NONE, EIP))


def discovery(ends: Ends, kind: int, flags: int, target: str) -> bytes:
    packed = socket.inet_pton(socket.AF_INET6, target)
    return f.icmp(ends, kind, 0, struct.pack("!I", flags << 24) + packed)


def solicits() -> bytes:
    group = solicited_node(EIP6)
    ends = Ends((ROUTER_MAC, multicast_mac(group)), (ROUTER6, group))
    return discovery(ends, 135, 0, EIP6)


def advertises(mac: str = MAC) -> bytes:
    return discovery(Ends((mac, ROUTER_MAC), (EIP6, ROUTER6)), 136, 0x60, EIP6)


def tagged(frame: bytes) -> bytes:
    return frame[:12] + struct.pack("!HH", 0x8100, 7) + frame[12:]


def judged(*seen: bytes | tuple[bytes, float] | tuple[bytes, float, str]) -> Judge:
    """A judge who has seen frames: each with its time, 0 s, and its cable, the first."""
    judge = Judge(BLOCKS)
    for one in seen:
        frame, at, cable = (*one, HOST1)[:3] if isinstance(one, tuple) else (one, 0.0, HOST1)
        judge.see(frame, at, cable)
    return judge


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        (asks(), tells()),
        (asks(), tells(), asks(), tells()),
        (asks(), asks(), tells(), tells()),
        (asks(), (asks(), 1.0), (tells(), 1.1)),
        (announces(), announces(2), asks(), tells(), announces()),
        (asks(), asks("203.0.113.50"), tells(), tells(target="203.0.113.50")),
        (solicits(), advertises(), solicits(), advertises()),
    ],
    ids=["one", "two", "at-once", "again", "announced", "two-askers", "ipv6"],
)
def test_an_answer_to_each_question_is_none_too_many(frames: tuple) -> None:
    assert judged(*frames).doubled.keys() == set()


@pytest.mark.parametrize(
    "frames",
    [
        (asks(), tells(), tells()),
        (announces(), asks(), tells(), tells()),
        (announces(), announces(), announces(2), asks(), tells(), tells()),
        (tells(),),
        (asks("203.0.113.50"), asks(), tells(), tells()),
        (asks(), (asks(), 5.0), (tells(), 5.1), (tells(), 5.2)),
        (asks(), (tells(), 0.5), (tells(), 1.4)),
    ],
    ids=["plain", "announced", "announced-often", "unasked", "to-another", "dead-before", "late"],
)
def test_a_second_answer_is_noticed(frames: tuple) -> None:
    assert judged(*frames).doubled.keys() == {EIP}


def test_a_second_answer_to_a_solicitation_is_noticed() -> None:
    assert judged(solicits(), advertises(), advertises()).doubled.keys() == {EIP6}


def test_answers_with_two_macs_are_noticed_also_where_two_had_asked() -> None:
    assert judged(asks(), asks(), tells(), tells(OTHER_MAC)).doubled.keys() == {EIP}
    assert judged(solicits(), solicits(), advertises(), advertises(OTHER_MAC)).doubled.keys() == {
        EIP6
    }


def test_answers_from_two_hosts_are_noticed_although_their_mac_is_the_same() -> None:
    both = ((asks(), 0.0), (asks(), 1.0), (tells(), 1.1, HOST1), (tells(), 1.1, HOST2))
    assert judged(*both).doubled.keys() == {EIP}


def test_it_says_who_answered_whom() -> None:
    (told,) = judged((asks(), 1.0), (tells(), 1.1), (tells(OTHER_MAC), 1.2, HOST2)).doubled.values()
    both = f"{MAC} at {HOST1}, then {OTHER_MAC} at {HOST2}"
    assert told == f"to {ROUTER} by {both}, 0.200 s after the question, 0 open"


def test_who_answers_may_change_between_two_questions() -> None:
    moved = ((asks(), 0.0), (tells(), 0.1, HOST1), (asks(), 0.2), (tells(OTHER_MAC), 0.3, HOST2))
    assert judged(*moved).doubled.keys() == set()


def test_who_speaks_for_an_address_is_remembered_in_order() -> None:
    judge = judged(announces(), asks(), tells(), tells(OTHER_MAC), asks(EIP, ROUTER, MAC))
    assert judge.voices == {EIP: [MAC, OTHER_MAC, MAC], ROUTER: [ROUTER_MAC]}


# --- leaks ----------------------------------------------------------------------------------------


def test_clean_traffic_is_clean() -> None:
    quoted = f.udp(IN, (53, 5000))
    nobody = Ends((MAC, ALL), ("0.0.0.0", "255.255.255.255"))
    joins = Ends((MAC, "33:33:00:00:00:16"), ("fe80::1", "ff02::16"))
    judge = judged(
        f.udp(OUT, (5000, 53)),
        f.unreachable(OUT, quoted),
        f.icmp(IN, 11, 0, bytes(4) + f.udp(OUT, (5000, 53))[14:]),
        f.udp(OUT6, (5000, 53)),
        f.unreachable(OUT6.back(), f.udp(OUT6, (5000, 53))),
        f.udp(nobody, (68, 67)),
        f.icmp(joins, 143),
        solicits(),
        tagged(f.udp(OUT, (5000, 53))),
        asks("0.0.0.0"),
        b"",
        f.udp(OUT, (5000, 53))[:30],
    )
    assert judge.strangers == set()


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (f.udp(Ends(OUT.eth, (PRIVATE, ROUTER)), (1, 2)), "10.0.1.11 (source)"),
        (f.udp(Ends(OUT.eth, (EIP, PRIVATE)), (1, 2)), "10.0.1.11 (destination)"),
        (asks(PRIVATE), "10.0.1.11 (ARP sender)"),
        (asks(target=PRIVATE), "10.0.1.11 (ARP target)"),
        (
            f.udp(Ends(OUT.eth, (PRIVATE6, ROUTER6)), (1, 2)),
            "fd00:10:0:1::11 (source)",
        ),
        (
            f.udp(Ends(OUT.eth, (EIP6, PRIVATE6)), (1, 2)),
            "fd00:10:0:1::11 (destination)",
        ),
        (discovery(OUT6, 135, 0, PRIVATE6), "fd00:10:0:1::11 (ND target)"),
        (
            f.unreachable(OUT6, f.udp(Ends(IN.eth, (ROUTER6, PRIVATE6)), (1, 2))),
            "fd00:10:0:1::11 (quoted destination)",
        ),
        (
            f.udp(Ends(OUT.eth, ("169.254.169.254", ROUTER)), (80, 2)),
            "169.254.169.254 (source)",
        ),
    ],
    ids=[
        *("source", "destination", "arp-sender", "arp-target"),
        *("source6", "destination6", "nd", "quote6", "metadata"),
    ],
)
def test_a_private_address_is_seen_wherever_it_is(frame: bytes, told: str) -> None:
    assert judged(frame).strangers == {told}
    assert judged(tagged(frame)).strangers == {told}
    assert judged(tagged(tagged(frame))).strangers == {told}


@pytest.mark.parametrize("kind", [3, 11, 12])
def test_a_private_address_is_seen_in_the_packet_that_an_error_quotes(kind: int) -> None:
    about = f.udp(Ends(IN.eth, (ROUTER, PRIVATE)), (53, 5000))[14:]
    assert judged(f.icmp(OUT, kind, 0, bytes(4) + about)).strangers == {
        "10.0.1.11 (quoted destination)"
    }
    sent = f.udp(Ends(OUT.eth, (PRIVATE, ROUTER)), (5000, 53))[14:]
    assert judged(f.icmp(IN, kind, 0, bytes(4) + sent)).strangers == {"10.0.1.11 (quoted source)"}


def test_echoed_data_is_no_quote() -> None:
    about = f.udp(Ends(IN.eth, (ROUTER, PRIVATE)), (53, 5000))[14:]
    assert judged(f.icmp(OUT, 8, 0, bytes(4) + about)).strangers == set()


def test_a_tag_that_the_kernel_has_taken_away_is_put_back() -> None:
    frame = f.udp(OUT, (1, 2))
    beside = [(263, 8, struct.pack("=IIIHHHH", 1 << 4 | 1 << 6, 0, 0, 0, 0, 7, 0x8100))]
    assert witness._whole(frame, beside) == tagged(frame)
    assert witness._whole(frame, [(263, 8, bytes(20))]) == frame
