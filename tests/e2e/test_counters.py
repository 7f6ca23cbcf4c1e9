"""What ports count, and what is left of their connections when they go."""

import signal
from typing import Any

import pytest

from tests.e2e.cloud import Cloud, Guest
from tests.support.command_line import vpcctl
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]


def _subnet(cloud: Cloud, block: int) -> tuple[dict[str, Any], dict[str, Any]]:
    vpc = cloud.post("vpcs", cidrs=[f"10.{block}.0.0/16"], tenant_id="counters")
    return vpc, cloud.subnet(vpc, cloud.admin, cidr=f"10.{block}.1.0/24")


def _counters(cloud: Cloud, guest: Guest) -> dict[str, Any]:
    return cloud.get(f"ports/{guest.id}/counters")


def test_counters_say_what_passed_and_what_was_dropped(cloud: Cloud) -> None:
    vpc, subnet = _subnet(cloud, 90)
    mute = cloud.post("security-groups", vpc_id=vpc["id"], name="mute", rules=[])
    one, two = cloud.guest(0, subnet), cloud.guest(1, subnet)
    one.reaches(two.ipv4)
    before = _counters(cloud, two)
    assert before["host_id"] == cloud.host_ids[1]
    one.run("ping", "-n", "-c5", "-i0.05", two.ipv4)

    def passed() -> bool:
        found = _counters(cloud, two)
        more = [
            found[way]["allowed"]["packets"] - before[way]["allowed"]["packets"]
            for way in ("ingress", "egress")
        ]
        return min(more) >= 5

    wait_until(passed, what="five echo requests and answers are counted")
    by_rule = [rule for rule in _counters(cloud, two)["rules"] if rule["packets"]]
    assert by_rule, "the default group's rule for its members has let them in"
    cloud.patch(f"ports/{two.id}?wait=realized", security_groups=[mute["id"]])
    assert not one.pings(two.ipv4)

    def dropped() -> int:
        reasons = _counters(cloud, two)["ingress"]["dropped"]
        return sum(each["packets"] for each in reasons if each["reason"] == "ingress-denied")

    wait_until(dropped, what="the refused request is counted")
    state = str(cloud.directory / "state")
    shown = vpcctl(
        *("port", "counters", two.id),
        VPCCTL_API=f"unix:{cloud.api_socket}",
        VPCCTL_STATE_DIR=state,
    )
    assert shown.code == 0, shown.err
    assert f"{two.id} on {cloud.host_ids[1]}" in shown.out
    assert "ingress-denied" in shown.out


def test_a_host_whose_switch_is_away_is_named(cloud: Cloud) -> None:
    _, subnet = _subnet(cloud, 91)
    guest = cloud.guest(1, subnet)
    switch = cloud.hosts[1].processes["ovs-vswitchd"]
    switch.send_signal(signal.SIGSTOP)
    try:
        answer = cloud.admin.get(f"/ports/{guest.id}/counters")
    finally:
        switch.send_signal(signal.SIGCONT)
    assert answer.status_code == 503, answer.text
    assert cloud.host_ids[1] in answer.json()["detail"]
    cloud.in_sync(1)


def _entries(cloud: Cloud, at: int, zone: int) -> list[str]:
    dump = cloud.hosts[at].appctl("dpctl/dump-conntrack", "netdev@ovs-netdev", f"zone={zone}")
    return dump.splitlines()


def _ofport(cloud: Cloud, at: int, guest: Guest) -> int:
    outer = guest.netns.replace("vm", "vt", 1)
    return int(cloud.hosts[at].vsctl("get", "interface", outer, "ofport"))


def test_a_deleted_port_leaves_no_connection_though_its_interface_stays(cloud: Cloud) -> None:
    _, subnet = _subnet(cloud, 92)
    still = cloud.guest(0, subnet)
    port = cloud.post("ports", subnet_id=subnet["id"])
    guest = cloud.hand_made(1, port, subnet)
    try:
        still.reaches(guest.ipv4)
        zone = _ofport(cloud, 1, guest)
        assert _entries(cloud, 1, zone), "it was tracked"
        cloud.delete(f"ports/{guest.id}")
        wait_until(lambda: not _entries(cloud, 1, zone), what="its zone is empty")
    finally:
        cloud.unplug(1, guest)


def test_a_moved_port_leaves_no_connection_where_it_was(cloud: Cloud) -> None:
    _, subnet = _subnet(cloud, 93)
    still = cloud.guest(0, subnet)
    port = cloud.post("ports", subnet_id=subnet["id"])
    old = cloud.hand_made(1, port, subnet)
    still.reaches(old.ipv4)
    zone = _ofport(cloud, 1, old)
    assert _entries(cloud, 1, zone)
    new = cloud.hand_made(0, port, subnet)
    try:
        wait_until(lambda: cloud.get(f"ports/{port['id']}")["host_id"] == cloud.host_ids[0])
        wait_until(lambda: not _entries(cloud, 1, zone), what="its old zone is empty")
        still.reaches(new.ipv4)
        assert _entries(cloud, 0, _ofport(cloud, 0, new)), "its new zone is in use"
    finally:
        cloud.unplug(1, old)
        cloud.unplug(0, new)
