"""The engine against a real ovs-vswitchd."""

import asyncio

import pytest

from tests.southbound.rig import MemoryStore, rig
from tests.support import networks as n
from vpcctl.compile.view import compile_host
from vpcctl.flows.text import format_flow

pytestmark = pytest.mark.ovs

HOSTS = [n.host(i, nd_extensions=False) for i in (1, 2)]
VPC = n.vpc(1)
SUBNET = n.subnet(1, VPC, "10.0.0.0/24", "fd00:1::/64")
PORTS = [
    n.port(i, SUBNET, f"0e:00:00:00:00:{i:02x}", f"10.0.0.{i + 9}", f"fd00:1::{i + 9:x}")
    for i in range(1, 7)
]


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
            assert store.realised(HOSTS[0].id).revision == store.revision
            assert format_flow

    asyncio.run(scenario())
