"""Runs where a network's cables end, and sees every frame that comes out of one of them.

Started as a script with a name, the network's devices, and the blocks of addresses that may be seen
there. One JSON command a line comes in, one JSON answer a line goes out.
"""

import json
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

_ARP, _IPV4, _IPV6, _TAGS = 0x0806, 0x0800, 0x86DD, (0x8100, 0x88A8)
_REQUEST, _REPLY = 1, 2
_ICMP, _ICMPV6, _BEFORE = 1, 58, (0, 43, 60)
"""IPv6 headers that may come before what a packet carries: they tell their length alike."""
_QUOTING = (3, 4, 5, 11, 12)
"""Types of ICMP messages that quote a packet; of ICMPv6, all below 128 do."""
_SOLICIT, _ADVERTISE, _REDIRECT = 135, 136, 137
_SOLICITED = 0x40
_SOON_S = 2.5
"""A question that was not answered by then is not: Linux asks again after a second."""
_NOBODY = IPv4Address("255.255.255.255")

# See packet(7), and linux/if_packet.h for the struct that tells what tag a frame had.
_SOL_PACKET, _AUXDATA, _STATISTICS, _ALL, _OUTGOING = 263, 8, 6, 3, 4
_COUNTS, _RCVBUFFORCE, _BUFFER = struct.Struct("=II"), 33, 1 << 24
_AUX, _TAGGED = struct.Struct("=IIIHHHH"), 1 << 4


@dataclass
class _Question:
    """Questions of one for the same address, one after the other, none of which was answered yet.

    Attributes:
        at: when the first was asked, seconds.
        open: how many answers may still come.
        answered: from which MAC and cable the first answer came.
    """

    at: float
    open: int = 1
    answered: tuple[bytes, str] | None = None


class Judge:
    """Judges frames, one by one.

    Attributes:
        strangers: addresses of none of the blocks, and what they were in a frame.
        doubled: addresses that one question for was answered twice, or by two, and how at last.
        voices: by address the MACs that it was said to have, one after the other.
        frames: how many were seen.
        answers: how many of them told whose an address is, when asked.

    Args:
        blocks: of the network, and of all who may be talked to from there.
    """

    def __init__(self, blocks: list[str]) -> None:
        self.strangers: set[str] = set()
        self.doubled: dict[str, str] = {}
        self.voices: dict[str, list[str]] = {}
        self.frames, self.answers = 0, 0
        self._blocks = [ip_network(block) for block in blocks]
        self._questions: dict[tuple[bytes, bytes], _Question] = {}

    def see(self, frame: bytes, at: float, cable: str) -> None:
        """Judge a frame that came out of a cable at a time in seconds."""
        self.frames += 1
        offset = 12
        while (kind := int.from_bytes(frame[offset : offset + 2], "big")) in _TAGS:
            offset += 4
        packet = frame[offset + 2 :]
        if kind == _ARP and len(packet) >= 28:
            self._arp(packet, at, cable)
        elif kind == _IPV4:
            self._ipv4(packet)
        elif kind == _IPV6:
            self._ipv6(packet)
            self._discovery(packet, (frame[6:12], at, cable))

    def _arp(self, packet: bytes, at: float, cable: str) -> None:
        (operation,) = struct.unpack("!H", packet[6:8])
        sender, target = packet[14:18], packet[24:28]
        self._note(sender, "ARP sender")
        self._note(target, "ARP target")
        self._hear(sender, packet[8:14])
        if sender == target:
            return  # an announcement asks nobody
        if operation == _REQUEST:
            self._ask(sender, target, at)
        elif operation == _REPLY:
            self._answer((target, sender), (packet[8:14], cable), at)

    def _discovery(self, packet: bytes, seen: tuple[bytes, float, str]) -> None:
        """Judge an IPv6 packet that may be a question for an address, or an answer."""
        mac, at, cable = seen
        carried, body = _carried(packet)
        source, destination, target = packet[8:24], packet[24:40], body[8:24]
        if carried != _ICMPV6 or len(target) < 16:
            return
        if body[0] == _SOLICIT and any(source):
            self._ask(source, target, at)
        elif body[0] == _ADVERTISE and body[4] & _SOLICITED:
            self._answer((destination, target), (mac, cable), at)

    def _ask(self, asker: bytes, target: bytes, at: float) -> None:
        known = self._questions.get((asker, target))
        if known is None or known.open == 0 or at - known.at > _SOON_S:
            self._questions[asker, target] = _Question(at)
        else:
            known.open += 1

    def _answer(self, key: tuple[bytes, bytes], who: tuple[bytes, str], at: float) -> None:
        """Take an answer to an asker about a target, from a MAC and a cable."""
        self.answers += 1
        known = self._questions.setdefault(key, _Question(0.0, 0))
        if known.open == 0 or known.answered not in (None, who):
            self.doubled[str(ip_address(key[1]))] = _told(key, known, who, at)
        known.open = max(0, known.open - 1)
        known.answered = known.answered or who

    def _hear(self, packed: bytes, mac: bytes) -> None:
        """Remember who says that an address is theirs: whoever asks does, too."""
        said = self.voices.setdefault(str(ip_address(packed)), [])
        if said[-1:] != [mac.hex(":")]:
            said.append(mac.hex(":"))

    def _ipv4(self, packet: bytes, quoted: str = "") -> None:
        if len(packet) < 20:
            return
        self._note(packet[12:16], f"{quoted}source")
        self._note(packet[16:20], f"{quoted}destination")
        body = packet[(packet[0] & 0x0F) * 4 :]
        first = not int.from_bytes(packet[6:8], "big") & 0x1FFF
        if body and first and packet[9] == _ICMP and body[0] in _QUOTING:
            self._ipv4(body[8:], "quoted ")

    def _ipv6(self, packet: bytes, quoted: str = "") -> None:
        self._note(packet[8:24], f"{quoted}source")
        self._note(packet[24:40], f"{quoted}destination")
        carried, body = _carried(packet)
        if carried != _ICMPV6 or not body:
            return
        if body[0] < 128:
            self._ipv6(body[8:], "quoted ")
        elif body[0] in (_SOLICIT, _ADVERTISE, _REDIRECT):
            self._note(body[8:24], f"{quoted}ND target")

    def _note(self, packed: bytes, where: str) -> None:
        """Remember an address unless it may be seen, or is nobody's or a link's own."""
        if len(packed) not in (4, 16):
            return  # a quote may end before
        address = ip_address(packed)
        own = isinstance(address, IPv6Address) and address.is_link_local
        if own or address.is_unspecified or address.is_multicast or address == _NOBODY:
            return
        if not any(address in block for block in self._blocks):
            self.strangers.add(f"{address} ({where})")


def _told(key: tuple[bytes, bytes], known: _Question, who: tuple[bytes, str], at: float) -> str:
    """Say who answered whom, and who had done so before."""
    said = [f"{mac.hex(':')} at {cable}" for mac, cable in filter(None, (known.answered, who))]
    after = f"{at - known.at:.3f} s after the question" if known.at else "unasked"
    return f"to {ip_address(key[0])} by {', then '.join(said)}, {after}, {known.open} open"


def _carried(packet: bytes) -> tuple[int, bytes]:
    """Return what an IPv6 packet carries: the protocol's number, and its bytes."""
    if len(packet) < 40:
        return -1, b""
    carried, body = packet[6], packet[40:]
    while carried in _BEFORE and len(body) >= 8:
        carried, body = body[0], body[8 * (body[1] + 1) :]
    return carried, body


class Wire:
    """All cables of a network.

    One socket takes what comes from all of them, as an answer must not be read before its question.

    Attributes:
        judge: who sees what comes.
    """

    def __init__(self, devices: list[str], judge: Judge) -> None:
        self.judge = judge
        self._devices = frozenset(devices)
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
        self._socket.setsockopt(_SOL_PACKET, _AUXDATA, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER)

    def run(self) -> None:
        """Watch for ever."""
        room = socket.CMSG_SPACE(_AUX.size)
        while True:
            frame, beside, _, (device, _, direction, *_) = self._socket.recvmsg(1 << 16, room)
            # Not what goes into a cable: it has come out of another one.
            if direction != _OUTGOING and device in self._devices:
                self.judge.see(_whole(frame, beside), time.monotonic(), device)

    def lost(self) -> int:
        """Return how many frames came faster than they were taken, since this was asked last."""
        counts = self._socket.getsockopt(_SOL_PACKET, _STATISTICS, _COUNTS.size)
        return _COUNTS.unpack(counts)[1]


def _whole(frame: bytes, beside: list[tuple[int, int, bytes]]) -> bytes:
    """Return a frame with the tag that the kernel has taken from it, if any."""
    for level, kind, data in beside:
        if (level, kind) == (_SOL_PACKET, _AUXDATA):
            status, _, _, _, _, tag, protocol = _AUX.unpack(data[: _AUX.size])
            if status & _TAGGED:
                return frame[:12] + struct.pack("!HH", protocol or _TAGS[0], tag) + frame[12:]
    return frame


def main() -> None:
    """Watch, and answer commands until standard input ends."""
    name, devices, blocks = sys.argv[1:]
    judge = Judge(blocks.split(","))
    wire = Wire(devices.split(","), judge)
    watching = threading.Thread(target=wire.run, daemon=True)
    watching.start()
    print(json.dumps({"ready": name}), flush=True)
    lost = 0
    for _ in sys.stdin:
        lost += wire.lost()
        seen: dict[str, Any] = {
            "strangers": sorted(judge.strangers.copy()),
            "doubled": sorted(f"{one} ({how})" for one, how in judge.doubled.copy().items()),
            "voices": judge.voices.copy(),
            "watching": watching.is_alive() and not lost,
            "frames": judge.frames,
            "answers": judge.answers,
        }
        print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
