"""Datagrams, connections and echoes whose fate is known one by one."""

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from tests.support.waiting import wait_until
from tests.traffic.site import Guest

INTERVAL_S = 0.005
QUIET_S = 0.4
"""For so long nothing must come before a stream counts as stopped."""


@dataclass
class Record:
    """What of a numbered stream was sent and what came, with the time of each (monotonic)."""

    sent: dict[int, float] = field(default_factory=dict)
    came: dict[int, float] = field(default_factory=dict)

    def lost(self, after: float = 0.0, before: float | None = None) -> list[int]:
        """Numbers sent between two times that did not come."""
        end = time.monotonic() if before is None else before
        return [
            at
            for at, when in list(self.sent.items())
            if after <= when < end and at not in self.came
        ]

    def latest(self) -> float:
        """When the last one came."""
        return max(list(self.came.values()), default=0.0)


class Stream:
    """Numbers that go from one socket to another; subclasses say how.

    Attributes:
        record: what became of them.
    """

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.record = Record()
        self.source, self.target = source, target
        source.settimeout(0.2)
        target.settimeout(0.2)
        self._ends = threading.Event()
        work = (self._send_all, self._receive_all)
        self._threads = [threading.Thread(target=one, daemon=True) for one in work]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, number: int) -> None:
        self.source.send(struct.pack("!I", number))

    def receive(self) -> int | None:
        """Return the next number that comes; None: it was something else."""
        return struct.unpack("!I", self.target.recv(2000)[:4])[0]

    def _send_all(self) -> None:
        number = 0
        while not self._ends.is_set():
            number += 1
            self.record.sent[number] = time.monotonic()
            with suppress(OSError):  # ICMP errors about earlier ones are told here
                self.send(number)
            time.sleep(INTERVAL_S)

    def _receive_all(self) -> None:
        while not self._ends.is_set():
            with suppress(OSError, struct.error):
                number = self.receive()
                if number is not None:
                    self.record.came[number] = time.monotonic()

    def flows(self, timeout: float = 20.0) -> None:
        """Wait until something comes that was sent after now."""
        start = time.monotonic()
        record = self.record

        def new() -> bool:
            return any(record.sent[one] >= start for one in reversed(list(record.came)[-50:]))

        wait_until(new, timeout, f"{self} flows")

    def is_silent(self, count: int = 40) -> None:
        """Check that nothing has come of all that was sent, and of *count* more."""
        start = len(self.record.sent)
        wait_until(lambda: len(self.record.sent) > start + count, 60, f"{self} sends")
        assert not self.record.came

    def stops(self, timeout: float = 10.0) -> float:
        """Wait until nothing comes any more; returns the time that the last one came."""
        wait_until(
            lambda: time.monotonic() - self.record.latest() > QUIET_S, timeout, f"{self} stops"
        )
        return self.record.latest()

    def close(self) -> Record:
        """End it; what is under way a moment before may be missing."""
        self._ends.set()
        for thread in self._threads:
            thread.join()
        return self.record


class Segments(Stream):
    """Numbers over a TCP connection."""

    def receive(self) -> int | None:
        data = b""
        while len(data) < 4:
            with suppress(TimeoutError):
                more = self.target.recv(4 - len(data))
                if not more:
                    raise OSError("closed")
                data += more
            if self._ends.is_set():
                return None
        return struct.unpack("!I", data)[0]


class Echoes(Stream):
    """Echo requests and their answers, by raw sockets of one guest."""

    def __init__(self, source: Guest, target: Guest, family: int = 4) -> None:
        protocol = socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6
        made = source.opens(socket.SOCK_RAW, family, protocol)
        made.connect((target.address(family), 0))
        self._family = family
        self._id = made.fileno() + 1000
        super().__init__(made, made)

    def send(self, number: int) -> None:
        kind = 8 if self._family == 4 else 128
        content = struct.pack("!BBHHHI", kind, 0, 0, self._id, number & 0xFFFF, number)
        if self._family == 4:
            content = content[:2] + struct.pack("!H", checksum(content)) + content[4:]
        self.source.send(content)

    def receive(self) -> int | None:
        data = self.target.recv(2000)[20 if self._family == 4 else 0 :]
        kind, _, _, number, _, said = struct.unpack("!BBHHHI", data[:12])
        return said if kind in (0, 129) and number == self._id else None

    def close(self) -> Record:
        super().close()
        self.source.close()
        return self.record


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ends(
    one: Guest, other: Guest, ports: tuple[int, int], family: int = 4
) -> tuple[socket.socket, socket.socket]:
    """Return UDP sockets of two guests that are connected to each other."""
    made = one.opens(socket.SOCK_DGRAM, family), other.opens(socket.SOCK_DGRAM, family)
    for sock, guest, port in zip(made, (one, other), ports, strict=True):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((guest.address(family), port))
    made[0].connect((other.address(family), ports[1]))
    made[1].connect((one.address(family), ports[0]))
    return made


def connected(
    client: Guest, server: Guest, port: int, family: int = 4, timeout: float = 20.0
) -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new TCP connection.

    Raises:
        TimeoutError: nobody answered.
    """
    listener = server.opens(socket.SOCK_STREAM, family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((server.address(family), port))
    listener.listen()
    listener.settimeout(timeout)
    made = client.opens(socket.SOCK_STREAM, family)
    made.settimeout(timeout)
    try:
        made.connect((server.address(family), port))
        accepted, _ = listener.accept()
    except BaseException:
        made.close()
        raise
    finally:
        listener.close()
    for sock in (made, accepted):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made, accepted
