"""Meters of a saved program: as ``ovs-ofctl`` says them, and as OpenFlow 1.4 makes them."""

import re
import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_LISTED = re.compile(
    r"meter=(\d+) (kbps|pktps) burst(?: stats)? bands=\s*type=drop rate=(\d+) burst_size=(\d+)"
)
_NAMED = re.compile(r"meter:(\d+),")
_HEADER = struct.Struct("!BBHI")
_VERSION, _HELLO, _ERROR, _METER_MOD, _BARRIER, _DONE = 5, 0, 1, 29, 20, 21
_FLAGS = {"kbps": 1 | 4, "pktps": 2 | 4}
"""OFPMF_KBPS and OFPMF_PKTPS, with OFPMF_BURST."""
_EXISTS = struct.pack("!HH", 12, 1)
"""OFPET_METER_MOD_FAILED, OFPMMFC_METER_EXISTS."""


class SavedMeter(NamedTuple):
    """One meter: number, what it counts (``kbps`` or ``pktps``), rate and size of the bucket."""

    id: int
    unit: str
    rate: int
    burst: int


def listed(text: str) -> tuple[SavedMeter, ...]:
    """Return the meters that ``ovs-ofctl dump-meters`` lists; of another's making none."""
    found = (match.groups() for match in _LISTED.finditer(text))
    return tuple(
        SavedMeter(int(one), unit, int(rate), int(size)) for one, unit, rate, size in found
    )


def named(lines: Iterable[str]) -> set[int]:
    """Return the numbers of the meters that flows in text form name."""
    return {int(number) for line in lines for number in _NAMED.findall(line)}


def without(lines: Iterable[str], missing: set[int]) -> list[str]:
    """Return flows in text form without the meters that are not there: they would be refused."""
    return [
        _NAMED.sub(lambda found: "" if int(found[1]) in missing else found[0], line)
        for line in lines
    ]


def request(meters: Iterable[SavedMeter]) -> bytes:
    """Return a whole conversation's first part: hello, the meters, and a barrier.

    The transaction ids of the meters are their numbers.
    """
    parts = [_HEADER.pack(_VERSION, _HELLO, 8, 0)]
    for meter in meters:
        body = struct.pack("!HHI", 0, _FLAGS[meter.unit], meter.id)
        body += struct.pack("!HHII4x", 1, 16, meter.rate, meter.burst)
        parts.append(_HEADER.pack(_VERSION, _METER_MOD, 8 + len(body), meter.id) + body)
    return b"".join((*parts, _HEADER.pack(_VERSION, _BARRIER, 8, 0)))


def is_end(kind: int) -> bool:
    """Tell whether a message of this type ends the answer."""
    return kind == _DONE


def refused(kind: int, xid: int, body: bytes) -> int | None:
    """Return the number of the meter that an answer refuses; one that is there is none."""
    return xid if kind == _ERROR and body[:4] != _EXISTS else None


def restored(saved: Mapping[int, SavedMeter], lines: Iterable[str]) -> list[SavedMeter]:
    """Return the saved meters that flows in text form name."""
    return [saved[number] for number in sorted(named(lines)) if number in saved]
