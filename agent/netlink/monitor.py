"""Tells what changes on the host: links that come and go, neighbours that get another MAC.

The kernel says a kilobyte about a link whenever anything about it changes, and does so in the very
moment in which a port is being plugged. Two or three attributes of it matter here; they are taken
from the message (rtnetlink(7)) without decoding the rest.
"""

import asyncio
import errno
import logging
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

log = logging.getLogger(__name__)

_GROUPS = 0x1 | 0x4  # RTMGRP_LINK | RTMGRP_NEIGH
_NEWLINK, _DELLINK, _NEWNEIGH = 16, 17, 28
_IFLA_IFNAME, _NDA_DST, _NDA_LLADDR = 3, 1, 2
_HEADER = struct.Struct("=IHHII")
_LINK_HEAD, _NEIGHBOUR_HEAD = 16, 12
_ATTRIBUTE = struct.Struct("=HH")
_KIND = 0x3FFF  # of an attribute, without its flags
_PAUSE_S = 1.0
_LONGEST = 1 << 16
_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """A link came, changed or went; name ``*`` when events were lost and all may have."""

    kind: Literal["link"]
    name: str
    gone: bool


@dataclass(frozen=True, slots=True)
class NeighbourEvent:
    """A neighbour has this MAC now."""

    kind: Literal["neighbour"]
    device: int
    address: str
    mac: str


Event = LinkEvent | NeighbourEvent


def events(data: bytes) -> Iterator[Event]:
    """Yield what a datagram of the kernel says.

    Raises:
        struct.error, ValueError: it is not as rtnetlink(7) says.
    """
    place = 0
    while place + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, place)
        if length < _HEADER.size:
            raise ValueError("a message is shorter than its head")
        event = _event(kind, data[place + _HEADER.size : place + length])
        if event is not None:
            yield event
        place += _aligned(length)


def _event(kind: int, body: bytes) -> Event | None:
    if kind in (_NEWLINK, _DELLINK):
        name = _attributes(body[_LINK_HEAD:]).get(_IFLA_IFNAME, b"")
        return LinkEvent("link", name.rstrip(b"\0").decode(), kind == _DELLINK)
    if kind == _NEWNEIGH:
        found = _attributes(body[_NEIGHBOUR_HEAD:])
        mac, address = found.get(_NDA_LLADDR), found.get(_NDA_DST)
        if mac and address and body[0] in (socket.AF_INET, socket.AF_INET6):
            device = int.from_bytes(body[4:8], sys.byteorder)
            return NeighbourEvent(
                "neighbour", device, socket.inet_ntop(body[0], address), mac.hex(":")
            )
    return None


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    place = 0
    while place + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, place)
        if length < _ATTRIBUTE.size:
            raise ValueError("an attribute is shorter than its head")
        found[kind & _KIND] = data[place + _ATTRIBUTE.size : place + length]
        place += _aligned(length)
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3


async def watch(listener: Callable[[Event], None]) -> None:
    """Tell *listener* of every event, for ever; lost ones show as a link event named ``*``."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            with closing(_open()) as sock:
                listener(LinkEvent("link", "*", gone=False))
                while True:
                    for event in events(await loop.sock_recv(sock, _LONGEST)):
                        listener(event)
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                continue  # they came faster than we read: begin anew at once
            log.warning("netlink events were lost: %s", error)
        except (struct.error, ValueError) as error:
            log.warning("a netlink event cannot be read: %s", error)
        await asyncio.sleep(_PAUSE_S)


def _open() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.bind((0, _GROUPS))
    except OSError:
        sock.close()
        raise
    return sock
