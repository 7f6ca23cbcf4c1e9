"""A host on which a large VPC is new has a relay until it has everything, and no longer."""

import asyncio

import pytest

from tests.southbound.ovs import wait_until
from tests.southbound.rig import MemoryStore, Rig, rig
from tests.support import networks as n
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.tables import TUNNEL_IN
from vpcctl.model.port import Port

pytestmark = pytest.mark.ovs

HOSTS = [n.host(1), n.host(2), n.host(3)]
VPC = n.vpc(1)
SUBNET = n.subnet(1, VPC, "10.0.0.0/16", "fd00:1::/64")
SMALL = n.subnet(9, n.vpc(2), "10.9.0.0/24")
MINE = f"cookie={cookie(Feature.VPC, VPC.key):#x}/-1"


def many(count: int) -> list[Port]:
    return [
        n.port(i, SUBNET, f"0e:00:00:00:{i >> 8:02x}:{i & 255:02x}", f"10.0.{i >> 8}.{i & 255}")
        for i in range(1, count + 1)
    ]


async def start(r: Rig) -> None:
    for i, host in enumerate(HOSTS):
        r.ovs.add_bridge(f"br{i}", host.dpid, r.target)
    await r.settle(*(host.id for host in HOSTS))


def relaying(r: Rig) -> list[int]:
    """How many flows of relays each bridge has."""
    shown = [r.ovs.ofctl("dump-flows", f"br{i}", MINE) for i in range(3)]
    return [text.count(" cookie=") for text in shown]


def network(ports: list[Port]) -> list:
    places = [n.at(port, HOSTS[i % 2], 10 + i) for i, port in enumerate(ports)]
    return [*HOSTS, VPC, n.vpc(2), SUBNET, SMALL, *ports, *places]


def test_a_relay_is_there_while_a_large_vpc_is_loaded_and_gone_afterwards() -> None:
    async def scenario() -> None:
        ports = many(1_500)
        store = MemoryStore(*network(ports))
        async with rig(store) as r:
            await start(r)
            engine = r.southbound.engine
            store.put(n.at(ports[0], HOSTS[2], 77))
            engine.poke()
            await wait_until(lambda: engine._program.relays(HOSTS[2].id), "a relay")
            store.put(n.at(ports[1], HOSTS[2], 78))
            await r.settle(*(host.id for host in HOSTS))
            await wait_until(lambda: not engine._program.relays(HOSTS[2].id), "no relay")
            await wait_until(lambda: relaying(r) == [0, 0, 0], f"{relaying(r)}")
            assert any("output:78" in flow for flow in r.ovs.flows("br2"))
            assert await engine.audit() == 0
            assert store.events == []

    asyncio.run(scenario())


def test_a_small_vpc_needs_no_relay() -> None:
    async def scenario() -> None:
        ports = many(10)
        store = MemoryStore(*network(ports))
        async with rig(store) as r:
            await start(r)
            store.put(n.at(ports[0], HOSTS[2], 77))
            await r.settle(*(host.id for host in HOSTS))
            assert relaying(r) == [0, 0, 0]
            assert await r.southbound.engine.audit() == 0

    asyncio.run(scenario())


def test_a_relay_that_outlived_its_controller_is_removed_by_the_next() -> None:
    async def scenario() -> None:
        ports = many(1_500)
        store = MemoryStore(*network(ports))
        async with rig(store) as r:
            await start(r)
            engine = r.southbound.engine
            store.put(n.at(ports[0], HOSTS[2], 77))
            engine.poke()
            await wait_until(lambda: engine._program.relays(HOSTS[2].id), "a relay")
            await wait_until(lambda: r.host(HOSTS[2].id).flows > 100, "an opening")
            await r.stop()
            # Whether the load was over before the stop or not: one flow of a relay is left.
            left = f"cookie={cookie(Feature.VPC, VPC.key):#x},table={TUNNEL_IN.number},priority=300"
            r.ovs.ofctl("add-flow", "br1", f"{left},tun_id=7,actions=drop")
            assert any(relaying(r))
            await r.start()
            await r.settle(*(host.id for host in HOSTS), timeout=40)
            await wait_until(lambda: relaying(r) == [0, 0, 0], f"{relaying(r)}")
            assert await r.southbound.engine.audit() == 0

    asyncio.run(scenario())


def test_a_vpc_that_leaves_while_it_is_loaded_leaves_nothing() -> None:
    async def scenario() -> None:
        ports = many(1_500)
        store = MemoryStore(*network(ports))
        async with rig(store) as r:
            await start(r)
            before = r.ovs.flows("br2")
            for place in (n.at(ports[0], HOSTS[2], 77), n.at(ports[0], HOSTS[0], 10)) * 3:
                store.put(place)
                r.southbound.engine.poke()
                await wait_until(
                    lambda: r.southbound.engine._program.revision == store.revision, "taken"
                )
            await r.settle(*(host.id for host in HOSTS))
            await wait_until(lambda: relaying(r) == [0, 0, 0], f"{relaying(r)}")
            assert r.ovs.flows("br2") == before
            assert await r.southbound.engine.audit() == 0

    asyncio.run(scenario())
