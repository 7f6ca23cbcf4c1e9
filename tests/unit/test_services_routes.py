"""Routes as they are asked for, and default routes in a circle."""

from ipaddress import ip_network

import pytest

from vpcctl.model.problems import Invalid, Problem
from vpcctl.services import routes
from vpcctl.services.routing_views import RouteWanted

IGW, NAT, PORT = (f"{kind}-{'0' * 17}" for kind in ("igw", "nat", "port"))


def test_a_route_is_parsed() -> None:
    (route,) = routes.parse([RouteWanted("198.51.100.0/24", (PORT, NAT), "to the office")])
    assert route.destination == ip_network("198.51.100.0/24")
    assert route.targets == (("port", PORT), ("nat", NAT))
    (blackhole,) = routes.parse([RouteWanted("::/0")])
    assert (blackhole.targets, blackhole.stored.destination) == ((), "::/0")


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (RouteWanted("10.0.0.1/8", at="routes.1"), "routes.1.destination"),
        (RouteWanted("any"), "destination"),
        (RouteWanted("169.254.169.254/32"), "destination"),
        (RouteWanted("224.0.0.0/4"), "destination"),
        (RouteWanted("fe80::/10"), "destination"),
        (RouteWanted("0.0.0.0/0", (IGW, "out"), at="0"), "0.targets.1"),
        (RouteWanted("0.0.0.0/0", (IGW, IGW)), "targets.1"),
        (RouteWanted("0.0.0.0/0", ("vpc-" + "0" * 17,)), "targets.0"),
        (RouteWanted("0.0.0.0/0", (IGW,) * 9), "targets"),
        (RouteWanted("0.0.0.0/0", description="\0"), "description"),
    ],
)
def test_what_cannot_be_a_route_is_named(wanted: RouteWanted, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        routes.parse([wanted])
    assert caught.value.field == field
    assert caught.value.accepted


def test_a_destination_is_named_once() -> None:
    with pytest.raises(Problem) as caught:
        routes.parse([RouteWanted("0.0.0.0/0", at="0"), RouteWanted("0.0.0.0/0", (IGW,), at="1")])
    assert (caught.value.status, caught.value.field) == (409, "1.destination")


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("10.0.0.0/16", True),
        ("10.0.7.0/24", True),
        ("10.0.0.0/8", False),
        ("0.0.0.0/0", False),
        ("10.1.0.0/16", False),
        ("::/0", False),
    ],
)
def test_what_is_local_is_not_routed(text: str, is_refused: bool) -> None:
    (route,) = routes.parse([RouteWanted(text)])
    blocks = [ip_network("10.0.0.0/16")]
    if is_refused:
        with pytest.raises(Invalid):
            routes.require_outside(route, blocks, "vpc-1")
    else:
        routes.require_outside(route, blocks, "vpc-1")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], None),
        ([("a", "p", "b"), ("b", "q", "c"), ("a", "r", "c")], None),
        ([("a", "p", "a")], [("a", "p")]),
        ([("a", "p", "b"), ("b", "q", "a")], [("a", "p"), ("b", "q")]),
        ([("a", "p", "b"), ("b", "q", "c"), ("c", "r", "b")], [("b", "q"), ("c", "r")]),
        (
            [("d", "o", "e"), ("a", "x", "c"), ("a", "p", "b"), ("b", "q", "a")],
            [("a", "p"), ("b", "q")],
        ),
    ],
)
def test_a_circle_is_found(
    steps: list[tuple[str, str, str]], expected: list[tuple[str, str]] | None
) -> None:
    assert routes.circle(steps) == expected


def test_a_long_way_is_no_circle() -> None:
    steps = [(str(n), f"p{n}", str(n + 1)) for n in range(3_000)]
    assert routes.circle(steps) is None
    assert routes.circle([*steps, ("3000", "back", "0")]) is not None
