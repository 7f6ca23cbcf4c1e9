"""The same tests on both databases."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.postgres import Cluster, cluster
from vpcctl.services.facade import Services, ServiceSettings
from vpcctl.services.views import (
    Actor,
    HostCreate,
    HostView,
    PortCreate,
    PortView,
    SubnetCreate,
    SubnetView,
    VpcCreate,
    VpcView,
)
from vpcctl.store.database import Database
from vpcctl.store.feed import Feed
from vpcctl.store.realisation import RealisationStore

ADMIN = Actor("admin")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    with cluster() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/vpcctl.db"
    server: Cluster = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database.open(url)
    opened.upgrade()
    yield opened
    opened.close()


class Clock:
    """A clock that stands still until told to go on."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class World:
    """A database with its services and what tests make most."""

    database: Database
    services: Services
    feed: Feed
    realisation: RealisationStore
    clock: Clock

    def vpc(self, *cidrs: str, tenant: str = "red") -> VpcView:
        return self.services.vpcs.create(
            ADMIN, VpcCreate(cidrs=cidrs or ("10.0.0.0/16",), tenant_id=tenant)
        )

    def subnet(self, cidr: str = "10.0.1.0/24", vpc: VpcView | None = None, **more) -> SubnetView:
        vpc = vpc or self.vpc()
        values = SubnetCreate(vpc_id=vpc.meta.id, cidr=cidr, **more)
        return self.services.subnets.create(ADMIN, values)

    def port(self, subnet: SubnetView, **more) -> PortView:
        return self.services.ports.create(ADMIN, PortCreate(subnet_id=subnet.meta.id, **more))

    def host(self, name: str = "h1", **more) -> HostView:
        return self.services.hosts.create(ADMIN, HostCreate(name=name, **more))

    def look(self, port: PortView) -> PortView:
        return self.services.ports.get(ADMIN, port.meta.id)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def world(database: Database, clock: Clock) -> World:
    services = Services(database, settings=ServiceSettings(), clock=clock)
    return World(database, services, Feed(database), RealisationStore(database), clock)


@pytest.fixture
def make_services(database: Database, clock: Clock) -> Callable[[], Services]:
    return lambda: Services(database, clock=clock)
