"""One cloud serves a module's tests; each test makes VPCs of its own."""

from collections.abc import Iterator

import pytest

from tests.e2e.cloud import Cloud, make_cloud


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """Two hosts and a controller on the embedded database."""
    with make_cloud(2) as made:
        yield made
