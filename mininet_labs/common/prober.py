"""Runs inside a workload's namespace: answers who it is, and finds out whom it can reach.

Started as a script with the workload's name and the TCP ports to answer at. One JSON command a
line comes in, one JSON answer a line goes out. It answers TCP connections with its name and some
data, and sees every ICMP echo request that arrives, with the sender's name in it, so that what
came through is known at both ends.
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

PING = "ping"
"""The service that is no TCP port."""

BULK = bytes(range(256)) * 256
"""64 KiB: a ping may pass where a stream dies of a wrong checksum or MTU."""

_REQUEST, _REPLY = {4: 8, 6: 128}, {4: 0, 6: 129}
_ROUND_S = 0.4

Service = str | int
"""``ping`` or a TCP port."""


class Prober:
    """One workload's ends of all conversations.

    Attributes:
        name: the workload's name.
        seen: (service, family, sender's name) of everything that arrived here.
    """

    def __init__(self, name: str, ports: list[int]) -> None:
        self.name = name
        self.seen: set[tuple[Service, int, str]] = set()
        self._answered: set[tuple[int, str]] = set()
        self._changed = threading.Condition()
        self._identifier = os.getpid() & 0xFFFF
        self._icmp = {
            4: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
            6: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6),
        }
        self._servers = {
            port: socket.create_server(
                ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64
            )
            for port in ports
        }

    def start(self) -> None:
        """Begin to listen."""
        for port in self._servers:
            _in_background(self._serve, port)
        for family in self._icmp:
            _in_background(self._receive_echoes, family)

    def probe(self, targets: list[dict[str, Any]], patience_s: float) -> list[Any]:
        """Try to reach every target; return what answered there, in the same order.

        Args:
            targets: each with ``address``, ``family``, ``service`` and ``hope``: whether to be
                patient, because it should be reachable.
            patience_s: how long to try those, seconds.

        Returns:
            For a ping whether it was answered, for a TCP port the name that answered, or None.
        """
        deadline = time.monotonic() + patience_s
        # Late answers to earlier probes are none to these.
        self._identifier = (self._identifier + 1) & 0xFFFF
        self._answered.clear()
        pings = [target for target in targets if target["service"] == PING]
        streams = [target for target in targets if target["service"] != PING]
        with ThreadPoolExecutor(len(streams) + 1) as pool:
            names = pool.map(lambda target: self._converse(target, deadline), streams)
            self._ping(pings, deadline)
            return [
                (target["family"], target["address"]) in self._answered
                if target["service"] == PING
                else next(names)
                for target in targets
            ]

    def _ping(self, targets: list[dict[str, Any]], deadline: float) -> None:
        """Send echo requests, again to whom should answer and has not, at least two rounds."""
        sequence = 0
        while targets:
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
                    self.seen.add((PING, family, json.loads(message[8:])["from"]))

    def _converse(self, target: dict[str, Any], deadline: float) -> str | None:
        """Return the name that answers at the target after all its data came, None: nobody."""
        while True:
            with contextlib.suppress(OSError, ValueError):
                timeout_s = 2.0 if target["hope"] else 1.0
                return self._ask(target["address"], target["service"], timeout_s)
            if not target["hope"] or time.monotonic() > deadline:
                return None
            time.sleep(0.1)

    def _ask(self, address: str, port: int, timeout_s: float) -> str:
        with socket.create_connection((address, port), timeout_s) as stream:
            stream.sendall(f"{self.name}\n".encode())
            with stream.makefile("rb") as answer:
                name = answer.readline().decode().strip()
                if answer.read() != BULK:
                    raise ValueError("not all data came")
        return name

    def _serve(self, port: int) -> None:
        while True:
            stream, source = self._servers[port].accept()
            family = 4 if source[0].startswith("::ffff:") else 6
            _in_background(self._answer, stream, port, family)

    def _answer(self, stream: socket.socket, port: int, family: int) -> None:
        with contextlib.suppress(OSError), stream, stream.makefile("rb") as question:
            stream.settimeout(10.0)
            asker = question.readline(256).decode().strip()
            self.seen.add((port, family, asker))
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
    prober = Prober(sys.argv[1], [int(port) for port in sys.argv[2:]])
    prober.start()
    print(json.dumps({"ready": prober.name}), flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "probe":
            answer = {"answers": prober.probe(command["targets"], command["patience_s"])}
        else:
            answer = {"seen": list(prober.seen)}
            prober.seen = set()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
