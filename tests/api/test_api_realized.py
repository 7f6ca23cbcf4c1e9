"""wait=realized, with the southbound's part played through its own store."""

import threading

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


def test_odd_waits_are_refused(own_api: Api) -> None:
    for query in ("wait=x", "timeout=-1", "timeout=1e9", "timeout=nan", "timeout=inf", "wait="):
        answer = own_api.admin.post(f"/v1/vpcs?{query}", json={"cidrs": ["10.0.0.0/16"]})
        assert_problem(answer, 422)
