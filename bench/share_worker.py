"""Measures how long the agent itself has of an answer: on its device, by the kernel's clock.

Takes a kind of question (``dhcp``, ``dns``) and a device as arguments, in the host's namespace.
From the moment when the kernel has a question on the device until it has the answer there, all
that passes is the agent's: waiting for the processor, reading, deciding and sending. What Open
vSwitch and its flows take is not in it. One JSON line on standard output says that it listens;
at a line on standard input another one has all times, in seconds.
"""

import json
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

_ALL = 3
"""ETH_P_ALL: what leaves is not heard otherwise."""
_SO_TIMESTAMPNS = 35
_TIME = struct.Struct("=qq")
_SPACE = socket.CMSG_SPACE(_TIME.size)
_UDP, _PAYLOAD = 17, 42
_DNS, _DHCP_SERVER = 53, 67

Mark = tuple[bool, bytes]
"""Whether a frame is a question, and what it has in common with its answer."""


def dns_mark(frame: bytes) -> Mark | None:
    """Return the mark of a question for names or of its answer; None: it is neither."""
    if len(frame) < _PAYLOAD + 12 or frame[23] != _UDP:
        return None
    source, target = struct.unpack_from("!HH", frame, 34)
    id = frame[_PAYLOAD : _PAYLOAD + 2]
    if target == _DNS:
        return True, frame[26:30] + frame[34:36] + id
    return (False, frame[30:34] + frame[36:38] + id) if source == _DNS else None


def dhcp_mark(frame: bytes) -> Mark | None:
    """Return the mark of a DHCP question or of its answer; None: it is neither."""
    if len(frame) < _PAYLOAD + 8 or frame[23] != _UDP:
        return None
    if _DHCP_SERVER not in struct.unpack_from("!HH", frame, 34):
        return None
    return frame[_PAYLOAD] == 1, frame[_PAYLOAD + 4 : _PAYLOAD + 8]


MARKS: dict[str, Callable[[bytes], Mark | None]] = {"dns": dns_mark, "dhcp": dhcp_mark}


def _arrivals(wire: socket.socket) -> Iterator[tuple[float, bytes]]:
    """Yield what is there, each with its time."""
    while True:
        try:
            frame, control, _, _ = wire.recvmsg(2048, _SPACE)
        except BlockingIOError:
            return
        for level, kind, value in control:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIME.unpack(value)
                yield seconds + nanoseconds / 1e9, frame


def main() -> None:
    """Listen until standard input says a line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    mark_of, device = MARKS[sys.argv[1]], sys.argv[2]
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    wire.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    wire.setblocking(False)
    wire.bind((device, _ALL))
    os.setpriority(os.PRIO_PROCESS, 0, 5)  # its own clock is the kernel's: it may come late
    print(json.dumps({"listens": device}), flush=True)
    asked: dict[bytes, float] = {}
    times: list[float] = []
    ready: list[Any] = []
    while sys.stdin not in ready:
        ready, _, _ = select.select([wire, sys.stdin], [], [])
        for when, frame in _arrivals(wire) if wire in ready else ():
            mark = mark_of(frame)
            if mark is not None and mark[0]:
                asked[mark[1]] = when
            elif mark is not None and mark[1] in asked:
                times.append(when - asked.pop(mark[1]))
    print(json.dumps({"times": times, "open": len(asked)}), flush=True)


if __name__ == "__main__":
    main()
