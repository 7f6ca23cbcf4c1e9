"""Encoded flows: bytes alone, from which a refused flow can still be told."""

import pytest
from structlog.testing import CapturingLogger

from tests.support.networks import at, batch, host, network, port, put, subnet, vpc
from vpcctl.compile import compile_host, plan_changes
from vpcctl.flows.actions import Conjunction
from vpcctl.flows.fields import LOOKUP_IPV4
from vpcctl.flows.flow import Flow
from vpcctl.flows.tables import REMOTE
from vpcctl.pipeline.example import HERE, example
from vpcctl.pipeline.pieces import PortPiece
from vpcctl.pipeline.service import MOST_CONJUNCTIONS
from vpcctl.southbound.encoded import Encoded, Encoder
from vpcctl.southbound.resync import Sent

FLOWS = tuple(flow for flows in compile_host(example(), HERE) for flow in flows)


def keys(encoded: Encoded) -> list[object]:
    xids = range(encoded.first_xid, encoded.first_xid + encoded.messages)
    return [flow and flow.key for flow in map(encoded.flow_of, xids)]


def test_a_message_tells_its_flow() -> None:
    encoder = Encoder()
    encoder.add(FLOWS[:3])
    for encoded in (encoder.add(FLOWS), encoder.delete(FLOWS)):
        assert keys(encoded) == [flow.key for flow in FLOWS]
        assert encoded.flow_of(encoded.first_xid - 1) is None
        assert encoded.flow_of(encoded.first_xid + len(FLOWS)) is None


def test_messages_that_were_put_together_elsewhere_tell_theirs() -> None:
    encoder = Encoder()
    parts = [encoder.add(FLOWS[:2]), encoder.delete(FLOWS[5:6])]
    raw = encoder.raw(b"".join(part.data for part in parts), 3)
    found = [raw.flow_of(xid) for xid in (1, 2, 3)]
    assert [flow and flow.key for flow in found] == [FLOWS[i].key for i in (0, 1, 5)]
    assert raw.flow_of(0) is None


def test_a_flow_that_is_full_of_conjunctions_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    full = tuple(Conjunction(at, 1) for at in range(MOST_CONJUNCTIONS))
    match = ((LOOKUP_IPV4, 0x0A000105, None),)
    said = CapturingLogger()
    monkeypatch.setattr("vpcctl.southbound.encoded.log", said)
    Encoder().add((Flow(REMOTE, 100, match, full[1:], None, FLOWS[0].cookie),))
    assert not said.calls
    Encoder().add((Flow(REMOTE, 100, match, full, None, FLOWS[0].cookie),))
    (found,) = said.calls
    assert found.method_name == "warning"
    assert (found.kwargs["table"], found.kwargs["match"]) == ("Remote", "reg4=0xa000105")


def test_what_deletes_by_cookie_is_of_no_one_flow() -> None:
    assert keys(Encoder().delete_cookies((FLOWS[0].cookie, FLOWS[1].cookie))) == [None, None]


def test_a_message_leads_to_its_piece() -> None:
    sent = Sent()
    assert sent.find(5) is None
    late, early = PortPiece("late"), PortPiece("early")
    for first, piece in ((100, late), (7, early)):  # transaction ids began anew in between
        sent.add(first, piece)
    assert sent.find(101) == (late, 1)
    assert sent.find(9) == (early, 2)
    assert sent.find(6) is None


def test_a_program_is_compiled_as_it_is_read_from_its_first_flow_on() -> None:
    """What changes before it is read overtakes it: an older flow would undo that."""
    hosts, red = [host(n) for n in (1, 2, 3)], vpc(1)
    web = subnet(1, red, "10.0.1.0/24")
    there = port(1, web, "0e:00:00:00:00:01", "10.0.1.11")
    arriving = port(2, web, "0e:00:00:00:00:02", "10.0.1.12")
    net = network(*hosts, red, web, there, arriving, at(there, hosts[1], 11))
    arrival = plan_changes(net, batch(put(at(arriving, hosts[0], 11)))).hosts[hosts[0].id]
    work = Encoder().work(arrival, revision=2)
    assert work.has_program
    plan_changes(net, batch(put(at(there, hosts[2], 11))))
    read = {flow for flows in work.rest for flow in flows}
    assert read
    assert read <= {flow for flows in compile_host(net, hosts[0].id) for flow in flows}
