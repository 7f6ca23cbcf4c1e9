"""Changes of resources while their guests talk: what the API is told, traffic must show."""

from typing import Any

import pytest

from tests.e2e.cloud import Cloud, Guest, Pinger
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]


def _network(cloud: Cloud, block: int, **subnet: Any) -> dict[str, Any]:
    """Make a VPC of 10.<block>.0.0/16 with one subnet."""
    vpc = cloud.post("vpcs", cidrs=[f"10.{block}.0.0/16"], tenant_id="changes")
    return cloud.subnet(vpc, cloud.admin, cidr=f"10.{block}.1.0/24", **subnet)


def _change(cloud: Cloud, guest: Guest, **fields: Any) -> None:
    cloud.patch(f"ports/{guest.id}?wait=realized&timeout=60", **fields)


def test_a_block_that_a_vpc_grows_by_is_routed(cloud: Cloud) -> None:
    old = _network(cloud, 40)
    one = cloud.guest(0, old)
    cloud.patch(f"vpcs/{old['vpc_id']}", cidrs=["10.40.0.0/16", "172.20.0.0/16"])
    new = cloud.post("subnets", vpc_id=old["vpc_id"], cidr="172.20.5.0/24")
    two = cloud.guest(1, new)
    one.reaches(two.ipv4)
    two.reaches(one.ipv4)
    one.reaches(new["gateway"])
    answer = cloud.admin.patch(f"/vpcs/{old['vpc_id']}", json={"cidrs": ["10.40.0.0/16"]})
    assert answer.status_code == 409, "the block is still needed"
    cloud.delete(f"ports/{two.id}")
    cloud.delete(f"subnets/{new['id']}?wait=realized&timeout=60")
    cloud.patch(f"vpcs/{old['vpc_id']}", cidrs=["10.40.0.0/16"])
    assert not one.pings(new["gateway"])


def test_an_ipv6_block_that_comes_later_works_for_old_and_new_guests(cloud: Cloud) -> None:
    subnet = _network(cloud, 41)
    one, two = cloud.guest(0, subnet), cloud.guest(1, subnet)
    one.reaches(two.ipv4)
    pinger = Pinger(one, two.ipv4)
    cloud.patch(f"vpcs/{subnet['vpc_id']}", cidrs=["10.41.0.0/16", "fd00:41::/48"])
    cloud.patch(f"subnets/{subnet['id']}", ipv6_cidr="fd00:41:0:1::/64")
    for guest, address in ((one, "fd00:41:0:1::11"), (two, "fd00:41:0:1::12")):
        _change(cloud, guest, fixed_ips=[guest.ipv4, address])
        cloud.attached(guest)
    one.reaches(two.ipv6)
    answered, lost = pinger.stop()
    assert answered > 0
    assert lost == 0, "IPv4 went on meanwhile"
    three = cloud.guest(1, subnet)
    one.reaches(three.ipv6)
    three.reaches("fd00:41:0:1::1")


def test_guests_that_speak_ipv6_alone_reach_each_other(cloud: Cloud) -> None:
    vpc = cloud.post("vpcs", cidrs=["10.42.0.0/16", "fd00:42::/48"], tenant_id="changes")
    blocks = [
        cloud.subnet(vpc, cloud.admin, cidr=f"10.42.{at}.0/24", ipv6_cidr=f"fd00:42:0:{at}::/64")
        for at in (1, 2)
    ]
    one, near, far = cloud.guest(0, blocks[0]), cloud.guest(1, blocks[0]), cloud.guest(1, blocks[1])
    for guest in (one, near, far):
        guest.run("ip", "-4", "addr", "flush", "dev", "eth0")
    one.reaches(near.ipv6)
    one.reaches(far.ipv6)
    far.reaches(one.ipv6)
    assert not one.pings(far.ipv6, "-t", "1"), "one hop is taken on the way"


def test_a_port_that_is_set_down_is_cut_off_and_comes_back(cloud: Cloud) -> None:
    subnet = _network(cloud, 43, ipv6_cidr=None)
    one, two = cloud.guest(0, subnet), cloud.guest(1, subnet)
    one.reaches(two.ipv4)
    _change(cloud, two, admin_up=False)
    assert not one.pings(two.ipv4)
    assert not two.pings(one.ipv4)
    assert not two.pings(subnet["gateway"])
    _change(cloud, two, admin_up=True)
    one.reaches(two.ipv4)
    two.reaches(one.ipv4)


def test_without_port_security_any_source_passes_and_with_it_none(cloud: Cloud) -> None:
    subnet = _network(cloud, 44)
    router, peer = cloud.guest(0, subnet), cloud.guest(1, subnet, port_security=False)
    router.run("ip", "addr", "add", "192.0.2.77/32", "dev", "eth0")
    peer.run("ip", "route", "add", "192.0.2.77/32", "via", router.ipv4)
    router.reaches(peer.ipv4)
    assert not router.pings(peer.ipv4, "-I", "192.0.2.77")
    _change(cloud, router, port_security=False)
    router.reaches(peer.ipv4, "-I", "192.0.2.77")
    _change(cloud, router, port_security=True)
    assert not router.pings(peer.ipv4, "-I", "192.0.2.77")


def test_a_shared_address_moves_between_the_two_ports_that_may_have_it(cloud: Cloud) -> None:
    subnet = _network(cloud, 45)
    other = cloud.post("subnets", vpc_id=subnet["vpc_id"], cidr="10.45.2.0/24")
    shared = "10.45.1.100"
    pairs = [{"cidr": f"{shared}/32"}]
    first = cloud.guest(0, subnet, allowed_address_pairs=pairs)
    second = cloud.guest(1, subnet, allowed_address_pairs=pairs)
    clients = [cloud.guest(1, subnet), cloud.guest(0, other)]  # layer 2, and routed
    for owner, idle in ((first, second), (second, first), (first, second)):
        idle.run("ip", "addr", "del", f"{shared}/24", "dev", "eth0", check=False)
        owner.run("ip", "addr", "add", f"{shared}/24", "dev", "eth0")
        owner.announce(shared)
        for client in clients:
            client.reaches(shared)
        _only_answered_by(owner, clients[1], shared)
    stranger = cloud.guest(1, subnet)
    first.run("ip", "addr", "del", f"{shared}/24", "dev", "eth0")
    stranger.run("ip", "addr", "add", f"{shared}/24", "dev", "eth0")
    stranger.announce(shared)
    assert not clients[1].pings(shared), "no pair, no address"


def _only_answered_by(owner: Guest, client: Guest, address: str) -> None:
    """Check that *owner* answers, from its own counter of echo requests."""

    def answered() -> int:
        lines = owner.run("nstat", "-asz", "IcmpInEchos").stdout.split()
        return int(lines[lines.index("IcmpInEchos") + 1])

    before = answered()
    client.reaches(address)
    wait_until(lambda: answered() > before, what=f"{owner.netns} is the one that answers")
