"""What switches may do to the southbound: each leaves a clear event, and every other host alone."""

import asyncio
import contextlib
import time

import pytest

from tests.southbound.fake_switch import FakeSwitch, hello, message
from tests.southbound.ovs import wait_until
from tests.southbound.rig import MemoryStore, Rig, rig
from tests.southbound.test_validate import ENDLESS_FLOW
from tests.support import networks as n
from vpcctl.compile import plan
from vpcctl.flows import fields as f
from vpcctl.flows.actions import OFPP_IN_PORT, Output, SetField
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, match
from vpcctl.flows.tables import RESPOND
from vpcctl.model.network import Network
from vpcctl.pipeline.pieces import BasePiece, Piece
from vpcctl.southbound.engine import EngineSettings
from vpcctl.southbound.network_program import NetworkProgram
from vpcctl.southbound.session import Deadlines
from vpcctl.southbound.transport.limits import Limits

BAD, GOOD, NEW = (n.host(i, nd_extensions=False) for i in (1, 2, 3))
VPC = n.vpc(1)
SUBNET = n.subnet(1, VPC, "10.0.0.0/24")
PORTS = [n.port(i, SUBNET, f"0e:00:00:00:00:{i:02x}", f"10.0.0.{i + 9}") for i in range(1, 7)]


def make_store() -> MemoryStore:
    located = [n.at(PORTS[0], BAD, 10), n.at(PORTS[1], GOOD, 11)]
    return MemoryStore(BAD, GOOD, VPC, SUBNET, *PORTS[:2], *located)


def path(r: Rig) -> str:
    return r.target.removeprefix("unix:")


async def other_host_works(r: Rig, good: FakeSwitch) -> None:
    """A change reaches the good host quickly, whatever the bad one does."""
    before = good.bundles
    started = time.monotonic()
    spare = PORTS[2 + good.bundles % 3]
    r.store.put(spare, n.at(spare, GOOD, 30 + good.bundles))
    await r.settle(GOOD.id, timeout=3.0)
    assert good.bundles > before
    assert time.monotonic() - started < 1.0


@pytest.mark.parametrize(
    ("fault", "event"),
    [
        ("no-barrier", "no answer to a barrier"),
        ("wrong-barrier", "answer of type 21 to a request that was not made"),
        ("refuse-at-commit", "the switch refuses a flow"),
        ("refuse-add", "OFPET_BAD_ACTION: OFPBAC_MATCH_INCONSISTENT"),
        ("deaf", "no answer"),
    ],
)
def test_a_switch_that_answers_badly_is_named_and_hurts_nobody(fault: str, event: str) -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            good = await FakeSwitch(GOOD.dpid).connect(path(r))
            await r.settle(GOOD.id)
            bad = await FakeSwitch(BAD.dpid, fault).connect(path(r))
            await wait_until(lambda: r.store.told(event, BAD.id), f"event; got {r.store.events}")
            await wait_until(
                lambda: r.store.recorded[BAD.id].state in ("degraded", "disconnected"), "standing"
            )
            assert r.store.recorded[BAD.id].error
            await other_host_works(r, good)
            await bad.close()
            await good.close()

    asyncio.run(scenario())


def test_a_stuck_switch_costs_bounded_memory_and_no_time() -> None:
    async def scenario() -> None:
        wide = n.subnet(2, VPC, "10.1.0.0/16")
        crowd = [
            n.port(i, wide, f"0e:00:00:01:{i >> 8:02x}:{i & 255:02x}", f"10.1.{i >> 8}.{i & 255}")
            for i in range(300, 4300)
        ]
        store = make_store()
        store.put(NEW, wide, *crowd, *(n.at(one, NEW, one.key) for one in crowd))
        limits = Limits(handshake_s=3.0, stall_s=2.0)
        async with rig(store, ovs=False, limits=limits) as r:
            good = await FakeSwitch(GOOD.dpid).connect(path(r))
            await r.settle(GOOD.id)
            bad = await FakeSwitch(BAD.dpid, "deaf").connect(path(r))
            host = r.host(BAD.id)
            await wait_until(lambda: bad.stats_requests and host.session, "stuck")
            connection = host.session.connection
            most = 0
            while host.session is not None:
                await other_host_works(r, good)
                if connection._transport is not None:
                    most = max(most, connection._transport.get_write_buffer_size())
            assert 0 < most < 512 * 1024
            assert not host.queue
            await wait_until(lambda: r.store.told("does not read what we send", BAD.id), "event")
            await bad.close()
            await good.close()

    asyncio.run(scenario())


def test_a_switch_that_reconnects_at_once_is_held_back() -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            good = await FakeSwitch(GOOD.dpid).connect(path(r))
            await r.settle(GOOD.id)
            requests, deadline = 0, time.monotonic() + 3.0
            connections = 0
            while time.monotonic() < deadline:
                bad = await FakeSwitch(BAD.dpid).connect(path(r))
                connections += 1
                await asyncio.sleep(0.1)
                requests += bad.stats_requests
                await bad.close()
            assert connections > 15
            assert 1 <= requests <= 3
            await other_host_works(r, good)
            await good.close()

    asyncio.run(scenario())


def test_many_stuck_switches_do_not_keep_another_from_being_compared() -> None:
    async def scenario() -> None:
        store = make_store()
        stuck = [n.host(i, nd_extensions=False) for i in range(20, 28)]
        store.put(*stuck)
        settings = EngineSettings(audit_interval_s=0, deadlines=Deadlines(reply_s=20.0))
        async with rig(store, ovs=False, settings=settings) as r:
            bad = [await FakeSwitch(host.dpid, "deaf").connect(path(r)) for host in stuck]
            await wait_until(lambda: sum(one.stats_requests for one in bad) >= 4, "all slots taken")
            good = await FakeSwitch(GOOD.dpid).connect(path(r))
            await wait_until(lambda: r.store.in_sync(GOOD.id), "compared", 9.0)
            for one in (*bad, good):
                await one.close()

    asyncio.run(scenario())


def test_the_second_switch_with_one_datapath_id_is_refused() -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            first = await FakeSwitch(GOOD.dpid).connect(path(r))
            await r.settle(GOOD.id)
            second = await FakeSwitch(GOOD.dpid).connect(path(r))
            await asyncio.wait_for(second.closed.wait(), 5)
            await wait_until(lambda: r.store.told("a second switch", GOOD.id), "event")
            assert not first.closed.is_set()
            assert second.added == 0
            await other_host_works(r, first)
            await first.close()

    asyncio.run(scenario())


def test_a_switch_whose_old_connection_is_dead_takes_it_over() -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            dead = await FakeSwitch(GOOD.dpid, "no-echo").connect(path(r))
            await r.settle(GOOD.id)
            again = await FakeSwitch(GOOD.dpid).connect(path(r))
            await wait_until(lambda: again.bundles, "taken over", 8)
            await asyncio.wait_for(dead.closed.wait(), 5)
            await other_host_works(r, again)
            await again.close()

    asyncio.run(scenario())


def test_an_unknown_datapath_is_refused_with_an_event() -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            stranger = await FakeSwitch(0x1234).connect(path(r))
            await asyncio.wait_for(stranger.closed.wait(), 5)
            await wait_until(lambda: r.store.told("unknown", "0x0000000000001234"), "event")
            assert stranger.added == 0

    asyncio.run(scenario())


def test_a_host_created_while_its_switch_waits_is_admitted() -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            early = await FakeSwitch(NEW.dpid).connect(path(r))
            await asyncio.sleep(0.2)
            r.store.put(NEW)
            await r.settle(NEW.id)
            await early.close()

    asyncio.run(scenario())


def test_a_deleted_host_loses_its_connection() -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            switch = await FakeSwitch(GOOD.dpid).connect(path(r))
            await r.settle(GOOD.id)
            r.store.remove(n.at(PORTS[1], GOOD, 11), GOOD)
            r.southbound.engine.poke()
            await asyncio.wait_for(switch.closed.wait(), 5)

    asyncio.run(scenario())


def test_truncated_streams_and_silence_end_at_their_deadlines() -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            good = await FakeSwitch(GOOD.dpid).connect(path(r))
            closed = await FakeSwitch(BAD.dpid).connect(path(r))
            await r.settle(GOOD.id, BAD.id)
            closed.writer.write(message(10, bytes(100))[:50])
            await closed.close()
            await wait_until(lambda: r.store.recorded[BAD.id].state == "disconnected", "standing")
            silent = await FakeSwitch(BAD.dpid, "no-features").connect(path(r))
            _, mute = await asyncio.open_unix_connection(path(r))
            drip, dripper = await asyncio.open_unix_connection(path(r))
            for byte in hello():  # a byte at a time, never finishing the handshake
                dripper.write(bytes((byte,)))
                await asyncio.sleep(0.05)
            await asyncio.wait_for(silent.closed.wait(), 6)
            assert await asyncio.wait_for(drip.read(), 6)
            await wait_until(lambda: len(r.southbound.listeners.connections) == 1, "all dropped")
            await other_host_works(r, good)
            mute.close()
            dripper.close()
            await good.close()

    asyncio.run(scenario())


def test_a_flood_and_too_many_connections_are_cut() -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            good = await FakeSwitch(GOOD.dpid).connect(path(r))
            await r.settle(GOOD.id)
            flood = await FakeSwitch(BAD.dpid, "no-features").connect(path(r))
            with contextlib.suppress(OSError):
                for _ in range(40):
                    flood.writer.write(message(2) * 1000)
                    await asyncio.wait_for(flood.writer.drain(), 5)
            await asyncio.wait_for(flood.closed.wait(), 5)
            crowd = []
            for _ in range(600):
                with contextlib.suppress(OSError):
                    crowd.append(await asyncio.open_unix_connection(path(r)))
            await wait_until(lambda: len(r.southbound.listeners.connections) <= 513, "bounded")
            await other_host_works(r, good)
            for _, writer in crowd:
                writer.close()
            await good.close()

    asyncio.run(scenario())


def test_the_database_may_be_away_without_any_switch_noticing() -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            good = await FakeSwitch(GOOD.dpid).connect(path(r))
            await r.settle(GOOD.id)
            r.store.down = True
            bundles = good.bundles
            r.store.put(PORTS[4], n.at(PORTS[4], GOOD, 44))
            r.southbound.engine.poke()
            await asyncio.sleep(1.2)
            assert good.bundles == bundles
            assert not good.closed.is_set()
            r.store.down = False
            await r.settle(GOOD.id)
            assert good.bundles == bundles + 1
            await good.close()

    asyncio.run(scenario())


def test_a_change_that_could_not_be_planned_once_is_made_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            good = await FakeSwitch(GOOD.dpid).connect(path(r))
            await r.settle(GOOD.id)
            compile_piece, failures = plan.compile_piece, [ValueError("two flows of one key")]

            def once(net: Network, piece: Piece) -> tuple[Flow, ...]:
                if net.revision == r.store.revision and failures:
                    raise failures.pop()
                return compile_piece(net, piece)

            monkeypatch.setattr(plan, "compile_piece", once)
            added = good.added
            r.store.put(PORTS[2], n.at(PORTS[2], GOOD, 30))
            await r.settle(GOOD.id)
            assert not failures
            assert good.added > added
            assert r.store.told("two flows of one key")
            assert r.store.recorded[GOOD.id].revision == r.store.revision
            await good.close()

    asyncio.run(scenario())


class WithBrokenPiece(NetworkProgram):
    """A program with a piece that cannot be compiled."""

    def flows(self, piece: Piece) -> tuple[Flow, ...]:
        if piece == BasePiece(BAD.id):
            raise ValueError("two flows of one key")
        return super().flows(piece)


def test_a_piece_that_cannot_be_compiled_is_told_and_all_others_are_installed() -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False, program=WithBrokenPiece) as r:
            good = await FakeSwitch(GOOD.dpid).connect(path(r))
            bad = await FakeSwitch(BAD.dpid).connect(path(r))
            await r.settle(GOOD.id)
            await wait_until(lambda: r.store.told("cannot be compiled", BAD.id), "event")
            await wait_until(lambda: r.store.recorded[BAD.id].state == "degraded", "degraded")
            assert "BasePiece" in (r.store.recorded[BAD.id].error or "")
            assert bad.added > 100
            assert not bad.closed.is_set()
            await other_host_works(r, good)
            await bad.close()
            await good.close()

    asyncio.run(scenario())


class WithRefusedFlow(NetworkProgram):
    """A program with one flow that Open vSwitch refuses: an NA's field in a solicitation."""

    bad = Flow(
        RESPOND,
        999,
        match((f.ETH_TYPE, 0x86DD), (f.IP_PROTO, 58), (f.ICMP6_TYPE, 135), (f.ICMP6_CODE, 0)),
        (SetField(f.ND_TLL, 1), Output(OFPP_IN_PORT)),
        None,
        cookie(Feature.BASE),
    )

    def flows(self, piece):
        flows = super().flows(piece)
        return (*flows, self.bad) if piece == BasePiece(BAD.id) else flows


@pytest.mark.ovs
def test_a_flow_that_ovs_refuses_is_named_and_all_others_are_installed() -> None:
    async def scenario() -> None:
        async with rig(make_store(), program=WithRefusedFlow) as r:
            r.ovs.add_bridge("bad", BAD.dpid, r.target)
            r.ovs.add_bridge("good", GOOD.dpid, r.target)
            await r.settle(GOOD.id)
            await wait_until(lambda: r.store.told("priority=999", BAD.id), "event")
            await wait_until(lambda: len(r.ovs.flows("bad")) > 40, "the others")
            standing = r.store.recorded[BAD.id]
            await wait_until(lambda: r.store.recorded[BAD.id].state == "degraded", "degraded")
            assert "OFPBAC" in (standing.error or r.store.recorded[BAD.id].error)
            r.store.put(PORTS[2], n.at(PORTS[2], BAD, 33))
            r.southbound.engine.poke()
            await wait_until(lambda: any("=33 " in flow for flow in r.ovs.flows("bad")), "goes on")

    asyncio.run(scenario())


@pytest.mark.ovs
@pytest.mark.parametrize("finder", ["audit", "retry"])
def test_drift_on_a_degraded_host_is_repaired_and_told(finder: str) -> None:
    async def scenario() -> None:
        async with rig(make_store(), program=WithRefusedFlow) as r:
            r.ovs.add_bridge("bad", BAD.dpid, r.target)
            await wait_until(lambda: len(r.ovs.flows("bad")) > 40, "the others")
            await wait_until(lambda: r.store.recorded[BAD.id].state == "degraded", "degraded")
            await asyncio.sleep(0.3)
            lost = next(one for one in r.ovs.flows("bad") if "output:10" in one)
            gone = lost.partition("table=")[2].partition(" actions")[0]
            r.ovs.ofctl("del-flows", "bad", "--strict", f"table={gone}")
            assert lost not in r.ovs.flows("bad")
            if finder == "audit":
                assert await r.southbound.engine.audit(BAD.id) == 1
            await wait_until(lambda: lost in r.ovs.flows("bad"), "repaired", 10)
            await wait_until(lambda: r.store.told("missing flow repaired", BAD.id), "event")
            told = [detail for _, _, detail in r.store.events if "repaired" in detail]
            assert len(told) == 1
            assert r.store.recorded[BAD.id].state == "degraded"

    asyncio.run(scenario())


class WithManyRefusedFlows(WithRefusedFlow):
    """The same with more of them than get an event each."""

    def flows(self, piece: Piece) -> tuple[Flow, ...]:
        flows = super().flows(piece)
        more = (self.bad._replace(priority=one) for one in range(700, 800))
        return (*flows, *more) if piece == BasePiece(BAD.id) else flows


@pytest.mark.ovs
def test_of_many_flows_that_ovs_refuses_all_others_are_installed_and_stay() -> None:
    async def scenario() -> None:
        wide = n.subnet(2, VPC, "10.1.0.0/16")
        crowd = [n.port(i, wide, f"0e:00:00:01:00:{i:02x}", f"10.1.0.{i}") for i in range(50, 250)]
        store = make_store()
        store.put(wide, *crowd, *(n.at(one, GOOD, one.key) for one in crowd))
        async with rig(store, program=WithManyRefusedFlows) as r:
            r.ovs.add_bridge("bad", BAD.dpid, r.target)
            r.ovs.add_bridge("good", GOOD.dpid, r.target)
            await r.settle(GOOD.id)
            await wait_until(lambda: len(r.ovs.flows("bad")) > 400, "the others")
            assert r.store.recorded[BAD.id].state == "degraded"
            assert sum("refuses a flow" in detail for _, _, detail in r.store.events) == 16
            assert r.store.told("refuses 85 more flows", BAD.id)
            there = set(r.ovs.flows("bad"))
            await asyncio.sleep(1.5)  # it has been tried again
            assert set(r.ovs.flows("bad")) == there

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "garbage",
    [
        bytes.fromhex("05000010000000010001000000000000"),
        message(0, version=1),
        message(0, version=200),
        message(1, b"\0\0\0\0" + b"\xff" * 40),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        bytes(64),
        b"\x16\x03\x01\x02\x00" + bytes(200),
        message(19, b"\0\x0d\0\0\0\0\0\0" + bytes(72)),
    ],
)
def test_garbage_before_the_handshake_hurts_nobody(garbage: bytes) -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            good = await FakeSwitch(GOOD.dpid).connect(path(r))
            await r.settle(GOOD.id)
            reader, writer = await asyncio.open_unix_connection(path(r))
            writer.write(garbage)
            with contextlib.suppress(OSError):
                await asyncio.wait_for(reader.read(), 6)
            writer.close()
            await wait_until(lambda: len(r.southbound.listeners.connections) == 1, "dropped")
            await other_host_works(r, good)
            await good.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("entry", ["endless instruction", "endless entry"])
def test_a_connected_switch_that_lists_endless_flows_is_dropped(entry: str) -> None:
    async def scenario() -> None:
        body = ENDLESS_FLOW[16:] if entry == "endless instruction" else bytes(56)
        async with rig(make_store(), ovs=False) as r:
            good = await FakeSwitch(GOOD.dpid).connect(path(r))
            await r.settle(GOOD.id)
            bad = FakeSwitch(BAD.dpid)
            bad.listed = (body,)
            await bad.connect(path(r))
            await wait_until(lambda: bad.bundles or bad.closed.is_set(), "taken or dropped")
            if entry == "endless entry":
                await wait_until(lambda: r.store.told("of length 0", BAD.id), "event")
            await other_host_works(r, good)
            await bad.close()
            await good.close()

    asyncio.run(scenario())
