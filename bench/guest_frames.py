"""Questions of guests as whole Ethernet frames, and which question an answer is to."""

import socket
import struct
from dataclasses import dataclass

from bench.probe_worker import checksum

_RESOLVER = "169.254.169.253"
_ETH_P_IP = b"\x08\x00"
_UDP = 17
_DNS, _DHCP_SERVER, _DHCP_CLIENT = 53, 67, 68
_COOKIE = bytes.fromhex("63825363")
_DISCOVER = bytes((53, 1, 1))
_ASKED_FOR = bytes((55, 7, 1, 3, 6, 12, 15, 26, 121))
_END = b"\xff"
_FIRST_PORT, _PORTS = 32_768, 28_000
"""What a client's stack takes its source ports from: every question has another one."""
_PAYLOAD = 42
"""Where the payload of UDP over IPv4 begins in a frame; answers have no IP options."""


@dataclass(frozen=True, slots=True)
class Asker:
    """A guest that asks.

    Attributes:
        device: its device, where its frames leave and arrive.
        mac: its MAC.
        address: its IPv4 address.
        gateway_mac: MAC of its router.
    """

    device: str
    mac: str
    address: str
    gateway_mac: str


@dataclass(frozen=True, slots=True)
class Discover:
    """Discovers (RFC 2131), each with a transaction id of its own."""

    first: int

    def frame(self, asker: Asker, number: int) -> bytes:
        """Return question *number* of a guest."""
        mac = _mac(asker.mac)
        xid = (self.first + number).to_bytes(4, "big")
        head = b"\x01\x01\x06\x00" + xid + bytes(20) + mac + bytes(10 + 192) + _COOKIE
        body = (head + _DISCOVER + _ASKED_FOR + _END).ljust(300, b"\0")
        packet = _udp("0.0.0.0", "255.255.255.255", (_DHCP_CLIENT, _DHCP_SERVER), body)  # noqa: S104
        return b"\xff" * 6 + mac + _ETH_P_IP + packet

    def answered(self, frame: bytes) -> int | None:
        """Return the number of the question that *frame* answers, None if it is no answer."""
        if len(frame) < _PAYLOAD + 8 or _ports(frame) != (_DHCP_SERVER, _DHCP_CLIENT):
            return None
        return int.from_bytes(frame[_PAYLOAD + 4 : _PAYLOAD + 8], "big") - self.first


@dataclass(frozen=True, slots=True)
class Lookup:
    """Questions for the IPv4 addresses of *names*, in turn; 65,536 of them can be told apart."""

    names: tuple[str, ...]

    def frame(self, asker: Asker, number: int) -> bytes:
        """Return question *number* of a guest."""
        labels = self.names[number % len(self.names)].encode().split(b".")
        name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
        body = struct.pack("!HHHHHH", number & 0xFFFF, 0x0100, 1, 0, 0, 0) + name + b"\0\1\0\1"
        ports = (_FIRST_PORT + number % _PORTS, _DNS)
        packet = _udp(asker.address, _RESOLVER, ports, body)
        return _mac(asker.gateway_mac) + _mac(asker.mac) + _ETH_P_IP + packet

    def answered(self, frame: bytes) -> int | None:
        """Return the number of the question that *frame* answers, None if it is no answer.

        One that does not say the address (code 0, one answer at least) is none.
        """
        if len(frame) < _PAYLOAD + 12 or _ports(frame)[0] != _DNS:
            return None
        number, flags, _, answers = struct.unpack_from("!HHHH", frame, _PAYLOAD)
        return None if flags & 0xF or not answers else number


Questions = Discover | Lookup


def _ports(frame: bytes) -> tuple[int, int]:
    source, target = struct.unpack_from("!HH", frame, 34)
    return (source, target) if frame[23] == _UDP else (0, 0)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _udp(source: str, target: str, ports: tuple[int, int], body: bytes) -> bytes:
    """Return a UDP datagram over IPv4; without a checksum, which IPv4 leaves to the sender."""
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(body), 0, 0, 64, _UDP, 0) + addresses
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return head + struct.pack("!HHHH", *ports, 8 + len(body), 0) + body
