"""Every pair of ports of random networks: the flows must do what the oracle says."""

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.oracle.oracle import Arrival, Oracle, Packet, World
from tests.oracle.worlds import questions, worlds
from tests.support.dummy_ovs import DummyOvs
from tests.support.networks import network
from tests.support.tracing import Delivered, Fabric
from vpcctl.model.port import Port
from vpcctl.model.vpc import Vpc

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(180)]
_TUNNEL = {"in_port", "tun_id", "tun_src", "tun_dst", "tun_ipv6_src", "tun_ipv6_dst"}
_prefixes = (f"w{n}" for n in itertools.count())


@pytest.fixture(scope="module")
def ovs() -> Iterator[DummyOvs]:
    with tempfile.TemporaryDirectory() as directory, DummyOvs(Path(directory)) as running:
        yield running


def seen(delivered: list[Delivered]) -> Counter[Arrival]:
    return Counter(
        Arrival(
            one.host_id,
            one.ofport,
            one.vni,
            frozenset(item for item in one.packet if item[0] not in _TUNNEL),
        )
        for one in delivered
    )


def compare(fabric: Fabric, world: World, source: Port, packet: Packet) -> str | None:
    """Return how flows and oracle differ about one packet, or None."""
    place = next(one for one in world.locations if one.port_id == source.id)
    expected = Counter(Oracle(world).arrivals(source, packet))
    actual = seen(fabric.inject(place.host_id, place.ofport, packet))
    if expected == actual:
        return None
    trace = fabric.explain(place.host_id, {"in_port": str(place.ofport), **packet})
    return (
        f"{source}\nsends {packet}\nmissing {expected - actual}\n"
        f"unexpected {actual - expected}\n{world}\n{trace}"
    )


@settings(
    max_examples=32,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(worlds())
def test_every_pair_is_as_the_oracle_says(
    ovs: DummyOvs, made: tuple[World, tuple[Vpc, ...]]
) -> None:
    world, vpcs = made
    net = network(*world.hosts, *vpcs, *world.subnets, *world.ports, *world.locations)
    fabric = Fabric(ovs, net, next(_prefixes))
    try:
        for source, packet in questions(world):
            difference = compare(fabric, world, source, packet)
            assert difference is None, difference
    finally:
        fabric.close()
