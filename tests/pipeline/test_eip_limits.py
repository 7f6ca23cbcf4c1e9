"""Limits of EIPs with real meters: of a port's, and of a NAT gateway's, in both directions."""

import dataclasses
import time
from collections.abc import Iterator

import pytest

from tests.pipeline.outward import (
    DATA,
    FAR,
    HOST,
    NETWORK,
    OUT,
    RED,
    Town,
    entering,
    guest,
    leaving,
    ofport,
)
from tests.support import frames as f
from tests.support import networks as n
from tests.support.dummy_ovs import DummyOvs
from vpcctl.model.eip import Eip
from vpcctl.model.limits import Limits
from vpcctl.model.port import Port

pytestmark = pytest.mark.ovs
LARGE = bytes(1_400)
"""Content of a packet; of 1,024 kbit that a limit of bits lets through at once, one is 11.5."""
ONE, TWO = guest(1), guest(2, DATA)
NAT = n.nat(
    1, RED, NETWORK, HOST, forwards=(n.forward("203.0.113.20", 17, (53, 53), "10.0.2.12", 53),)
)
TABLE = n.table(3, RED, n.route("0.0.0.0/0", NAT), main=False)
PRIVATE = dataclasses.replace(DATA, route_table_id=TABLE.id)
OWN, SHARED = n.eip(1, NETWORK, "203.0.113.10", ONE), n.eip(20, NETWORK, "203.0.113.20", NAT)
USERS: dict[str, tuple[Eip, Port]] = {"port": (OWN, ONE), "NAT gateway": (SHARED, TWO)}
LIMITS = {
    "packets": ({"pps": 1}, 20, 40),
    "bits": ({"kbps": 8}, 88, 110),
    "both": ({"kbps": 8, "pps": 1}, 20, 40),
}
"""A limit, how many packets it lets through at once (then one a second at most), of how many."""


@pytest.fixture(scope="module")
def place(ovs: DummyOvs) -> Iterator[Town]:
    made = Town(ovs, ONE, TWO)
    made.wire.metered = True
    yield made
    made.close()


def count(made: Town, way: str, user: tuple[Eip, Port], packets: int) -> int:
    """Return how many of so many packets come through."""
    eip, port = user
    if way == "egress":
        frame, sender, exit = f.udp(leaving(port, FAR), (5000, 53), LARGE), ofport(port), OUT
    else:
        frame, sender, exit = f.udp(entering(eip), (4000, 53), LARGE), OUT, ofport(port)
    return len(made.wire.send(sender, *[frame] * packets).get(exit, ()))


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("way", ["ingress", "egress"])
@pytest.mark.parametrize("user", USERS)
def test_a_limit_limits_its_own_direction(place: Town, user: str, way: str, kind: str) -> None:
    (eip, port), (rates, at_once, packets) = USERS[user], LIMITS[kind]
    some = Limits(5, **{f"{way}_{unit}": rate for unit, rate in rates.items()})
    limited = dataclasses.replace(eip, limits=some)
    ((beside, neighbour),) = [one for name, one in USERS.items() if name != user]
    made = place.anew(NAT, TABLE, PRIVATE, ONE, TWO, limited, beside)
    for each in (OWN, SHARED):
        made.hear(each)
    began = time.monotonic()
    came = count(made, way, (limited, port), packets)
    assert at_once <= came <= at_once + time.monotonic() - began + 1
    if kind == "packets":
        assert count(made, way, (beside, neighbour), packets) == packets
        other_way = "ingress" if way == "egress" else "egress"
        assert count(made, other_way, (limited, port), packets) == packets
