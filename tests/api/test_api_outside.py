"""External networks, internet gateways and EIPs over HTTP."""

from typing import Any

import httpx
import pytest

from tests.api.support import BOTH, Api, assert_problem, network
from tests.api.test_api_security import create

pytestmark = BOTH


@pytest.fixture(scope="module")
def isp(api: Api) -> dict[str, Any]:
    """An external network."""
    body = {"provider": "isp", "vlan": 7, "cidr": "203.0.113.0/24", "gateway": "203.0.113.1"}
    pools = ["203.0.113.16/28", "203.0.113.99"]
    return create(api.admin, "external-networks", **body, pools=pools, name="isp")


@pytest.fixture
def tenant(api: Api, request: pytest.FixtureRequest) -> httpx.Client:
    return api.tenant(request.node.name.partition("[")[0])


def test_an_external_network_is_the_operators(
    api: Api, tenant: httpx.Client, isp: dict[str, Any]
) -> None:
    assert isp["pools"] == ["203.0.113.16-203.0.113.31", "203.0.113.99"]
    assert (isp["tenant_id"], isp["pool_addresses"], isp["host_ids"]) == ("", 17, [])
    path = f"/v1/external-networks/{isp['id']}"
    assert tenant.get(path).json()["id"] == isp["id"]
    assert_problem(tenant.patch(path, json={"name": "mine"}), 403, "forbidden")
    assert_problem(tenant.delete(path), 403, "forbidden")
    changed = api.admin.patch(path, json={"mtu": 9000, "ipv6_cidr": "2001:db8::/64"}).json()
    assert (changed["mtu"], changed["ipv6_cidr"], changed["vlan"]) == (9000, "2001:db8::/64", 7)
    for body in ({"provider": "other"}, {"cidr": "10.0.0.0/8"}, {"vlan": 8}):
        problem = assert_problem(api.admin.patch(path, json=body), 422)
        assert problem["field"] == next(iter(body))
    overlapping = {"provider": "b", "cidr": "203.0.113.128/25"}
    answer = api.admin.post("/v1/external-networks", json=overlapping)
    assert assert_problem(answer, 409, "conflict")["blockers"][0]["id"] == isp["id"]


def test_eip_life(tenant: httpx.Client, isp: dict[str, Any]) -> None:
    vpc, subnet = network(tenant)
    port = create(tenant, "ports", subnet_id=subnet["id"])
    eip = create(
        tenant, "eips", external_network_id=isp["id"], name="web", limits={"egress_kbps": 1000}
    )
    assert eip["limits"] == {
        "ingress_kbps": None,
        "egress_kbps": 1000,
        "ingress_pps": None,
        "egress_pps": None,
    }
    path, to = f"/v1/eips/{eip['id']}", {"port_id": port["id"]}
    problem = assert_problem(tenant.put(f"{path}/association", json=to), 409, "conflict")
    assert problem["field"] == "port_id"
    outside = {"vpc_id": vpc["id"], "external_network_id": isp["id"]}
    gateway = create(tenant, "internet-gateways", **outside)
    assert gateway["placement"]["hosts"] == []
    assert_problem(tenant.post("/v1/internet-gateways", json=outside), 409, "conflict")
    match = {"If-Match": f'"{eip["revision"]}"'}
    made = tenant.put(f"{path}/association", json=to, headers=match)
    assert made.status_code == 200, made.text
    assert made.headers["etag"] == f'"{made.json()["revision"]}"'
    assert (made.json()["fixed_ip"], made.json()["vpc_id"]) == (port["fixed_ips"][0], vpc["id"])
    assert_problem(tenant.put(f"{path}/association", json=to, headers=match), 412, "stale")
    assert made.json()["placement"] == {
        "mode": None,
        "host_id": None,
        "since_revision": None,
        "limits_enforced": None,
    }
    assert made.json()["status"]["state"] == "pending"
    other = create(tenant, "ports", subnet_id=subnet["id"])
    there = {"port_id": other["id"]}
    assert assert_problem(tenant.put(f"{path}/association", json=there), 409)["field"] == "move"
    moved = tenant.put(f"{path}/association", json={**there, "move": True}).json()
    assert moved["port_id"] == other["id"]
    problem = assert_problem(tenant.delete(f"/v1/ports/{other['id']}"), 409, "conflict")
    assert [blocker["id"] for blocker in problem["blockers"]] == [eip["id"]]
    assert_problem(tenant.delete(path), 409, "conflict")
    assert_problem(tenant.delete(f"/v1/internet-gateways/{gateway['id']}"), 409, "conflict")
    found = tenant.get("/v1/eips", params={"address": eip["address"]}).json()["items"]
    assert [one["id"] for one in found] == [eip["id"]]
    assert tenant.delete(f"{path}/association").json()["port_id"] is None
    assert tenant.patch(path, json={"limits": None}).json()["limits"] is None
    assert tenant.delete(path).status_code == 204
    assert tenant.delete(f"/v1/internet-gateways/{gateway['id']}").status_code == 204


def test_a_port_says_where_its_global_addresses_are(api: Api, tenant: httpx.Client) -> None:
    six = {"provider": "six", "ipv6_cidr": "2001:db8:66::/48", "ipv6_gateway": "2001:db8:66::1"}
    isp = create(api.admin, "external-networks", **six)
    vpc = create(tenant, "vpcs", cidrs=["10.0.0.0/16", "2001:db8:67::/56"])
    blocks = {"cidr": "10.0.1.0/24", "ipv6_cidr": "2001:db8:67:1::/64"}
    subnet = create(tenant, "subnets", vpc_id=vpc["id"], **blocks)
    port = create(tenant, "ports", subnet_id=subnet["id"])
    path = f"/v1/ports/{port['id']}"
    assert port["outside"] == []
    leads = {"vpc_id": vpc["id"], "external_network_id": isp["id"]}
    gateway = create(tenant, "internet-gateways", **leads)
    routes = [{"destination": "::/0", "targets": [gateway["id"]]}]
    table = create(tenant, "route-tables", vpc_id=vpc["id"], routes=routes)
    named = tenant.patch(f"/v1/subnets/{subnet['id']}", json={"route_table_id": table["id"]})
    assert named.status_code == 200, named.text
    assert tenant.get(path).json()["outside"] == [
        {
            "address": port["fixed_ips"][1],
            "internet_gateway_id": gateway["id"],
            "mode": None,
            "host_id": None,
            "since_revision": None,
            "reason": f"{port['id']} is on no host",
        }
    ]
    (listed,) = tenant.get("/v1/ports", params={"subnet_id": subnet["id"]}).json()["items"]
    assert listed["outside"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"address": "203.0.113.15"}, "address"),
        ({"address": "none"}, "address"),
        ({"external_network_id": "ext-" + "0" * 17}, "external_network_id"),
        ({"limits": {"ingress_kbps": 0}}, "limits.ingress_kbps"),
        ({"limits": {"kbps": 5}}, "limits.kbps"),
        ({"port_id": "port-" + "0" * 17}, "port_id"),
    ],
)
def test_a_bad_eip_is_named(
    tenant: httpx.Client, isp: dict[str, Any], body: dict[str, Any], field: str
) -> None:
    answer = tenant.post("/v1/eips", json={"external_network_id": isp["id"], **body})
    assert assert_problem(answer, 422)["field"] == field
    assert tenant.get("/v1/eips").json()["items"] == []


def test_ports_and_hosts_say_what_they_are(api: Api, tenant: httpx.Client) -> None:
    _, subnet = network(tenant)
    limits = {"ingress_pps": 5}
    port = create(tenant, "ports", subnet_id=subnet["id"], source_dest_check=False, limits=limits)
    assert (port["source_dest_check"], port["limits_enforced"]) == (False, None)
    assert port["limits"]["ingress_pps"] == 5
    path = f"/v1/ports/{port['id']}"
    changed = tenant.patch(path, json={"source_dest_check": True, "limits": None}).json()
    assert (changed["source_dest_check"], changed["limits"]) == (True, None)
    host = create(api.admin, "hosts", name="gw", gateway=True)
    assert (host["gateway"], host["drained"], host["meters"], host["watches"]) == (
        True,
        False,
        0,
        [],
    )
    path = f"/v1/hosts/{host['id']}"
    changed = api.admin.patch(path, json={"gateway": False, "drained": True}).json()
    assert (changed["gateway"], changed["drained"]) == (False, True)


def test_a_wait_for_an_eip_names_who_is_behind(api: Api, tenant: httpx.Client) -> None:
    body = {"provider": "far", "cidr": "198.51.100.0/24", "pools": ["198.51.100.9"]}
    far = create(api.admin, "external-networks", **body)
    eip = create(tenant, "eips", external_network_id=far["id"])
    waiting = {"wait": "realized", "timeout": 0.2}
    assert tenant.delete(f"/v1/eips/{eip['id']}", params=waiting).status_code in (204, 504)
    host, agent = api.host("waiting")
    assert agent.get(f"/v1/hosts/{host}/state").json()["external_networks"]
