"""Events of the kernel, read from the bytes of its messages (rtnetlink(7))."""

import contextlib
import socket
import struct
import sys

from hypothesis import given
from hypothesis import strategies as st

from agent.netlink.monitor import LinkEvent, NeighbourEvent, events

NEWLINK, DELLINK, NEWNEIGH, NEWROUTE = 16, 17, 28, 24


def attribute(kind: int, value: bytes) -> bytes:
    head = struct.pack("=HH", 4 + len(value), kind)
    return head + value + b"\0" * (-len(value) % 4)


def message(kind: int, head: bytes, *attributes: bytes) -> bytes:
    body = head + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body


def link(kind: int, name: str) -> bytes:
    others = (attribute(13, b"\1\0\0\0\0"), attribute(0x8000 | 26, b"nested"))
    return message(kind, b"\0" * 16, *others, attribute(3, name.encode() + b"\0"))


def neighbour(family: int, address: bytes, mac: bytes = b"\x0e\0\0\0\0\x09") -> bytes:
    head = bytes([family, 0, 0, 0]) + (7).to_bytes(4, sys.byteorder) + b"\2\0\0\1"
    return message(NEWNEIGH, head, attribute(1, address), attribute(2, mac))


def test_each_message_of_a_datagram_is_an_event():
    six = socket.inet_pton(socket.AF_INET6, "fd00::9")
    data = (
        link(NEWLINK, "tap0")
        + message(NEWROUTE, b"\0" * 12)
        + link(DELLINK, "a-name-of-15-by")
        + neighbour(socket.AF_INET, bytes([10, 9, 9, 9]))
        + neighbour(socket.AF_INET6, six)
    )
    assert list(events(data)) == [
        LinkEvent("link", "tap0", gone=False),
        LinkEvent("link", "a-name-of-15-by", gone=True),
        NeighbourEvent("neighbour", 7, "10.9.9.9", "0e:00:00:00:00:09"),
        NeighbourEvent("neighbour", 7, "fd00::9", "0e:00:00:00:00:09"),
    ]


def test_a_neighbour_without_a_mac_or_of_another_family_is_no_event():
    assert list(events(neighbour(socket.AF_INET, bytes([10, 9, 9, 9]), mac=b""))) == []
    assert list(events(neighbour(7, b"\1" * 6))) == []


SOUND = link(NEWLINK, "tap0") + neighbour(socket.AF_INET, bytes(4))


@given(st.data())
def test_whatever_comes_is_read_or_refused(data):
    raw = bytearray(SOUND)
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=6)):
        raw[place] = data.draw(st.integers(0, 255))
    cut = raw[: data.draw(st.integers(0, len(raw)))]
    with contextlib.suppress(ValueError, struct.error):
        list(events(bytes(cut)))
