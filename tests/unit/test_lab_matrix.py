"""The labs' own judgement: it notices a leak, a hole, and a stream that dies while ping works."""

from types import SimpleNamespace

import pytest

from mininet_labs.common.reachability import PING, Services, is_reached, targets_of
from mininet_labs.common.report import Checks, check_matrix, print_matrix
from mininet_labs.common.workloads import FAMILIES, Workload

TCP = 7770
SERVICES = (PING, TCP)
SHARED = {4: "10.0.1.2", 6: "fd00::2"}


def workload(name: str, addresses: dict[int, str] = SHARED) -> Workload:
    host = SimpleNamespace(label="host1")
    return Workload(name, name.partition("-")[0], "front", host, "port-x", addresses, {})


RED, RED2 = workload("red-1"), workload("red-2", {4: "10.0.1.3", 6: "fd00::3"})
BLUE = workload("blue-1")
BOTH = {(PING, 4, "red-1"), (TCP, 4, "red-1")}


def expected(one: Workload, other: Workload) -> Services:
    return frozenset(SERVICES) if one.tenant == other.tenant else frozenset()


def words(services: Services) -> str:
    return ",".join(sorted(map(str, services))) or "no"


def reached(other: Workload, family: int, ping: bool, tcp: str | None, seen: set) -> Services:
    """What the lab concludes for red-1 from what it was answered and what arrived at the other."""
    answers = {PING: ping, TCP: tcp}
    return frozenset(
        service
        for service in SERVICES
        if is_reached(
            (RED, other),
            (service, family),
            answers[service],
            seen,
            hoped=bool(expected(RED, other)),
        )
    )


def test_within_a_tenant_both_ends_must_have_seen_it() -> None:
    assert reached(RED2, 4, True, "red-2", BOTH) == set(SERVICES)
    assert reached(RED2, 4, True, "red-2", set()) == set()
    assert reached(RED2, 4, False, None, BOTH) == set()
    assert reached(RED2, 6, True, "red-2", BOTH) == set()


def test_a_stream_that_dies_while_ping_works_is_noticed() -> None:
    assert reached(RED2, 4, True, None, BOTH) == {PING}


def test_the_own_tenants_answer_at_a_shared_address_is_no_leak() -> None:
    assert reached(BLUE, 4, True, "red-2", set()) == set()


@pytest.mark.parametrize(
    ("tcp", "seen", "service"),
    [
        (None, {(PING, 4, "red-1")}, PING),
        (None, {(TCP, 4, "red-1")}, TCP),
        ("blue-1", set(), TCP),
    ],
)
def test_a_leak_to_another_tenant_is_seen_at_either_end(
    tcp: str | None, seen: set, service: str | int
) -> None:
    assert reached(BLUE, 4, False, tcp, seen) == {service}


def test_every_address_is_probed_once_and_only_friends_are_waited_for() -> None:
    targets = targets_of(RED, [RED, RED2, BLUE], SERVICES, expected)
    assert [(t["address"], t["service"], t["hope"]) for t in targets] == [
        (address, service, hope)
        for address, hope in (
            ("10.0.1.2", False),
            ("10.0.1.3", True),
            ("fd00::2", False),
            ("fd00::3", True),
        )
        for service in SERVICES
    ]


def test_only_the_services_that_are_allowed_are_waited_for() -> None:
    targets = targets_of(RED, [RED, RED2], (PING, 22, 80), lambda _one, _other: frozenset({80}))
    hoped = {(t["address"], t["service"]) for t in targets if t["hope"]}
    assert hoped == {("10.0.1.3", 80), ("fd00::3", 80)}


def test_wrong_cells_fail_their_checks_and_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    everybody = [RED, RED2, BLUE]
    sights = {
        (one.name, other.name, family): expected(one, other)
        for one in everybody
        for other in everybody
        for family in FAMILIES
        if one is not other
    }
    sights["red-1", "blue-1", 4] = frozenset({PING})
    sights["red-1", "red-2", 6] = frozenset({PING})
    checks = Checks()
    check_matrix(everybody, sights, SERVICES, expected, checks)
    print_matrix(everybody, sights, expected, words, "ping and TCP")
    assert checks.total == 24
    assert checks.failures == [
        "red-1 reaches red-2 by IPv6 TCP 7770",
        "red-1 does not reach blue-1 by IPv4 ping",
    ]
    assert capsys.readouterr().out.count("!") == 2
    assert checks.conclude() == 1
    assert capsys.readouterr().out.endswith("lab: 22/24 checks passed\n")


def test_a_lab_without_checks_does_not_pass() -> None:
    assert Checks().conclude() == 1
