"""Batches in parts: nothing is lost, what belongs together stays together."""

from hypothesis import given
from hypothesis import strategies as st

from vpcctl.model.changes import Change, ChangeBatch, slices

CHANGES = st.lists(
    st.tuples(st.sampled_from(["port", "location", "sg", "eip"]), st.sampled_from("abcdefghij")),
    unique=True,
    max_size=40,
)


@given(CHANGES, st.integers(1, 12))
def test_parts_are_the_batch_and_only_places_are_told_apart(found: list, size: int) -> None:
    batch = ChangeBatch(9, tuple(Change(kind, id, None) for kind, id in found))
    parts = list(slices(batch, 4, size))
    assert sorted(repr(one) for part in parts for one in part.changes) == sorted(
        map(repr, batch.changes)
    )
    assert [part.revision for part in parts] == [4] * (len(parts) - 1) + [9]
    ports = {change.id for change in batch.changes if change.kind == "port"}
    for part in parts[1:]:
        assert len(part.changes) <= size
        assert all(one.kind == "location" and one.id not in ports for one in part.changes)
    if len(batch.changes) <= size:
        assert parts == [batch]
