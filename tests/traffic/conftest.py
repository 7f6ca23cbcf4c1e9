"""One site serves a module's tests; each test makes a VPC of its own."""

from collections.abc import Iterator

import pytest

from tests.traffic.site import Site, make_site
from tests.traffic.tenancy import Tenancy


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with make_site() as made:
        yield made


@pytest.fixture
def tenancy(site: Site) -> Tenancy:
    return Tenancy(site)
