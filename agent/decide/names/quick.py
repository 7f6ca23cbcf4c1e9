"""The most frequent question, answered without a library: the one address of one name.

Taking a message apart into objects and putting one together costs ten times as much. What is in
any way out of the ordinary is left to :mod:`agent.decide.names.dns`, which says the same of this.
"""

import re
import struct
from ipaddress import ip_address

from agent.decide.names.zone import Zone

_START = 12
_ALONE = b"\x00\x01" + bytes(6)
"""Counts of a message that is one question and nothing else."""
_ONE_ANSWER = b"\x80\x00\x01\x00\x01" + bytes(4)
"""Recursion is available; counts of a question with one answer."""
_KINDS = {b"\x00\x01\x00\x01": "A", b"\x00\x1c\x00\x01": "AAAA"}
"""By type and class."""
_POINTER = b"\xc0\x0c"
"""To the question's name."""
_RESPONSE, _AUTHORITATIVE, _RECURSE, _AUTHENTIC = 0x80, 0x04, 0x01, 0x20
_LONGEST_LABEL, _LONGEST = 63, 255
_PLAIN = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def answer(zone: Zone, data: bytes) -> bytes | None:
    """Return the answer to a message; None when it is not as plain as that.

    Args:
        zone: of the VPC that asks.
        data: the message, of any content.
    """
    kind = _KINDS.get(data[-4:])
    if kind is None or data[4:_START] != _ALONE:
        return None
    if data[2] & ~_RECURSE or data[3] & ~_AUTHENTIC:
        return None
    name = _name(data)
    if name is None or not zone.has(name):
        return None
    sets = zone.find(name, kind).sets
    if len(sets) != 1 or sets[0].kind != kind or len(sets[0].values) != 1:
        return None
    address = ip_address(sets[0].values[0]).packed
    record = struct.pack("!IH", sets[0].ttl, len(address)) + address
    head = data[:2] + bytes((_RESPONSE | _AUTHORITATIVE | data[2],)) + _ONE_ANSWER
    return head + data[_START:] + _POINTER + data[-4:] + record


def _name(data: bytes) -> str | None:
    """Return the name in the question, lower case and without a final dot, if it is plain."""
    at, end, labels = _START, len(data) - 5, list[bytes]()
    if end - at > _LONGEST - 1 or end <= at or data[end]:
        return None
    while at < end:
        length = data[at]
        if not 0 < length <= _LONGEST_LABEL or at + 1 + length > end:
            return None
        labels.append(data[at + 1 : at + 1 + length])
        if b"." in labels[-1]:
            return None
        at += 1 + length
    name = b".".join(labels).decode("latin-1").lower()
    return name if _PLAIN.fullmatch(name) else None
