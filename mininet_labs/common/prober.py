"""Runs inside a workload's namespace: answers who it is, and finds out whom it can reach.

Started as a script with the workload's name. One JSON command a line comes in, one JSON answer a
line goes out. It answers TCP connections with its name and some data, and sees every ICMP echo
request that arrives, with the sender's name in it, so that what came through is known at both
ends.
"""

import contextlib
import json
import os
import socket
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PORT = 7770
BULK = bytes(range(256)) * 256
"""64 KiB: a ping may pass where a stream dies of a wrong checksum or MTU."""

_REQUEST, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_ROUND_S = 0.4


class Prober:
    """One workload's ends of all conversations.

    Attributes:
        name: the workload's name.
        seen: (protocol, family, sender's name) of everything that arrived here.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: set[tuple[str, int, str]] = set()
        self._answered: set[tuple[int, str]] = set()
        self._changed = threading.Condition()
        self._identifier = os.getpid() & 0xFFFF
        self._icmp = {
            4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
            6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6),
        }
        self._server = socket.create_server(
            ("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64
        )

    def start(self) -> None:
        """Begin to listen."""
        _in_background(self._serve)
        for family in self._icmp:
            _in_background(self._receive_echoes, family)

    def probe(self, targets: list[dict[str, Any]], patience_s: float) -> list[dict[str, Any]]:
        """Try to reach every target by ping and TCP.

        Args:
            targets: each with ``address``, ``family``, ``tcp`` and ``hope``: whether to be
                patient, because it should be reachable.
            patience_s: how long to try those, seconds.
        """
        deadline = time.monotonic() + patience_s
        with ThreadPoolExecutor(len(targets)) as pool:
            streams = [pool.submit(self._converse, target, deadline) for target in targets]
            self._ping(targets, deadline)
            return [
                {
                    "address": target["address"],
                    "ping": (target["family"], target["address"]) in self._answered,
                    "tcp": stream.result(),
                }
                for target, stream in zip(targets, streams, strict=True)
            ]

    def _ping(self, targets: list[dict[str, Any]], deadline: float) -> None:
        """Send echo requests, again to whom should answer and has not, at least two rounds."""
        sequence = 0
        while True:
            missing = [t for t in targets if (t["family"], t["address"]) not in self._answered]
            hoped = {(t["family"], t["address"]) for t in missing if t["hope"]}
            if sequence >= 2 and (not hoped or time.monotonic() > deadline):
                return
            for target in missing:
                with contextlib.suppress(OSError):
                    self._send_echo(target["family"], target["address"], sequence)
            sequence += 1
            with self._changed:
                wanted = {(t["family"], t["address"]) for t in missing}
                self._changed.wait_for(lambda want=wanted: want <= self._answered, _ROUND_S)

    def _send_echo(self, family: int, address: str, sequence: int) -> None:
        payload = json.dumps({"from": self.name}).encode()
        header = struct.pack("!BBHHH", _REQUEST[family], 0, 0, self._identifier, sequence)
        if family == 4:
            # The kernel fills in ICMPv6's checksum, not ICMP's (raw(7)).
            total = _checksum(header + payload)
            header = header[:2] + struct.pack("!H", total) + header[4:]
        self._icmp[family].sendto(header + payload, (address, 0))

    def _receive_echoes(self, family: int) -> None:
        while True:
            packet, source = self._icmp[family].recvfrom(65535)
            message = packet[(packet[0] & 0x0F) * 4 :] if family == 4 else packet
            kind, _, _, identifier, _ = struct.unpack("!BBHHH", message[:8])
            if kind == _REPLY[family] and identifier == self._identifier:
                with self._changed:
                    self._answered.add((family, source[0]))
                    self._changed.notify_all()
            elif kind == _REQUEST[family]:
                with contextlib.suppress(ValueError, KeyError):
                    self.seen.add(("ping", family, json.loads(message[8:])["from"]))

    def _converse(self, target: dict[str, Any], deadline: float) -> str | None:
        """Return the name that answers at the target after all its data came, None: nobody."""
        if not target["tcp"]:
            return None
        while True:
            with contextlib.suppress(OSError, ValueError):
                return self._ask(target["address"], 2.0 if target["hope"] else 1.0)
            if not target["hope"] or time.monotonic() > deadline:
                return None
            time.sleep(0.1)

    def _ask(self, address: str, timeout_s: float) -> str:
        with socket.create_connection((address, PORT), timeout_s) as stream:
            stream.sendall(f"{self.name}\n".encode())
            with stream.makefile("rb") as answer:
                name = answer.readline().decode().strip()
                if answer.read() != BULK:
                    raise ValueError("not all data came")
        return name

    def _serve(self) -> None:
        while True:
            stream, source = self._server.accept()
            family = 4 if source[0].startswith("::ffff:") else 6
            _in_background(self._answer, stream, family)

    def _answer(self, stream: socket.socket, family: int) -> None:
        with contextlib.suppress(OSError), stream, stream.makefile("rb") as question:
            stream.settimeout(10.0)
            asker = question.readline(256).decode().strip()
            self.seen.add(("tcp", family, asker))
            stream.sendall(f"{self.name}\n".encode() + BULK)


def _in_background(function: Any, *arguments: Any) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def main() -> None:
    """Answer commands until standard input ends."""
    prober = Prober(sys.argv[1])
    prober.start()
    print(json.dumps({"ready": prober.name}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "probe":
            answer = {"results": prober.probe(command["targets"], command["patience_s"])}
        else:
            answer = {"seen": sorted(prober.seen)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
