"""TLS both ways: who may connect, and as whom."""

import asyncio
import ssl
from pathlib import Path

import pytest

from tests.southbound.fake_switch import FakeSwitch
from tests.southbound.ovs import Ovs, wait_until
from tests.southbound.pki import Authority
from tests.southbound.rig import MemoryStore, Rig
from tests.support import networks as n
from vpcctl.southbound.transport.limits import Limits
from vpcctl.southbound.transport.listener import ListenError, Listeners

HOST, OTHER = (n.host(i, nd_extensions=False) for i in (1, 2))


def tls_rig(directory: Path, authority: Authority) -> Rig:
    made = Rig(directory, MemoryStore(HOST, OTHER))
    made.listen = ("ssl:127.0.0.1:0",)
    made.tls = authority.server()
    return made


def port(r: Rig) -> int:
    return int(r.southbound.listeners.addresses[0].rpartition(":")[2])


def test_only_the_hosts_own_certificate_is_accepted(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = Authority(tmp_path)
        r = tls_rig(tmp_path, authority)
        await r.start()
        try:
            right = authority.client(HOST.id)
            good = await FakeSwitch(HOST.dpid).connect(port=port(r), tls=right)
            await r.settle(HOST.id)
            assert good.added > 0
            wrong = await FakeSwitch(OTHER.dpid).connect(port=port(r), tls=right)
            await asyncio.wait_for(wrong.closed.wait(), 5)
            assert wrong.added == 0
            await wait_until(lambda: r.store.told("certificate of", OTHER.id), "event")
            await good.close()
        finally:
            await r.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("who", ["nobody", "foreign", "plain"])
def test_strangers_do_not_get_past_the_handshake(tmp_path: Path, who: str) -> None:
    async def scenario() -> None:
        authority = Authority(tmp_path)
        r = tls_rig(tmp_path, authority)
        await r.start()
        try:
            if who == "plain":
                peer = await FakeSwitch(HOST.dpid).connect(port=port(r))
            else:
                context = authority.client(None)
                if who == "foreign":
                    context.load_cert_chain(*Authority(tmp_path, "foreign").issue(HOST.id))
                peer = await FakeSwitch(HOST.dpid).connect(port=port(r), tls=context)
            await asyncio.wait_for(peer.closed.wait(), 6)
            assert peer.added == 0
            assert not r.southbound.listeners.connections
        except (ssl.SSLError, ConnectionError):
            assert not r.southbound.listeners.connections
        finally:
            await r.stop()

    asyncio.run(scenario())


@pytest.mark.ovs
def test_open_vswitch_over_tls_gets_a_large_program(tmp_path: Path) -> None:
    async def scenario() -> None:
        authority = Authority(tmp_path)
        vpc = n.vpc(1)
        subnet = n.subnet(1, vpc, "10.0.0.0/16")
        ports = [
            n.port(i, subnet, f"0e:00:00:00:{i >> 8:02x}:{i & 255:02x}", f"10.0.{i >> 8}.{i & 255}")
            for i in range(300, 1300)
        ]
        located = [n.at(one, HOST, one.key) for one in ports]
        r = tls_rig(tmp_path, authority)
        r.store.put(vpc, subnet, *ports, *located)
        with Ovs(tmp_path) as ovs:
            await r.start()
            try:
                certificate, key = authority.issue(HOST.id)
                ovs.vsctl("set-ssl", str(key), str(certificate), str(authority.path))
                ovs.add_bridge("br", HOST.dpid, f"ssl:127.0.0.1:{port(r)}")
                await r.settle(HOST.id)
                assert len(ovs.flows("br")) == r.store.recorded[HOST.id].flows > 5_000
            finally:
                await r.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("tcp:0.0.0.0:0", "plain text off the loopback"),
        ("ssl:127.0.0.1:0", "needs a certificate"),
        ("tcp:6653", "expected tcp:HOST:PORT"),
        ("udp:127.0.0.1:1", "expected tcp:HOST:PORT"),
    ],
)
def test_listeners_that_must_not_open(target: str, why: str) -> None:
    async def scenario() -> None:
        with pytest.raises(ListenError, match=why):
            await Listeners(limits=Limits()).open([target])

    asyncio.run(scenario())
