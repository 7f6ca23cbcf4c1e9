"""The guard in front of both parsers: whatever passes it is read, quickly and in bounds."""

import multiprocessing
import struct
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.southbound.fake_switch import control, error, flow_reply, hello, message
from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.codec import meters as meter_codec
from vpcctl.southbound.resync import describe
from vpcctl.southbound.transport import validate
from vpcctl.southbound.transport.hub import ofproto_parser, ofproto_protocol

ENDLESS_HELLO = bytes.fromhex("05000010000000010001000000000000")


def flow_entry(instructions: bytes, oxm: bytes = bytes.fromhex("80000a020800")) -> bytes:
    found = struct.pack("!HH", 1, 4 + len(oxm)) + oxm
    found += bytes(-len(found) % 8)
    body = struct.pack("!BxIIHHHHHxxQQQ", 5, 1, 0, 7, 0, 0, 0, 0, 9, 0, 0) + found + instructions
    return struct.pack("!H", len(body) + 2) + body


ENDLESS_FLOW = flow_reply(flow_entry(struct.pack("!HHI", 4, 0, 0)), xid=1)
APPLY = struct.pack("!HHI", 4, 24, 0) + struct.pack("!HHIH6x", 0, 16, 7, 0)
METER = struct.pack("!HHIHHII4x", 24, 5, 7, 1, 16, 1000, 1024)
WELL_FORMED = {
    "hello": hello(),
    "error": error(1, 2, hello() + bytes(60)),
    "echo request": message(m.ECHO_REQUEST, b"abcd"),
    "echo reply": message(m.ECHO_REPLY),
    "features": message(m.FEATURES_REPLY, struct.pack("!QIBB2xII", 1, 0, 254, 0, 0, 0)),
    "meters": message(m.MULTIPART_REPLY, struct.pack("!HH4x", 10, 0) + METER + METER),
    "meter features": message(m.MULTIPART_REPLY, struct.pack("!HH4xIIIBB2x", 11, 0, 9, 2, 7, 8, 0)),
    "flows": flow_reply(flow_entry(APPLY), flow_entry(APPLY + APPLY), xid=3),
    "barrier": message(m.BARRIER_REPLY),
    "bundle": control(m.COMMITTED, 4),
}


def parse(data: bytes) -> None:
    """Let os-ken parse *data*."""
    datapath = ofproto_protocol.ProtocolDesc(version=m.VERSION)
    ofproto_parser.msg(datapath, data[0], data[1], len(data), 1, data)


def read(data: bytes) -> None:
    """Read what the guard lets through, as the southbound does."""
    if data[1] in (m.HELLO, m.FEATURES_REPLY):
        parse(data)
    elif data[1] == m.MULTIPART_REPLY and data[9] == m.MP_FLOW:
        for entry, _, _ in m.counted_entries(data):
            describe(entry)
    elif data[1] == m.MULTIPART_REPLY and data[9] == m.MP_METER_CONFIG:
        list(meter_codec.meters(data))
    elif data[1] == m.MULTIPART_REPLY:
        meter_codec.features(data)


@pytest.mark.parametrize("name", WELL_FORMED)
def test_well_formed_messages_pass_and_are_read(name: str) -> None:
    validate.check(WELL_FORMED[name])
    read(WELL_FORMED[name])


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (ENDLESS_HELLO, "hello element of length 0"),
        (message(0, struct.pack("!HHI4x", 1, 12, 32) + bytes(4)), "hello element of length 12"),
        (flow_reply(bytes(56), xid=1), "flow statistics of length 0"),
        (message(m.MULTIPART_REPLY, struct.pack("!HH4x", 2, 0)), "nobody asked for"),
        (message(m.MULTIPART_REPLY, struct.pack("!HH4x", 13, 0)), "nobody asked for"),
        (message(m.MULTIPART_REPLY, struct.pack("!HH4x8x", 10, 0)), "meter of length 0"),
        (message(m.MULTIPART_REPLY, struct.pack("!HH4xHHIHH12x", 10, 0, 24, 5, 1, 1, 0)), "band"),
        (message(m.MULTIPART_REPLY, struct.pack("!HH4xI", 11, 0, 9)), "not 32"),
        (message(m.BARRIER_REPLY, b"x"), "not 8"),
        (message(m.EXPERIMENTER, bytes(8)), "unexpected type 4"),
        (message(200), "unexpected type 200"),
        (message(m.ECHO_REQUEST, bytes(5000)), "echo too long"),
    ],
)
def test_malformed_messages_are_faults(data: bytes, fault: str) -> None:
    with pytest.raises(validate.Fault, match=fault):
        validate.check(data)


@pytest.mark.slow
def test_os_ken_still_needs_the_guard() -> None:
    """Without it, both regressions hang: the day they do not, the guard may relax."""
    for data in (ENDLESS_HELLO, ENDLESS_FLOW):
        child = multiprocessing.get_context("spawn").Process(target=_parse_limited, args=(data,))
        child.start()
        child.join(20)
        assert child.exitcode not in (0, 1), "os-ken's parser came back by itself"


def _parse_limited(data: bytes) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    parse(data)


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A well-formed message with bytes, lengths and its end changed."""
    data = bytearray(WELL_FORMED[draw(st.sampled_from(sorted(WELL_FORMED)))])
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(8, max(8, len(data) - 1)))
        byte = draw(st.sampled_from((0, 1, 4, 7, 8, 15, 255)) | st.integers(0, 255))
        data[at : at + 1] = bytes((byte,))
    if draw(st.booleans()):
        del data[draw(st.integers(8, len(data))) :]
    data += draw(st.binary(max_size=24))
    data[2:4] = len(data).to_bytes(2, "big")
    return bytes(data)


@pytest.mark.slow
@settings(max_examples=1500, suppress_health_check=list(HealthCheck))
@given(mangled())
def test_whatever_passes_is_read_without_hanging_or_growing(data: bytes) -> None:
    try:
        validate.check(data)
    except validate.Fault:
        return
    tracemalloc.start()
    started = time.perf_counter()
    read(data)
    assert time.perf_counter() - started < 0.4
    assert tracemalloc.get_traced_memory()[1] < 8_000_000
    tracemalloc.stop()
