"""Route tables, NAT gateways and port forwards over HTTP."""

from typing import Any

import httpx
import pytest

from tests.api.support import BOTH, Api, assert_problem, network, report, wait_until
from tests.api.test_api_security import create

pytestmark = BOTH


@pytest.fixture(scope="module")
def isp(api: Api) -> str:
    """An external network."""
    body = {"provider": "isp", "cidr": "203.0.113.0/24", "gateway": "203.0.113.1"}
    pools = ["203.0.113.16-203.0.113.99"]
    return create(api.admin, "external-networks", **body, pools=pools)["id"]


@pytest.fixture
def tenant(api: Api, request: pytest.FixtureRequest) -> httpx.Client:
    return api.tenant(request.node.name.partition("[")[0])


def nat_gateway(client: httpx.Client, vpc: dict[str, Any], isp: str, **more: Any) -> dict[str, Any]:
    eip = create(client, "eips", external_network_id=isp)
    body = {"vpc_id": vpc["id"], "external_network_id": isp, "eip_ids": [eip["id"]]}
    return create(client, "nat-gateways", **body, **more)


def test_route_table_life(tenant: httpx.Client, isp: str) -> None:
    vpc, subnet = network(tenant)
    nat = nat_gateway(tenant, vpc, isp)
    default = {"destination": "0.0.0.0/0", "targets": [nat["id"]], "description": "out"}
    table = create(tenant, "route-tables", vpc_id=vpc["id"], name="private", routes=[default])
    assert (table["main"], table["route_count"], table["subnet_count"]) == (False, 1, 0)
    nobody = f"no host with the gateway label reaches {isp}"
    states = [{"id": nat["id"], "state": "dead", "reason": nobody}]
    assert table["routes"] == [{**default, "target_states": states}]
    path = f"/v1/route-tables/{table['id']}"
    listed = tenant.get("/v1/route-tables", params={"vpc_id": vpc["id"]}).json()["items"]
    assert [(one["name"], one["main"], "routes" in one) for one in listed] == [
        ("main", True, False),
        ("private", False, False),
    ]
    given = tenant.patch(f"/v1/subnets/{subnet['id']}", json={"route_table_id": table["id"]})
    assert given.json()["route_table_id"] == table["id"]
    problem = assert_problem(tenant.delete(path), 409, "conflict")
    assert [blocker["id"] for blocker in problem["blockers"]] == [subnet["id"]]
    problem = assert_problem(tenant.delete(f"/v1/nat-gateways/{nat['id']}"), 409, "conflict")
    assert [blocker["id"] for blocker in problem["blockers"]] == [table["id"]]
    changed = tenant.patch(path, json={"routes": [], "tags": {"a": "b"}}).json()
    assert (changed["routes"], changed["tags"]) == ([], {"a": "b"})
    assert tenant.patch(path, json={"main": True}).json()["main"] is True
    again = tenant.get("/v1/route-tables", params={"vpc_id": vpc["id"]}).json()["items"]
    assert [one["main"] for one in again] == [False, True]
    assert assert_problem(tenant.patch(path, json={"main": False}), 422)["field"] == "main"
    first = f"/v1/route-tables/{again[0]['id']}"
    assert tenant.patch(first, json={"main": True}).status_code == 200
    tenant.patch(f"/v1/subnets/{subnet['id']}", json={"route_table_id": None}).raise_for_status()
    assert tenant.delete(path).status_code == 204
    assert tenant.delete(f"/v1/nat-gateways/{nat['id']}").status_code == 204


def test_routes_are_added_put_and_removed(tenant: httpx.Client) -> None:
    vpc, subnet = network(tenant)
    port = create(tenant, "ports", subnet_id=subnet["id"])["id"]
    table = create(tenant, "route-tables", vpc_id=vpc["id"])
    path = f"/v1/route-tables/{table['id']}"
    one = {"destination": "198.51.100.0/24", "targets": [port]}
    added = tenant.post(f"{path}/routes", json=one, headers={"If-Match": f'"{table["revision"]}"'})
    assert added.status_code == 200
    assert added.headers["etag"] == f'"{added.json()["revision"]}"'
    again = tenant.post(f"{path}/routes", json=[{"destination": "1.0.0.0/8"}, one])
    assert assert_problem(again, 409, "conflict")["field"] == "1.destination"
    several = [{"destination": "198.51.100.0/24"}, {"destination": "1.0.0.0/8", "targets": [port]}]
    put = tenant.put(f"{path}/routes", json=several).json()
    assert {route["destination"]: route["targets"] for route in put["routes"]} == {
        "1.0.0.0/8": [port],
        "198.51.100.0/24": [],
    }
    stale = tenant.put(f"{path}/routes", json=one, headers={"If-Match": '"1"'})
    assert_problem(stale, 412, "stale")
    both = {"destination": ["1.0.0.0/8", "198.51.100.0/24"]}
    assert tenant.delete(f"{path}/routes", params=both).json()["routes"] == []
    assert_problem(tenant.delete(f"{path}/routes", params=both), 404, "not-found")
    assert_problem(tenant.delete(f"{path}/routes"), 422)
    assert tenant.get(path).json()["routes"] == []


@pytest.mark.parametrize(
    ("route", "field"),
    [
        ({"destination": "10.0.0.0/16"}, "routes.0.destination"),
        ({"destination": "everywhere"}, "routes.0.destination"),
        ({"destination": "1.0.0.0/8", "targets": ["igw-" + "0" * 17]}, "routes.0.targets.0"),
        ({"destination": "1.0.0.0/8", "targets": ["local"]}, "routes.0.targets.0"),
        ({"destination": "1.0.0.0/8", "gateway": "10.0.0.1"}, "routes.0.gateway"),
        ({"targets": []}, "routes.0.destination"),
    ],
)
def test_a_bad_route_is_named(tenant: httpx.Client, route: dict[str, Any], field: str) -> None:
    vpc, _ = network(tenant)
    before = tenant.get("/v1/route-tables").json()["items"]
    answer = tenant.post("/v1/route-tables", json={"vpc_id": vpc["id"], "routes": [route]})
    problem = assert_problem(answer, 422)
    assert problem["field"] == field
    assert tenant.get("/v1/route-tables").json()["items"] == before


def test_what_a_nat_gateways_host_counts_is_told(api: Api, tenant: httpx.Client) -> None:
    body = {"provider": "counted", "cidr": "198.18.7.0/24", "pools": ["198.18.7.16/28"]}
    isp = create(api.admin, "external-networks", **body)["id"]
    host_id, agent = api.host("counting")
    api.admin.patch(f"/v1/hosts/{host_id}", json={"gateway": True}).raise_for_status()
    reached = ({"network_id": isp, "ofport": 9, "bridge": "br-counted"},)
    path, facts = f"/v1/hosts/{host_id}/reports", {"providers": ("counted",), "outside": reached}
    agent.post(path, json=report(1, (), **facts)).raise_for_status()
    vpc, _ = network(tenant)
    nat = nat_gateway(tenant, vpc, isp)
    assert (nat["placement"]["active_host_id"], nat["counters"]) == (host_id, None)
    (eip,) = nat["eips"]
    ports = [{"address": eip["address"], "ports": 812}]
    counts = {"gateway_id": nat["id"], "connections": 1040, "ports": ports, "failures": 3}
    said = {**report(2, (), **facts), "links": None, "facts": None, "nat": [counts]}
    agent.post(path, json=said).raise_for_status()
    shown = wait_until(
        lambda: tenant.get(f"/v1/nat-gateways/{nat['id']}").json()["counters"], "counters"
    )
    assert shown.pop("reported_at")
    assert shown == {
        "connections": 1040,
        "ports": [{"eip_id": eip["id"], "address": eip["address"], "in_use": 812}],
        "failures": 3,
    }
    told = f'vpcctl_nat_gateway_ports{{address="{eip["address"]}",gateway="{nat["id"]}"}} 812.0'
    wait_until(lambda: told in api.admin.get("/metrics").text, told)
    for other in (api.client(), tenant):  # tenants see nothing of each other here either
        shown = other.get("/metrics").raise_for_status().text
        assert "vpcctl_hosts" in shown
        assert nat["id"] not in shown
    assert api.client("nobody").get("/metrics").status_code == 401


def test_nat_gateway_life(api: Api, tenant: httpx.Client, isp: str) -> None:
    vpc, subnet = network(tenant)
    server = create(tenant, "ports", subnet_id=subnet["id"])
    nat = nat_gateway(tenant, vpc, isp, name="out")
    path = f"/v1/nat-gateways/{nat['id']}"
    (eip,) = nat["eips"]
    nowhere = {"active_host_id": None, "since_revision": None, "waits_for": []}
    assert nat["placement"] == {"hosts": [], **nowhere}
    assert nat["status"]["state"] == "error"
    body = {"protocol": "tcp", "ports": "443", "address": server["fixed_ips"][0]}
    made = tenant.post(f"{path}/forwards", json={**body, "target_port": 8443})
    assert made.status_code == 201, made.text
    forward = made.json()
    assert forward == {
        "id": forward["id"],
        "eip_id": eip["id"],
        "eip_address": eip["address"],
        "protocol": "tcp",
        "ports": "443",
        "address": server["fixed_ips"][0],
        "port_id": server["id"],
        "target_ports": "8443",
        "description": "",
        "created_at": forward["created_at"],
        "warning": forward["warning"],
    }
    assert f"the route table of {server['id']}" in forward["warning"]
    shown = tenant.get(path).json()
    assert (shown["forwards"], shown["forward_count"]) == ([forward], 1)
    assert made.headers["etag"] == f'"{shown["revision"]}"'
    (listed,) = tenant.get("/v1/nat-gateways", params={"name": "out"}).json()["items"]
    assert listed == {k: v for k, v in shown.items() if k != "forwards"}
    taken = tenant.post(f"{path}/forwards", json={**body, "ports": "400-500"})
    problem = assert_problem(taken, 409, "conflict")
    assert [blocker["id"] for blocker in problem["blockers"]] == [forward["id"]]
    for wrong, field in (
        ({"ports": "500-400"}, "ports"),
        ({"address": "192.0.2.1"}, "address"),
        ({"protocol": "sctp"}, "protocol"),
        ({"target_port": 0}, "target_port"),
    ):
        refused = assert_problem(tenant.post(f"{path}/forwards", json={**body, **wrong}), 422)
        assert refused["field"] == field
    assert tenant.delete(f"{path}/forwards/{forward['id']}").status_code == 204
    assert_problem(tenant.delete(f"{path}/forwards/{forward['id']}"), 404, "not-found")
    refused = assert_problem(tenant.patch(path, json={"eip_ids": []}), 422)
    assert refused["field"] == "eip_ids"
    other = create(tenant, "eips", external_network_id=isp)
    changed = tenant.patch(path, json={"eip_ids": [other["id"]]}).json()
    assert [one["id"] for one in changed["eips"]] == [other["id"]]
    assert tenant.delete(path).status_code == 204
    stranger = api.tenant("stranger")
    assert_problem(stranger.get(path), 404, "not-found")


def test_a_host_is_drained(api: Api) -> None:
    host_id, agent = api.host("gw-drained")
    path = f"/v1/hosts/{host_id}"
    assert api.admin.get(path).json()["drained"] is False
    assert api.admin.patch(path, json={"drained": True}).json()["drained"] is True
    assert_problem(agent.patch(path, json={"drained": False}), 403)
    assert api.admin.patch(path, json={"drained": False}).json()["drained"] is False
