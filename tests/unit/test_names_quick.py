"""The short way for plain questions: it says what the long way says, or nothing."""

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decide.names import quick
from agent.decide.names.dns import Reply, resolve_any
from tests.unit.test_names_dns import record, wire, zone

ZONE = zone(
    record("db.one.test", "A", "10.0.7.7"),
    record("six.one.test", "AAAA", "fd00:1::7"),
    record("*.app.one.test", "A", "10.0.9.9"),
    record("store.one.test", "CNAME", "db.one.test."),
    record("a.b.one.test", "A", "10.0.7.8"),
)
QUESTION = wire("db.one.test")


def agrees(data: bytes) -> bool:
    """Tell whether there is a short answer; fail when it is not the long one."""
    found = quick.answer(ZONE, data)
    if found is None:
        return False
    reply = resolve_any(ZONE, data, tcp=False)
    assert isinstance(reply, Reply)
    assert found == reply.data
    assert (reply.outcome, reply.lasting) == ("dns-answered", True)
    return True


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("db.one.test", "A"),
        ("DB.One.TEST", "A"),
        ("six.one.test", "AAAA"),
        ("web.one.test", "AAAA"),
        ("ip-10-0-1-12.one.test", "A"),
        ("deep.any.app.one.test", "A"),
    ],
)
def test_plain_questions_are_answered_alike(name: str, kind: str) -> None:
    assert agrees(wire(name, kind))
    asked = dns.message.make_query(name, kind)
    asked.flags = 0x20  # no recursion wanted, and authentic data known
    assert agrees(asked.to_wire())


@pytest.mark.parametrize(
    "data",
    [
        wire("web.one.test"),  # two addresses, whose order changes
        wire("store.one.test"),
        wire("nobody.one.test"),
        wire("db.one.test", "AAAA"),
        wire("db.one.test", "TXT"),
        wire("www.example.com"),
        wire("db.one.test", use_edns=0),
        wire(r"a\.b.one.test"),
        wire("."),
        QUESTION[:-4] + b"\x00\x01\x00\x03",
        QUESTION + b"\x00",
        b"",
        b"\x00\x01\x00\x01",
    ],
    ids=range(13),  # the questions' own numbers are drawn by chance
)
def test_all_else_is_left_to_the_long_way(data: bytes) -> None:
    assert not agrees(data)


@given(st.integers(0, len(QUESTION)), st.binary(max_size=4))
def test_damaged_questions_are_answered_alike_or_not(at: int, noise: bytes) -> None:
    agrees(QUESTION[:at] + noise + QUESTION[at + len(noise) :])


@given(st.binary(max_size=40))
def test_noise_is_never_answered(noise: bytes) -> None:
    assert not agrees(noise)


@given(st.text("abB.-_1", min_size=1, max_size=20), st.sampled_from(["A", "AAAA"]))
def test_names_of_all_kinds(text: str, kind: str) -> None:
    name = ".".join(part for part in f"{text}.app.one.test".split(".") if part)
    agrees(wire(name, kind))
