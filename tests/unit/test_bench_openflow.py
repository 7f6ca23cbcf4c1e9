"""The simulated switch, and what is heard of OpenFlow on the wire."""

import asyncio
import socket
import struct

from bench.simulated.openflow import Switch
from bench.tracing.sniff_worker import bundle_steps, payload


def message(kind, body=b"", xid=7):
    return struct.pack("!BBHI", 5, kind, 8 + len(body), xid) + body


def control(kind):
    return message(33, struct.pack("!IHH", 1, kind, 3))


def flow_mod(command):
    inner = message(14, struct.pack("!QQBB", 0, 0, 0, command) + b"\0" * 22)
    return message(34, struct.pack("!IHH", 1, 0, 3) + inner)


class Wire(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.sent = []

    def write(self, data):
        self.sent.append(bytes(data))


def switch():
    made = Switch(0x7663000000000001, lambda lost: None)
    wire = Wire()
    made.connection_made(wire)
    wire.sent.clear()
    return made, wire


def test_switch_counts_a_bundle_when_it_is_committed():
    made, wire = switch()
    made.data_received(control(0) + flow_mod(0) + flow_mod(0) + flow_mod(4))
    assert (made.flows, made.commits) == (0, 0)
    made.data_received(control(2) + control(4) + message(20))
    assert (made.flows, made.commits) == (1, 1)
    assert [data[1] for data in wire.sent] == [33, 33, 33, 21]
    assert [struct.unpack_from("!H", data, 12)[0] for data in wire.sent[:3]] == [1, 3, 5]


def test_switch_takes_messages_in_any_pieces():
    made, _ = switch()
    stream = control(0) + flow_mod(0) + control(2) + control(4)
    for index in range(len(stream)):
        made.data_received(stream[index : index + 1])
    assert (made.flows, made.commits) == (1, 1)


def test_switch_forgets_a_discarded_bundle():
    made, _ = switch()
    made.data_received(control(0) + flow_mod(0) + control(6))
    made.data_received(control(0) + flow_mod(0) + control(2) + control(4))
    assert (made.flows, made.commits) == (1, 1)


def test_switch_answers_features_echo_and_flow_statistics():
    made, wire = switch()
    made.data_received(message(5) + message(2, b"ping") + message(18, struct.pack("!HH4x", 1, 0)))
    features, echo, flows = wire.sent
    assert struct.unpack_from("!Q", features, 8)[0] == made.dpid
    assert echo == message(3, b"ping")
    assert flows == message(19, struct.pack("!HH4x", 1, 0))


def segment(data, *, source=6653, target=40000):
    tcp = struct.pack("!HHIIBBHHH", source, target, 0, 0, 5 << 4, 0, 0, 0, 0) + data
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0)
    ip += socket.inet_aton("172.30.0.254") + socket.inet_aton("172.30.0.3")
    # Short frames are padded; the padding is no payload.
    return b"\0" * 12 + b"\x08\x00" + ip + tcp + b"\0" * 6


def test_payload_names_the_switch_and_leaves_padding_out():
    assert payload(segment(b"abc"), 6653) == ("172.30.0.3", b"abc")
    assert payload(segment(b"abc", source=40000, target=6653), 6653) == ("172.30.0.254", b"abc")
    assert payload(segment(b"abc", source=80), 6653) is None
    assert payload(b"\0" * 30, 6653) is None


def test_bundle_steps_of_a_segment():
    assert bundle_steps(control(0) + flow_mod(0) + control(4) + message(20)) == ["open", "commit"]
    assert bundle_steps(control(5) + control(5)[:10]) == ["committed"]
    assert bundle_steps(b"\0" * 16) == []
