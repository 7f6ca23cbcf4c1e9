"""What operators see and do: the command line, events, counters, states, waiting."""

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.cloud import Cloud, Guest
from tests.support.command_line import Outcome, vpcctl
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.slow]


def _subnet(cloud: Cloud, block: int) -> dict[str, Any]:
    vpc = cloud.post("vpcs", cidrs=[f"10.{block}.0.0/16"], tenant_id="operators")
    return cloud.subnet(vpc, cloud.admin, cidr=f"10.{block}.1.0/24")


def _vpcctl(cloud: Cloud, *arguments: str) -> Outcome:
    state = str(cloud.directory / "state")
    return vpcctl(*arguments, VPCCTL_API=f"unix:{cloud.api_socket}", VPCCTL_STATE_DIR=state)


def test_a_port_is_attached_and_detached_by_the_command_line(cloud: Cloud) -> None:
    subnet = _subnet(cloud, 50)
    one = cloud.guest(0, subnet)
    one.reaches(cloud.guest(1, subnet).ipv4)  # two hosts that just met know each other's MACs now
    port = cloud.post("ports", subnet_id=subnet["id"])
    guest = Guest(port, f"vg{cloud.tag}-cli")
    where = ("--host", cloud.host_ids[1], "--netns", guest.netns)
    done = _vpcctl(cloud, "port", "attach", port["id"], *where, "--wait", "-o", "json")
    assert done.code == 0, done.err
    assert done.document["host_id"] == cloud.host_ids[1]
    assert one.pings(guest.ipv4), "the first packet after --wait passes"
    done = _vpcctl(cloud, "port", "detach", port["id"], "--wait")
    assert done.code == 0, done.err
    assert not one.pings(guest.ipv4)
    wait_until(lambda: guest.netns not in cloud.namespaces(), what="its namespace is gone")
    assert port["id"] not in cloud.hosts[1].vsctl("list", "Interface")
    assert cloud.get(f"ports/{port['id']}")["attachment"] is None


@contextmanager
def _stream(cloud: Cloud, after: str) -> Iterator[Iterator[tuple[str, dict[str, Any]]]]:
    """Open the event stream after a position; yields (id, event) pairs."""
    with cloud.admin.stream("GET", "/events", headers={"Last-Event-ID": after}) as response:
        assert response.status_code == 200

        def events() -> Iterator[tuple[str, dict[str, Any]]]:
            position = ""
            for line in response.iter_lines():
                if line.startswith("id: "):
                    position = line.removeprefix("id: ")
                elif line.startswith("data: ") and position:
                    yield position, json.loads(line.removeprefix("data: "))

        yield events()


def test_the_event_stream_goes_on_where_it_was_after_a_restart(cloud: Cloud) -> None:
    start = f"{cloud.get('status')['revision']}"
    made = [cloud.post("vpcs", cidrs=["10.51.0.0/16"], tenant_id="operators")["id"]]
    made.append(cloud.post("vpcs", cidrs=["10.52.0.0/16"], tenant_id="operators")["id"])
    with _stream(cloud, start) as events:
        position = next(at for at, event in events if event["resource_id"] == made[0])
    cloud.stop("controller", signal.SIGKILL)
    cloud.start_controller()
    made.append(cloud.post("vpcs", cidrs=["10.53.0.0/16"], tenant_id="operators")["id"])
    seen: list[str] = []
    with _stream(cloud, position) as events:
        for _, event in events:
            if event["kind"] == "vpc":
                seen.append(event["resource_id"])
            if event["resource_id"] == made[2]:
                break
    assert seen == made[1:], "each once, in order, none left out"
    cloud.in_sync(0)
    cloud.in_sync(1)


def test_counters_of_a_link_show_at_its_port(cloud: Cloud) -> None:
    subnet = _subnet(cloud, 54)
    one, two = cloud.guest(0, subnet), cloud.guest(1, subnet)
    one.reaches(two.ipv4)

    def counted() -> int:
        claims = cloud.get(f"ports/{two.id}")["claims"]
        return claims[0]["link"]["counters"]["tx_packets"] if claims else 0

    # One report in twelve has them.
    one.run("ping", "-n", "-c99", "-i", "0.01", two.ipv4)
    wait_until(lambda: counted() >= 99, what="the packets are counted")


def test_a_host_is_up_then_late_then_down_and_its_guests_talk_on(cloud: Cloud) -> None:
    subnet = _subnet(cloud, 55)
    one, two = cloud.guest(0, subnet), cloud.guest(1, subnet)
    one.reaches(two.ipv4)
    cloud.in_sync(1)
    seen = ["up"]
    cloud.stop("agent-1", signal.SIGKILL)

    def down() -> bool:
        state = cloud.host(1)["state"]
        if state != seen[-1]:
            seen.append(state)
        return state == "down"

    wait_until(down, what=f"the host is down: {seen}")
    assert seen == ["up", "late", "down"]
    assert one.pings(two.ipv4)
    assert cloud.get(f"ports/{two.id}")["host_id"] == cloud.host_ids[1]
    assert _vpcctl(cloud, "status", "--check").code != 0
    cloud.start_agent(1)
    cloud.in_sync(1)
    wait_until(lambda: _vpcctl(cloud, "status", "--check").code == 0, what="the check passes again")


def test_waiting_for_a_host_that_hangs_ends_in_time_and_names_it(cloud: Cloud) -> None:
    subnet = _subnet(cloud, 56)
    one, two = cloud.guest(0, subnet), cloud.guest(1, subnet)
    one.reaches(two.ipv4)
    switch = cloud.hosts[1].processes["ovs-vswitchd"]
    switch.send_signal(signal.SIGSTOP)
    try:
        answer = cloud.admin.patch(
            f"/ports/{one.id}?wait=realized&timeout=2", json={"admin_up": False}
        )
    finally:
        switch.send_signal(signal.SIGCONT)
    assert answer.status_code == 504, answer.text
    problem = answer.json()
    assert cloud.host_ids[1] in json.dumps(problem), problem
    assert cloud.host_ids[0] not in problem["detail"], "only who is behind is named"
    cloud.patch(f"ports/{one.id}?wait=realized&timeout=60", admin_up=True)
    one.reaches(two.ipv4)
