"""How many packets flows with a cookie have counted, asked in OpenFlow 1.4 (section 7.3.5.3)."""

import struct
from collections.abc import Sequence

_HEADER = struct.Struct("!BBHI")
_VERSION, _HELLO, _REQUEST, _REPLY, _BARRIER = 5, 0, 18, 19, 20
_AGGREGATE = 2
_ALL_TABLES, _ANY = 0xFF, 0xFFFF_FFFF
_EVERYTHING = struct.pack("!HH4x", 1, 4)
"""A match without a field."""


def request(cookies: Sequence[int]) -> bytes:
    """Return a whole conversation's first part: hello, a question for each cookie, a barrier.

    The transaction ids of the questions count from 1.
    """
    parts = [_HEADER.pack(_VERSION, _HELLO, 8, 0)]
    for number, cookie in enumerate(cookies, 1):
        wanted = struct.pack("!B3xII4xQQ", _ALL_TABLES, _ANY, _ANY, cookie, 2**64 - 1)
        body = struct.pack("!HH4x", _AGGREGATE, 0) + wanted + _EVERYTHING
        parts.append(_HEADER.pack(_VERSION, _REQUEST, 8 + len(body), number) + body)
    return b"".join((*parts, _HEADER.pack(_VERSION, _BARRIER, 8, 0)))


def packets(kind: int, body: bytes) -> int | None:
    """Return the packets that an answer speaks of; None for another message."""
    if kind != _REPLY or len(body) < 16 or struct.unpack_from("!H", body)[0] != _AGGREGATE:
        return None
    return struct.unpack_from("!Q", body, 8)[0]
