"""A cloud's whole life on each database."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
from sqlalchemy import func, select

from tests.e2e.cloud import Cloud, Guest, Pinger, make_cloud
from tests.support.postgres import cluster
from tests.support.waiting import wait_until
from vpcctl.store.database import Database
from vpcctl.store.tables import metadata

pytestmark = [pytest.mark.root, pytest.mark.slow]

# The log of changes ages, an idempotent answer is kept for a day, tokens are revoked apart, and
# the counters of revisions and keys never go back.
KEPT = {"changes", "idempotency", "ledger", "progress", "tokens"}


@contextmanager
def _database(kind: str) -> Iterator[str]:
    with cluster() if kind == "postgresql" else nullcontext() as server:
        yield server.new_database() if server else ""


def _rows(cloud: Cloud) -> dict[str, int]:
    """Return how many rows each table has that should be empty, without the empty ones."""
    url = cloud.database_url or f"sqlite:///{cloud.directory}/state/vpcctl.db"
    database = Database.open(url)

    def work(connection: Any) -> dict[str, int]:
        tables = [table for table in metadata.sorted_tables if table.name not in KEPT]
        counts = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in tables
        }
        return {name: count for name, count in counts.items() if count}

    try:
        return database.read(work)
    finally:
        database.close()


def _network(cloud: Cloud, tenant: str) -> list[Guest]:
    """Make a tenant's VPC with two subnets and a guest on each host."""
    client = cloud.tenant(tenant)
    vpc = cloud.post("vpcs", client=client, cidrs=["10.0.0.0/16", "fd00:10::/48"])
    blocks = [
        cloud.subnet(vpc, client, cidr=f"10.0.{at}.0/24", ipv6_cidr=f"fd00:10:0:{at}::/64")
        for at in (1, 2)
    ]
    return [cloud.guest(at, blocks[at], client) for at in (0, 1)]


def _delete_everything(cloud: Cloud) -> None:
    for kind in ("ports", "subnets", "vpcs"):
        for item in cloud.get(kind)["items"]:
            cloud.delete(f"{kind}/{item['id']}?wait=realized&timeout=60")


def _flows_without_ports(cloud: Cloud, at: int) -> list[str]:
    """Return what a host has before it has a port, once it has told all about itself."""
    wait_until(lambda: any("in_port=65001" in one for one in cloud.flows(at)), what="all is told")
    cloud.in_sync(at)
    return cloud.flows(at)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_from_the_first_vpc_to_the_last_delete(kind: str) -> None:
    with _database(kind) as url, make_cloud(2, database_url=url) as cloud:
        base = [_flows_without_ports(cloud, at) for at in (0, 1)]
        guests = {tenant: _network(cloud, tenant) for tenant in ("red", "blue")}
        for one, two in guests.values():
            one.reaches(two.ipv4)
            two.reaches(one.ipv6)
        one, two = guests["red"]
        pinger = Pinger(one, two.ipv4)
        cloud.stop("controller", signal.SIGKILL)
        cloud.start_controller()
        for at in (0, 1):
            cloud.in_sync(at)
        answered, lost = pinger.stop()
        assert answered > 20
        assert lost == 0

        _delete_everything(cloud)
        for at in (0, 1):
            wait_until(lambda at=at: cloud.flows(at) == base[at], what=f"flows of host {at} go")
        made = {guest.netns for pair in guests.values() for guest in pair}
        wait_until(lambda: not made & cloud.namespaces(), what="the namespaces go")
        _retire_hosts(cloud)
        assert _rows(cloud) == {}


def _retire_hosts(cloud: Cloud) -> None:
    """Take the hosts out of service: nothing of ours stays on them, nor in the database."""
    for at, host in enumerate(cloud.hosts):
        devices = host.run("ip", "-br", "link").stdout
        lines = [line for line in devices.splitlines() if line.startswith("vp")]
        found = {line.split()[0].partition("@")[0] for line in lines}
        assert found == {"vpcctl-guests", "vpcctl-services"}, devices
        cloud.stop(f"agent-{at}")
        done = cloud.agent_command(at, "clean")
        assert done.returncode == 0, done.stdout + done.stderr
        assert host.vsctl("list-br") == "", "no bridge of ours is left"
        assert host.vsctl("list", "Controller") == ""
        cloud.delete(f"hosts/{cloud.host_ids[at]}")
        assert host.address in host.run("ip", "-br", "addr", "show", "eth0").stdout
