"""Runs inside a namespace: what ICMP says there, echo requests and errors.

Started as a script with its name. One JSON command a line comes in, one JSON answer a line goes
out. It sees every echo request that arrives, with the sender's words in it, so that what came
through is known at both ends; and every error with the packet that it is about.
"""

import contextlib
import json
import os
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

_REQUEST, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_ERRORS = (3, 11)
"""Unreachable, and time exceeded; of IPv4."""
_UDP = 17
_ROUND_S = 0.3
_ICMP = {
    4: (socket.AF_INET, socket.IPPROTO_ICMP),
    6: (socket.AF_INET6, socket.IPPROTO_ICMPV6),
}


@dataclass(frozen=True)
class Fault:
    """An error about a datagram.

    Attributes:
        by: whose address it came from.
        kind: type and code.
        source: address and port of the datagram, as the error quotes them.
        target: where it was for, likewise.
    """

    by: str
    kind: tuple[int, int]
    source: tuple[str, int]
    target: tuple[str, int]


class Pinger:
    """What can be asked of it; the methods' names are the commands."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked: dict[str, str] = {}
        self._answered: set[tuple[str, str]] = set()
        self._faults: list[Fault] = []
        self._wires = {
            family: socket.socket(kind, socket.SOCK_RAW, protocol)
            for family, (kind, protocol) in _ICMP.items()
        }
        for family in self._wires:
            threading.Thread(target=self._receive, args=(family,), daemon=True).start()

    def ping(self, address: str, words: str, patience_s: float) -> dict[str, Any]:
        """Send echo requests with *words* that nobody else says, until one is answered."""
        deadline = time.monotonic() + patience_s
        wanted = (words, address)
        while wanted not in self._answered and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self._request(address, words.encode())
            with self._changed:
                self._changed.wait_for(lambda: wanted in self._answered, _ROUND_S)
        return {"answered": wanted in self._answered}

    def pinged(self) -> dict[str, Any]:
        """Return the words of all echo requests that arrived, and from which address."""
        return self._asked.copy()

    def probe(self, address: str, port: int, hops: int, patience_s: float) -> dict[str, Any]:
        """Send a datagram that may be passed on by *hops* - 1 routers, until somebody refuses it.

        Returns who said what, as whom the datagram is quoted to have been sent, as whom it was,
        and what its socket was told; nothing: nobody said anything.
        """
        deadline = time.monotonic() + patience_s
        with self._changed:
            self._faults.clear()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, hops)
            wire.connect((address, port))
            while time.monotonic() < deadline:
                wire.send(b"probe")
                with self._changed:
                    if not self._changed.wait_for(lambda: self._about(address, port), _ROUND_S):
                        continue
                    fault = self._about(address, port)
                told = wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                own = wire.getsockname()
                return {**vars(fault), "own": own, "told": told}
        return {}

    def _about(self, address: str, port: int) -> Fault | None:
        return next((one for one in self._faults if one.target == (address, port)), None)

    def _request(self, address: str, words: bytes) -> None:
        family = ip_address(address).version
        message = struct.pack("!BBHHH", _REQUEST[family], 0, 0, os.getpid() & 0xFFFF, 1) + words
        if family == 4:
            # The kernel fills in ICMPv6's checksum, not ICMP's (raw(7)).
            message = message[:2] + struct.pack("!H", _checksum(message)) + message[4:]
        self._wires[family].sendto(message, (address, 0))

    def _receive(self, family: int) -> None:
        while True:
            packet, source = self._wires[family].recvfrom(1 << 16)
            message = packet[(packet[0] & 0x0F) * 4 :] if family == 4 else packet
            with self._changed, contextlib.suppress(ValueError, IndexError, struct.error):
                self._take(family, source[0], message)
                self._changed.notify_all()

    def _take(self, family: int, source: str, message: bytes) -> None:
        kind, code = message[:2]
        if kind == _REQUEST[family]:
            self._asked[message[8:].decode()] = source
        elif kind == _REPLY[family]:
            self._answered.add((message[8:].decode(), source))
        elif family == 4 and kind in _ERRORS:
            about = message[8:]
            ports = about[(about[0] & 0x0F) * 4 :]
            if about[9] == _UDP:
                ends = map(str, (ip_address(about[12:16]), ip_address(about[16:20])))
                both = tuple(zip(ends, struct.unpack("!HH", ports[:4]), strict=True))
                self._faults.append(Fault(source, (kind, code), *both))


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def main() -> None:
    """Answer commands until standard input ends."""
    pinger = Pinger()
    print(json.dumps({"ready": sys.argv[1]}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        print(json.dumps(getattr(pinger, command.pop("do"))(**command)), flush=True)


if __name__ == "__main__":
    main()
