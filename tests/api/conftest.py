"""Fixtures of the API's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.support import Api, running_api


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API on SQLite, shared by a module's tests: each uses tenants of its own."""
    with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def own_api(tmp_path: Path) -> Iterator[Api]:
    """An API on SQLite that a test has to itself."""
    with running_api(tmp_path) as running:
        yield running
