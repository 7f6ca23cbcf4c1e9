"""What rules and entries may say about protocols, ports, ICMP and families."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpcctl.model.problems import Invalid
from vpcctl.services.group_rules import parse
from vpcctl.services.security_views import RuleCreate
from vpcctl.services.traffic import (
    NAMES,
    Traffic,
    parse_ports,
    parse_protocol,
    ports_text,
    protocol_text,
)


@pytest.mark.parametrize(
    ("value", "number"),
    [(None, None), ("any", None), ("tcp", 6), ("6", 6), (6, 6), ("icmpv6", 58), (0, 0), (255, 255)],
)
def test_protocols_go_by_name_or_number(value: str | int | None, number: int | None) -> None:
    assert parse_protocol("protocol", value) == number


@pytest.mark.parametrize("value", ["TCP", "quic", "", "256", "-1", 256, -1, "٦", "6 ", "0x6"])
def test_other_protocols_are_refused(value: str | int) -> None:
    with pytest.raises(Invalid) as caught:
        parse_protocol("rules.3.protocol", value)
    assert caught.value.field == "rules.3.protocol"
    assert caught.value.accepted
    assert all(name in caught.value.accepted for name in NAMES)


@given(st.one_of(st.none(), st.integers(0, 255)))
def test_a_protocols_text_names_it(number: int | None) -> None:
    assert parse_protocol("protocol", protocol_text(number)) == number


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_a_ranges_text_names_it(one: int, other: int) -> None:
    first, last = sorted((one, other))
    parsed = parse_ports("ports", f"{first}-{last}")
    assert parsed == (None if (first, last) == (0, 65535) else (first, last))
    if parsed:
        assert parse_ports("ports", ports_text(parsed) or "") == parsed
    if first != last:
        with pytest.raises(Invalid) as caught:
            parse_ports("ports", f"{last}-{first}")
        assert caught.value.accepted == f"{first}-{last}"


@pytest.mark.parametrize(
    "text", ["", "-", "1-", "-1", "65536", "1-65536", "1,2", "a", "1 - 2", "²"]
)
def test_other_ports_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="no port or range"):
        parse_ports("ports", text)


traffics = st.one_of(
    st.builds(Traffic, st.none() | st.integers(0, 255), st.none(), st.none(), st.none()),
    st.builds(
        lambda protocol, one, other: Traffic(
            protocol, (min(one, other), max(one, other)), None, None
        ),
        st.sampled_from((6, 17, 132)),
        st.integers(0, 65535),
        st.integers(0, 65535),
    ),
    st.builds(
        Traffic,
        st.sampled_from((1, 58)),
        st.none(),
        st.integers(0, 255),
        st.none() | st.integers(0, 255),
    ),
)


@given(traffics, traffics)
def test_only_equal_traffic_has_one_text(one: Traffic, other: Traffic) -> None:
    assert (str(one) == str(other)) == (one == other)


def rule(**values: Any) -> RuleCreate:
    return RuleCreate("ingress", at="rules.0", **values)


@pytest.mark.parametrize(
    ("values", "field", "accepted"),
    [
        ({"ports": "443"}, "ports", "tcp, udp or sctp"),
        ({"protocol": "icmp", "ports": "443"}, "ports", "tcp, udp or sctp"),
        ({"protocol": "47", "ports": "443"}, "ports", "tcp, udp or sctp"),
        ({"protocol": "tcp", "ports": "2000-1000"}, "ports", "1000-2000"),
        ({"protocol": "tcp", "icmp_type": 8}, "icmp_type", "icmp or icmpv6"),
        ({"icmp_type": 8}, "icmp_type", "icmp or icmpv6"),
        ({"protocol": "icmp", "icmp_type": 256}, "icmp_type", "0 to 255"),
        ({"protocol": "icmp", "icmp_type": -1}, "icmp_type", "0 to 255"),
        ({"protocol": "icmp", "icmp_type": 8, "icmp_code": 256}, "icmp_code", "0 to 255"),
        ({"protocol": "icmp", "icmp_code": 0}, "icmp_code", "icmp_type"),
        ({"protocol": "icmp", "family": 6}, "protocol", "icmpv6"),
        ({"protocol": "icmpv6", "family": 4}, "protocol", "icmp"),
        ({"protocol": "icmp", "cidr": "::/0"}, "remote.cidr", "an IPv4 block"),
        ({"protocol": "icmpv6", "cidr": "10.0.0.0/8"}, "remote.cidr", "an IPv6 block"),
        ({"family": 6, "cidr": "10.0.0.0/8"}, "remote.cidr", "an IPv6 block"),
        ({"family": 4, "cidr": "::/0"}, "remote.cidr", "an IPv4 block"),
        ({"cidr": "10.0.0.1/8"}, "remote.cidr", "10.0.0.0/8"),
        ({"cidr": "10.0.0.0/33"}, "remote.cidr", "10.0.0.0/24"),
        ({"cidr": "10.0.0.0/255.0.0.0"}, "remote.cidr", "10.0.0.0/24"),
        ({"cidr": "everywhere"}, "remote.cidr", "address"),
        ({"cidr": "::/0", "security_group_id": "self"}, "remote", "one of"),
        ({"security_group_id": "self", "address_group_id": "ag-x"}, "remote", "one of"),
        ({"description": "x" * 1025}, "description", "1024"),
    ],
)
def test_what_does_not_go_together_names_the_field(
    values: dict[str, Any], field: str, accepted: str
) -> None:
    with pytest.raises(Invalid) as caught:
        parse([RuleCreate("egress", at="rules.9"), rule(**values)])
    assert caught.value.field == f"rules.0.{field}"
    assert accepted in (caught.value.accepted or "")


@given(
    st.sampled_from((None, 4, 6)),
    st.sampled_from((None, "icmp", "icmpv6", "udp")),
    st.sampled_from((None, "10.0.0.0/8", "fd00::/8")),
)
def test_a_rules_families_contradict_nothing(
    family: Any, protocol: str | None, cidr: str | None
) -> None:
    said = {
        family,
        {"icmp": 4, "icmpv6": 6}.get(protocol or ""),
        cidr and (6 if ":" in cidr else 4),
    }
    said -= {None}
    if len(said) > 1:
        with pytest.raises(Invalid):
            parse([rule(family=family, protocol=protocol, cidr=cidr)])
        return
    found = [one.family for one in parse([rule(family=family, protocol=protocol, cidr=cidr)])]
    assert found == (sorted(said) or [4, 6])
