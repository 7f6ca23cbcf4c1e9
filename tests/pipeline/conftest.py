"""A real Open vSwitch on the dummy datapath for each module of pipeline tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dummy_ovs import DummyOvs
from tests.support.showcase import showcase
from tests.support.tracing import Fabric


@pytest.fixture(scope="module")
def ovs() -> Iterator[DummyOvs]:
    with tempfile.TemporaryDirectory() as directory, DummyOvs(Path(directory)) as running:
        yield running


@pytest.fixture(scope="module")
def fabric(ovs: DummyOvs) -> Fabric:
    return Fabric(ovs, showcase(), "br")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="write the goldens anew")


@pytest.fixture
def update_goldens(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-goldens", default=False))
