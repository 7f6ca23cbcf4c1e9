"""Meters as OpenFlow 1.4: changes, which no bundle takes, and what a switch says of its own."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from vpcctl.flows.meter import Meter, Unit, unknown
from vpcctl.southbound.codec.messages import (
    MP_METER_CONFIG,
    MP_METER_FEATURES,
    MULTIPART_REQUEST,
    header,
)

METER_MOD = 29
METER_MOD_FAILED, METER_EXISTS = 12, 1
"""OFPET_METER_MOD_FAILED, and one of its codes."""
CONFIG_FIXED, FEATURES_LENGTH, BAND_LENGTH = 8, 16, 16

_ADD, _MODIFY, _DELETE = range(3)
_ALL = 0xFFFF_FFFF
_BURST = 4
_FLAGS: dict[Unit, int] = {"kbps": 1 | _BURST, "pktps": 2 | _BURST}
_UNITS: dict[int, Unit] = {flags: unit for unit, flags in _FLAGS.items()}
_MOD = struct.Struct("!HHI")
_BAND = struct.Struct("!HHII4x")
_DROP = 1


class Features(NamedTuple):
    """What a switch says that it can do.

    Attributes:
        most: how many meters there can be, and the highest number; 0: there are none.
    """

    most: int


def add_meter(meter: Meter, xid: int) -> bytes:
    """Return the message that makes *meter*; the switch refuses it where there is one already."""
    return _mod(_ADD, meter, xid)


def modify_meter(meter: Meter, xid: int) -> bytes:
    """Return the message that makes the meter of this number what *meter* says."""
    return _mod(_MODIFY, meter, xid)


def delete_meter(number: int, xid: int) -> bytes:
    """Return the message that deletes a meter, and every flow that names it."""
    return header(METER_MOD, 16, xid) + _MOD.pack(_DELETE, 0, number)


def _mod(command: int, meter: Meter, xid: int) -> bytes:
    body = _MOD.pack(command, _FLAGS[meter.unit], meter.id)
    body += _BAND.pack(_DROP, BAND_LENGTH, meter.rate, meter.burst)
    return header(METER_MOD, 8 + len(body), xid) + body


def features_request(xid: int) -> bytes:
    """Return the question what the switch can do."""
    return header(MULTIPART_REQUEST, 16, xid) + struct.pack("!HH4x", MP_METER_FEATURES, 0)


def config_request(xid: int) -> bytes:
    """Return the question what meters there are."""
    body = struct.pack("!HH4xI4x", MP_METER_CONFIG, 0, _ALL)
    return header(MULTIPART_REQUEST, 8 + len(body), xid) + body


def features(message: bytes) -> Features:
    """Return what one validated reply says."""
    return Features(int.from_bytes(message[16:20], "big"))


def meters(message: bytes) -> Iterator[Meter]:
    """Yield the meters of one validated reply; those that cannot be ours as unknown ones."""
    position, end = 16, len(message)
    while position < end:
        length, flags, number = _MOD.unpack_from(message, position)
        yield _meter(number, flags, message[position + CONFIG_FIXED : position + length])
        position += length


def _meter(number: int, flags: int, bands: bytes) -> Meter:
    if flags not in _UNITS or len(bands) != BAND_LENGTH:
        return unknown(number)
    kind, _, rate, burst = _BAND.unpack(bands)
    return Meter(number, _UNITS[flags], rate, burst) if kind == _DROP else unknown(number)
