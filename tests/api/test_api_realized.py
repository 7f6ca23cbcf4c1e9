"""wait=realized, with the southbound's part played through its own store."""

import threading
from typing import Any

import httpx

from api.problems import Lagging
from tests.api.support import Api, assert_problem, network, report, wait_until
from vpcctl.wire.report import Link


def _located(api: Api, tenant_name: str) -> tuple[object, str, dict[str, object]]:
    """Return a tenant's client, a host and a port that is on it."""
    tenant = api.tenant(tenant_name)
    host_id, agent = api.host(tenant_name)
    _, subnet = network(tenant)
    port = tenant.post("/v1/ports", json={"subnet_id": subnet["id"]}).json()
    link = Link(port_id=port["id"], interface="tap0", interface_uuid="u1", ofport=5)
    vtep = f"192.0.2.{abs(hash(tenant_name)) % 200 + 10}"
    answer = agent.post(f"/v1/hosts/{host_id}/reports", json=report(1, (link,), vtep=vtep))
    assert answer.status_code == 200, answer.text
    assert tenant.get(f"/v1/ports/{port['id']}").json()["host_id"] == host_id
    return tenant, host_id, port


def test_a_write_answers_when_every_host_has_it(own_api: Api) -> None:
    tenant, host_id, port = _located(own_api, "t1")
    answers = []

    def change() -> None:
        answers.append(
            tenant.patch(
                f"/v1/ports/{port['id']}",
                json={"name": "new"},
                params={"wait": "realized", "timeout": "20"},
            )
        )

    before = own_api.admin.get("/v1/status").json()["revision"]
    thread = threading.Thread(target=change)
    thread.start()
    latest = wait_until(
        lambda: next(
            (
                found
                for found in [own_api.admin.get("/v1/status").json()["revision"]]
                if found > before
            ),
            None,
        ),
        "the change is stored",
    )
    own_api.realise(revision=latest)
    assert thread.is_alive()
    own_api.realise(host_id, revision=latest)
    thread.join(20)
    assert answers[0].status_code == 200, answers[0].text
    assert answers[0].json()["status"]["state"] == "active"
    assert answers[0].json()["name"] == "new"


def test_a_write_that_is_not_realised_in_time_is_504_and_stored(own_api: Api) -> None:
    tenant, _host_id, port = _located(own_api, "t2")
    answer = tenant.patch(
        f"/v1/ports/{port['id']}",
        json={"name": "late"},
        params={"wait": "realized", "timeout": "0.05"},
    )
    body = assert_problem(answer, 504, "not-realized")
    assert body["resource_id"] == port["id"]
    assert str(body["revision"]) == answer.headers["vpcctl-revision"]
    assert tenant.get(f"/v1/ports/{port['id']}").json()["name"] == "late"
    own_api.realise(revision=body["revision"])
    gone = tenant.delete(f"/v1/ports/{port['id']}", params={"wait": "realized", "timeout": "0.05"})
    body = assert_problem(gone, 504, "not-realized")
    assert tenant.get(f"/v1/ports/{port['id']}").status_code == 404


def test_nobody_concerned_is_realised_once_processed(own_api: Api) -> None:
    tenant = own_api.tenant("t3")
    own_api.realise(revision=10_000)
    query = {"wait": "realized", "timeout": "10"}
    made = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}, params=query)
    assert made.status_code == 201, made.text
    assert tenant.delete(made.headers["location"], params=query).status_code == 204


_ROUTE = {"destination": "198.18.0.0/15", "targets": []}
_ENTRY = {"number": 1, "direction": "ingress", "action": "deny", "cidr": "::/0"}
PARTS = (
    ("route-tables", "POST", "routes", _ROUTE),
    ("route-tables", "PUT", "routes", _ROUTE),
    ("network-acls", "POST", "entries", {**_ENTRY, "protocol": "any"}),
    ("address-groups", "POST", "cidrs", {"cidrs": ["10.0.0.0/8"]}),
)


def test_an_added_part_shows_its_resource_as_it_is_after_the_wait(own_api: Api) -> None:
    tenant = own_api.tenant("t4")
    vpc, _ = network(tenant)
    for plural, method, part, body in PARTS:
        values = {} if plural == "address-groups" else {"vpc_id": vpc["id"]}
        made = tenant.post(f"/v1/{plural}", json={"name": "it", **values}).json()
        path = f"/v1/{plural}/{made['id']}/{part}"
        answer = _realised_meanwhile(own_api, tenant, method, path, body)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        assert (shown["id"], shown["status"]["state"]) == (made["id"], "active")


def _realised_meanwhile(
    api: Api, tenant: httpx.Client, method: str, path: str, body: dict[str, Any]
) -> httpx.Response:
    """Send a write that waits, realise it once it is stored, and return its answer."""
    answers: list[httpx.Response] = []
    before = api.admin.get("/v1/status").json()["revision"]
    api.realise(revision=before)

    def send() -> None:
        query = {"wait": "realized", "timeout": "20"}
        answers.append(tenant.request(method, path, json=body, params=query))

    def stored() -> int | None:
        found = api.admin.get("/v1/status").json()["revision"]
        return found if found > before else None

    thread = threading.Thread(target=send)
    thread.start()
    api.realise(revision=wait_until(stored, "the write is stored"))
    thread.join(20)
    return answers[0]


def test_what_no_host_carries_is_not_realised(own_api: Api) -> None:
    tenant = own_api.tenant("t5")
    vpc, subnet = network(tenant)
    body = {"provider": "isp", "cidr": "203.0.113.0/24", "pools": ["203.0.113.16/28"]}
    isp = own_api.admin.post("/v1/external-networks", json=body).json()["id"]
    ends = {"vpc_id": vpc["id"], "external_network_id": isp}
    tenant.post("/v1/internet-gateways", json=ends).raise_for_status()
    port = tenant.post("/v1/ports", json={"subnet_id": subnet["id"]}).json()["id"]
    eips = [tenant.post("/v1/eips", json={"external_network_id": isp}).json() for _ in range(2)]
    own_api.realise(revision=10_000)
    soon = {"wait": "realized", "timeout": "0.05"}
    path = f"/v1/eips/{eips[0]['id']}/association"
    body = assert_problem(tenant.put(path, json={"port_id": port}, params=soon), 504)
    assert f"no host carries it: {port} is on no host" in body["detail"]
    assert body["hosts"] == []
    assert tenant.delete(path, params=soon).status_code == 200
    nat = {**ends, "eip_ids": [eips[1]["id"]]}
    body = assert_problem(tenant.post("/v1/nat-gateways", json=nat, params=soon), 504)
    assert f"no host with the gateway label reaches {isp}" in body["detail"]
    path = f"/v1/nat-gateways/{body['resource_id']}"
    assert tenant.get(path).json()["status"]["state"] == "error"
    assert tenant.delete(path, params=soon).status_code == 204


def test_what_a_drained_host_still_stands_for_is_told() -> None:
    said = Lagging(revision=7, resource_id="host-1", hosts=(), holding="nat-1 (draining)")
    assert "the host is not drained yet, it stands for nat-1 (draining)" in str(said)


def test_odd_waits_are_refused(own_api: Api) -> None:
    for query in ("wait=x", "timeout=-1", "timeout=1e9", "timeout=nan", "timeout=inf", "wait="):
        answer = own_api.admin.post(f"/v1/vpcs?{query}", json={"cidrs": ["10.0.0.0/16"]})
        assert_problem(answer, 422)
