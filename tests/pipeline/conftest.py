"""A real Open vSwitch on the dummy datapath for each module of pipeline tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.filtering import Lan, Setting
from tests.support.dummy_ovs import DummyOvs
from tests.support.showcase import showcase
from tests.support.tracing import Fabric
from vpcctl.model.changes import Resource


@pytest.fixture(scope="module")
def ovs() -> Iterator[DummyOvs]:
    with tempfile.TemporaryDirectory() as directory, DummyOvs(Path(directory)) as running:
        yield running


@pytest.fixture
def lan(ovs: DummyOvs) -> Iterator[Setting]:
    """Makes LANs of resources; they are taken down at the end."""
    made: list[Lan] = []

    def make(*resources: Resource) -> Lan:
        made.append(Lan(ovs, *resources))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def fabric(ovs: DummyOvs) -> Fabric:
    return Fabric(ovs, showcase(), "br")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="write the goldens anew")


@pytest.fixture
def update_goldens(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-goldens", default=False))
