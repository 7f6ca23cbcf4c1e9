"""While a host is loading a VPC, everything must be as the oracle says, by way of the relay."""

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from tests.oracle.oracle import Arrival, Oracle, Packet, World, text
from tests.oracle.worlds import questions, worlds
from tests.support.dummy_ovs import DummyOvs
from tests.support.networks import network, put
from tests.support.tracing import Delivered, Fabric
from vpcctl.compile import Relaying, compile_host, plan_changes
from vpcctl.flows.flow import Flow
from vpcctl.model.changes import ChangeBatch
from vpcctl.model.network import Network
from vpcctl.model.port import Port
from vpcctl.model.relay import Relay
from vpcctl.model.vpc import Vpc

pytestmark = [pytest.mark.ovs, pytest.mark.timeout(300)]
ALWAYS = Relaying(lambda _: True, lambda _: True, least_ports=0)
_TUNNEL = {"in_port", "tun_id", "tun_src", "tun_dst", "tun_ipv6_src", "tun_ipv6_dst"}
_prefixes = (f"l{n}" for n in itertools.count())


@pytest.fixture(scope="module")
def ovs() -> Iterator[DummyOvs]:
    with tempfile.TemporaryDirectory() as directory, DummyOvs(Path(directory)) as running:
        yield running


def loading(
    world: World, vpcs: tuple[Vpc, ...], share: float
) -> tuple[Network, list[Flow], tuple[Relay, ...]]:
    """Let one VPC come to the last host, which gets only a *share* of what follows the opening.

    Returns the network, what that host holds and the relays.
    """
    host, vpc = world.hosts[-1], vpcs[0]
    mine = {one.id for one in world.subnets if one.vpc_id == vpc.id}
    ports = {one.id for one in world.ports if one.subnet_id in mine}
    coming = [one for one in world.locations if one.host_id == host.id and one.port_id in ports]
    others = [one for one in world.locations if one not in coming]
    net = network(*world.hosts, *vpcs, *world.subnets, *world.ports, *others)
    program = {flow.key: flow for flows in compile_host(net, host.id) for flow in flows}
    change = ChangeBatch(2, tuple(put(one) for one in coming))
    arrival = plan_changes(net, change, ALWAYS).hosts.get(host.id)
    if arrival is None:
        return net, [], ()
    rest = list(arrival.program())
    for flows in (*arrival.written, *rest[: int(len(rest) * share)]):
        program.update((flow.key, flow) for flow in flows)
    return net, list(program.values()), tuple(net.relays.values())


def seen(delivered: list[Delivered]) -> Counter[Arrival]:
    """What arrived, whichever way: between ports of one host it may be a longer one."""
    return Counter(
        Arrival(
            one.host_id,
            one.ofport,
            None,
            frozenset(item for item in one.packet if item[0] not in _TUNNEL),
        )
        for one in delivered
    )


def compare(fabric: Fabric, world: World, source: Port, packet: Packet) -> str | None:
    place = next(one for one in world.locations if one.port_id == source.id)
    wanted = Oracle(world).arrivals(source, packet)
    expected = Counter(Arrival(one.host_id, one.ofport, None, one.packet) for one in wanted)
    actual = seen(fabric.inject(place.host_id, place.ofport, packet))
    if names_itself(source, packet):
        back = [one for one in actual if (one.host_id, one.ofport) == (place.host_id, place.ofport)]
        actual -= Counter(one for one in back if one not in expected)
    if expected == actual:
        return None
    trace = fabric.explain(place.host_id, {"in_port": str(place.ofport), **packet})
    return (
        f"{source}\nsends {packet}\nmissing {expected - actual}\n"
        f"unexpected {actual - expected}\n{world}\n{trace}"
    )


def names_itself(source: Port, packet: Packet) -> bool:
    """Whether a port sends to an address or MAC that it has itself: a relay sends that back."""
    own = {*map(str, source.ips), text(source.mac)}
    for pair in source.allowed_pairs:
        own |= {str(pair.cidr.network_address), text(pair.mac or source.mac)}
    return bool(own & {packet.get("nw_dst"), packet.get("ipv6_dst"), packet.get("eth_dst")})


@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(worlds(), st.sampled_from((0.0, 0.3, 0.7, 1.0)))
def test_nobody_notices_that_a_host_is_still_loading(
    ovs: DummyOvs, made: tuple[World, tuple[Vpc, ...]], share: float
) -> None:
    world, vpcs = made
    net, held, relays = loading(world, vpcs, share)
    assume(relays)
    fabric = Fabric(ovs, net, next(_prefixes))
    try:
        fabric.program({world.hosts[-1].id: held})
        for source, packet in questions(world):
            difference = compare(fabric, world, source, packet)
            assert difference is None, difference
    finally:
        fabric.close()
