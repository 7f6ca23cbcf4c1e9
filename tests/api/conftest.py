"""Fixtures of the API's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.support import Api, running_api
from tests.support.postgres import Cluster, cluster


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A throw-away PostgreSQL."""
    with cluster() as server:
        yield server


@pytest.fixture(scope="module")
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API shared by a module's tests: each uses tenants of its own.

    On SQLite; a module that is marked with ``tests.api.support.BOTH`` runs on PostgreSQL too.
    """
    server: Cluster | None = None
    if getattr(request, "param", "sqlite") == "postgresql":
        server = request.getfixturevalue("postgres")
    url = server.new_database() if server else None
    with running_api(tmp_path_factory.mktemp("api"), url) as running:
        yield running


@pytest.fixture
def own_api(tmp_path: Path) -> Iterator[Api]:
    """An API on SQLite that a test has to itself."""
    with running_api(tmp_path) as running:
        yield running
