"""Meters on a real ovs-vswitchd, and on switches that have none or take none."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.southbound.fake_switch import FakeSwitch
from tests.southbound.ovs import Ovs, wait_until
from tests.southbound.rig import MemoryStore, Rig, rig
from tests.support import networks as n
from vpcctl.model.limits import Limits
from vpcctl.southbound.codec import messages as m

pytestmark = pytest.mark.ovs

HOST, OTHER = n.host(1), n.host(2)
VPC = n.vpc(1)
SUBNET = n.subnet(1, VPC, "10.0.0.0/24")
PORTS = [n.port(i, SUBNET, f"0e:00:00:00:00:{i:02x}", f"10.0.0.{i + 9}") for i in (1, 2, 3)]
BOTH = Limits(7, ingress_kbps=50_000, ingress_pps=4_000, egress_kbps=2_000, egress_pps=100)
GUEST = 131_072


def limited(limits: Limits | None):
    return dataclasses.replace(PORTS[0], limits=limits)


def network() -> list:
    return [HOST, VPC, SUBNET, *PORTS[:2], n.at(PORTS[0], HOST, 10), n.at(PORTS[1], HOST, 11)]


def guests(*ofports: int) -> dict[int, str]:
    """The meters of what guests ask."""
    kinds = ((20, 40), (20, 40), (1024, 2048), (500, 1000))
    return {
        GUEST + 4 * ofport + kind: f"pktps burst rate={rate} burst_size={burst}"
        for ofport in ofports
        for kind, (rate, burst) in enumerate(kinds)
    }


LIMITED = {
    28: "kbps burst rate=50000 burst_size=5000",
    29: "kbps burst rate=2000 burst_size=1024",
    30: "pktps burst rate=4000 burst_size=400",
    31: "pktps burst rate=100 burst_size=20",
}


def meters(ovs: Ovs) -> dict[int, str]:
    """What the switch says of its meters."""
    found: dict[int, str] = {}
    for part in ovs.ofctl("dump-meters", "br0").split("meter=")[1:]:
        number, _, rest = part.partition(" ")
        kind, _, bands = rest.partition(" bands=\ntype=drop ")
        found[int(number)] = f"{kind} {bands.strip()}"
    return found


@asynccontextmanager
async def connected(store: MemoryStore) -> AsyncIterator[Rig]:
    async with rig(store) as r:
        r.ovs.add_bridge("br0", HOST.dpid, r.target)
        await r.settle(HOST.id)
        yield r
        assert await r.southbound.engine.audit() == 0


def test_meters_come_change_and_go_with_the_flows_that_name_them() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network())
        async with connected(store) as r:
            assert meters(r.ovs) == guests(10, 11)
            before = r.ovs.flows("br0")
            store.put(limited(BOTH))
            await r.settle(HOST.id)
            assert meters(r.ovs) == guests(10, 11) | LIMITED
            named = {flow for flow in r.ovs.flows("br0") if "meter:2" in flow or "meter:3" in flow}
            assert len(named) == 4
            store.put(limited(dataclasses.replace(BOTH, egress_kbps=3_000, ingress_pps=None)))
            await r.settle(HOST.id)
            changed = LIMITED | {29: "kbps burst rate=3000 burst_size=1024"}
            del changed[30]
            assert meters(r.ovs) == guests(10, 11) | changed
            store.put(limited(None))
            await r.settle(HOST.id)
            assert r.ovs.flows("br0") == before
            store.put(n.at(PORTS[0], HOST, 40), limited(BOTH))
            await r.settle(HOST.id)
            assert meters(r.ovs) == guests(40, 11) | LIMITED
            store.remove(n.at(PORTS[0], HOST, 40))
            await r.settle(HOST.id)
            assert meters(r.ovs) == guests(11)
            store.remove(n.at(PORTS[1], HOST, 11))
            await r.settle(HOST.id)
            assert meters(r.ovs) == {}
            store.put(limited(BOTH), n.at(PORTS[0], HOST, 10))
            await r.settle(HOST.id)
            assert meters(r.ovs) == guests(10) | LIMITED
            assert store.events == []

    asyncio.run(scenario())


def test_two_interfaces_may_share_a_guests_meters() -> None:
    async def scenario() -> None:
        far = 10 | 0x8000
        store = MemoryStore(*network(), PORTS[2], n.at(PORTS[2], HOST, far))
        async with connected(store) as r:
            before = r.ovs.flows("br0")
            store.remove(n.at(PORTS[2], HOST, far))
            await r.settle(HOST.id)
            assert meters(r.ovs) == guests(10, 11)
            store.put(n.at(PORTS[2], HOST, far))
            await r.settle(HOST.id)
            assert r.ovs.flows("br0") == before
            assert store.events == []

    asyncio.run(scenario())


def test_what_is_asked_about_an_eip_has_meters_as_long_as_it_is_there() -> None:
    async def scenario() -> None:
        outside = n.outside(7, "203.0.113.0/24")
        store = MemoryStore(*network(), outside, n.igw(1, VPC, outside))
        store.put(n.reaching(HOST, (outside, 9)))
        one = n.eip(1, outside, "203.0.113.10", PORTS[0])
        same = n.eip(1 + 1696, outside, "203.0.113.11", PORTS[1])
        first = 196_608 + 2 * (one.mac % 1696)
        asked = dict.fromkeys((first, first + 1), "pktps burst rate=50 burst_size=100")
        async with connected(store) as r:
            assert meters(r.ovs) == guests(10, 11)
            for changed, left in ((one, asked), (same, asked)):
                store.put(changed)
                await r.settle(HOST.id)
                assert meters(r.ovs) == guests(10, 11) | left
            for gone, left in ((one, asked), (same, {})):
                store.remove(gone)
                await r.settle(HOST.id)
                assert meters(r.ovs) == guests(10, 11) | left
            assert store.events == []

    asyncio.run(scenario())


def test_changes_that_arrive_together_end_as_the_last_one_says() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network())
        async with connected(store) as r:
            for i in range(40):
                store.put(limited((None, BOTH, dataclasses.replace(BOTH, egress_pps=None))[i % 3]))
                if i % 4 == 0:
                    store.put(n.at(PORTS[0], HOST, 10 if i % 8 else 41))
                r.southbound.engine.poke()
                await asyncio.sleep(0.001 * (i % 3))
            store.put(limited(BOTH), n.at(PORTS[0], HOST, 10))
            await r.settle(HOST.id)
            assert meters(r.ovs) == guests(10, 11) | LIMITED
            assert store.events == []

    asyncio.run(scenario())


def test_drift_of_meters_is_repaired_counted_and_named() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network(), limited(BOTH))
        async with connected(store) as r:
            before = r.ovs.flows("br0")
            band = "bands=type=drop rate=5 burst_size=5"
            r.ovs.ofctl("mod-meter", "br0", f"meter=29 kbps burst {band}")
            r.ovs.ofctl("add-meter", "br0", f"meter=44 pktps burst {band}")
            assert await r.southbound.engine.audit(HOST.id) == 2
            await wait_until(lambda: len(store.events) == 2, f"{store.events}")
            await r.settle(HOST.id)
            await wait_until(lambda: meters(r.ovs) == guests(10, 11) | LIMITED, "repaired")
            assert store.told(
                "changed meter repaired: meter=29 kbps burst bands=type=drop", HOST.id
            )
            assert store.told("alien meter repaired: meter=44", HOST.id)
            r.ovs.ofctl("del-meter", "br0", "meter=31")
            assert await r.southbound.engine.audit(HOST.id) == 2
            await wait_until(lambda: store.told("missing meter repaired: meter=31"), "told")
            await wait_until(lambda: r.ovs.flows("br0") == before, "repaired")
            assert meters(r.ovs) == guests(10, 11) | LIMITED
            assert store.told("missing flow repaired")

    asyncio.run(scenario())


def test_meters_are_right_after_a_restart_of_either_side() -> None:
    async def scenario() -> None:
        store = MemoryStore(*network(), limited(BOTH))
        async with connected(store) as r:
            before = r.ovs.flows("br0")
            r.ovs.kill_switch()
            await wait_until(lambda: r.host(HOST.id).session is None, "noticed")
            await wait_until(lambda: store.recorded[HOST.id].state == "disconnected", "told")
            r.ovs.start_switch()
            await r.settle(HOST.id)
            assert (r.ovs.flows("br0"), meters(r.ovs)) == (before, guests(10, 11) | LIMITED)
            await r.stop()
            store.put(limited(dataclasses.replace(BOTH, number=8, egress_kbps=None)))
            r.ovs.ofctl("add-meter", "br0", "meter=3 pktps bands=type=drop rate=5")
            await r.start()
            await r.settle(HOST.id)
            limits = {32: LIMITED[28], 34: LIMITED[30], 35: LIMITED[31]}
            assert meters(r.ovs) == guests(10, 11) | limits | {3: "pktps rate=5"}

    asyncio.run(scenario())


@asynccontextmanager
async def faked(*faults: str, most: int) -> AsyncIterator[tuple[MemoryStore, FakeSwitch]]:
    """A switch of our own making that has taken the program of a host."""
    store = MemoryStore(*network(), limited(BOTH))
    async with rig(store, ovs=False) as r:
        switch = FakeSwitch(HOST.dpid, *faults)
        switch.most_meters = most
        await switch.connect(f"{r.directory}/of.sock")
        try:
            await r.settle(HOST.id)
            await wait_until(lambda: "meter" in str(store.events), "told")
            yield store, switch
        finally:
            await switch.close()


def named(adds: list[bytes]) -> set[int]:
    """Numbers of the meters that flows name."""
    flows = [m.decode_entry(m.entry_of(data)) for data in adds]
    return {flow.meter.id for flow in flows if flow.meter is not None}


def test_a_datapath_without_meters_gets_the_same_flows_without_and_says_so() -> None:
    async def scenario() -> None:
        async with faked(most=0) as (store, switch):
            assert switch.metered == []
            assert named(switch.adds) == set()
            assert len(switch.adds) == store.realised(HOST.id).flows
            assert store.told("12 flows are not metered: the datapath takes meters up to number 0")
        async with faked(most=130_000) as (store, switch):
            assert named(switch.adds) == LIMITED.keys()
            assert store.told("8 flows are not metered")

    asyncio.run(scenario())


def test_flows_whose_meter_is_refused_go_without() -> None:
    async def scenario() -> None:
        async with faked("refuse-meters", most=262_144) as (store, switch):
            assert len(switch.metered) == 24

            def last() -> list[bytes]:
                return switch.adds[-store.realised(HOST.id).flows :]

            await wait_until(lambda: named(last()) == set(), "written again, without meters")
            assert store.told("the switch refuses 12 meters, such as ", HOST.id)
            assert store.realised(HOST.id).state == "in_sync"

    asyncio.run(scenario())
