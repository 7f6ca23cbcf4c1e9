"""Probes by UDP: one connection a train, which a rule about a port lets in and a firewall tracks.

The same as :mod:`bench.probe_worker`, but the far guest's echo (``bench.echo_worker``) answers
instead of its kernel.
"""

import socket
import struct
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench.probe_worker import checksum, serve

_SEQUENCE = struct.Struct("!Q")
_UDP = 17
_FRAME = 14 + 20 + 8 + _SEQUENCE.size


@dataclass(frozen=True, slots=True)
class UdpFlight:
    """Who sends to whom.

    Attributes:
        source_mac: of the sending guest.
        next_mac: of the answering guest, or of the gateway when the probe is to be routed.
        source: IPv4 address of the sender.
        target: IPv4 address of the answering guest.
        identifier: source port, which tells this train from others.
        port: UDP port of the echo.
    """

    source_mac: str
    next_mac: str
    source: str
    target: str
    identifier: int
    port: int

    def frame(self, sequence: int) -> bytes:
        """Return datagram number *sequence* as an Ethernet frame."""
        payload = _SEQUENCE.pack(sequence) + b"\x5a" * 16
        length = 8 + len(payload)
        addresses = socket.inet_aton(self.source) + socket.inet_aton(self.target)
        head = struct.pack("!HHHH", self.identifier, self.port, length, 0)
        # RFC 768: the sum is over a pseudo-header too, and one that is 0 is sent as ones.
        pseudo = addresses + struct.pack("!BBH", 0, _UDP, length)
        total = checksum(pseudo + head + payload) or 0xFFFF
        datagram = head[:6] + struct.pack("!H", total) + payload
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0, 64, _UDP, 0) + addresses
        ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
        macs = bytes.fromhex((self.next_mac + self.source_mac).replace(":", ""))
        return macs + struct.pack("!H", 0x0800) + ip + datagram

    def answered(self, frame: bytes) -> int | None:
        """Return the number of the datagram that *frame* answers, None if it is no answer."""
        if len(frame) < _FRAME or frame[23] != _UDP:
            return None
        if frame[26:30] != socket.inet_aton(self.target):
            return None
        if struct.unpack_from("!HH", frame, 34) != (self.port, self.identifier):
            return None
        return _SEQUENCE.unpack_from(frame, 42)[0]


def main() -> None:
    """Serve commands until standard input ends."""
    with ExitStack() as sinks:

        def make(values: dict[str, Any]) -> UdpFlight:
            flight = UdpFlight(**values)
            sink = sinks.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            # Somebody must own the port, or the kernel calls every answer unreachable.
            sink.bind(("", flight.identifier))
            return flight

        serve(sys.argv[1], make)


if __name__ == "__main__":
    main()
