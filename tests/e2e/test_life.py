"""Moves, restarts and ends: what happens to traffic when parts come and go."""

import signal

import pytest

from tests.e2e.cloud import Cloud, Guest, Pinger, as_json, unchanged_for
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]

_SERVING = "are answered by process"


def _pair(cloud: Cloud, cidr: str) -> tuple[Guest, Guest]:
    vpc = cloud.post("vpcs", cidrs=[cidr], tenant_id="life")
    subnet = cloud.subnet(vpc, cloud.admin, cidr=cidr)
    return cloud.guest(0, subnet), cloud.guest(1, subnet)


def test_a_moved_interface_is_followed_from_the_reports_alone(cloud: Cloud) -> None:
    vpc = cloud.post("vpcs", cidrs=["10.20.0.0/16"], tenant_id="life")
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.20.1.0/24")
    still = cloud.guest(0, subnet)
    port = cloud.post("ports", subnet_id=subnet["id"])
    first = cloud.hand_made(1, port, subnet)
    still.reaches(first.ipv4)
    assert cloud.get(f"ports/{port['id']}")["host_id"] == cloud.host_ids[1]
    cloud.unplug(1, first)
    second = cloud.hand_made(0, port, subnet)
    try:
        still.reaches(second.ipv4)
        assert cloud.get(f"ports/{port['id']}")["host_id"] == cloud.host_ids[0]
    finally:
        cloud.unplug(0, second)


def test_two_hosts_claim_one_port_and_the_newest_wins_without_flapping(cloud: Cloud) -> None:
    vpc = cloud.post("vpcs", cidrs=["10.21.0.0/16"], tenant_id="life")
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.21.1.0/24")
    port = cloud.post("ports", subnet_id=subnet["id"])
    old = cloud.hand_made(0, port, subnet)
    wait_until(lambda: cloud.get(f"ports/{port['id']}")["host_id"] == cloud.host_ids[0])
    new = cloud.hand_made(1, port, subnet)
    try:
        wait_until(lambda: cloud.get(f"ports/{port['id']}")["host_id"] == cloud.host_ids[1])
        seen = cloud.get(f"ports/{port['id']}")
        assert {claim["host_id"] for claim in seen["claims"]} == set(cloud.host_ids)
        wait_until(
            lambda: cloud.get(f"ports/{port['id']}")["status"]["state"] == "degraded",
            what=as_json(seen),
        )
        unchanged_for(
            lambda: cloud.get(f"ports/{port['id']}")["host_id"] == cloud.host_ids[1],
            2.5,  # more than two reports of both
            "the winner stays",
        )
    finally:
        cloud.unplug(1, new)
    wait_until(lambda: cloud.get(f"ports/{port['id']}")["host_id"] == cloud.host_ids[0])
    cloud.unplug(0, old)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_controller_restart_loses_no_packet_and_changes_no_flow(
    cloud: Cloud, how: signal.Signals
) -> None:
    one, two = _pair(cloud, f"10.{22 if how == signal.SIGTERM else 23}.0.0/16")
    one.reaches(two.ipv4)
    before = cloud.flows(0)
    pinger = Pinger(one, two.ipv4)
    cloud.stop("controller", how)
    cloud.start_controller()
    cloud.in_sync(0)
    cloud.in_sync(1)
    sent, lost = pinger.stop()
    assert sent > 50
    assert lost == 0
    assert cloud.flows(0) == before
    cloud.delete(f"ports/{one.id}")  # and it still works
    wait_until(lambda: len(cloud.flows(0)) < len(before))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_agent_restart_loses_no_packet(cloud: Cloud, how: signal.Signals) -> None:
    one, two = _pair(cloud, f"10.{24 if how == signal.SIGTERM else 25}.0.0/16")
    one.reaches(two.ipv4)
    log = cloud.directory / "agent-1.log"
    before = log.read_text().count(_SERVING)
    pinger = Pinger(one, two.ipv4)
    cloud.stop("agent-1", how)
    cloud.start_agent(1)
    wait_until(lambda: log.read_text().count(_SERVING) > before, what="names are answered again")
    cloud.in_sync(1)
    sent, lost = pinger.stop()
    assert sent > 20
    assert lost == 0
    # Only now: Open vSwitch itself loses packets when a port comes, on the userspace datapath.
    made = cloud.guest(1, cloud.get(f"subnets/{two.port['subnet_id']}"))
    one.reaches(made.ipv4)


def test_agents_and_controller_restart_in_any_order(cloud: Cloud) -> None:
    one, two = _pair(cloud, "10.26.0.0/16")
    subnet = cloud.get(f"subnets/{one.port['subnet_id']}")
    one.reaches(two.ipv4)
    pinger = Pinger(one, two.ipv4)
    # The hosts are alike: which of the agents is the first one matters to neither.
    for order in (
        ("controller", "agent-0", "agent-1"),
        ("agent-1", "controller", "agent-0"),
        ("agent-0", "agent-1", "controller"),
    ):
        for name in order:
            cloud.stop(name, signal.SIGKILL)
        for name in order:
            cloud.start(name)
        for at in (0, 1):
            cloud.in_sync(at)
    answered, lost = pinger.stop()
    assert answered > 100
    assert lost == 0
    late = cloud.guest(1, subnet)
    one.reaches(late.ipv4)


def test_flows_come_back_after_ovs_vswitchd_died(cloud: Cloud) -> None:
    one, two = _pair(cloud, "10.27.0.0/16")
    one.reaches(two.ipv4)
    before = cloud.flows(1)
    host = cloud.hosts[1]
    host.stop_process("ovs-vswitchd", signal.SIGKILL)
    host.start_vswitchd()
    one.reaches(two.ipv4)
    wait_until(lambda: cloud.flows(1) == before, what="all flows are back, ofports kept")


def test_realized_means_that_the_first_packet_passes(cloud: Cloud) -> None:
    vpc = cloud.post("vpcs", cidrs=["10.28.0.0/16"], tenant_id="life")
    subnet = cloud.subnet(vpc, cloud.admin, cidr="10.28.1.0/24")
    one = cloud.guest(0, subnet)
    one.reaches(cloud.guest(1, subnet).ipv4)  # two hosts that just met know each other's MACs now
    netns = f"vg{cloud.tag}-real"
    attachment = {"kind": "namespace", "host_id": cloud.host_ids[1], "netns": netns}
    port = cloud.post(
        "ports?wait=realized&timeout=60", subnet_id=subnet["id"], attachment=attachment
    )
    assert one.pings(Guest(port, netns).ipv4)


def test_after_the_last_delete_nothing_is_left(cloud: Cloud) -> None:
    base = [cloud.flows(at) for at in (0, 1)]
    one, two = _pair(cloud, "10.29.0.0/16")
    vpc = one.port["vpc_id"]
    for guest in (one, two):
        cloud.delete(f"ports/{guest.id}")
    cloud.delete(f"subnets/{one.port['subnet_id']}")
    cloud.delete(f"vpcs/{vpc}?wait=realized")
    for at in (0, 1):
        wait_until(lambda at=at: cloud.flows(at) == base[at], what=f"flows of host {at} are gone")
    wait_until(lambda: one.netns not in cloud.namespaces(), what="the namespaces are gone")
    for at, guest in enumerate((one, two)):
        listing = cloud.hosts[at].vsctl("--columns=external_ids", "list", "Interface")
        assert guest.id not in listing
