"""Counters, read by the southbound from a real ovs-vswitchd and asked for over its socket."""

import asyncio
import dataclasses
import json
import re
import socket
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.ofctl import Switch
from tests.southbound.ovs import wait_until
from tests.southbound.rig import MemoryStore, Rig, rig
from tests.support import frames
from tests.support import networks as n
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.model.addresses import GATEWAY_MAC, format_mac
from vpcctl.model.counters import Count, PortCounters
from vpcctl.model.problems import Unavailable
from vpcctl.store.southbound import AT_ONCE, MAX_QUESTION, SouthboundClient

pytestmark = pytest.mark.ovs

HOST, ELSEWHERE, VPC = n.host(1), n.host(2), n.vpc(1)
SUBNET = n.subnet(1, VPC, "10.0.0.0/24")
WEB = n.group(
    1,
    VPC,
    n.allow("egress"),
    n.allow("ingress", "10.0.0.0/24", protocol=6, ports=(80, 80)),
    n.allow("ingress", "10.9.0.0/24", protocol=6, ports=(443, 443)),
)
OPEN = n.group(2, VPC, n.allow("egress"), n.allow("ingress"))
A, B, AWAY = (
    n.port(i, SUBNET, f"0e:00:00:00:00:0{i}", f"10.0.0.1{i}", groups=(group.id,))
    for i, group in ((1, OPEN), (2, WEB), (3, OPEN))
)
OFPORT = {A.id: 11, B.id: 12}
MACS = ("0e:00:00:00:00:01", "0e:00:00:00:00:02")
NET = n.outside(1, "203.0.113.0/24")
EIP = n.eip(1, NET, "203.0.113.10", B)


def frame(port: int, *, mac: str = "0e0000000001") -> str:
    """A TCP SYN from A to B, in hexadecimal digits, without checksums of TCP."""
    head = bytearray.fromhex("4500002800010000400600000a00000b0a00000c")
    total = sum(int.from_bytes(head[i : i + 2], "big") for i in range(0, 20, 2))
    total = (total & 0xFFFF) + (total >> 16)
    head[10:12] = (~(total + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    tcp = (4000).to_bytes(2, "big") + port.to_bytes(2, "big") + bytes(8) + b"\x50\x02\xff\xff"
    tcp += bytes(4)
    pseudo = bytes.fromhex("0a00000b0a00000c0006") + len(tcp).to_bytes(2, "big") + tcp
    total = sum(int.from_bytes(pseudo[i : i + 2], "big") for i in range(0, len(pseudo), 2))
    total = (total & 0xFFFF) + (total >> 16)
    tcp = tcp[:16] + (~(total + (total >> 16)) & 0xFFFF).to_bytes(2, "big") + tcp[18:]
    return f"0e0000000002{mac}0800" + bytes(head).hex() + tcp.hex()


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Rig, SouthboundClient]]:
    """One host's switch with two ports, connected and in sync."""
    places = [n.at(A, HOST, 11), n.at(B, HOST, 12), n.at(AWAY, ELSEWHERE, 13)]
    store = MemoryStore(HOST, ELSEWHERE, VPC, SUBNET, WEB, OPEN, A, B, AWAY, *places)
    async with rig(store) as r:
        assert r.ovs is not None
        await asyncio.to_thread(r.ovs.add_bridge, "br0", HOST.dpid, r.target)
        for port, at in OFPORT.items():
            await asyncio.to_thread(
                r.ovs.vsctl,
                *("add-port", "br0", f"p{at}", "--", "set", "interface", f"p{at}", "type=dummy"),
                *(f"ofport_request={at}", f"external_ids:iface-id={port}"),
            )
        await r.settle(HOST.id)
        yield r, SouthboundClient(r.directory)


async def send(r: Rig, *frames: str, at: str = "p11") -> None:
    assert r.ovs is not None
    for each in frames:
        control = ("ovs-appctl", "-t", str(r.directory / "vswitchd.ctl"))
        await asyncio.to_thread(r.ovs.run, *control, "netdev-dummy/receive", at, each)


async def ask(client: SouthboundClient, port: str, host: str = HOST.id) -> PortCounters:
    return await asyncio.to_thread(client.counters, port, host)


async def asked_until(client: SouthboundClient, port: str, condition) -> PortCounters:
    """Ask until *condition* of the answer is true: switches count with a delay."""
    found: list[PortCounters] = []

    def come_true() -> bool:
        return bool(found and condition(found[-1]))

    for _ in range(200):
        found.append(await ask(client, port))
        if come_true():
            return found[-1]
        await asyncio.sleep(0.05)
    raise AssertionError(f"never: {found[-1]}")


def test_what_passes_and_what_is_dropped_is_counted_where_it_is_decided() -> None:
    async def scenario() -> None:
        async with running() as (r, client):
            before = await ask(client, B.id)
            assert before.ingress.allowed == Count(0, 0)
            assert [one.rule_id for one in before.rules] == [rule.id for rule in WEB.rules]
            await send(r, *[frame(80)] * 3, *[frame(22)] * 2)
            await send(r, frame(80, mac="0e00000000ff"))
            found = await asked_until(
                client,
                B.id,
                lambda got: (
                    got.ingress.allowed.packets == 3
                    and got.ingress.dropped["ingress-denied"].packets == 2
                ),
            )
            assert found.ingress.allowed.bytes >= 3 * 54
            assert found.egress.allowed == Count(0, 0)
            by_rule = {one.rule_id: one.count.packets for one in found.rules}
            assert by_rule == dict(zip([rule.id for rule in WEB.rules], (0, 3, 0), strict=True))
            sender = await asked_until(client, A.id, lambda got: got.egress.allowed.packets == 5)
            assert sender.egress.dropped["egress-denied"].packets == 0
            assert set(sender.ingress.dropped) == {"ingress-denied", "ingress-invalid"}

    asyncio.run(scenario())


async def put_back(r: Rig) -> None:
    """Do what a host's agent does: save the flows, and put them back without a controller."""
    assert r.ovs is not None
    switch = Switch(r.directory / "br0.mgmt")
    with tempfile.TemporaryFile() as file:
        await switch.dump(file, 1 << 24)
        file.seek(0)
        saved = [line for line in file if b"actions=" in line]
    meters = await switch.list_meters()
    await asyncio.to_thread(r.ovs.vsctl, "del-controller", "br0")
    await asyncio.to_thread(r.ovs.ofctl, "del-flows", "br0")
    assert await switch.put_meters(meters) == set()
    await switch.put(b"".join(saved))


def test_a_rule_for_protocol_0_is_dumped_as_it_is() -> None:
    """What is dumped without its protocol would be drift for ever, and allow all when put back."""
    rule = n.allow("ingress", "10.0.0.0/24", protocol=0)
    zero = frames.ip(frames.Ends(MACS, ("10.0.0.11", "10.0.0.12")), 0, bytes(40)).hex()
    owner = f"cookie={cookie(Feature.RULE, rule.key):#x}/-1"

    async def scenario() -> None:
        async with running() as (r, _):
            assert r.ovs is not None
            r.store.put(dataclasses.replace(WEB, rules=(rule,)))
            await r.settle(HOST.id)
            assert await r.southbound.engine.audit(HOST.id) == 0
            await put_back(r)
            await send(r, zero, *[frame(80)] * 2)
            for _ in range(200):
                shown = await asyncio.to_thread(r.ovs.ofctl, "dump-flows", "br0", owner)
                if " n_packets=1," in shown:
                    break
                await asyncio.sleep(0.05)
            await asyncio.sleep(1.1)  # as long as switches take to count
            shown = await asyncio.to_thread(r.ovs.ofctl, "dump-flows", "br0", owner)
            assert sum(map(int, re.findall(r" n_packets=(\d+),", shown))) == 1

    asyncio.run(scenario())


def test_a_rule_counts_nothing_that_another_one_let_in() -> None:
    """The flow of a rule may take the place of another rule's, and be taken over by one again."""
    both = tuple(
        dataclasses.replace(
            n.allow("ingress", protocol=6, ports=(80, last)), id=f"sgr-{last}", key=last
        )
        for last in (83, 84)
    )

    async def scenario() -> None:
        async with running() as (r, client):
            for rules in (both, both[1:], both):
                r.store.put(dataclasses.replace(WEB, rules=rules))
                await r.settle(HOST.id)
                found = await ask(client, B.id)
                assert [one.count.packets for one in found.rules] == [0] * len(rules)
                await send(r, *[frame(81)] * 7)
                await asked_until(
                    client, B.id, lambda got: sum(one.count.packets for one in got.rules) == 7
                )
            found = await ask(client, B.id)
            assert found.ingress.allowed.packets == 21
            assert await r.southbound.engine.audit(HOST.id) == 0
            await r.southbound.stop()
            r.store.put(dataclasses.replace(WEB, rules=both[1:]))
            await r.start()  # it compares, and writes what is different
            connected = r.southbound.engine.session
            await wait_until(lambda: connected(HOST.id) is not None, "connected again")
            await r.settle(HOST.id)
            found = await ask(client, B.id)
            assert [one.count.packets for one in found.rules] == [0]
            assert found.ingress.allowed.packets == 21

    asyncio.run(scenario())


def test_a_port_that_may_send_nothing_is_told_so() -> None:
    async def scenario() -> None:
        async with running() as (r, client):
            mute = n.port(1, SUBNET, "0e:00:00:00:00:01", "10.0.0.11", groups=())
            r.store.put(mute)
            await r.settle(HOST.id)
            await send(r, frame(80), frame(80))
            found = await asked_until(
                client, A.id, lambda got: got.egress.dropped["egress-denied"].packets == 2
            )
            assert found.egress.allowed.packets == 0
            assert found.rules == ()

    asyncio.run(scenario())


def test_what_a_port_sent_is_not_told_as_dropped_once_it_is_down() -> None:
    async def scenario() -> None:
        async with running() as (r, client):
            await send(r, *[frame(80)] * 5)
            await asked_until(client, A.id, lambda got: got.egress.allowed.packets == 5)
            r.store.put(dataclasses.replace(A, admin_up=False))
            await r.settle(HOST.id)
            found = await ask(client, A.id)
            assert found.egress.dropped["admin-down"].packets == 0
            await send(r, *[frame(80)] * 2)
            await asked_until(
                client, A.id, lambda got: got.egress.dropped["admin-down"].packets == 2
            )
            r.store.put(A)
            await r.settle(HOST.id)
            found = await ask(client, A.id)
            assert found.egress.allowed.packets == 0
            assert "admin-down" not in found.egress.dropped
            assert await r.southbound.engine.audit(HOST.id) == 0

    asyncio.run(scenario())


def test_what_was_dropped_is_not_told_as_allowed_once_security_is_off() -> None:
    async def scenario() -> None:
        async with running() as (r, client):
            r.store.put(dataclasses.replace(A, groups=()))
            await r.settle(HOST.id)
            await send(r, *[frame(80)] * 4)
            await asked_until(
                client, A.id, lambda got: got.egress.dropped["egress-denied"].packets == 4
            )
            r.store.put(dataclasses.replace(A, groups=None, port_security=False))
            await r.settle(HOST.id)
            found = await ask(client, A.id)
            assert found.egress.allowed.packets == 0
            assert found.egress.dropped["egress-denied"].packets == 4
            await send(r, *[frame(80)] * 2)
            await asked_until(client, A.id, lambda got: got.egress.allowed.packets == 2)

    asyncio.run(scenario())


def test_what_a_port_sends_to_itself_is_explained() -> None:
    async def scenario() -> None:
        async with running() as (r, client):
            own, mac = str(A.ips[0]), "0e:00:00:00:00:01"
            to_itself = [
                frames.Ends((mac, to), (own, own)) for to in (format_mac(GATEWAY_MAC), mac)
            ]
            await send(r, *(frames.udp(one, (4000, 53)).hex() for one in to_itself))
            found = await asked_until(
                client, A.id, lambda got: got.egress.dropped["own-address"].packets == 2
            )
            assert found.egress.allowed.packets == 2
            assert found.ingress.allowed.packets == 0
            assert {one.packets for one in found.ingress.dropped.values()} == {0}

    asyncio.run(scenario())


def test_what_an_acl_keeps_out_is_counted_for_the_port() -> None:
    async def scenario() -> None:
        async with running() as (r, client):
            assert r.ovs is not None
            at = ("p9", "--", "set", "interface", "p9", "type=dummy", "ofport_request=9")
            await asyncio.to_thread(r.ovs.vsctl, "add-port", "br0", *at)
            reaching, walled = n.reaching(HOST, (NET, 9)), n.acl(1, VPC)
            r.store.put(walled, dataclasses.replace(SUBNET, acl_id=walled.id))
            await r.settle(HOST.id)
            r.store.put(NET, reaching, n.igw(1, VPC, NET, reaching), EIP)
            await r.settle(HOST.id)
            router = ("02:00:00:00:00:01", format_mac(EIP.mac))
            ends = frames.Ends(router, ("192.0.2.77", str(EIP.address)))
            await send(r, *[frames.tcp(ends, (4000, 80)).hex()] * 2, at="p9")
            found = await asked_until(
                client, B.id, lambda got: got.ingress.dropped["acl-in-denied"].packets == 2
            )
            assert found.ingress.allowed.packets == 0
            assert found.egress.dropped["acl-in-denied"].packets == 0

    asyncio.run(scenario())


def test_audits_add_up_what_is_dropped() -> None:
    async def scenario() -> None:
        async with running() as (r, client):
            engine = r.southbound.engine

            async def audited_until(reason: str, packets: int) -> None:
                for _ in range(200):
                    assert await engine.audit(HOST.id) == 0
                    found = await asyncio.to_thread(client.drops)
                    if found.by_host.get(HOST.id, {}).get(reason) == packets:
                        assert found.by_reason[reason] == packets
                        return
                    await asyncio.sleep(0.05)
                raise AssertionError(f"never: {engine.drops.by_host}")

            await engine.audit(HOST.id)
            await send(r, *[frame(22)] * 2, frame(80, mac="0e00000000ff"))
            await audited_until("ingress-denied", 2)
            await audited_until("spoofed-ipv4", 1)
            r.store.remove(B)
            await r.settle(HOST.id)
            r.store.put(B)
            await r.settle(HOST.id)
            await audited_until("ingress-denied", 2)
            await send(r, frame(23))
            await audited_until("ingress-denied", 3)
            r.store.remove(HOST)
            engine.poke()
            await wait_until(lambda: HOST.id not in engine.hosts, "the host is forgotten")
            found = await asyncio.to_thread(client.drops)
            assert HOST.id not in found.by_host
            assert found.by_reason["ingress-denied"] == 3

    asyncio.run(scenario())


def test_who_cannot_be_asked_is_named() -> None:
    async def scenario() -> None:
        async with running() as (r, client):
            with pytest.raises(Unavailable, match=f"{ELSEWHERE.id} is not connected"):
                await ask(client, AWAY.id, ELSEWHERE.id)
            with pytest.raises(Unavailable, match=f"does not know {A.id} on {ELSEWHERE.id}"):
                await ask(client, A.id, ELSEWHERE.id)
            with pytest.raises(Unavailable, match="does not know port-x"):
                await ask(client, "port-x")
            await r.southbound.stop()
            with pytest.raises(Unavailable, match=f"does not answer for {HOST.id}"):
                await ask(client, A.id)

    asyncio.run(scenario())


def test_a_switch_that_does_not_answer_holds_up_few() -> None:
    async def scenario() -> None:
        async with running() as (r, client):
            assert r.ovs is not None
            r.ovs.suspend_switch(True)
            try:
                asking = [asyncio.create_task(ask(client, A.id)) for _ in range(AT_ONCE)]
                await asyncio.sleep(0)
                await wait_until(lambda: client.is_busy, "all questions are under way")
                with pytest.raises(Unavailable, match="Too many"):
                    await ask(client, B.id)
                for each in asking:
                    with pytest.raises(Unavailable, match=HOST.id):
                        await each
            finally:
                r.ovs.suspend_switch(False)
            await r.settle(HOST.id)

            async def answers() -> bool:
                try:
                    return bool(await ask(client, A.id))
                except Unavailable:
                    return False

            for _ in range(200):
                if await answers():
                    return
                await asyncio.sleep(0.05)
            raise AssertionError("it never answers again")

    asyncio.run(scenario())


def _raw(r: Rig, line: bytes) -> dict:
    """Send bytes as they are; return what comes back until the other side closes."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(10)
        asking.connect(str(r.directory / "southbound" / "ask.sock"))
        asking.sendall(line)
        asking.shutdown(socket.SHUT_WR)
        answer = b""
        while part := asking.recv(65536):
            answer += part
    return json.loads(answer)


def test_questions_that_are_none_are_refused() -> None:
    async def scenario() -> None:
        async with running() as (r, client):
            path = r.directory / "southbound" / "ask.sock"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            bad = (
                b"zebra\n",
                b"\n",
                b"",
                b"[1]\n",
                b'{"ask":"everything"}\n',
                b'{"ask":"counters","port_id":1,"host_id":null}\n',
                b"x" * (4 * MAX_QUESTION) + b"\n",
                b'{"ask":"counters"',
                b"\xff\xfe\n",
            )
            for line in bad:
                assert "error" in await asyncio.to_thread(_raw, r, line), line
            assert await ask(client, A.id)

    asyncio.run(scenario())


def test_the_next_southbound_takes_the_socket_over() -> None:
    async def scenario() -> None:
        async with running() as (r, client):
            await r.southbound.stop()
            await r.start()
            connected = r.southbound.engine.session
            await wait_until(lambda: connected(HOST.id) is not None, "connected again")
            await r.settle(HOST.id)
            assert await asked_until(client, A.id, lambda got: True)

    asyncio.run(scenario())
