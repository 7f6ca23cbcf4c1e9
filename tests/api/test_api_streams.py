"""Event streams and long polls."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.config import ApiConfig
from tests.api.support import (
    ADMIN,
    Api,
    assert_problem,
    frames,
    network,
    report,
    running_api,
    wait_until,
)
from vpcctl.services.views import VpcChange
from vpcctl.store import events
from vpcctl.store.units import utc_now
from vpcctl.wire.report import Link


def _context(api: Api):
    return api.app.state.context


def vpcs(stream: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yield the events about VPCs; each brings one about its default group."""
    return (event for event in frames(stream.iter_lines()) if event["data"]["kind"] == "vpc")


def test_events_stream_and_resume(own_api: Api) -> None:
    tenant = own_api.tenant("sse")
    first = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}).json()
    with tenant.stream("GET", "/v1/events", params={"after": "0"}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = vpcs(stream)
        event = next(events)
        assert event["data"]["resource_id"] == first["id"]
        assert event["data"]["action"] == "created"
        assert event["data"]["kind"] == "vpc"
        assert event["id"] == f"{event['data']['revision']}.{event['data']['sequence']}"
        second = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}).json()
        assert next(events)["data"]["resource_id"] == second["id"]
    third = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}).json()
    with tenant.stream("GET", "/v1/events", headers={"Last-Event-ID": event["id"]}) as stream:
        events = vpcs(stream)
        seen = [next(events)["data"]["resource_id"] for _ in range(2)]
    assert seen == [second["id"], third["id"]]
    wait_until(lambda: _context(own_api).events.streams == 0, "closed streams are noticed")


def test_events_are_the_tenants_own(own_api: Api) -> None:
    mine, other = own_api.tenant("mine"), own_api.tenant("other")
    with (
        mine.stream("GET", "/v1/events", params={"after": "0"}) as stream,
        own_api.admin.stream("GET", "/v1/events", params={"after": "0"}) as all_stream,
    ):
        for client in (other, mine, other, mine):
            client.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}).raise_for_status()
        events, everything = frames(stream.iter_lines()), frames(all_stream.iter_lines())
        assert [next(events)["data"]["tenant_id"] for _ in range(2)] == ["mine"] * 2
        seen: list[str] = []
        while len(seen) < 4:
            event = next(everything)["data"]
            if event["kind"] == "vpc":
                seen.append(event["tenant_id"])
        assert seen == ["other", "mine", "other", "mine"]


def test_one_tenant_cannot_take_all_streams(tmp_path) -> None:
    with (
        running_api(tmp_path, None, ApiConfig(max_streams_of_tenant=2)) as api,
        ExitStack() as open_,
    ):
        greedy, other = api.tenant("greedy"), api.tenant("other")
        for _ in range(2):
            open_.enter_context(greedy.stream("GET", "/v1/events")).raise_for_status()
        answer = greedy.get("/v1/events")
        assert_problem(answer, 429, "too-many-requests")
        assert "retry-after" in answer.headers
        for client in (other, api.admin):
            open_.enter_context(client.stream("GET", "/v1/events")).raise_for_status()
        open_.close()
        wait_until(lambda: _context(api).events.streams == 0, "closed streams are noticed")
        with greedy.stream("GET", "/v1/events") as stream:
            assert stream.status_code == 200


def test_a_stream_tells_that_older_events_are_gone(own_api: Api) -> None:
    tenant = own_api.tenant("gone")
    tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}).raise_for_status()
    later = datetime.now(UTC) + timedelta(days=1)
    own_api.database.write(lambda connection: events.prune(connection, later, 1_000_000, 10_000))
    assert own_api.services.events.pruned() > 0
    with tenant.stream("GET", "/v1/events", params={"after": "0"}) as stream:
        seen = frames(stream.iter_lines())
        assert next(seen)["event"] == "reset"
        vpc = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}).json()
        assert next(seen)["data"]["resource_id"] == vpc["id"]


def test_a_stream_reads_far_behind_and_then_follows(own_api: Api) -> None:
    tenant = own_api.tenant("behind")
    vpc = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}).json()
    path = f"/v1/vpcs/{vpc['id']}"
    for number in range(700):  # more than a batch
        own_api.services.vpcs.change(ADMIN, vpc["id"], VpcChange(name=f"n{number}"))
    with (
        own_api.admin.stream("GET", "/v1/events") as first,
        tenant.stream("GET", "/v1/events", params={"after": str(vpc["revision"])}) as second,
    ):
        lines = first.iter_lines()
        next(lines)
        seen = frames(second.iter_lines())
        revisions = [next(seen)["data"]["revision"] for _ in range(700)]
        assert revisions == sorted(set(revisions))
        changed = tenant.patch(path, json={"name": "last"}).json()
        assert next(seen)["data"]["revision"] == changed["revision"]
        assert next(frames(lines))["data"]["revision"] == changed["revision"]


@pytest.mark.parametrize("after", ["x", "-1", "1.x", "1.2.3", "9" * 30, "%D9%A1", ""])
def test_odd_positions_are_refused(api: Api, after: str) -> None:
    assert_problem(api.admin.get(f"/v1/events?after={after}"), 422)
    if after.isascii() and after.isprintable():
        headers = {"Last-Event-ID": after}
        assert_problem(api.admin.get("/v1/events", headers=headers), 422)


def test_host_state_answers_at_once_then_waits(own_api: Api) -> None:
    host_id, agent = own_api.host("poll")
    path = f"/v1/hosts/{host_id}/state"
    state = agent.get(path).raise_for_status().json()
    assert state["host_id"] == host_id
    query = {"after": str(state["revision"])}
    assert agent.get(path, params=query).status_code == 204
    answers: list[httpx.Response] = []

    def poll() -> None:
        answers.append(agent.get(path, params={**query, "timeout": "20"}))

    thread = threading.Thread(target=poll)
    thread.start()
    wait_until(lambda: _context(own_api).polls.polls == 1, "the poll waits")
    tenant = own_api.tenant("poll")
    _, subnet = network(tenant)
    want = {"kind": "namespace", "host_id": host_id, "interface": "eth0", "netns": "n1"}
    port = tenant.post("/v1/ports", json={"subnet_id": subnet["id"], "attachment": want}).json()
    thread.join(20)
    assert answers[0].status_code == 200
    assert [item["port_id"] for item in answers[0].json()["attachments"]] == [port["id"]]
    assert answers[0].json()["revision"] > state["revision"]


def test_a_report_that_brings_a_guest_ends_the_poll_of_its_host(tmp_path: Path) -> None:
    """By its wake-up: nobody looks by itself here."""
    with running_api(tmp_path, None, ApiConfig(poll_s=3600.0)) as api:
        host_id, agent = api.host("guests")
        tenant = api.tenant("guests")
        _, subnet = network(tenant)
        port = tenant.post("/v1/ports", json={"subnet_id": subnet["id"]}).json()
        agent.post(f"/v1/hosts/{host_id}/reports", json=report(1)).raise_for_status()
        path = f"/v1/hosts/{host_id}/state"
        query = {"after": str(agent.get(path).json()["revision"]), "timeout": "20"}
        with ThreadPoolExecutor(1) as pool:
            polled = pool.submit(lambda: agent.get(path, params=query, timeout=30))
            wait_until(lambda: _context(api).polls.polls == 1, "the poll waits")
            link = Link(port_id=port["id"], interface="tap0", interface_uuid="u1", ofport=7)
            said = report(2, (link,)) | {"state_revision": int(query["after"])}
            agent.post(f"/v1/hosts/{host_id}/reports", json=said).raise_for_status()
            guests = polled.result(20).json()["guests"]
        assert [guest["port_id"] for guest in guests] == [port["id"]]


def test_many_polls_hold_no_thread_and_wake_together(own_api: Api) -> None:
    host_id, agent = own_api.host("many")
    path = f"/v1/hosts/{host_id}/state"
    revision = agent.get(path).json()["revision"]
    secret = agent.headers["Authorization"]
    limits = httpx.Limits(max_connections=64)
    with httpx.Client(
        base_url=own_api.url, headers={"Authorization": secret}, limits=limits, trust_env=False
    ) as client:

        def poll(_: int) -> int:
            query = {"after": str(revision), "timeout": "20"}
            return client.get(path, params=query, timeout=30).status_code

        with ThreadPoolExecutor(48) as pool:
            futures = [pool.submit(poll, number) for number in range(48)]
            wait_until(lambda: _context(own_api).polls.polls == 48, "all polls wait")
            assert own_api.admin.get("/v1/vpcs").status_code == 200
            own_api.admin.post("/v1/hosts", json={"name": "peer", "vtep_address": "192.0.2.9"})
            assert {future.result(20) for future in futures} == {200}
    wait_until(lambda: _context(own_api).polls.polls == 0, "no poll is left")


def test_a_poll_ends_when_its_client_goes(own_api: Api) -> None:
    host_id, agent = own_api.host("leaver")
    path = f"/v1/hosts/{host_id}/state"
    revision = agent.get(path).json()["revision"]
    with pytest.raises(httpx.ReadTimeout):
        agent.get(path, params={"after": str(revision), "timeout": "100"}, timeout=0.3)
    wait_until(lambda: _context(own_api).polls.polls == 0, "the poll is given up")


def test_a_wake_up_is_quicker_than_the_fallback(tmp_path) -> None:
    from api.config import ApiConfig
    from tests.api.support import running_api

    with running_api(tmp_path, None, ApiConfig(poll_s=3600.0)) as api:
        host_id, agent = api.host("quick")
        path = f"/v1/hosts/{host_id}/state"
        revision = agent.get(path).json()["revision"]
        with ThreadPoolExecutor(1) as pool:
            query = {"after": str(revision), "timeout": "60"}
            future = pool.submit(lambda: agent.get(path, params=query, timeout=70))
            wait_until(lambda: api.app.state.context.polls.polls == 1, "the poll waits")
            api.admin.patch(f"/v1/hosts/{host_id}", json={"name": "renamed"}).raise_for_status()
            assert future.result(20).json()["name"] == "renamed"


@pytest.mark.parametrize("ends", ["revoked here", "revoked elsewhere", "its time is over"])
def test_a_stream_ends_with_its_token(own_api: Api, ends: str) -> None:
    in_time = timedelta(seconds=2 if ends == "its time is over" else 3600)
    token, secret = own_api.services.tokens.create(
        ADMIN, "tenant", tenant_id="acme", expires_at=utc_now() + in_time
    )
    tenant = own_api.tenant("acme")
    with own_api.client(secret).stream("GET", "/v1/events", params={"after": "0"}) as stream:
        events = vpcs(stream)
        tenant.post(
            "/v1/vpcs", json={"cidrs": ["10.0.0.0/16"], "name": "before"}
        ).raise_for_status()
        assert next(events)["data"]["kind"] == "vpc"
        if ends == "revoked here":
            own_api.admin.delete(f"/v1/tokens/{token.id}").raise_for_status()
        elif ends == "revoked elsewhere":
            own_api.services.tokens.revoke(ADMIN, token.id)
        wait_until(lambda: own_api.client(secret).get("/v1/vpcs").status_code == 401, "it ends")
        tenant.post("/v1/vpcs", json={"cidrs": ["10.1.0.0/16"], "name": "after"}).raise_for_status()
        assert list(events) == []


def test_stopping_ends_streams_polls_and_waits_at_once(own_api: Api) -> None:
    host_id, agent = own_api.host("stop")
    path = f"/v1/hosts/{host_id}/state"
    revision = agent.get(path).json()["revision"]
    tenant = own_api.tenant("stop")
    statuses: dict[str, object] = {}

    def poll() -> None:
        query = {"after": str(revision), "timeout": "100"}
        statuses["poll"] = agent.get(path, params=query, timeout=110).status_code

    def stream() -> None:
        with tenant.stream("GET", "/v1/events") as answer:
            statuses["stream"] = len(list(answer.iter_lines())) > 0

    def wait() -> None:
        query = {"wait": "realized", "timeout": "100"}
        body = {"cidrs": ["10.0.0.0/16"]}
        statuses["wait"] = tenant.post("/v1/vpcs", json=body, params=query, timeout=110).status_code

    threads = [threading.Thread(target=target) for target in (poll, stream, wait)]
    for thread in threads:
        thread.start()
    context = _context(own_api)
    wait_until(lambda: context.polls.polls == 1 and context.events.streams == 1, "both are open")
    wait_until(lambda: tenant.get("/v1/vpcs").json()["items"], "the write is stored")
    started = time.monotonic()
    own_api.stop()
    for thread in threads:
        thread.join(20)
    assert time.monotonic() - started < 4.0
    assert statuses == {"poll": 204, "stream": True, "wait": 504}
