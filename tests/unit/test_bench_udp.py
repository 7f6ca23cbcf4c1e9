import socket
import struct

from bench.probe_worker import checksum
from bench.udp_worker import UdpFlight

FLIGHT = UdpFlight("0e:00:00:00:00:01", "0e:00:00:00:00:02", "10.0.0.1", "10.0.0.2", 40_000, 7007)


def answer(frame: bytes) -> bytes:
    """The frame that an echo would send back."""
    ip = frame[14:26] + frame[30:34] + frame[26:30]
    return frame[6:12] + frame[:6] + frame[12:14] + ip + frame[36:38] + frame[34:36] + frame[38:]


def test_frame_is_a_valid_datagram():
    frame = FLIGHT.frame(70_000)
    assert frame[:12] == bytes.fromhex("0e00000000020e0000000001")
    assert checksum(frame[14:34]) == 0
    assert frame[23] == 17
    assert struct.unpack_from("!H", frame, 16)[0] == len(frame) - 14
    assert struct.unpack_from("!HHH", frame, 34) == (40_000, 7007, len(frame) - 34)
    pseudo = frame[26:34] + struct.pack("!BBH", 0, 17, len(frame) - 34)
    assert checksum(pseudo + frame[34:]) == 0
    assert frame[26:30] == socket.inet_aton("10.0.0.1")


def test_a_checksum_is_never_zero():
    for sequence in range(70_000):
        if struct.unpack_from("!H", FLIGHT.frame(sequence), 40)[0] == 0xFFFF:
            return
    raise AssertionError("no frame of these has the sum whose complement is zero")


def test_answer_tells_its_datagram_beyond_sixteen_bits():
    assert FLIGHT.answered(answer(FLIGHT.frame(70_000))) == 70_000


def test_what_is_no_answer_is_none():
    other = UdpFlight(
        FLIGHT.source_mac, FLIGHT.next_mac, FLIGHT.source, FLIGHT.target, 40_001, 7007
    )
    icmp = bytearray(answer(FLIGHT.frame(1)))
    icmp[23] = 1
    assert FLIGHT.answered(FLIGHT.frame(1)) is None
    assert FLIGHT.answered(answer(other.frame(1))) is None
    assert FLIGHT.answered(bytes(icmp)) is None
    assert FLIGHT.answered(answer(FLIGHT.frame(1))[:40]) is None
    assert FLIGHT.answered(b"") is None
