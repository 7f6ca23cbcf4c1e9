"""Working by difference must lead where compiling everything leads, whatever happens in between."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.property.universe import (
    changes,
    full_start,
    host_changes,
    way_changes,
    ways_in,
    ways_out,
)
from vpcctl.compile import (
    HostChange,
    Memory,
    Relaying,
    Transition,
    compile_host,
    ended,
    plan_changes,
)
from vpcctl.compile.view import host_pieces
from vpcctl.flows.contract import check
from vpcctl.flows.flow import Flow, FlowKey, meters_of
from vpcctl.flows.meter import by_number
from vpcctl.model.changes import Change, ChangeBatch
from vpcctl.model.network import Network
from vpcctl.pipeline.pieces import Piece, own_host
from vpcctl.pipeline.program import compile_piece

Program = dict[FlowKey, Flow]


class Switch:
    """What a switch has: flows, and meters, which must be there before flows that name them."""

    def __init__(self) -> None:
        self.flows: Program = {}
        self.meters: set[int] = set()

    def take(self, change: HostChange) -> None:
        """Do what the southbound does."""
        for key in [key for key, flow in self.flows.items() if flow.cookie in change.departed]:
            del self.flows[key]
        for flows in change.removed:
            for flow in flows:
                self.flows.pop(flow.key, None)
        for flows in (*change.written, *change.program()):
            self.meters.update(meter.id for meter in meters_of(flows))
            self.flows.update((flow.key, flow) for flow in flows)
        self.meters.difference_update(change.unmetered)

    def in_use(self) -> None:
        """Check that there is each meter that a flow names, and no other."""
        named = by_number(flow.meter for flow in self.flows.values() if flow.meter is not None)
        assert self.meters == named.keys()


ALWAYS = Relaying(lambda _: True, lambda _: True, least_ports=0)
SETTINGS = settings(
    max_examples=110,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def whole(net: Network, host_id: str) -> Program:
    """The host's program, compiled from nothing; no two pieces may own one flow."""
    program: Program = {}
    for flows in compile_host(net, host_id):
        for flow in flows:
            assert flow.key not in program, f"two pieces own {flow}"
            program[flow.key] = flow
    return program


def send(switches: dict[str, Switch], transition: Transition) -> None:
    """Do to *switches* what the southbound does."""
    for host_id in transition.gone:
        switches.pop(host_id, None)
    for host_id, change in transition.hosts.items():
        switches.setdefault(host_id, Switch()).take(change)


def shown(switches: dict[str, Switch]) -> dict[str, set[Flow]]:
    for switch in switches.values():
        switch.in_use()
    return {host_id: set(switch.flows.values()) for host_id, switch in switches.items()}


def recomputed(net: Network) -> dict[str, set[Flow]]:
    return {host_id: set(whole(net, host_id).values()) for host_id in net.hosts}


@SETTINGS
@given(full_start(), st.lists(st.lists(changes, min_size=1, max_size=4), max_size=8))
def test_differences_lead_where_recomputing_leads(
    start: list[Change], batches: list[list[Change]]
) -> None:
    _lead_alike(start, *batches)


def _lead_alike(*batches: list[Change]) -> tuple[Network, dict[str, Switch]]:
    """Apply batches by difference, hold each time that it leads where all of it leads."""
    net, programs, memory = Network(), dict[str, Switch](), Memory()
    for number, batch in enumerate(batches, 1):
        send(programs, plan_changes(net, ChangeBatch(number, tuple(batch)), memory=memory))
        assert shown(programs) == recomputed(net)
    return net, programs


@SETTINGS
@given(
    st.one_of(full_start(), ways_out()),
    st.lists(st.lists(st.one_of(changes, host_changes), min_size=1, max_size=4), max_size=8),
)
def test_a_piece_is_as_remembered_until_it_is_touched(
    start: list[Change], batches: list[list[Change]]
) -> None:
    """Also one that no host has meanwhile: bytes of pieces are kept for hosts that come back."""
    net = Network()
    net.apply(start)
    kept = _shared_pieces(net)
    for number, batch in enumerate(batches, 1):
        for piece in plan_changes(net, ChangeBatch(number, tuple(batch))).touched:
            kept.pop(piece, None)
        assert {piece: compile_piece(net, piece) for piece in kept} == kept
        kept |= _shared_pieces(net)


def _shared_pieces(net: Network) -> dict[Piece, tuple[Flow, ...]]:
    pieces = {piece for host_id in net.hosts for piece in host_pieces(net, host_id)}
    return {piece: compile_piece(net, piece) for piece in pieces if own_host(piece) is None}


@SETTINGS
@given(ways_in(), st.lists(st.lists(way_changes, min_size=1, max_size=2), max_size=6))
def test_what_is_reached_from_outside_changes(
    start: list[Change], batches: list[list[Change]]
) -> None:
    _lead_alike(start, *batches)


@SETTINGS
@given(ways_out(), st.lists(st.lists(host_changes, min_size=1, max_size=3), max_size=6))
def test_hosts_that_reach_networks_come_and_go(
    start: list[Change], batches: list[list[Change]]
) -> None:
    net, programs = _lead_alike(start, *batches)
    for host_id in tuple(net.hosts):
        send(programs, plan_changes(net, ChangeBatch(0, (Change("host", host_id, None),))))
    assert not net.reaching


@SETTINGS
@given(full_start(), st.lists(changes, max_size=12), st.randoms(use_true_random=False))
def test_only_the_last_state_counts_and_not_the_order(start, later, random) -> None:
    history = [*start, *later]
    last = list({(change.kind, change.id): change for change in history}.values())
    random.shuffle(last)
    one_by_one, squashed, silent = Network(), Network(), Network()
    programs, memory = dict[str, Switch](), Memory()
    for number, change in enumerate(history, 1):
        send(programs, plan_changes(one_by_one, ChangeBatch(number, (change,)), memory=memory))
    at_once: dict[str, Switch] = {}
    send(at_once, plan_changes(squashed, ChangeBatch(1, tuple(last))))
    silent.apply(history)
    assert shown(programs) == shown(at_once) == recomputed(silent) == recomputed(squashed)


@SETTINGS
@given(full_start(), st.lists(changes, max_size=12))
def test_nothing_is_left_after_the_last_delete(start: list[Change], later: list[Change]) -> None:
    net, programs = Network(), {}
    history = [*start, *later]
    send(programs, plan_changes(net, ChangeBatch(1, tuple(history))))
    bare = Network()
    bare.apply(change for change in history if change.kind == "host")
    for change in history:
        if change.kind != "host":
            left = Change(change.kind, change.id, None)
            send(programs, plan_changes(net, ChangeBatch(2, (left,))))
    assert shown(programs) == recomputed(bare)
    assert not net.segments
    assert not net.subnets_at
    assert not net.ofports
    assert net.membership.is_empty()
    assert not net.acl_subnets
    assert not net.acls_of
    assert net.outside.is_empty()
    assert not net.table_subnets


@SETTINGS
@given(full_start(), st.lists(changes, max_size=12))
def test_every_flow_keeps_its_tables_contract(start: list[Change], later: list[Change]) -> None:
    net = Network()
    net.apply([*start, *later])
    for host_id in net.hosts:
        for flow in whole(net, host_id).values():
            check(flow)


@SETTINGS
@given(full_start(), st.lists(changes, min_size=1, max_size=6), st.lists(changes, max_size=6))
def test_a_program_may_be_read_after_the_next_batch(
    start: list[Change], first: list[Change], second: list[Change]
) -> None:
    net, programs = Network(), {}
    send(programs, plan_changes(net, ChangeBatch(1, tuple(start))))
    transitions = [
        plan_changes(net, ChangeBatch(2, tuple(first))),
        plan_changes(net, ChangeBatch(3, tuple(second))),
    ]
    for transition in transitions:
        send(programs, transition)
    assert shown(programs) == recomputed(net)


@SETTINGS
@given(
    full_start(),
    st.lists(st.lists(changes, min_size=1, max_size=3), max_size=8),
    st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_relays_come_and_go_as_everything_else(
    start: list[Change], batches: list[list[Change]], ends: list[bool]
) -> None:
    net, programs = Network(), {}
    for number, (batch, end) in enumerate(zip((start, *batches), (False, *ends), strict=False), 1):
        send(programs, plan_changes(net, ChangeBatch(number, tuple(batch)), ALWAYS))
        assert shown(programs) == recomputed(net)
        for relay in net.relays.values():
            assert net.has_vpc(relay.host_id, relay.vpc_id)
            assert net.has_vpc(relay.via_id, relay.vpc_id)
            assert not net.is_loading(relay.via_id, relay.vpc_id)
        if end:
            over = ended(net, tuple(net.relays.values()))
            send(programs, plan_changes(net, ChangeBatch(number, over), ALWAYS))
            assert shown(programs) == recomputed(net)
    while net.relays:
        over = ended(net, tuple(net.relays.values()))
        send(programs, plan_changes(net, ChangeBatch(99, over), ALWAYS))
    bare = Network()
    bare.apply([*start, *(change for batch in batches for change in batch)])
    assert shown(programs) == recomputed(bare)
