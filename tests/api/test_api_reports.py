"""Link reports over HTTP: whoever may send them, and whatever is in them."""

from tests.api.support import Api, assert_problem, network, report
from vpcctl.wire.report import Link


def test_reports_locate_ports_once(own_api: Api) -> None:
    tenant = own_api.tenant("reports")
    host_id, agent = own_api.host("r1")
    _, subnet = network(tenant)
    port = tenant.post("/v1/ports", json={"subnet_id": subnet["id"]}).json()
    path = f"/v1/hosts/{host_id}/reports"
    link = Link(port_id=port["id"], interface="tap0", interface_uuid="u1", ofport=7)
    answer = agent.post(path, json=report(5, (link,)))
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] is True
    shown = tenant.get(f"/v1/ports/{port['id']}").json()
    assert shown["host_id"] == host_id
    assert shown["claims"][0]["state"] == "won"
    host = own_api.admin.get(f"/v1/hosts/{host_id}").json()
    for sequence in (5, 4, 1):
        replay = agent.post(path, json=report(sequence, ()))
        assert replay.json()["accepted"] is False
    unchanged = report(6, (link,))
    unchanged["links"] = unchanged["facts"] = None
    answer = agent.post(path, json=unchanged).json()
    assert answer["accepted"] is True
    assert answer["full_report_needed"] is False
    assert own_api.admin.get(f"/v1/hosts/{host_id}").json()["revision"] == host["revision"]
    assert tenant.get(f"/v1/ports/{port['id']}").json()["claims"] == shown["claims"]
    assert agent.post(path, json=report(7, None)).json()["full_report_needed"] is True
    assert own_api.admin.get(f"/v1/hosts/{host_id}").json()["vtep_address"] == "192.0.2.1"


def test_a_report_for_another_host_is_403(api: Api) -> None:
    other, _ = api.host("other")
    _, agent = api.host("liar")
    assert_problem(agent.post(f"/v1/hosts/{other}/reports", json=report(1)), 403, "forbidden")
    assert_problem(agent.get(f"/v1/hosts/{other}/state"), 403, "forbidden")


def test_a_report_may_be_larger_than_other_bodies(own_api: Api) -> None:
    host_id, agent = own_api.host("large")
    links = tuple(
        Link(port_id=f"port-{number:017x}", interface=f"tap{number}", interface_uuid="u" * 36)
        for number in range(8192)
    )
    answer = agent.post(f"/v1/hosts/{host_id}/reports", json=report(1, links), timeout=60)
    assert answer.status_code == 200, answer.text
    body = report(1)
    body["agent_id"] = "x" * (9 << 20)
    assert_problem(agent.post(f"/v1/hosts/{host_id}/reports", json=body), 413)
