"""What is missing, what is alien, and in which order it is put right."""

import pytest

from vpcctl.flows import fields as f
from vpcctl.flows import tables as t
from vpcctl.flows.actions import SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, match
from vpcctl.flows.tables import Table
from vpcctl.reconcile import Delta, bundles, diff, host_state, steps
from vpcctl.reconcile.delta import difference


def flow(table: Table, vni: int, port: int = 1, owner: int | None = None) -> Flow:
    mark = cookie(Feature.SUBNET, vni) if owner is None else owner
    return Flow(table, 100, match((f.VNI, vni)), (SetField(f.REASON, port),), t.DROP, mark)


A, B, C = (flow(t.SWITCH, vni) for vni in (1, 2, 3))


def test_equal_sets_need_nothing() -> None:
    delta = diff([A, B], [B, A])
    assert not delta
    assert delta.drift == 0


def test_missing_changed_and_alien_flows() -> None:
    changed = flow(t.SWITCH, 2, port=9)
    delta = diff([A, changed], [B, C])
    assert delta == Delta(add=(A,), modify=(changed,), delete=(C,))
    assert delta.drift == 3


def test_flows_of_others_are_left_alone_unless_in_the_way() -> None:
    foreign = flow(t.SWITCH, 3, owner=0xBEEF)
    assert not diff([A], [A, foreign])
    assert diff([A, C], [A, foreign]).modify == (C,)


def test_two_desired_flows_of_one_key_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="one key"):
        diff([A, flow(t.SWITCH, 1, port=9)], [])


def test_steps_write_from_the_end_and_delete_from_the_start() -> None:
    late, early = flow(t.OUTPUT, 1), flow(t.CLASSIFY, 1)
    old_late, old_early = flow(t.OUTPUT, 2), flow(t.CLASSIFY, 2)
    order = list(steps(diff([early, late], [old_late, old_early])))
    assert [(step.operation, step.flow) for step in order] == [
        ("write", late),
        ("write", early),
        ("delete", old_early),
        ("delete", old_late),
    ]
    assert [len(one) for one in bundles(diff([early, late], [old_late, old_early]), 3)] == [3, 1]


def test_difference_of_pieces() -> None:
    changed = A._replace(actions=())
    assert difference((A, B), (changed, C)) == ((B,), (changed, C))
    others = A._replace(cookie=A.cookie + 1)
    assert difference((A, B), (others, C)) == ((B, A), (others, C))
    assert difference((), (A,)) == ((), (A,))
    assert difference((A,), ()) == ((A,), ())


@pytest.mark.parametrize(
    ("connected", "outstanding", "error", "state"),
    [
        (False, 3, "x", "disconnected"),
        (True, 3, "x", "degraded"),
        (True, 3, None, "pending"),
        (True, 0, None, "in_sync"),
    ],
)
def test_host_state(connected: bool, outstanding: int, error: str | None, state: str) -> None:
    assert host_state(connected=connected, outstanding=outstanding, error=error) == state
