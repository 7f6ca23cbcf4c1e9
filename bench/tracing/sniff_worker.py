"""Listens to OpenFlow on a device and notes when bundles begin and when they are committed.

``python -m bench.tracing.sniff_worker DEVICE PORT``: every line on standard input ends the
recording since the line before, and is answered with one JSON list of
``[time, switch, "open" | "commit" | "committed"]``.
"""

import json
import os
import select
import signal
import socket
import struct
import sys
import time

_ETH_P_ALL = 3
_BUNDLE_CONTROL = 33
_KINDS = {0: "open", 4: "commit", 5: "committed"}
_HEADER = struct.Struct("!BBHI")
Event = tuple[float, str, str]


def payload(frame: bytes, port: int) -> tuple[str, bytes] | None:
    """Return the switch's address and the TCP payload of an OpenFlow segment, else None."""
    if len(frame) < 54 or frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_TCP:
        return None
    start = 14 + (frame[14] & 0x0F) * 4
    end = 14 + struct.unpack_from("!H", frame, 16)[0]
    source, target = struct.unpack_from("!HH", frame, start)
    if port not in (source, target):
        return None
    switch = frame[30:34] if source == port else frame[26:30]
    data = frame[start + (frame[start + 12] >> 4) * 4 : end]
    return socket.inet_ntoa(switch), data


def bundle_steps(data: bytes) -> list[str]:
    """Return the steps of bundles in a segment that begins with a message."""
    found: list[str] = []
    place = 0
    while place + 8 <= len(data):
        _, kind, length, _ = _HEADER.unpack_from(data, place)
        if length < 8:
            break
        if kind == _BUNDLE_CONTROL and place + 14 <= len(data):
            step = _KINDS.get(struct.unpack_from("!H", data, place + 12)[0])
            found += [step] if step else []
        place += length
    return found


def main() -> None:
    """Record until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    device, port = sys.argv[1], int(sys.argv[2])
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    wire.bind((device, _ETH_P_ALL))
    events: list[Event] = []
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([wire, sys.stdin], [], [])
        if wire in ready:
            frame, now = wire.recv(65_535), time.monotonic()
            if found := payload(frame, port):
                events += [(now, found[0], step) for step in bundle_steps(found[1])]
        if sys.stdin in ready:
            if not sys.stdin.readline():
                return
            print(json.dumps(events), flush=True)
            events = []


if __name__ == "__main__":
    main()
