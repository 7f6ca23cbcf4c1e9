"""Length checks in front of os-ken's parser and of our own codec.

os-ken trusts the lengths inside a message: a hello element of length 0 makes it loop for ever.
Everything that a peer sends goes through ``check`` first; what it lets through has only lengths
that move a parser forward and stay within the message.
"""

import struct
from collections.abc import Callable, Iterator

from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.codec.meters import BAND_LENGTH, CONFIG_FIXED, FEATURES_LENGTH

MAX_HELLO = 1024
MAX_ECHO = 4096
_FLOW_FIXED = 48

UNWANTED = frozenset({10, m.FLOW_REMOVED, m.PORT_STATUS, 30, 31, 32})
"""Packet-in, flow-removed, port-status, role-status, table-status, request-forward: a switch may
send these unasked, and nobody reads them. A port's description can be 64 KiB of properties."""


class Fault(Exception):
    """A peer broke the protocol; its connection goes."""


def check(message: bytes) -> None:
    """Check one whole *message*: header and body, of exactly the length that the header says.

    Raises:
        Fault: it is malformed or of a type that no switch may send us.
    """
    checker = _CHECKERS.get(message[1])
    if checker is None:
        raise Fault(f"message of unexpected type {message[1]}")
    checker(message)


def _exactly(length: int) -> Callable[[bytes], None]:
    def checker(message: bytes) -> None:
        if len(message) != length:
            raise Fault(f"message of type {message[1]} has {len(message)} bytes, not {length}")

    return checker


def _hello(message: bytes) -> None:
    if len(message) > MAX_HELLO:
        raise Fault("hello too long")
    for kind, start, end in _records(message, 8, len(message), smallest=4, what="hello element"):
        if (end - start) % 8:  # os-ken would take the padding for a next element, of length 0
            raise Fault(f"hello element of length {end - start}")
        if kind == 1 and end - start < 8:
            raise Fault("malformed version bitmap in hello")


def _error(message: bytes) -> None:
    if len(message) < 12 or (message[8:10] == b"\xff\xff" and len(message) < 16):
        raise Fault("truncated error message")


def _echo(message: bytes) -> None:
    if len(message) > MAX_ECHO:
        raise Fault("echo too long")


def _records(
    data: bytes, start: int, end: int, *, smallest: int, what: str
) -> Iterator[tuple[int, int, int]]:
    """Yield (type, start, end) of type-length records padded to 8 bytes."""
    while start < end:
        if start + 4 > end:
            raise Fault(f"truncated {what}")
        kind, length = struct.unpack_from("!HH", data, start)
        if length < smallest or start + length > end:
            raise Fault(f"{what} of length {length}")
        yield kind, start, start + length
        start += (length + 7) & ~7


def _multipart(message: bytes) -> None:
    if len(message) < 16:
        raise Fault("truncated multipart reply")
    kind = int.from_bytes(message[8:10], "big")
    if kind == m.MP_FLOW:
        _flow_stats(message)
    elif kind == m.MP_METER_CONFIG:
        _meter_config(message)
    elif kind == m.MP_METER_FEATURES:
        _exactly(16 + FEATURES_LENGTH)(message)
    else:
        raise Fault(f"multipart reply of type {kind} that nobody asked for")


def _flow_stats(message: bytes) -> None:
    position, limit = 16, len(message)
    while position < limit:
        if position + _FLOW_FIXED + 8 > limit:
            raise Fault("truncated flow statistics")
        length = int.from_bytes(message[position : position + 2], "big")
        end = position + length
        if length < _FLOW_FIXED + 8 or length % 8 or end > limit:
            raise Fault(f"flow statistics of length {length}")
        match = position + _FLOW_FIXED
        kind, match_length = struct.unpack_from("!HH", message, match)
        after = match + ((match_length + 7) & ~7)
        if kind != 1 or match_length < 4 or after > end:
            raise Fault(f"match of length {match_length} in flow statistics")
        position = end


def _meter_config(message: bytes) -> None:
    position, limit = 16, len(message)
    while position < limit:
        if position + CONFIG_FIXED > limit:
            raise Fault("truncated meter")
        length = int.from_bytes(message[position : position + 2], "big")
        end = position + length
        if length < CONFIG_FIXED or end > limit:
            raise Fault(f"meter of length {length}")
        for _kind, first, last in _records(
            message, position + CONFIG_FIXED, end, smallest=BAND_LENGTH, what="meter band"
        ):
            if last - first != BAND_LENGTH:
                raise Fault(f"meter band of length {last - first}")
        position = end


def _bundle_control(message: bytes) -> None:
    _exactly(16)(message)
    if message[13] not in (m.OPENED, m.CLOSED, m.COMMITTED, m.DISCARDED) or message[12]:
        raise Fault("bundle control that is not a reply")


_CHECKERS: dict[int, Callable[[bytes], None]] = {
    m.HELLO: _hello,
    m.ERROR: _error,
    m.ECHO_REQUEST: _echo,
    m.ECHO_REPLY: _echo,
    m.FEATURES_REPLY: _exactly(32),
    m.MULTIPART_REPLY: _multipart,
    m.BARRIER_REPLY: _exactly(8),
    m.BUNDLE_CONTROL: _bundle_control,
}
