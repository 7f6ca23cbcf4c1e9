"""Texts in tables are those of a dict, and a zone is read in parts as it is read whole."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decide.names.table import Table
from agent.names.whole import parts

KEYS = st.text(st.characters(exclude_characters="\t\n"), max_size=3)
STEPS = st.lists(st.tuples(KEYS, st.none() | KEYS), max_size=200)
PORTS = st.dictionaries(st.text(), st.none() | st.tuples(st.text(), st.lists(st.text())))
REST = st.dictionaries(
    st.text().filter(lambda name: name != "ports"), st.text() | st.lists(st.integers()) | st.none()
)


@given(STEPS)
def test_a_table_holds_what_a_dict_does(steps: list[tuple[str, str | None]]) -> None:
    table, known = Table(), dict[str, str]()
    for key, value in steps:
        if value is None:
            assert table.pop(key) == known.pop(key, None)
        else:
            table.set(key, value)
            known[key] = value
        assert len(table) == len(known)
    assert {key: table.get(key) for key, _ in steps} == {key: known.get(key) for key, _ in steps}


def test_a_table_that_has_grown_holds_everything() -> None:
    table = Table()
    for number in range(3_000):
        table.set(f"n{number}", str(number))
    assert [table.get(f"n{number}") for number in range(3_000)] == [*map(str, range(3_000))]
    for number in range(0, 3_000, 2):
        assert table.pop(f"n{number}") == str(number)
    assert [table.get(f"n{number}") for number in range(4)] == [None, "1", None, "3"]
    assert len(table) == 1_500


@given(REST, PORTS, st.sampled_from([None, 1]))
def test_parts_are_those_of_the_document(rest: dict, ports: dict, indent: int | None) -> None:
    document = json.dumps({**rest, "ports": ports, "last": 1}, indent=indent)
    found: dict = {"ports": {}}
    for name, value in parts(document):
        if name == "ports":
            found["ports"] |= value
        else:
            found[name] = value
    assert found == json.loads(document)


def test_ports_come_some_at_a_time() -> None:
    document = json.dumps({"ports": {f"p{number}": None for number in range(250)}})
    assert [len(some) for _, some in parts(document)] == [100, 100, 50]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"ports"', '{"ports":{', '{"ports":{"a":null', '{"a":1]', '{"a":}']
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expecting|none of"):
        list(parts(text))
