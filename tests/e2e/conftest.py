"""One cloud serves the tests of several modules; each test makes VPCs of its own."""

from collections.abc import Iterator

import pytest

from tests.e2e.cloud import Cloud, make_cloud


@pytest.fixture(scope="package")
def common_cloud() -> Iterator[Cloud]:
    with make_cloud(2) as made:
        yield made


@pytest.fixture(scope="module")
def cloud(common_cloud: Cloud) -> Iterator[Cloud]:
    """Two hosts and a controller on the embedded database, with nothing of another module's."""
    common_cloud.mend()
    yield common_cloud
    common_cloud.clear()
