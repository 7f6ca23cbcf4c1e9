"""IPv6 through gateways that the hosts' agents answer for, as the kernel datapath needs it."""

from collections.abc import Iterator

import pytest

from tests.e2e.cloud import Cloud, make_cloud

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with make_cloud(2, agent_options=("--neighbour-discovery", "agent")) as made:
        yield made


def test_routed_ipv6_works_when_the_agent_answers_for_the_gateway(cloud: Cloud) -> None:
    vpc = cloud.post("vpcs", cidrs=["10.40.0.0/16", "fd00:40::/48"], tenant_id="nd")
    near, far = (
        cloud.subnet(vpc, cloud.admin, cidr=f"10.40.{at}.0/24", ipv6_cidr=f"fd00:40:0:{at}::/64")
        for at in (1, 2)
    )
    one, two = cloud.guest(0, near), cloud.guest(1, far)
    one.reaches(two.ipv6)
    one.reaches("fd00:40:0:1::1")
    shown = one.run("ip", "-6", "neigh", "show", "fd00:40:0:1::1").stdout
    assert "0e:76:70:63:00:01" in shown
    assert "router" in shown
    assert not one.pings("fd00:40:0:1::77")
