"""Runs inside a namespace: calls others, and answers calls.

Started as a script with its name. One JSON command a line comes in, one JSON answer a line goes
out. At the port that it listens at, a TCP connection hears who is here and where it is seen to come
from, may go on to transfer data up or down or to get back what it sends. A datagram that asks hears
the same; another comes back as it is.
"""

import contextlib
import errno
import hashlib
import json
import select
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, BinaryIO

_BEAT_S = 0.01
_TRY_S = 1.0
_FIT_S = 5.0
_UP, _DOWN, _BACK = b"u", b"d", b"b"
_WHO = b"who?"
_HELD_S = 0.05
_CHUNK, _CHUNKS = 8192, 300
"""What a transfer consists of; a chunk goes out every beat, so that it lasts for some seconds."""
_HUNG_S = 20.0
_ANSWERED_S = 0.5
"""Who has not been answered by then was not heard: TCP says it again after a second."""
_UDP_HEADS = 28
_MTU_DISCOVER, _PROBE, _MTU = 10, 3, 14
"""See ip(7): packets are never cut, and sent whatever was told before."""


@dataclass
class Ticks:
    """Datagrams that go out all the time, and come back.

    Attributes:
        wire: the socket.
        sent: how many went out.
        back: how many came back.
        last: when the last one did.
        longest: the longest time in which none did, seconds.
    """

    wire: socket.socket
    sent: int = 0
    back: int = 0
    last: float = field(default_factory=time.monotonic)
    longest: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send and receive until the end."""
        _in_background(self._receive)
        while not self.ended.wait(_BEAT_S):
            with contextlib.suppress(OSError):
                self.wire.send(str(self.sent).encode())
                self.sent += 1

    def _receive(self) -> None:
        while not self.ended.is_set():
            with contextlib.suppress(OSError):
                self.wire.recv(64)
                now = time.monotonic()
                self.longest, self.last = max(self.longest, now - self.last), now
                self.back += 1

    def end(self) -> dict[str, Any]:
        """Stop, and return what was seen."""
        self.ended.set()
        self.longest = max(self.longest, time.monotonic() - self.last)
        self.wire.close()
        return {"sent": self.sent, "back": self.back, "silence_ms": round(self.longest * 1000)}


class Knocks:
    """New conversations that begin all the time: a datagram that comes back, a connection.

    Args:
        address: of who answers.
        port: where.
        kinds: of sockets, in turn.
    """

    def __init__(self, address: str, port: int, kinds: list[int]) -> None:
        self._to, self._kinds = (address, port), kinds
        self._open: dict[int, tuple[socket.socket, float]] = {}
        self._poll = select.poll()
        self._ended = threading.Event()
        self._sent, self._lost, self._longest = 0, 0, 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        due = time.monotonic()
        while self._open or not self._ended.is_set():
            if not self._ended.is_set() and time.monotonic() >= due:
                self._begin(self._kinds[self._sent % len(self._kinds)])
                due += _BEAT_S
            for number, _ in self._poll.poll(max(1.0, (due - time.monotonic()) * 1000)):
                self._close(number)
            late = time.monotonic() - _ANSWERED_S
            for number in [number for number, (_, since) in self._open.items() if since < late]:
                self._lost += 1
                self._close(number)

    def _begin(self, kind: int) -> None:
        made = socket.socket(socket.AF_INET, kind)
        made.setblocking(False)
        made.connect_ex(self._to)
        if kind == socket.SOCK_DGRAM:
            with contextlib.suppress(OSError):
                made.send(b"knock")
        self._open[made.fileno()] = (made, time.monotonic())
        wanted = select.POLLIN if kind == socket.SOCK_DGRAM else select.POLLOUT
        self._poll.register(made, wanted)
        self._sent += 1

    def _close(self, number: int) -> None:
        made, since = self._open.pop(number)
        self._poll.unregister(made)
        self._lost += made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
        self._longest = max(self._longest, time.monotonic() - since)
        made.close()

    def end(self) -> dict[str, Any]:
        """Stop, and return what was seen."""
        self._ended.set()
        self._thread.join()
        longest = round(self._longest * 1000)
        return {"sent": self._sent, "lost": self._lost, "longest_ms": longest}


class Transfer:
    """One TCP connection with somebody who listens, to whom or from whom data goes all the time.

    Attributes:
        result: empty once all data has arrived as it was sent, else what went wrong.
    """

    def __init__(self, address: str, port: int, way: bytes) -> None:
        self.result = "nothing has happened yet"
        self._way = way
        self._began = time.monotonic()
        self._stream = socket.create_connection((address, port), _HUNG_S)
        self._port = self._stream.getsockname()[1]
        # Who only receives says something now and then, as whoever has forgotten it needs to hear.
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
            self._stream.setsockopt(socket.IPPROTO_TCP, option, 1)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self._stream, self._stream.makefile("rb") as read:
                read.readline()
                self._stream.sendall(self._way)
                if self._way == _UP:
                    _give(self._stream)
                    self._stream.shutdown(socket.SHUT_WR)
                came = read.read() if self._way == _UP else _digest(read)
            self.result = "" if came == _WHOLE else "other data came than was sent"
        except OSError as error:
            after = time.monotonic() - self._began
            said = str(error) or type(error).__name__
            self.result = f"{said} (from port {self._port}, after {after:.2f} s)"

    def join(self) -> str:
        """Wait until it has ended; return the result."""
        self._thread.join()
        return self.result


class Hold:
    """A TCP connection and a datagram socket that send all the time, whatever they hear.

    Attributes:
        back: how much of it has come back, by kind.
        ended: what ended the connection, if anything did.
    """

    def __init__(self, address: str, port: int, datagrams: int) -> None:
        self.back = {"tcp": 0, "udp": 0}
        self.ended = ""
        self._stream = socket.create_connection((address, port), _HUNG_S)
        self._stream.sendall(_BACK)
        self._wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._wire.connect((address, datagrams))
        for one in (self._stream, self._wire):
            one.setblocking(False)
        _in_background(self._run)

    def _run(self) -> None:
        while True:
            time.sleep(_HELD_S)
            try:
                self._try(self._stream, "tcp")
            except OSError as error:
                self.ended = self.ended or errno.errorcode.get(error.errno or 0, str(error))
            with contextlib.suppress(OSError):
                self._try(self._wire, "udp")

    def _try(self, wire: socket.socket, kind: str) -> None:
        """Send something, and count all that has come.

        Raises:
            OSError: it has ended.
        """
        with contextlib.suppress(BlockingIOError):
            wire.send(b"!")
        with contextlib.suppress(BlockingIOError):
            while data := wire.recv(2048):
                self.back[kind] += len(data)


class Visitor:
    """What can be asked of it; the methods' names are the commands."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ticks: Ticks | None = None
        self._transfers: dict[str, Transfer] = {}
        self._knocks: list[Knocks] = []
        self._hold: Hold | None = None

    def listen(self, port: int) -> dict[str, Any]:
        """Answer at a port from now on."""
        both = {"family": socket.AF_INET6, "dualstack_ipv6": True}
        server = socket.create_server(("::", port), backlog=64, **both)
        datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        datagrams.bind(("::", port))
        _in_background(self._serve, server)
        _in_background(self._return, datagrams)
        return {}

    def _return(self, wire: socket.socket) -> None:
        while True:
            with contextlib.suppress(OSError):
                data, source = wire.recvfrom(2048)
                wire.sendto(self._here(source[0]) if data == _WHO else data, source)

    def _here(self, source: str) -> bytes:
        """Say who is here, and to whom."""
        return f"{self._name} {source.removeprefix('::ffff:')}\n".encode()

    def _serve(self, server: socket.socket) -> None:
        while True:
            stream, source = server.accept()
            _in_background(self._answer, stream, source[0])

    def _answer(self, stream: socket.socket, source: str) -> None:
        """Say who is here, and transfer what is asked for, if anything."""
        with contextlib.suppress(OSError), stream:
            stream.settimeout(_HUNG_S)
            stream.sendall(self._here(source))
            way = stream.recv(1)
            if way == _DOWN:
                _give(stream)
            elif way == _UP:
                stream.sendall(_digest(stream.makefile("rb")))
            while way == _BACK and (data := stream.recv(2048)):
                stream.sendall(data)

    def call(self, address: str, port: int, patience_s: float, kind: str) -> dict[str, Any]:
        """Talk to somebody by TCP or UDP, again until *patience_s* is over.

        Returns who answers, and as whom this one is seen there.
        """
        deadline = time.monotonic() + patience_s
        while True:
            with contextlib.suppress(OSError, ValueError):
                who, seen_as = _ASK[kind](address, port).split()
                return {"who": who, "seen_as": seen_as}
            if time.monotonic() > deadline:
                return {"who": None, "seen_as": None}
            time.sleep(0.05)

    def fit(self, address: str, port: int, size: int) -> dict[str, Any]:
        """Send a packet of *size* bytes that nobody may cut; a smaller one when told to.

        Returns the size of which one came back, and what was told before; none: nothing.
        """
        told, deadline = None, time.monotonic() + _FIT_S
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.setsockopt(socket.IPPROTO_IP, _MTU_DISCOVER, _PROBE)
            wire.settimeout(_TRY_S / 4)
            wire.connect((address, port))
            while time.monotonic() < deadline:
                try:
                    wire.send(bytes(size - _UDP_HEADS))
                    return {"fits": len(wire.recv(9000)) + _UDP_HEADS, "told": told}
                except OSError as error:
                    if error.errno == errno.EMSGSIZE:
                        told = size = wire.getsockopt(socket.IPPROTO_IP, _MTU)
        return {"fits": None, "told": told}

    def tick(self, address: str, port: int) -> dict[str, Any]:
        """Send datagrams to somebody who answers, until told to stop."""
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wire.settimeout(0.2)
        wire.connect((address, port))
        self._ticks = Ticks(wire)
        _in_background(self._ticks.run)
        return {}

    def stop(self) -> dict[str, Any]:
        """Stop sending; return how many came back, and the longest silence."""
        return {} if self._ticks is None else self._ticks.end()

    def knock(self, address: str, port: int, *, datagrams: bool) -> dict[str, Any]:
        """Begin new conversations with somebody, until told to stop."""
        kinds = [socket.SOCK_STREAM, *([socket.SOCK_DGRAM] if datagrams else [])]
        self._knocks.append(Knocks(address, port, [int(kind) for kind in kinds]))
        return {}

    def knocked(self) -> dict[str, Any]:
        """Stop beginning conversations; return what became of them."""
        found, self._knocks = [one.end() for one in self._knocks], []
        return {
            "sent": sum(one["sent"] for one in found),
            "lost": sum(one["lost"] for one in found),
            "longest_ms": max((one["longest_ms"] for one in found), default=0),
        }

    def whose(self, device: str, own: str, address: str) -> dict[str, Any]:
        """Ask everybody on a device's link whose an address is (ARP, RFC 826), as *own*.

        What the kernel knows of it stays: whoever makes it forget that loses packets.
        """
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind((device, 0))
            mac: bytes = wire.getsockname()[4]
            ends = mac, socket.inet_aton(own), bytes(6), socket.inet_aton(address)
            question = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, *ends)
            wire.send(b"\xff" * 6 + mac + b"\x08\x06" + question.ljust(46, b"\0"))
        return {}

    def hold(self, address: str, port: int, datagrams: int) -> dict[str, Any]:
        """Begin to talk to somebody by a connection and by datagrams, and never stop."""
        self._hold = Hold(address, port, datagrams)
        return {}

    def held(self) -> dict[str, Any]:
        """Return how much of that has come back, and what ended the connection."""
        return {} if self._hold is None else {**self._hold.back, "ended": self._hold.ended}

    def transfer(self, address: str, port: int) -> dict[str, Any]:
        """Begin to send data to somebody, and to get data, by a connection each."""
        ways = {"up": _UP, "down": _DOWN}
        self._transfers = {name: Transfer(address, port, way) for name, way in ways.items()}
        return {}

    def transferred(self) -> dict[str, Any]:
        """Return what became of each transfer, once both have ended; empty: all has arrived."""
        return {name: one.join() for name, one in self._transfers.items()}


def _chunk(number: int) -> bytes:
    return struct.pack("!I", number) * (_CHUNK // 4)


def _give(stream: socket.socket) -> None:
    for number in range(_CHUNKS):
        stream.sendall(_chunk(number))
        time.sleep(_BEAT_S)


def _digest(stream: BinaryIO) -> bytes:
    """Return the digest of all that comes."""
    total = hashlib.sha256()
    while data := stream.read(_CHUNK):
        total.update(data)
    return total.digest()


_WHOLE = hashlib.sha256(b"".join(map(_chunk, range(_CHUNKS)))).digest()
"""Of a transfer in which all has arrived, in order."""


def _ask_by_tcp(address: str, port: int) -> str:
    with socket.create_connection((address, port), _TRY_S) as stream:
        return stream.makefile().readline()


def _ask_by_udp(address: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as wire:
        wire.settimeout(_TRY_S / 2)
        wire.connect((address, port))
        wire.send(_WHO)
        return wire.recv(2048).decode()


_ASK = {"tcp": _ask_by_tcp, "udp": _ask_by_udp}


def _in_background(function: Any, *arguments: Any) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


def main() -> None:
    """Answer commands until standard input ends."""
    visitor = Visitor(sys.argv[1])
    print(json.dumps({"ready": sys.argv[1]}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(visitor, command.pop("do"))(**command)), flush=True)


if __name__ == "__main__":
    main()
