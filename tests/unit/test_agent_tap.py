"""Who is muted is not heard, and everybody else is: the kernel's own filter says so."""

import socket
from collections.abc import Sequence

from agent.tap import Pattern, _filter

PREFIX = 0x0E77
HEAD = b"\x0e\x77\0\x09\0\x04"
OTHER_HEAD = b"\x0e\x77\0\x09\0\x05"


def frame(head: bytes, at: int = 40, value: bytes = b"") -> bytes:
    """Sixty bytes and more, with *value* somewhere in them."""
    whole = bytearray(head + bytes(74))
    whole[at : at + len(value)] = value
    return bytes(whole)


def passed(frames: Sequence[bytes], *muted: Pattern) -> list[bytes]:
    """Those that a socket with the filter hears."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        here.setblocking(False)
        _filter(here, PREFIX, muted)
        found: list[bytes] = []
        for each in frames:
            there.send(each)
            try:
                found.append(here.recv(200))
            except BlockingIOError:
                continue
        return found


def test_only_frames_of_the_kind_are_heard() -> None:
    mine, other = frame(HEAD), frame(b"\x0e\x76" + bytes(4))
    assert passed([mine, other, mine]) == [mine, mine]


def test_one_who_is_muted_takes_nobody_along() -> None:
    hogs = [
        ((0, HEAD), (30, b"\xc6\x33\x64\x07")),
        ((0, HEAD), (62, bytes(range(16)))),
        ((0, OTHER_HEAD), (6, b"\x0a\x76\0\0\0\x2a")),
        ((0, b"\x0e\x77\0\x0a\0\x04\x07"),),
    ]
    bad = [
        *(frame(pattern[0][1], *pattern[1]) for pattern in hogs[:3]),
        frame(hogs[3][0][1]),
    ]
    good = [
        frame(HEAD, 30, b"\xc6\x33\x64\x08"),
        frame(HEAD, 62, bytes(range(15)) + b"\x10"),
        frame(OTHER_HEAD, 6, b"\x0a\x76\0\0\0\x2b"),
        frame(OTHER_HEAD, 30, b"\xc6\x33\x64\x07"),
        frame(b"\x0e\x77\0\x0a\0\x04"),
    ]
    mixed = [each for pair in zip(bad, good, strict=False) for each in pair] + good
    assert passed(mixed, *hogs) == [*good[:4], *good]


def test_very_many_can_be_muted_at_once() -> None:
    hogs = [((0, HEAD), (62, bytes([number] * 16))) for number in range(64)]
    frames = [frame(HEAD, 62, bytes([number] * 16)) for number in range(66)]
    assert passed(frames, *hogs) == frames[64:]
