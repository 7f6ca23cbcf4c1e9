"""The same tests on both databases."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

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
from vpcctl.store.tables import metadata

ADMIN = Actor("admin")
ON_SQLITE = pytest.mark.parametrize("kind", ["sqlite"])
"""For tests of what no database makes different."""


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    with cluster() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if kind == "sqlite":
        return f"sqlite:///{tmp_path}/state/vpcctl.db"
    server: Cluster = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "vpcctl.db"
    made = Database.open(f"sqlite:///{path}")
    made.upgrade()
    made.close()
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres: Cluster) -> str:
    url = postgres.new_database()
    made = Database.open(url)
    made.upgrade()
    made.close()
    return url


@pytest.fixture
def database(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database as the migrations leave it."""
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "vpcctl.db")
        opened = Database.open(f"sqlite:///{tmp_path}/vpcctl.db")
    else:
        opened = Database.open(request.getfixturevalue("postgres_template"))
    yield opened
    if kind == "postgresql":
        opened.write(empty)
    opened.close()


def empty(connection: Connection) -> None:
    """Bring PostgreSQL's tables back to what the migrations left."""
    tables = ", ".join(table.name for table in metadata.sorted_tables)
    connection.execute(text(f"TRUNCATE {tables}"))
    connection.execute(text("INSERT INTO ledger VALUES (1, 0, 0, 0, 0, 0, 0, '', 0)"))
    connection.execute(text("INSERT INTO progress VALUES (1, 0)"))


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
