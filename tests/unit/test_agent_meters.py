"""Meters of a saved program: as they are listed, written, and left out where there are none."""

import struct

from agent.decide import meters, program
from agent.decide.meters import SavedMeter

GUEST = SavedMeter(131_112, "pktps", 20, 40)
LIMIT = SavedMeter(28, "kbps", 50_000, 5_000)
LISTED = """OFPST_METER_CONFIG reply (OF1.4) (xid=0x2):
meter=131112 pktps burst bands=
type=drop rate=20 burst_size=40

meter=3 kbps bands=
type=drop rate=9

meter=28 kbps burst bands=
type=drop rate=50000 burst_size=5000
"""
FLOWS = [
    " cookie=0x7663060000000001, table=25, priority=150 actions=meter:131112,output:65000\n",
    " cookie=0x7663060000000001, table=65, priority=110 actions=meter:28,output:10\n",
    " cookie=0x7663010000000000, priority=0 actions=drop\n",
]


def test_meters_are_read_as_they_are_listed() -> None:
    assert meters.listed(LISTED) == (GUEST, LIMIT)
    assert meters.listed("OFPST_METER_CONFIG reply (OF1.4) (xid=0x2):\n") == ()


def test_a_saved_program_keeps_them() -> None:
    header = program.Header("host-1", 7, {1: ("vx", "")}, (GUEST, LIMIT))
    assert program.read_header(program.write_header(header)) == header


def test_a_program_saved_by_an_older_agent_has_none() -> None:
    line = '# {"version": 1, "host_id": "host-1", "revision": 7, "ports": {}}\n'
    assert program.read_header(line) == program.Header("host-1", 7, {})


def test_only_meters_that_a_flow_names_are_put_back() -> None:
    saved = {meter.id: meter for meter in (GUEST, LIMIT)}
    assert meters.restored(saved, FLOWS[:1]) == [GUEST]
    assert meters.restored({}, FLOWS) == []


def test_flows_go_without_a_meter_that_is_not_there() -> None:
    assert meters.named(FLOWS) == {GUEST.id, LIMIT.id}
    left = meters.without(FLOWS, {LIMIT.id})
    assert left == [FLOWS[0], FLOWS[1].replace("meter:28,", ""), FLOWS[2]]


def test_what_is_there_already_is_not_refused() -> None:
    there, full = struct.pack("!HH", 12, 1), struct.pack("!HH", 12, 10)
    assert meters.refused(1, 28, there + bytes(24)) is None
    assert meters.refused(1, 28, full + bytes(24)) == 28
    assert meters.refused(0, 0, b"") is None
