"""Counters over HTTP: who may see them, and what is said when nobody can be asked."""

from pathlib import Path

import pytest

from tests.api.answering import COUNTERS, answering
from tests.api.support import Api, assert_problem, network, report, running_api
from vpcctl.model.counters import Drops
from vpcctl.model.problems import Unavailable
from vpcctl.store import southbound
from vpcctl.store.southbound import SouthboundClient
from vpcctl.wire.report import Link


def _located(api: Api, name: str) -> tuple[str, str]:
    """Make a port of a new tenant's that is on a host; return both ids."""
    tenant = api.tenant(name)
    host_id, agent = api.host(name)
    _, subnet = network(tenant)
    port = tenant.post("/v1/ports", json={"subnet_id": subnet["id"]}).json()
    link = Link(port_id=port["id"], interface="tap0", interface_uuid="u1", ofport=7)
    assert agent.post(f"/v1/hosts/{host_id}/reports", json=report(5, (link,))).is_success
    return port["id"], host_id


def test_counters_are_those_that_the_southbound_has_read(tmp_path: Path) -> None:
    with running_api(tmp_path) as api:
        port, host = _located(api, "seen")
        with answering(tmp_path / "run", southbound.answer(COUNTERS)) as asked:
            found = api.admin.get(f"/v1/ports/{port}/counters")
        assert found.status_code == 200, found.text
        assert southbound.read_question(asked[0]) == (port, host)
        assert found.json() == {
            "port_id": port,
            "host_id": host,
            "egress": {
                "allowed": {"packets": 5, "bytes": 500},
                "dropped": [{"reason": "egress-denied", "packets": 1, "bytes": 60}],
            },
            "ingress": {"allowed": {"packets": 7, "bytes": 700}, "dropped": []},
            "rules": [
                {
                    "id": "sgr-00000000000000001",
                    "group_id": "sg-00000000000000001",
                    "packets": 3,
                    "bytes": 300,
                }
            ],
        }


def test_an_answer_that_is_none_is_a_problem_that_names_the_host(tmp_path: Path) -> None:
    said = southbound.refusal("br-int of host-x is not connected to this controller.")
    answers = (said, b"zebra\n", b"{}\n", b'{"egress":1,"ingress":2,"rules":[]}\n', b"{", b"")
    with running_api(tmp_path) as api:
        port, host = _located(api, "odd")
        with answering(tmp_path / "run", *answers):
            first = api.admin.get(f"/v1/ports/{port}/counters")
            assert "host-x is not connected" in assert_problem(first, 503, "unavailable")["detail"]
            for _ in answers[1:]:
                found = api.admin.get(f"/v1/ports/{port}/counters")
                assert host in assert_problem(found, 503, "unavailable")["detail"]


def test_without_a_southbound_counters_are_unavailable(api: Api) -> None:
    port, host = _located(api, "alone")
    found = api.admin.get(f"/v1/ports/{port}/counters")
    assert host in assert_problem(found, 503, "unavailable")["detail"]


def test_a_port_that_is_nowhere_is_a_conflict(api: Api) -> None:
    tenant = api.tenant("nowhere")
    _, subnet = network(tenant)
    port = tenant.post("/v1/ports", json={"subnet_id": subnet["id"]}).json()
    found = tenant.get(f"/v1/ports/{port['id']}/counters")
    assert "on no host" in assert_problem(found, 409, "conflict")["detail"]


def test_counters_are_the_tenants_own(own_api: Api) -> None:
    api = own_api
    port, _ = _located(api, "owner")
    assert_problem(api.tenant("other").get(f"/v1/ports/{port}/counters"), 404, "not-found")
    assert_problem(api.client().get(f"/v1/ports/{port}/counters"), 401, "unauthenticated")
    assert_problem(api.admin.get("/v1/ports/zebra/counters"), 404, "not-found")
    assert_problem(api.admin.get(f"/v1/ports/{port}/counters?x=1"), 422, "invalid")


def test_drops_by_reason_are_a_metric_and_by_host_an_admins(tmp_path: Path) -> None:
    drops = Drops({"no-route": 5, "twice": 0}, {"host-x": {"no-route": 3}})
    with running_api(tmp_path) as api:
        with answering(tmp_path / "run", southbound.drops_answer(drops)):
            seen = api.client().get("/metrics").text
            as_admin = api.admin.get("/metrics").text
            as_tenant = api.tenant("curious").get("/metrics").text
        for shown in (seen, as_admin, as_tenant):
            assert 'vpcctl_drops_total{reason="no-route"} 5.0' in shown
            assert 'vpcctl_drops_total{reason="twice"} 0.0' in shown
        assert 'vpcctl_host_drops_total{host="host-x",reason="no-route"} 3.0' in as_admin
        assert "host-x" not in seen + as_tenant


def test_metrics_are_told_without_drops_while_the_southbound_does_not_answer(
    tmp_path: Path,
) -> None:
    said = southbound.refusal("busy")
    odd = (b"zebra\n", b"{}\n", b'{"reasons":[],"hosts":{}}\n', b'{"reasons":{},"hosts":1}\n', b"")
    with running_api(tmp_path) as api:
        client = SouthboundClient(tmp_path / "run")
        shown = api.admin.get("/metrics").raise_for_status().text
        assert "vpcctl_hosts" in shown
        assert "drops_total{" not in shown
        with answering(tmp_path / "run", said, *odd):
            for _ in (said, *odd):
                with pytest.raises(Unavailable):
                    client.drops()
