"""Drops by reason: flows' counts come and go, what is read of them only adds up."""

from vpcctl.flows import fields as f
from vpcctl.flows.flow import Flow
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import DROP
from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.drops import DropTally

HOST, OTHER = "host-1", "host-2"


def key(reason: int, port: int | None = None) -> bytes:
    """The key of the flow that counts drops for *reason*, of one port or of none."""
    who = () if port is None else ((f.SOURCE_PORT, port, None),)
    terms = (*who, (f.REASON, reason, None))
    return m.entry_of(m.add_flow(Flow(DROP, 100, terms, (), None, 0), 1)).key


DENIED, OF_ONE = key(Reason.EGRESS_DENIED), key(Reason.EGRESS_DENIED, 1)
ROUTE, STRANGE = key(Reason.NO_ROUTE), key(999)
ODD = b"\x50\0\x64" + bytes.fromhex("0001000c 8000fe04 00000001 00000000")
"""The key of a flow that matches a field that the pipeline does not know."""


def test_every_reason_is_there_from_the_start() -> None:
    assert DropTally().seen == ({reason.text: 0 for reason in Reason}, {})


def test_what_a_switch_has_dropped_before_is_no_news() -> None:
    tally = DropTally()
    tally.read(HOST, {ROUTE: 1_000})
    tally.read(HOST, {ROUTE: 1_000})
    assert tally.seen.by_reason["no-route"] == 0
    tally.read(HOST, {ROUTE: 1_003})
    assert tally.seen.by_reason["no-route"] == 3
    assert tally.seen.by_host == {HOST: {"no-route": 3}}


def test_flows_of_one_reason_add_up_and_those_of_a_port_that_leaves_take_nothing_back() -> None:
    tally = DropTally()
    tally.read(HOST, {})
    tally.read(HOST, {DENIED: 1, OF_ONE: 5, ROUTE: 2})
    assert tally.seen.by_host[HOST] == {"egress-denied": 6, "no-route": 2}
    tally.read(HOST, {DENIED: 1, ROUTE: 2})
    assert tally.seen.by_host[HOST] == {"egress-denied": 6, "no-route": 2}
    tally.read(HOST, {DENIED: 1, OF_ONE: 4, ROUTE: 2})
    assert tally.seen.by_host[HOST] == {"egress-denied": 10, "no-route": 2}


def test_a_flow_that_is_new_counts_from_the_start_again() -> None:
    tally = DropTally()
    tally.read(HOST, {ROUTE: 100})
    tally.read(HOST, {ROUTE: 7})
    assert tally.seen.by_reason["no-route"] == 7


def test_a_host_that_is_deleted_leaves_its_part_of_the_sum_alone() -> None:
    tally = DropTally()
    for host in (HOST, OTHER):
        tally.read(host, {})
        tally.read(host, {ROUTE: 4})
    tally.forget(HOST)
    assert tally.seen.by_host == {OTHER: {"no-route": 4}}
    assert tally.seen.by_reason["no-route"] == 8
    tally.read(HOST, {ROUTE: 9})
    assert tally.seen.by_reason["no-route"] == 8


def test_a_number_that_no_reason_has_is_unknown() -> None:
    tally = DropTally()
    tally.read(HOST, {})
    tally.read(HOST, {STRANGE: 2, ODD: 1})
    assert tally.seen.by_reason["unknown"] == 3
