"""Options of DHCP, DHCPv6 and neighbour discovery: parts of a message behind a code and a length.

All parsers read each byte once, whatever the lengths say, and keep no more than they were given.
"""

import struct
from collections.abc import Iterable, Iterator

from agent.decide.guest.frames import Refused

_PAD, _END, _OVERLOAD = 0, 255, 52


def parse4(message: bytes) -> dict[int, bytes]:
    """Return the options of a DHCP message (RFC 2132), parts of one joined (RFC 3396).

    Args:
        message: from its first byte; at least 240 long.

    Raises:
        Refused: an option goes beyond its field.
    """
    found: dict[int, bytes] = {}
    _read4(message[240:], found)
    overload = found.get(_OVERLOAD, b"\0")[:1]
    # The fields for the boot file (1) and the server's name (2) may hold options too.
    if overload in (b"\1", b"\3"):
        _read4(message[108:236], found)
    if overload in (b"\2", b"\3"):
        _read4(message[44:108], found)
    return found


def _read4(field: bytes, found: dict[int, bytes]) -> None:
    at = 0
    while at < len(field) and field[at] != _END:
        code = field[at]
        if code == _PAD:
            at += 1
            continue
        if at + 2 > len(field) or at + 2 + field[at + 1] > len(field):
            raise Refused("dhcp4-malformed")
        found[code] = found.get(code, b"") + field[at + 2 : at + 2 + field[at + 1]]
        at += 2 + field[at + 1]


def write4(code: int, value: bytes) -> bytes:
    """Return an option of a DHCP message, in parts where it is longer than one can be."""
    parts = [value[at : at + 255] for at in range(0, len(value), 255)] or [b""]
    return b"".join(bytes((code, len(part))) + part for part in parts)


def parse6(options: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the options of a DHCPv6 message or of one of its options (RFC 8415, section 21.1).

    Raises:
        Refused: an option goes beyond what holds it.
    """
    at = 0
    while at < len(options):
        if at + 4 > len(options):
            raise Refused("dhcp6-malformed")
        code, length = struct.unpack_from("!HH", options, at)
        if at + 4 + length > len(options):
            raise Refused("dhcp6-malformed")
        yield code, options[at + 4 : at + 4 + length]
        at += 4 + length


def write6(code: int, value: bytes) -> bytes:
    """Return an option of a DHCPv6 message."""
    return struct.pack("!HH", code, len(value)) + value


def parse_nd(options: bytes, reason: str) -> dict[int, bytes]:
    """Return the options of a message of neighbour discovery (RFC 4861, section 4.6) by type.

    Each is as long as it says, without type and length; of several of a type the first counts.

    Args:
        options: all that follows the message's fixed part.
        reason: of the refusal.

    Raises:
        Refused: one has no length, or goes beyond the message.
    """
    found: dict[int, bytes] = {}
    at = 0
    while at < len(options):
        length = options[at + 1] * 8 if at + 1 < len(options) else 0
        if length == 0 or at + length > len(options):
            raise Refused(reason)
        found.setdefault(options[at], options[at + 2 : at + length])
        at += length
    return found


def names(domains: Iterable[str]) -> bytes:
    """Return domain names as DNS writes them, one after the other (RFC 1035, section 3.1).

    Labels are those of the host state, which takes no others: ASCII, 1 to 63 long.
    """
    return b"".join(map(_name, domains))


def _name(domain: str) -> bytes:
    labels = [label.encode() for label in domain.split(".")]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
