"""Peers that make work, take places or fill memory: bounded for each, and others are served."""

import asyncio
import contextlib
import dataclasses
import multiprocessing
import resource
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.test_southbound_peers import BAD, GOOD, PORTS, SUBNET, VPC, make_store, path
from tests.faults.test_southbound_tls import port
from tests.southbound.fake_switch import FakeSwitch, hello, message
from tests.southbound.ovs import Ovs, wait_until
from tests.southbound.pki import Authority
from tests.southbound.rig import MemoryStore, Rig, rig
from tests.support import networks as n
from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.engine import EngineSettings
from vpcctl.southbound.listings import Listings
from vpcctl.southbound.transport.limits import Limits

_MP_PORT_DESC = 13


def laden_port(room: int) -> bytes:
    """A port's description of nearly *room* bytes: thousands of properties, all well-formed."""
    properties = (room - 40) // 8
    fixed = struct.pack("!IH2x6s2x16sII", 1, 40 + 8 * properties, bytes(6), b"p", 0, 4)
    return fixed + struct.pack("!HHI", 9, 4, 0) * properties


PORT_DESCRIPTION = message(
    m.MULTIPART_REPLY, struct.pack("!HHI", _MP_PORT_DESC, 1, 0) + laden_port(65_000)
)
PORT_STATUS = message(m.PORT_STATUS, struct.pack("!B7x", 0) + laden_port(65_000))
SMALL_STATUS = message(m.PORT_STATUS, struct.pack("!B7x", 0) + laden_port(72))


async def _send_until_cut(writer: asyncio.StreamWriter, data: bytes, times: int) -> int:
    """Send *data* so often; return how many of these went before the connection was gone."""
    for count in range(times):
        try:
            writer.write(data)
            await writer.drain()
        except OSError:
            return count
    return times


def test_port_descriptions_are_nobodys_business() -> None:
    """They were parsed: 156 ms for one of 64 KiB, from whoever had said hello."""

    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            reader, writer = await asyncio.open_unix_connection(path(r))
            writer.write(hello() + PORT_DESCRIPTION)
            await asyncio.wait_for(reader.read(), 5)
            writer.close()
            silent = await FakeSwitch(BAD.dpid, "no-features").connect(path(r))
            silent.writer.write(PORT_DESCRIPTION)
            await asyncio.wait_for(silent.closed.wait(), 5)
            assert r.southbound.metrics.faults._value.get() == 2
            await silent.close()

    asyncio.run(scenario())


def test_what_nobody_asked_for_counts_by_its_bytes() -> None:
    async def scenario() -> None:
        limits = Limits(messages_per_s=10.0, message_burst=1_000.0)
        async with rig(make_store(), ovs=False, limits=limits) as r:
            switch = await FakeSwitch(BAD.dpid).connect(path(r))
            await r.settle(BAD.id)
            large = await _send_until_cut(switch.writer, PORT_STATUS, 200)
            assert large < 60  # 1,000 KiB, and what sockets and streams hold
            await asyncio.wait_for(switch.closed.wait(), 5)
            await switch.close()

    asyncio.run(scenario())


def test_a_switch_may_tell_of_thousands_of_ports_as_it_connects() -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False, limits=Limits()) as r:
            switch = await FakeSwitch(BAD.dpid).connect(path(r))
            assert await _send_until_cut(switch.writer, SMALL_STATUS * 100, 100) == 100
            await r.settle(BAD.id)
            assert not switch.closed.is_set()
            await switch.close()

    asyncio.run(scenario())


def test_lateness_is_no_excuse_for_who_may_have_caused_it() -> None:
    async def scenario() -> None:
        limits = Limits(messages_per_s=10.0)
        async with rig(make_store(), ovs=False, limits=limits) as r:
            quiet = await FakeSwitch(GOOD.dpid).connect(path(r))
            loud = await FakeSwitch(BAD.dpid).connect(path(r))
            await r.settle(GOOD.id, BAD.id)
            connections = [r.host(host.id).session.connection for host in (GOOD, BAD)]
            for one in connections:
                one.excuse(0.0, 1.0)  # from here on
            loud.writer.write(SMALL_STATUS * 20)
            await asyncio.sleep(0.2)
            heard = [one.last_heard for one in connections]
            for one in connections:
                one.excuse(0.15, 1.0)
            gained = [one.last_heard > was for one, was in zip(connections, heard, strict=True)]
            assert gained == [True, False]
            await quiet.close()
            await loud.close()

    asyncio.run(scenario())


def _hog(target: int, files: tuple[str, str, str], data: bytes) -> None:
    """Send *data* over eight connections of one host, for ever."""
    authority, certificate, key = files
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)

    def one() -> None:
        while True:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", target), 5) as plain,
                context.wrap_socket(plain, server_hostname="controller") as encrypted,
            ):
                encrypted.sendall(hello())
                encrypted.recv(8)
                while True:
                    encrypted.sendall(data)

    for _ in range(8):
        threading.Thread(target=one).start()


@contextlib.contextmanager
def beside(work: Callable[..., None], *arguments: object) -> Iterator[None]:
    """Do *work* in another process meanwhile."""
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


@pytest.mark.ovs
@pytest.mark.parametrize("data", [PORT_DESCRIPTION, PORT_STATUS], ids=["description", "status"])
def test_open_vswitch_is_served_while_another_host_hogs(tmp_path: Path, data: bytes) -> None:
    """Eight connections with one host's certificate: the loop was held for up to 6.4 s."""

    async def scenario() -> None:
        authority = Authority(tmp_path)
        r = Rig(
            tmp_path,
            MemoryStore(GOOD, BAD, VPC, SUBNET, *PORTS[:2], n.at(PORTS[1], GOOD, 11)),
        )
        r.listen, r.tls, r.limits = ("ssl:127.0.0.1:0",), authority.server(), Limits()
        r.engine_settings = EngineSettings(audit_interval_s=0)
        with Ovs(tmp_path) as ovs:
            await r.start()
            certificate, key = authority.issue(GOOD.id)
            ovs.vsctl("set-ssl", str(key), str(certificate), str(authority.path))
            ovs.add_bridge("br", GOOD.dpid, f"ssl:127.0.0.1:{port(r)}")
            await r.settle(GOOD.id)
            session = r.host(GOOD.id).session
            files = tuple(map(str, (authority.path, *authority.issue(BAD.id))))
            try:
                with beside(_hog, port(r), files, data):
                    for turn in range(10):
                        await asyncio.sleep(0.3)
                        r.store.put(n.at(PORTS[1], GOOD, 20 + turn))
                        await r.settle(GOOD.id, timeout=5.0)
                assert r.host(GOOD.id).session is session
                assert r.southbound.metrics.faults._value.get() > 8
            finally:
                await r.stop()

    asyncio.run(scenario())


async def _idle(
    r: Rig, number: int
) -> tuple[list[asyncio.StreamReader], list[asyncio.StreamWriter]]:
    """Plain connections to the one listener that say nothing."""
    made = [await asyncio.open_connection("127.0.0.1", port(r)) for _ in range(number)]
    return [reader for reader, _ in made], [writer for _, writer in made]


def _tls_rig(directory: Path, authority: Authority, limits: Limits) -> Rig:
    r = Rig(directory, MemoryStore(GOOD, BAD, VPC, SUBNET, *PORTS[:2]))
    r.listen, r.tls, r.limits = ("ssl:127.0.0.1:0",), authority.server(), limits
    return r


def test_connections_count_before_they_begin_tls_and_the_oldest_give_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = Authority(tmp_path)
        r = _tls_rig(tmp_path, authority, Limits(strangers_of_address=20))
        await r.start()
        places = r.southbound.listeners.places
        idle: list[asyncio.StreamWriter] = []
        try:
            readers, idle = await _idle(r, 100)
            oldest = (one.read() for one in readers[:80])
            await asyncio.wait_for(asyncio.gather(*oldest, return_exceptions=True), 10)
            assert (len(places), places.strangers) == (20, 20)
            good = await FakeSwitch(GOOD.dpid).connect(port=port(r), tls=authority.client(GOOD.id))
            await r.settle(GOOD.id)
            readers, more = await _idle(r, 100)  # a switch that is known keeps its place
            idle += more
            oldest = (one.read() for one in readers[:80])
            await asyncio.wait_for(asyncio.gather(*oldest, return_exceptions=True), 10)
            assert len(places) == 21
            assert not good.closed.is_set()
            await good.close()
        finally:
            for writer in idle:
                writer.close()
            await r.stop()
        assert len(places) == 0

    asyncio.run(scenario())


def test_few_descriptors_make_few_connections(tmp_path: Path) -> None:
    """Without a bound the process ran out of them, and asyncio stopped accepting."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

    async def scenario() -> None:
        authority = Authority(tmp_path)
        r = _tls_rig(tmp_path, authority, Limits())
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        await r.start()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        _, idle = await _idle(r, 300)
        try:
            good = await FakeSwitch(GOOD.dpid).connect(port=port(r), tls=authority.client(GOOD.id))
            await r.settle(GOOD.id)
            assert len(r.southbound.listeners.places) <= 128
            await good.close()
        finally:
            for writer in idle:
                writer.close()
            await r.stop()

    try:
        asyncio.run(scenario())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_one_host_has_few_places_until_it_is_admitted(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = Authority(tmp_path)
        r = _tls_rig(tmp_path, authority, Limits())
        await r.start()
        try:
            context = authority.client(BAD.id)
            many = [
                await FakeSwitch(BAD.dpid, "no-features").connect(port=port(r), tls=context)
                for _ in range(6)
            ]
            await wait_until(lambda: sum(one.closed.is_set() for one in many) == 4, "four go")
            assert not many[-1].closed.is_set()
            assert r.southbound.listeners.places.strangers == 2
            for one in many:
                await one.close()
        finally:
            await r.stop()

    asyncio.run(scenario())


def _come_again(target: str) -> None:
    """Keep 700 connections that say nothing, and make those that are dropped again."""

    async def one() -> None:
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_unix_connection(target)
                while await reader.read(4096):
                    pass
                writer.close()
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        await asyncio.gather(*(one() for _ in range(700)))

    asyncio.run(all_of_them())


@pytest.mark.ovs
@pytest.mark.parametrize("most", [300, 1_536])
def test_open_vswitch_is_admitted_whoever_takes_the_places(most: int) -> None:
    async def scenario() -> None:
        limits = Limits(strangers_of_address=most)
        async with rig(make_store(), limits=limits) as r:
            with beside(_come_again, path(r)):
                places = r.southbound.listeners.places
                await wait_until(lambda: places.strangers >= min(most, 700), "taken")
                r.ovs.add_bridge("good", GOOD.dpid, r.target)
                await r.settle(GOOD.id, timeout=30)

    asyncio.run(scenario())


def test_a_thousand_switches_at_one_address_connect_at_once() -> None:
    async def scenario() -> None:
        hosts = [
            dataclasses.replace(
                GOOD,
                id=f"host-{i:017x}",
                key=i,
                dpid=GOOD.dpid + i,
                vtep=n.ip(f"10.99.{i >> 8}.{i & 255}"),
            )
            for i in range(10, 1010)
        ]
        async with rig(MemoryStore(*hosts), ovs=False, limits=Limits()) as r:
            switches = await asyncio.gather(
                *(FakeSwitch(host.dpid).connect(path(r)) for host in hosts)
            )
            await r.settle(*(host.id for host in hosts), timeout=60)
            assert not any(one.closed.is_set() for one in switches)
            assert not r.southbound.listeners.places.gave_way
            await asyncio.gather(*(one.close() for one in switches))

    asyncio.run(scenario())


def test_invented_datapath_ids_make_few_events() -> None:
    async def scenario() -> None:
        async with rig(make_store(), ovs=False) as r:
            many = [await FakeSwitch(0x1000 + i).connect(path(r)) for i in range(100)]
            await asyncio.wait_for(asyncio.gather(*(one.closed.wait() for one in many)), 15)
            await r.southbound.engine.recorder.flush()
            assert r.southbound.metrics.refused.labels("unknown")._value.get() == 100
            assert len([1 for *_, detail in r.store.events if detail == "unknown host"]) == 8
            await asyncio.gather(*(one.close() for one in many))

    asyncio.run(scenario())


class Lister(FakeSwitch):
    """Answers a request for its flows with so many parts of 60,000 bytes, and with no last one."""

    parts = 0

    def _multipart(self, got: bytes, xid: int) -> None:
        if got[9] != m.MP_FLOW:
            super()._multipart(got, xid)
            return
        head = struct.pack("!HBxIIHHHHHxx", 56, 5, 1, 0, 9, 0, 0, 0, 0)
        for part in range(self.parts):
            flows = (
                head + struct.pack("!QQQHHI", part << 16 | i, 0, 0, 1, 4, 0) for i in range(1070)
            )
            body = struct.pack("!HHI", m.MP_FLOW, 1, 0) + b"".join(flows)
            self.writer.write(message(m.MULTIPART_REPLY, body, xid))


def test_listings_are_bounded_for_each_switch_and_for_all_together() -> None:
    async def scenario() -> None:
        hosts = [n.host(i, nd_extensions=False) for i in range(20, 23)]
        store = make_store()
        store.put(*hosts)
        async with rig(store, ovs=False) as r:
            listings = r.southbound.engine.listings = Listings(one=200_000, most=300_000)
            endless = Lister(BAD.dpid)
            endless.parts = 4
            await endless.connect(path(r))
            await wait_until(lambda: store.told("lists far too much", BAD.id), "one")
            assert listings.total == 0
            many = [Lister(host.dpid) for host in hosts]
            for one in many:
                one.parts = 2
                await one.connect(path(r))
            await wait_until(lambda: store.told("room for beside others"), "together")
            assert 200_000 < listings.total <= 300_000
            good = await FakeSwitch(GOOD.dpid).connect(path(r))
            await r.settle(GOOD.id)
            await asyncio.gather(*(one.close() for one in (endless, good, *many)))
            await wait_until(lambda: listings.total == 0, "given back")

    asyncio.run(scenario())
