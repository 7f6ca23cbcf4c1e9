"""What the lab expects by hand is what its rules say to somebody who works it out."""

from types import SimpleNamespace

import pytest

from mininet_labs.common.reachability import PING, Service
from mininet_labs.common.workloads import Workload
from mininet_labs.three_tier_plan import (
    ACL_RULES,
    ACL_SUBNET,
    GROUPS,
    GROUPS_OF,
    PLACES,
    SERVICES,
    Rule,
    expected,
    letters,
)

DEFAULT = (Rule("ingress", "any", "group default"), Rule("egress", "any"))


def workload(name: str) -> Workload:
    subnet, label = PLACES[name]
    return Workload(name, "shop", subnet, SimpleNamespace(label=label), "port-x", {}, {})


def groups_of(subnet: str) -> tuple[str, ...]:
    groups = GROUPS_OF[subnet]
    return ("default",) if groups is None else groups


def allows(rules: tuple[Rule, ...], direction: str, service: Service, other: str) -> bool:
    what = "icmp" if service == PING else f"tcp/{service}"
    for rule in rules:
        kind, _, name = rule.remote.partition(" ")
        remote = {"any": True, "group": name in groups_of(other), "addresses": other == name}[kind]
        if rule.direction == direction and rule.what in ("any", what) and remote:
            return True
    return False


def passes_acl(one: str, other: str, service: Service) -> bool:
    allowed = {
        direction: {ports for _, way, _, ports in ACL_RULES if way == direction}
        for direction in ("ingress", "egress")
    }
    if one == other:
        return True
    if other == ACL_SUBNET:
        return str(service) in allowed["ingress"]
    # From there a client's port is high; only what goes to a high port may leave.
    return one != ACL_SUBNET or (isinstance(service, int) and service >= 1024)


@pytest.mark.parametrize("source", PLACES)
@pytest.mark.parametrize("target", PLACES)
def test_the_expectation_is_what_the_rules_say(source: str, target: str) -> None:
    one, other = workload(source), workload(target)
    rules = {**GROUPS, "default": DEFAULT}
    out = tuple(rule for group in groups_of(one.subnet) for rule in rules[group])
    into = tuple(rule for group in groups_of(other.subnet) for rule in rules[group])
    worked_out = {
        service
        for service in SERVICES
        if allows(out, "egress", service, other.subnet)
        and allows(into, "ingress", service, one.subnet)
        and passes_acl(one.subnet, other.subnet, service)
    }
    assert expected(one, other) == worked_out


def test_every_tier_is_on_two_hosts() -> None:
    for tier in ("web", "app", "db"):
        hosts = {host for subnet, host in PLACES.values() if subnet == tier}
        assert len(hosts) >= 2


def test_letters_say_services_in_one_order() -> None:
    assert letters(frozenset(SERVICES)) == "pshtad"
    assert letters(frozenset({443, PING})) == "pt"
    assert letters(frozenset()) == "-"
