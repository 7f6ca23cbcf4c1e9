"""Runs inside a workload: holds connections open and says when data last came over them.

Started as a script with the workload's name. One JSON command a line comes in, one JSON answer a
line goes out. Over a connection a numbered record goes to the other side every few milliseconds,
and comes back; both ends note when the last one came and whether any was missing. All workloads
are on one machine, so their monotonic clocks are one.
"""

import contextlib
import json
import socket
import struct
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import Any

_BEAT_S = 0.002
_SILENCE_S = 0.15
_RECORD = struct.Struct("!Q")
_AT_ONCE = struct.pack("ii", 1, 0)
_FIRST_TRY_S, _LONGEST_TRY_S = 0.02, 1.0


@dataclass
class Arrivals:
    """What has come over a connection.

    Attributes:
        count: how many records.
        last: when the last one came, on the monotonic clock; 0.0 before the first.
        resumed: when the first one came after the latest silence; 0.0 before the first.
        in_order: whether none was missing, twice there or in another place.
    """

    count: int = 0
    last: float = 0.0
    resumed: float = 0.0
    in_order: bool = True

    def take(self, record: bytes) -> None:
        """Note a record."""
        self.in_order &= _RECORD.unpack(record)[0] == self.count
        self.count += 1
        now = time.monotonic()
        if now - self.last > _SILENCE_S:
            self.resumed = now
        self.last = now


@dataclass
class Connection:
    """This end of a connection."""

    wire: socket.socket
    sent: int = 0
    arrivals: Arrivals = field(default_factory=Arrivals)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.wire.settimeout(None)
        self.wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Closed means gone: nothing of it is sent again once its way is open.
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)

    def send(self) -> None:
        """Send numbered records until it is closed."""
        with contextlib.suppress(OSError):
            while not self.ended.wait(_BEAT_S):
                self.wire.sendall(_RECORD.pack(self.sent))
                self.sent += 1

    def receive(self, *, back: bool) -> None:
        """Note what comes until it is closed, and send it *back* if so asked."""
        with contextlib.suppress(OSError), self.wire.makefile("rb") as records:
            while len(record := records.read(_RECORD.size)) == _RECORD.size:
                self.arrivals.take(record)
                if back:
                    self.wire.sendall(record)

    def close(self) -> None:
        """Give it up."""
        self.ended.set()
        self.wire.close()


class Streamer:
    """One workload's ends of all its streams, by the stream's name."""

    def __init__(self) -> None:
        self._connections: dict[str, Connection] = {}

    def listen(self, port: int) -> dict[str, Any]:
        """Take connections at *port* from now on."""
        server = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        _in_background(self._serve, server)
        return {}

    def open(self, name: str, address: str, port: int, patience_s: float) -> dict[str, Any]:
        """Connect, again and again if need be; return when that came about, or None."""
        deadline = time.monotonic() + patience_s
        # Short at first, so that it need not wait for TCP's own second attempt.
        attempt_s = _FIRST_TRY_S
        while time.monotonic() < deadline:
            try:
                wire = socket.create_connection((address, port), attempt_s)
            except OSError:
                attempt_s = min(attempt_s * 1.5, _LONGEST_TRY_S)
                continue
            opened = time.monotonic()
            connection = self._connections[name] = Connection(wire)
            wire.sendall(f"{name}\n".encode())
            _in_background(connection.send)
            _in_background(connection.receive, back=False)
            return {"opened": opened}
        return {"opened": None}

    def watch(self, name: str) -> dict[str, Any]:
        """Return what came over the stream *name* to this end, and how much it has sent itself."""
        found = self._connections.get(name)
        if found is None:
            return {"sent": 0, **asdict(Arrivals())}
        return {"sent": found.sent, **asdict(found.arrivals)}

    def close(self, name: str) -> dict[str, Any]:
        """Give the stream *name* up."""
        if name in self._connections:
            self._connections.pop(name).close()
        return {}

    def _serve(self, server: socket.socket) -> None:
        while True:
            wire, _ = server.accept()
            _in_background(self._answer, wire)

    def _answer(self, wire: socket.socket) -> None:
        name = b""
        with contextlib.suppress(OSError):
            # Byte by byte: what follows the line is records already.
            while not name.endswith(b"\n") and (byte := wire.recv(1)):
                name += byte
            connection = self._connections[name.decode().strip()] = Connection(wire)
            connection.receive(back=True)


def _in_background(function: Any, *arguments: Any, **options: Any) -> None:
    threading.Thread(target=function, args=arguments, kwargs=options, daemon=True).start()


def main() -> None:
    """Answer commands until standard input ends."""
    streamer = Streamer()
    print(json.dumps({"ready": sys.argv[1]}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        do = getattr(streamer, command.pop("do"))
        print(json.dumps(do(**command)), flush=True)


if __name__ == "__main__":
    main()
