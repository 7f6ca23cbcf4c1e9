"""One controller for all tests of the command line; they keep apart by tenant."""

import itertools
from collections.abc import Iterator

import pytest

from tests.support.command_line import Served, serving


@pytest.fixture(scope="session")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("controller")) as served:
        yield served


_numbers = itertools.count(1)


@pytest.fixture
def tenant() -> str:
    return f"tenant-{next(_numbers)}"
