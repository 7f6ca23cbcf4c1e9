"""The sockets that guests' questions arrive at, and who asks."""

import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import Any

from vpcctl.model.names import PORTS, SERVERS6, Service, key_of4, key_of6

_ANY4 = "0.0.0.0"  # noqa: S104 - in a namespace that has nothing but guests' questions
_BACKLOG = 128
_IP_PKTINFO = 8  # Python has no name for it yet
_SO_RCVBUFFORCE = 33  # nor for this
_WAITING = 1 << 20
"""Bytes of datagrams that wait while the processor is busy: one that is lost costs a guest seconds,
one that waits milliseconds."""
_PKTINFO = struct.Struct("=I4s4s")
_CONTROL = socket.CMSG_SPACE(_PKTINFO.size)
MAX_DATAGRAM = 4_096


@dataclass(frozen=True, slots=True)
class Question:
    """A datagram of a guest.

    Attributes:
        data: of the datagram.
        key: of the port that asks.
        client: where the answer goes; its second part is the port, 0 for one that is none.
        server: address that was asked, 4 bytes; None for IPv6.
    """

    data: bytes
    key: int
    client: Any
    server: bytes | None


def datagrams(version: int) -> socket.socket:
    """Return the UDP socket that is asked for names over IPv4 or IPv6."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    opened = socket.socket(family, socket.SOCK_DGRAM)
    if version == 4:
        opened.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)  # half of the key is in there
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _WAITING)
    opened.setblocking(False)
    opened.bind(_own("dns", version))
    return opened


def listener(service: Service, version: int) -> socket.socket:
    """Return the TCP socket of a service over IPv4 or IPv6.

    Metadata is told with a hop limit of one: what a guest routes on does not arrive.
    """
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if service == "metadata":
        if version == 4:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        else:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
    opened.setblocking(False)
    # Bound by its own address in IPv6, and by its port alone in IPv4: what is there, flows decide.
    opened.bind(_own(service, version))
    opened.listen(_BACKLOG)
    return opened


def _own(service: Service, version: int) -> tuple[str, int]:
    return (_ANY4 if version == 4 else str(SERVERS6[service])), PORTS[service]


def receive(opened: socket.socket) -> Question | None:
    """Return the next datagram; None when there is none.

    Raises:
        OSError: the socket cannot be used any more.
    """
    try:
        if opened.family == socket.AF_INET6:
            data, client = opened.recvfrom(MAX_DATAGRAM)
            return Question(
                data, key_of6(socket.inet_pton(socket.AF_INET6, client[0])), client, None
            )
        data, control, _, client = opened.recvmsg(MAX_DATAGRAM, _CONTROL)
    except BlockingIOError:
        return None
    server = _asked(control)
    return Question(data, key_of4(socket.inet_aton(client[0]), server), client, server)


def _asked(control: list[tuple[int, int, bytes]]) -> bytes:
    for level, kind, value in control:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            return _PKTINFO.unpack(value)[2]
    return bytes(4)


def send(opened: socket.socket, question: Question, answer: bytes) -> bool:
    """Answer a datagram; tell whether the answer went.

    It does not when the queue is full or the kernel does not take it: the guest asks again. What a
    guest asks from must not raise an error here.
    """
    try:
        if question.server is None:
            opened.sendto(answer, question.client)
        else:
            info = _PKTINFO.pack(0, question.server, bytes(4))
            control = [(socket.IPPROTO_IP, _IP_PKTINFO, info)]
            opened.sendmsg([answer], control, 0, question.client)
    except OSError:
        return False
    return True


def key_of(peer: Any, own: Any) -> int:
    """Return the key of the port at the other end of a connection.

    Args:
        peer: its address, as sockets give it.
        own: ours.
    """
    if ":" in peer[0]:
        return key_of6(socket.inet_pton(socket.AF_INET6, peer[0]))
    return key_of4(socket.inet_aton(peer[0]), socket.inet_aton(own[0]))
