"""An underlay of larger packets, and gateways that the agents answer for, as kernels need it."""

from collections.abc import Iterator

import pytest

from tests.e2e.cloud import Cloud, Guest, make_cloud

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with make_cloud(2, mtu=9000, agent_options=("--neighbour-discovery", "agent")) as made:
        yield made


def test_a_larger_underlay_gives_guests_larger_packets(cloud: Cloud) -> None:
    one, two = _pair(cloud, 41)
    assert one.port["mtu"] == 8950
    assert "mtu 8950" in one.run("ip", "link", "show", "eth0").stdout
    one.reaches(two.ipv4)
    assert one.pings(two.ipv4, "-M", "do", "-s", str(8950 - 28))
    assert not one.pings(two.ipv4, "-M", "do", "-s", str(8950 - 27))
    one.reaches(two.ipv6)
    assert one.pings(two.ipv6, "-M", "do", "-s", str(8950 - 48))


def test_routed_ipv6_works_when_the_agent_answers_for_the_gateway(cloud: Cloud) -> None:
    one, two = _pair(cloud, 40)
    one.reaches(two.ipv6)
    one.reaches("fd00:40:0:1::1")
    shown = one.run("ip", "-6", "neigh", "show", "fd00:40:0:1::1").stdout
    assert "0e:76:70:63:00:01" in shown
    assert "router" in shown
    assert not one.pings("fd00:40:0:1::77")


def _pair(cloud: Cloud, block: int) -> tuple[Guest, Guest]:
    """Make a VPC with two subnets and a guest on each host."""
    cidrs = [f"10.{block}.0.0/16", f"fd00:{block}::/48"]
    vpc = cloud.post("vpcs", cidrs=cidrs, tenant_id="unusual")
    near, far = (
        cloud.subnet(
            vpc,
            cloud.admin,
            cidr=f"10.{block}.{at}.0/24",
            ipv6_cidr=f"fd00:{block}:0:{at}::/64",
        )
        for at in (1, 2)
    )
    return cloud.guest(0, near), cloud.guest(1, far)
