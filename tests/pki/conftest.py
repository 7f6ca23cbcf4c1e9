"""The same tests on both databases, and an Open vSwitch of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pki.ovs_support import Switch, private_switch
from tests.support.postgres import Cluster, cluster
from vpcctl.store.database import Database


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    with cluster() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/vpcctl.db"
    server: Cluster = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database.open(database_url)
    opened.upgrade()
    yield opened
    opened.close()


@pytest.fixture
def switch() -> Iterator[Switch]:
    with private_switch() as made:
        yield made
