"""Sends an ICMP echo every millisecond from inside a guest and notes when each was answered.

Runs as a process of its own at real-time priority. It writes whole Ethernet frames, so no ARP
and no kernel route stands between the forwarding under test and the probe. It takes one JSON
command a line on standard input and answers with one JSON line.
"""

import json
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

_ETH_P_IP = 0x0800
_SEQUENCE = struct.Struct("!Q")


def checksum(data: bytes) -> int:
    """Return the Internet checksum of *data* (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Probe(Protocol):
    """What a train sends, and what answers it."""

    def frame(self, sequence: int) -> bytes:
        """Return probe number *sequence* as an Ethernet frame."""
        ...

    def answered(self, frame: bytes) -> int | None:
        """Return the number of the probe that *frame* answers, None if it is no answer."""
        ...


@dataclass(frozen=True, slots=True)
class Flight:
    """Who sends to whom.

    Attributes:
        source_mac: of the sending guest.
        next_mac: of the answering guest, or of the gateway when the probe is to be routed.
        source: IPv4 address of the sender.
        target: IPv4 address of the answering guest.
        identifier: ICMP identifier that tells this train from others.
    """

    source_mac: str
    next_mac: str
    source: str
    target: str
    identifier: int

    def frame(self, sequence: int) -> bytes:
        """Return the echo request number *sequence* as an Ethernet frame."""
        payload = _SEQUENCE.pack(sequence) + b"\x5a" * 16
        head = struct.pack("!BBHHH", 8, 0, 0, self.identifier, sequence & 0xFFFF)
        total = checksum(head + payload)
        icmp = head[:2] + struct.pack("!H", total) + head[4:] + payload
        addresses = socket.inet_aton(self.source) + socket.inet_aton(self.target)
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(icmp), 0, 0, 64, 1, 0) + addresses
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        macs = bytes.fromhex((self.next_mac + self.source_mac).replace(":", ""))
        return macs + struct.pack("!H", _ETH_P_IP) + ip + icmp

    def answered(self, frame: bytes) -> int | None:
        """Return the number of the request that *frame* answers, None if it is no answer."""
        if len(frame) < 50 or frame[23] != 1 or frame[34] != 0:
            return None
        if frame[26:30] != socket.inet_aton(self.target):
            return None
        if struct.unpack_from("!H", frame, 38)[0] != self.identifier:
            return None
        return _SEQUENCE.unpack_from(frame, 42)[0]


class Train:
    """One train of probes, from the command that starts it to its end."""

    def __init__(self, wire: socket.socket, flight: Probe, command: dict[str, Any]) -> None:
        self._wire = wire
        self._flight = flight
        self._interval: float = command["interval"]
        self._until_first: bool = command["until_first"]
        self._until = time.monotonic() + command["timeout"]
        self.sent: list[float] = []
        self.answered: list[float | None] = []
        self.last_answer: float | None = None

    def run(self, stop_asked: Callable[["Train"], bool]) -> None:
        """Probe until an answer (if that was asked), a stop, or the time is over."""
        due = time.monotonic()
        while True:
            now = time.monotonic()
            if now >= self._until:
                return
            if now >= due:
                self._send(now)
                # After a stall the missed probes are not sent in a burst.
                due = max(due + self._interval, now)
            wait = max(0.0, due - time.monotonic())
            ready, _, _ = select.select([self._wire, sys.stdin], [], [], wait)
            if self._wire in ready and self._receive() and self._until_first:
                return
            if sys.stdin in ready and stop_asked(self):
                return

    def _send(self, now: float) -> None:
        frame = self._flight.frame(len(self.sent))
        self.sent.append(now)
        self.answered.append(None)
        try:
            self._wire.send(frame)
        except OSError:
            return  # a full queue or a link that is down: the probe counts as lost

    def _receive(self) -> bool:
        good = False
        while True:
            try:
                frame = self._wire.recv(2048)
            except BlockingIOError:
                return good
            except OSError:
                return good
            sequence = self._flight.answered(frame)
            if sequence is not None and sequence < len(self.sent):
                good = True
                self.last_answer = time.monotonic()
                if self.answered[sequence] is None:
                    self.answered[sequence] = self.last_answer


def open_wire(device: str) -> socket.socket:
    """Return a raw socket on *device* that hears IPv4."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_IP))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    wire.bind((device, _ETH_P_IP))
    wire.setblocking(False)
    return wire


def _stop_asked(train: Train) -> bool:
    command = json.loads(sys.stdin.readline() or '{"op": "stop"}')
    if command["op"] != "peek":
        return True
    print(json.dumps({"last_answer": train.last_answer}), flush=True)
    return False


def serve(device: str, flight_of: Callable[[dict[str, Any]], Probe]) -> None:
    """Serve commands until standard input ends; *flight_of* makes what a command describes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    while line := sys.stdin.readline():
        command = json.loads(line)
        if command["op"] != "probe":
            continue
        with open_wire(device) as wire:
            train = Train(wire, flight_of(command["flight"]), command)
            print(json.dumps({"started": time.monotonic()}), flush=True)
            train.run(_stop_asked)
        print(json.dumps({"sent": train.sent, "answered": train.answered}), flush=True)


def main() -> None:
    """Probe by ICMP."""
    serve(sys.argv[1], lambda values: Flight(**values))


if __name__ == "__main__":
    main()
