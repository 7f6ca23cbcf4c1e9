"""The labs' own judgement: it notices a leak, a hole, and a stream that dies while ping works."""

from types import SimpleNamespace

import pytest

from mininet_labs.common.report import Checks, check_matrix, print_matrix
from mininet_labs.common.workloads import FAMILIES, Sight, Workload, _judge, _targets, is_expected

SHARED = {4: "10.0.1.2", 6: "fd00::2"}


def workload(name: str, addresses: dict[int, str] = SHARED) -> Workload:
    host = SimpleNamespace(label="host1")
    return Workload(name, name.partition("-")[0], "front", host, "port-x", addresses, {})


RED, RED2 = workload("red-1"), workload("red-2", {4: "10.0.1.3", 6: "fd00::3"})
BLUE = workload("blue-1")


def test_within_a_tenant_both_ends_must_have_seen_it() -> None:
    seen = {("ping", 4, "red-1"), ("tcp", 4, "red-1")}
    answer = {"ping": True, "tcp": "red-2"}
    assert _judge(RED, RED2, 4, answer, seen) == Sight(ping=True, tcp=True)
    assert _judge(RED, RED2, 4, answer, set()) == Sight(ping=False, tcp=False)
    assert _judge(RED, RED2, 4, {"ping": False, "tcp": None}, seen) == Sight(ping=False, tcp=False)
    assert _judge(RED, RED2, 6, answer, seen) == Sight(ping=False, tcp=False)


def test_a_stream_that_dies_while_ping_works_is_noticed() -> None:
    seen = {("ping", 4, "red-1"), ("tcp", 4, "red-1")}
    assert _judge(RED, RED2, 4, {"ping": True, "tcp": None}, seen) == Sight(ping=True, tcp=False)


def test_the_own_tenants_answer_at_a_shared_address_is_no_leak() -> None:
    answer = {"ping": True, "tcp": "red-2"}
    assert _judge(RED, BLUE, 4, answer, set()) == Sight(ping=False, tcp=False)


@pytest.mark.parametrize(
    ("answer", "seen", "sight"),
    [
        ({"ping": False, "tcp": None}, {("ping", 4, "red-1")}, Sight(ping=True, tcp=False)),
        ({"ping": False, "tcp": None}, {("tcp", 4, "red-1")}, Sight(ping=False, tcp=True)),
        ({"ping": False, "tcp": "blue-1"}, set(), Sight(ping=False, tcp=True)),
    ],
)
def test_a_leak_to_another_tenant_is_seen_at_either_end(
    answer: dict, seen: set[tuple[str, int, str]], sight: Sight
) -> None:
    assert _judge(RED, BLUE, 4, answer, seen) == sight


def test_every_address_is_probed_once_and_only_friends_are_waited_for() -> None:
    targets = _targets(RED, [RED, RED2, BLUE])
    assert [(t["address"], t["hope"]) for t in targets] == [
        ("10.0.1.2", False),
        ("10.0.1.3", True),
        ("fd00::2", False),
        ("fd00::3", True),
    ]


def test_wrong_cells_fail_their_checks_and_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    everybody = [RED, RED2, BLUE]
    sights = {
        (one.name, other.name, family): Sight(is_expected(one, other), is_expected(one, other))
        for one in everybody
        for other in everybody
        for family in FAMILIES
        if one is not other
    }
    sights["red-1", "blue-1", 4] = Sight(ping=True, tcp=False)
    sights["red-1", "red-2", 6] = Sight(ping=True, tcp=False)
    checks = Checks()
    check_matrix(everybody, sights, checks)
    print_matrix(everybody, sights)
    assert checks.total == 24
    assert checks.failures == [
        "red-1 reaches red-2 by IPv6 TCP",
        "red-1 does not reach blue-1 by IPv4 ping",
    ]
    assert capsys.readouterr().out.count("!") == 2
    assert checks.conclude() == 1
    assert capsys.readouterr().out.endswith("lab: 22/24 checks passed\n")


def test_a_lab_without_checks_does_not_pass() -> None:
    assert Checks().conclude() == 1
