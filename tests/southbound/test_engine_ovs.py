"""The engine against a real ovs-vswitchd."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.southbound.ovs import wait_until
from tests.southbound.rig import MemoryStore, Rig, rig
from tests.support import networks as n
from vpcctl.compile.view import compile_host
from vpcctl.flows.cookie import LEARNED_COOKIE
from vpcctl.flows.tables import OUTSIDE_NEIGHBOUR
from vpcctl.flows.text import format_flow
from vpcctl.southbound.engine import EngineSettings

pytestmark = pytest.mark.ovs

HOSTS = [n.host(1), n.host(2, nd_extensions=False)]
VPC = n.vpc(1)
SUBNET = n.subnet(1, VPC, "10.0.0.0/24", "fd00:1::/64")
PORTS = [
    n.port(i, SUBNET, f"0e:00:00:00:00:{i:02x}", f"10.0.0.{i + 9}", f"fd00:1::{i + 9:x}")
    for i in range(1, 7)
]


SUBNET9 = n.subnet(9, n.vpc(2), "10.9.0.0/24")
MAC = "0e:00:00:00:99:01"
ALIEN = "0x7663000000000001"
LEARNED = f"cookie={LEARNED_COOKIE | 7:#x},table={OUTSIDE_NEIGHBOUR.number},idle_timeout=300"
"""What flows learn of neighbours outside begins so."""


@asynccontextmanager
async def connected(
    store: MemoryStore, settings: EngineSettings | None = None
) -> AsyncIterator[Rig]:
    """Two hosts' bridges, connected and in sync."""
    async with rig(store, settings=settings) as r:
        for i, host in enumerate(HOSTS):
            r.ovs.add_bridge(f"br{i}", host.dpid, r.target)
        await r.settle(*(host.id for host in HOSTS))
        yield r


async def nothing_drifted(r: Rig) -> None:
    """What incremental work left is what a full compile wants."""
    assert await r.southbound.engine.audit() == 0
    assert r.store.events == []


def network() -> list:
    return [
        *HOSTS,
        VPC,
        SUBNET,
        *PORTS[:4],
        *(n.at(p, HOSTS[i % 2], 10 + i) for i, p in enumerate(PORTS[:4])),
    ]


def expected(store: MemoryStore, host_id: str) -> int:
    net = n.network()
    net.apply(store.load())
    return sum(len(flows) for flows in compile_host(net, host_id))


def test_first_connection_installs_the_program_and_records_it() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network())
        async with rig(store) as r:
            for i, host in enumerate(HOSTS):
                r.ovs.add_bridge(f"br{i}", host.dpid, r.target)
            await r.settle(*(host.id for host in HOSTS))
            for i, host in enumerate(HOSTS):
                assert len(r.ovs.flows(f"br{i}")) == expected(store, host.id) > 50
                # os-ken would keep what the switch says of each port for as long as it is there.
                assert r.host(host.id).session.connection.datapath.ports == {}
            assert store.realised(HOSTS[0].id).revision == store.revision
            assert format_flow

    asyncio.run(scenario())


def test_a_change_reaches_the_hosts_concerned_and_no_other_flow() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network())
        async with connected(store) as r:
            before = [set(r.ovs.flows(f"br{i}")) for i in (0, 1)]
            port = PORTS[4]
            store.put(port, n.at(port, HOSTS[0], 40))
            await r.settle(*(host.id for host in HOSTS))
            for i, host in enumerate(HOSTS):
                assert len(r.ovs.flows(f"br{i}")) == expected(store, host.id)
            store.put(n.at(port, HOSTS[1], 41))
            await r.settle(*(host.id for host in HOSTS))
            assert not any("output:40" in flow for flow in r.ovs.flows("br0"))
            assert any("output:41" in flow for flow in r.ovs.flows("br1"))
            store.remove(n.at(port, HOSTS[1], 41), port)
            await r.settle(*(host.id for host in HOSTS))
            assert [set(r.ovs.flows(f"br{i}")) for i in (0, 1)] == before
            await nothing_drifted(r)

    asyncio.run(scenario())


def test_a_vpc_new_to_a_host_comes_whole_and_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network())
        other, far = n.vpc(2), n.port(50, n.subnet(9, n.vpc(2), "10.9.0.0/24"), MAC, "10.9.0.9")
        async with connected(store) as r:
            before = r.ovs.flows("br0")
            many = [
                n.port(100 + i, SUBNET9, f"0e:00:00:01:00:{i:02x}", f"10.9.0.{i + 20}")
                for i in range(100)
            ]
            store.put(other, SUBNET9, far, *many, n.at(far, HOSTS[1], 60))
            await r.settle(*(host.id for host in HOSTS))
            assert r.ovs.flows("br0") == before
            store.put(n.at(many[0], HOSTS[0], 61))
            await r.settle(*(host.id for host in HOSTS))
            assert len(r.ovs.flows("br0")) == expected(store, HOSTS[0].id)
            await nothing_drifted(r)
            store.remove(n.at(many[0], HOSTS[0], 61))
            await r.settle(*(host.id for host in HOSTS))
            assert r.ovs.flows("br0") == before

    asyncio.run(scenario())


def test_changes_that_arrive_together_end_as_the_last_one_says() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network())
        async with connected(store) as r:
            for i in range(60):
                store.put(n.at(PORTS[i % 4], HOSTS[i % 2], 100 + i))
                if i % 3 == 0:
                    store.remove(n.at(PORTS[(i + 1) % 4], HOSTS[0], 0))
                r.southbound.engine.poke()
                await asyncio.sleep(0.001 * (i % 4))
            await r.settle(*(host.id for host in HOSTS))
            for i, host in enumerate(HOSTS):
                assert len(r.ovs.flows(f"br{i}")) == expected(store, host.id)
            await nothing_drifted(r)

    asyncio.run(scenario())


def test_drift_is_repaired_counted_and_named() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network())
        async with connected(store) as r:
            before = r.ovs.flows("br0")
            removed = next(flow for flow in before if "output:10" in flow)
            match = removed.split("table=")[1].split(" actions")[0]
            r.ovs.ofctl("del-flows", "br0", "--strict", f"table={match}")
            r.ovs.ofctl("add-flow", "br0", f"cookie={ALIEN},table=5,priority=9,ip,actions=drop")
            changed = next(flow for flow in before if "output:12" in flow)
            r.ovs.ofctl("add-flow", "br0", changed.replace("output:12", "output:77"))
            r.ovs.ofctl("add-flow", "br0", "cookie=0x1,table=5,priority=8,ip,actions=drop")
            r.ovs.ofctl("add-flow", "br0", f"{LEARNED},priority=100,ip,reg7=7,actions=output:9")
            assert await r.southbound.engine.audit(HOSTS[0].id) == 3
            await wait_until(lambda: len(store.events) == 3, f"{store.events}")
            foreign = [flow for flow in r.ovs.flows("br0") if flow not in before]
            assert len(foreign) == 2
            assert sorted(r.ovs.flows("br0")) == sorted([*before, *foreign])
            assert store.told("missing flow repaired: cookie=0x7663", HOSTS[0].id)
            assert store.told("changed flow repaired: cookie=0x7663", HOSTS[0].id)
            assert store.told("alien flow repaired: cookie=0x7663", HOSTS[0].id)
            registry = r.southbound.metrics.registry
            for kind in ("missing", "changed", "alien"):
                assert (
                    registry.get_sample_value("vpcctl_southbound_drift_total", {"kind": kind}) == 1
                )
            assert await r.southbound.engine.audit() == 0
            await r.stop()
            await r.start()
            await r.settle(*(host.id for host in HOSTS))
            assert sorted(r.ovs.flows("br0")) == sorted([*before, *foreign])

    asyncio.run(scenario())


def test_what_changes_before_a_switch_is_compared_is_no_drift() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network())
        async with connected(store) as r:
            host, engine = r.host(HOSTS[0].id), r.southbound.engine
            first = host.session
            assert first is not None
            first.connection.drop("a test")
            await wait_until(lambda: host.session not in (None, first), "connected again")
            assert host.waiting  # it is held back for half a second
            store.put(PORTS[4], n.at(PORTS[4], HOSTS[0], 20))
            await engine.round()
            assert await engine.audit(host.id) == 0
            assert not any("repaired" in detail for *_, detail in store.events)
            await r.settle(host.id)
            assert len(r.ovs.flows("br0")) == expected(store, host.id)

    asyncio.run(scenario())


def test_the_periodic_audit_runs_while_changes_go_on() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network())
        async with connected(store, EngineSettings(audit_interval_s=0.1)) as r:
            r.ovs.ofctl("add-flow", "br0", f"cookie={ALIEN},table=5,priority=9,ip,actions=drop")
            for i in range(40):
                store.put(n.at(PORTS[0], HOSTS[i % 2], 100 + i))
                r.southbound.engine.poke()
                await asyncio.sleep(0.02)
            await wait_until(lambda: store.told("alien flow repaired"), "repaired")
            await r.settle(*(host.id for host in HOSTS))
            assert len(store.events) == 1, store.events

    asyncio.run(scenario())


def test_all_flows_are_back_after_the_switch_was_killed() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network())
        async with connected(store) as r:
            before = r.ovs.flows("br0")
            r.ovs.kill_switch()
            await wait_until(lambda: r.host(HOSTS[0].id).session is None, "noticed")
            await wait_until(lambda: store.recorded[HOSTS[0].id].state == "disconnected", "told")
            r.ovs.start_switch()
            await r.settle(*(host.id for host in HOSTS))
            assert r.ovs.flows("br0") == before

    asyncio.run(scenario())


def test_a_suspended_switch_is_dropped_and_comes_back_right() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network())
        async with connected(store) as r:
            r.ovs.suspend_switch(True)
            store.put(n.at(PORTS[0], HOSTS[0], 88))
            r.southbound.engine.poke()
            await wait_until(lambda: store.told("no answer to a bundle"), "noticed")
            r.ovs.suspend_switch(False)
            await r.settle(*(host.id for host in HOSTS))
            assert len(r.ovs.flows("br0")) == expected(store, HOSTS[0].id)

    asyncio.run(scenario())


def test_a_restart_with_50_000_flows_changes_none() -> None:
    async def scenario() -> None:
        subnet = n.subnet(1, VPC, "10.0.0.0/16", "fd00:1::/64")
        ports = [
            n.port(
                i,
                subnet,
                f"0e:00:00:00:{i >> 8:02x}:{i & 255:02x}",
                f"10.0.{i >> 8}.{i & 255}",
                f"fd00:1::{i:x}",
            )
            for i in range(1, 4800)
        ]
        located = [n.at(port, HOSTS[i % 2], 10 + i) for i, port in enumerate(ports)]
        store = MemoryStore(*HOSTS, VPC, subnet, *ports, *located)
        async with rig(store) as r:
            r.ovs.add_bridge("br0", HOSTS[0].dpid, r.target)
            await r.settle(HOSTS[0].id, timeout=40)
            ages = r.ovs.ages("br0")
            assert len(ages) > 50_000
            await r.stop()
            stopped = time.monotonic()
            store.put(n.at(ports[0], HOSTS[1], 9))
            await r.start()
            await r.settle(HOSTS[0].id, timeout=40)
            since = time.monotonic() - stopped
            young = [age for age in r.ovs.ages("br0") if age <= since]
            assert len(young) < 12

    asyncio.run(scenario())


def test_switches_are_told_to_look_into_fragments_and_reminded() -> None:
    async def run() -> None:
        async with connected(MemoryStore(*network())) as r:
            socket = f"unix:{r.directory}/br0.mgmt"
            assert "nx-match" in r.ovs.run("ovs-ofctl", "get-frags", socket)
            r.ovs.run("ovs-ofctl", "set-frags", socket, "normal")
            assert await r.southbound.engine.audit() == 0
            assert "nx-match" in r.ovs.run("ovs-ofctl", "get-frags", socket)

    asyncio.run(run())
