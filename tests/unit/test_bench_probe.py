import socket
import struct

import pytest

from bench.probe import Answers
from bench.probe_worker import Flight, checksum

FLIGHT = Flight("0e:00:00:00:00:01", "0e:00:00:00:00:02", "10.0.0.1", "10.0.0.2", 4711)


def answer(frame):
    """The frame that the other side's kernel would send back."""
    ip = frame[14:26] + frame[30:34] + frame[26:30]
    return frame[6:12] + frame[:6] + frame[12:14] + ip + b"\0" + frame[35:]


def test_frame_is_a_valid_echo_request():
    frame = FLIGHT.frame(70_000)
    assert frame[:6] == bytes.fromhex("0e0000000002")
    assert frame[6:12] == bytes.fromhex("0e0000000001")
    assert checksum(frame[14:34]) == 0
    assert checksum(frame[34:]) == 0
    assert frame[34] == 8
    assert struct.unpack_from("!H", frame, 16)[0] == len(frame) - 14
    assert frame[26:30] == socket.inet_aton("10.0.0.1")


def test_answer_tells_its_request_beyond_sixteen_bits():
    assert FLIGHT.answered(answer(FLIGHT.frame(70_000))) == 70_000


def test_request_itself_is_no_answer():
    assert FLIGHT.answered(FLIGHT.frame(1)) is None


def test_answer_to_another_train_is_none():
    other = Flight(FLIGHT.source_mac, FLIGHT.next_mac, FLIGHT.source, FLIGHT.target, 4712)
    assert FLIGHT.answered(answer(other.frame(1))) is None


def test_short_or_foreign_frames_are_none():
    assert FLIGHT.answered(b"") is None
    assert FLIGHT.answered(FLIGHT.frame(1)[:40]) is None
    udp = bytearray(answer(FLIGHT.frame(1)))
    udp[23] = 17
    assert FLIGHT.answered(bytes(udp)) is None


def test_checksum_of_odd_length():
    assert checksum(b"\x01") == 0xFEFF


def test_answers_first_after_skips_earlier_ones():
    answers = Answers((0.0, 0.001, 0.002), (0.0005, None, 0.0025))
    assert answers.first_after(0.001) == 0.0025
    assert answers.elapsed_ms(0.001) == pytest.approx(1.5)
    assert answers.first_after(0.01) is None
    assert answers.round_trips_ms() == pytest.approx([0.5, 0.5])
    assert answers.end == 0.0025
