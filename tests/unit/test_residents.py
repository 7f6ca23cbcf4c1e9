"""Residents: what is below each branch, against sets that are kept by hand."""

from hypothesis import given
from hypothesis import strategies as st

from vpcctl.model.residents import Residents, branch

_KEYS = st.one_of(st.integers(1, 300), st.integers(1, 2**14), st.integers(1, 2**32 - 1))


def make(ports: dict[str, int]) -> Residents:
    here = Residents()
    for port_id, key in ports.items():
        here.add(key, port_id)
    return here


@given(st.dictionaries(st.text("abcdef", min_size=1), _KEYS, max_size=40), st.data())
def test_every_branch_has_what_is_below_it(ports: dict[str, int], data: st.DataObject) -> None:
    here = make(ports)
    gone = data.draw(st.sets(st.sampled_from(sorted(ports)))) if ports else set()
    for port_id in gone:
        here.discard(ports[port_id], port_id)
    left = {one: key for one, key in ports.items() if one not in gone}
    assert sorted(here) == sorted(left)
    assert len(here) == len(left)
    assert set(here.branches()) == {place for key in left.values() for place in branch(key)}
    for level, number in here.branches():
        below = [key for key in left.values() if branch(key)[level][1] == number]
        if level:
            assert here.below(level, number) == sorted({branch(key)[level - 1][1] for key in below})
        else:
            assert [left[one] for one in here.leaf(number)] == sorted(below)


def test_one_of_two_ports_with_one_key_can_go() -> None:
    here = make({"port-a": 7, "port-b": 7})
    here.discard(7, "port-a")
    here.discard(8, "port-b")
    assert list(here) == ["port-b"]
    assert here.leaf(1) == []
    assert here.below(2, 0) == [0]


def test_there_is_one_branch_of_everything() -> None:
    assert branch(2**32 - 1)[2] == branch(1)[2] == (2, 0)
