from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpcctl.model.problems import Invalid
from vpcctl.services import rules
from vpcctl.services.context import decode_cursor, encode_cursor
from vpcctl.services.liveness import liveness
from vpcctl.services.report_writer import one_per_port
from vpcctl.services.standing import judge
from vpcctl.store.realisation import Standing
from vpcctl.store.units import utc_now
from vpcctl.wire.report import Link

TEXTS = st.one_of(
    st.text(),
    st.text("0123456789./:abcdefx%", max_size=24),
    st.from_regex(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}/\d{1,3}", fullmatch=True),
)
CHECKS = [
    lambda text: rules.cidr("f", text, {4: (8, 28), 6: (32, 64)}),
    lambda text: rules.pair_cidr("f", text),
    lambda text: rules.address("f", text),
    lambda text: rules.mac("f", text),
    lambda text: rules.tags({text: text}),
    rules.name,
    rules.description,
    rules.tenant_id,
    rules.zone,
    decode_cursor,
]


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS)
@given(text=TEXTS)
def test_any_text_is_accepted_or_refused_with_what_would_be(check, text: str) -> None:
    problem = None
    try:
        check(text)
    except Invalid as caught:
        problem = caught
    if problem is not None:
        assert problem.field
        assert problem.accepted
        assert (problem.detail + problem.field + problem.accepted).encode()


@given(text=TEXTS)
def test_an_accepted_cidr_is_canonical_and_usable(text: str) -> None:
    try:
        network = rules.cidr("f", text, {4: (8, 28)})
    except Invalid:
        return
    assert 8 <= network.prefixlen <= 28
    assert not network.is_multicast
    assert not network.is_loopback
    assert not network.is_link_local


@given(st.integers(1, 2**53))
def test_cursors_lead_back(key: int) -> None:
    assert decode_cursor(encode_cursor(key)) == key


@given(
    st.builds(
        Standing,
        processed=st.integers(0, 20),
        hosts=st.integers(0, 3),
        lowest=st.integers(0, 20),
        degraded=st.integers(0, 1),
    ),
    st.integers(0, 20),
)
def test_active_means_processed_and_acknowledged(standing: Standing, needed: int) -> None:
    status = judge(standing, needed)
    done = standing.processed >= needed and (not standing.hosts or standing.lowest >= needed)
    assert (status.state == "active") == done
    assert (status.reason is None) == done


@pytest.mark.parametrize(
    ("age", "expected"), [(0, "up"), (15, "up"), (16, "late"), (30, "late"), (31, "down")]
)
def test_liveness_is_by_age(age: float, expected: str) -> None:
    now = utc_now()
    assert liveness(now - timedelta(seconds=age), now, 5.0) == expected


@given(st.permutations([(None, "a"), (7, "b"), (8, "c")]))
def test_one_link_a_port_whatever_their_order(links) -> None:
    id = "port-0123456789abcdef0"
    made = [Link(port_id=id, interface=name, ofport=ofport) for ofport, name in links]
    assert one_per_port(made)[id].ofport == 7
