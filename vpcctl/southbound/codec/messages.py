"""Whole messages: flow-mods within a bundle, bundle control, barrier, flow statistics.

OpenFlow 1.4 throughout: bundles are part of it, and Open vSwitch 3.1 speaks it by default.
A flow-mod is written together with the bundle-add header in front of it, and every bundle has the
same id: so the same bytes go to every host that needs the flow. The id is free again after each
commit or discard, and only one bundle is open on a connection at a time.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from vpcctl.flows.cookie import OWNER_COOKIE, OWNER_MASK
from vpcctl.flows.flow import Flow, Match
from vpcctl.flows.meter import unknown
from vpcctl.flows.tables import BY_NUMBER
from vpcctl.southbound.codec.actions import decode_instructions, encode_instructions
from vpcctl.southbound.codec.oxm import decode_match, encode_match

VERSION = 5
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, EXPERIMENTER = 0, 1, 2, 3, 4
FEATURES_REPLY, SET_CONFIG, FLOW_REMOVED, PORT_STATUS, FLOW_MOD = 6, 9, 11, 12, 14
MULTIPART_REQUEST, MULTIPART_REPLY, BARRIER_REQUEST, BARRIER_REPLY = 18, 19, 20, 21
BUNDLE_CONTROL, BUNDLE_ADD = 33, 34
MP_FLOW, MP_METER_CONFIG, MP_METER_FEATURES = 1, 10, 11
MAX_MESSAGE = 0xFFFF

ADD, MODIFY_STRICT, DELETE, DELETE_STRICT = 0, 2, 3, 4
OPEN, OPENED, CLOSE, CLOSED, COMMIT, COMMITTED, DISCARD, DISCARDED = range(8)
_ATOMIC_ORDERED = 3
BUNDLE_ID = 0x76637663
_FRAG_NX_MATCH = 3
"""Open vSwitch's own value of ``ofp_config_flags``."""

_ANY = 0xFFFF_FFFF
_HEADER = struct.Struct("!BBHI")
_FLOW_MOD = struct.Struct("!2sHI10sHIQQBB4xH12s4x")
"""Bundle-add and flow-mod up to the match; no timeouts, no flags, any buffer, port and group."""
_pack = _FLOW_MOD.pack
_PREFIX = 16
"""Bytes of the bundle-add header in front of the flow-mod."""
_FIXED = _PREFIX + 48
"""Bytes in front of the match."""
_STATS_FIXED = 48
_COUNTS = struct.Struct("!QQ")
_COOKIE = slice(_PREFIX + 8, _PREFIX + 16)
_NO_TIMERS = bytes(8)
_ADDING = bytes((VERSION, BUNDLE_ADD))
_ADDED = struct.pack("!IHHBB", BUNDLE_ID, 0, _ATOMIC_ORDERED, VERSION, FLOW_MOD)
_ANYTHING = b"\xff" * 12


class EncodeError(ValueError):
    """A flow that cannot be written, such as one longer than a message may be."""


class StatsEntry(NamedTuple):
    """One flow of a flow-stats reply, as bytes.

    Attributes:
        key: table, priority and match.
        value: timeouts, flags, cookie and instructions.
    """

    key: bytes
    value: bytes


def header(kind: int, length: int, xid: int) -> bytes:
    """Return an OpenFlow header."""
    return _HEADER.pack(VERSION, kind, length, xid)


def add_flow(flow: Flow, xid: int) -> bytes:
    """Return the message that adds *flow* or overwrites the one with its key.

    Raises:
        EncodeError: the flow needs more than one message may hold.
    """
    try:
        meter = None if flow.meter is None else flow.meter.id
        instructions = encode_instructions(flow.actions, flow.goto, meter)
    except ValueError as error:
        raise EncodeError(f"flow in table {flow.table.name}: {error}") from None
    return _flow_mod(flow, xid, 0, ADD, instructions)


def delete_flow(flow: Flow, xid: int) -> bytes:
    """Return the message that deletes exactly the flow with *flow*'s key."""
    return _flow_mod(flow, xid, OWNER_MASK, DELETE_STRICT, b"")


def _flow_mod(flow: Flow, xid: int, mask: int, command: int, instructions: bytes) -> bytes:
    table, priority, terms, _, _, cookie, _ = flow
    match = encode_match(terms)
    inner = 48 + len(match) + len(instructions)
    if inner + _PREFIX > MAX_MESSAGE:
        raise EncodeError(f"flow of {inner + _PREFIX} bytes in table {table.name}")
    outer, number = inner + _PREFIX, table.number
    # fmt: off
    head = _pack(
        _ADDING, outer, xid, _ADDED, inner, xid,
        cookie, mask, number, command, priority, _ANYTHING,
    )
    # fmt: on
    return head + match + instructions


def delete_cookie(cookie: int, xid: int) -> bytes:
    """Return the message that deletes every flow with exactly *cookie*, in all tables."""
    inner = 48 + 8
    head = _pack(
        *(_ADDING, inner + _PREFIX, xid, _ADDED, inner, xid),
        *(cookie, 2**64 - 1, 0xFF, DELETE, 0, _ANYTHING),
    )
    return head + b"\0\1\0\4\0\0\0\0"


def delete_entry(entry: StatsEntry, xid: int) -> bytes:
    """Return the message that deletes exactly the flow that *entry* describes, if it is ours."""
    match = entry.key[3:]
    inner = 48 + len(match)
    head = _pack(
        *(_ADDING, inner + _PREFIX, xid, _ADDED, inner, xid),
        *(OWNER_COOKIE, OWNER_MASK, entry.key[0], DELETE_STRICT),
        *(int.from_bytes(entry.key[1:3], "big"), _ANYTHING),
    )
    return head + match


def entry_of(message: bytes) -> StatsEntry:
    """Return the entry that a switch lists once it has taken *message*, one of ``add``'s."""
    length = _padded(int.from_bytes(message[_FIXED + 2 : _FIXED + 4], "big"))
    end = _FIXED + length
    table, priority = message[_PREFIX + 24 : _PREFIX + 25], message[_PREFIX + 30 : _PREFIX + 32]
    key = table + priority + message[_FIXED:end]
    return StatsEntry(key, _NO_TIMERS + message[_COOKIE] + message[end:])


def _padded(length: int) -> int:
    return (length + 7) & ~7


def bundle_control(kind: int, xid: int) -> bytes:
    """Return a bundle-control message of our one bundle."""
    return header(BUNDLE_CONTROL, 16, xid) + struct.pack("!IHH", BUNDLE_ID, kind, _ATOMIC_ORDERED)


def barrier(xid: int) -> bytes:
    """Return a barrier request."""
    return header(BARRIER_REQUEST, 8, xid)


def match_fragments(xid: int) -> bytes:
    """Return the order to look into first fragments as into whole packets (OFPT_SET_CONFIG).

    By default Open vSwitch lets flows see no header above IP in any fragment (``set-frags`` of
    ovs-ofctl(8)): a guest could hide whatever the spoof guard looks for there.
    """
    return header(SET_CONFIG, 12, xid) + struct.pack("!HH", _FRAG_NX_MATCH, 0)


def echo_request(xid: int) -> bytes:
    """Return an echo request without data."""
    return header(ECHO_REQUEST, 8, xid)


def flow_stats_request(
    xid: int, table: int = 0xFF, *, cookie: int = OWNER_COOKIE, mask: int = OWNER_MASK
) -> bytes:
    """Return the request for flows of ours, of one *table* or of all (255).

    Args:
        xid: transaction id.
        table: number of the table.
        cookie: which flows.
        mask: bits of their cookie that have to be those of *cookie*.
    """
    body = struct.pack("!HH4x", MP_FLOW, 0)
    body += struct.pack("!B3xII4xQQ", table, _ANY, _ANY, cookie, mask)
    body += b"\0\1\0\4\0\0\0\0"
    return header(MULTIPART_REQUEST, 8 + len(body), xid) + body


def stats_entries(message: bytes) -> Iterator[StatsEntry]:
    """Yield the flows of one validated flow-stats reply."""
    position, end = 16, len(message)
    while position < end:
        length = int.from_bytes(message[position : position + 2], "big")
        fixed = position + _STATS_FIXED
        match_length = int.from_bytes(message[fixed + 2 : fixed + 4], "big")
        after = fixed + _padded(match_length)
        key = (
            message[position + 2 : position + 3]
            + message[position + 12 : position + 14]
            + message[fixed:after]
        )
        value = (
            message[position + 14 : position + 22]
            + message[position + 24 : position + 32]
            + message[after : position + length]
        )
        yield StatsEntry(key, value)
        position += length


def counted_entries(message: bytes) -> Iterator[tuple[StatsEntry, int, int]]:
    """Yield the flows of one validated flow-stats reply with their packets and bytes."""
    position = 16
    for entry in stats_entries(message):
        packets, size = _COUNTS.unpack_from(message, position + 32)
        yield entry, packets, size
        position += int.from_bytes(message[position : position + 2], "big")


def cookie_of(entry: StatsEntry) -> int:
    """Return the cookie of *entry*."""
    return int.from_bytes(entry.value[8:16], "big")


def decode_key(key: bytes) -> Match:
    """Return the match in the key of an entry.

    Raises:
        ValueError: it holds something that no flow of ours could hold.
    """
    return decode_match(key[3:])


def decode_entry(entry: StatsEntry) -> Flow:
    """Return the flow that *entry* describes.

    Raises:
        ValueError: it holds something that no flow of ours could hold.
    """
    table = BY_NUMBER.get(entry.key[0])
    if table is None:
        raise ValueError(f"unknown table {entry.key[0]}")
    actions, goto, number = decode_instructions(entry.value[16:])
    meter = None if number is None else unknown(number)
    priority = int.from_bytes(entry.key[1:3], "big")
    match, cookie = decode_key(entry.key), cookie_of(entry)
    return Flow(table, priority, match, actions, goto, cookie, meter)
