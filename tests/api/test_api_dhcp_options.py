"""DHCP option sets over HTTP, and where VPCs, subnets and ports say what guests are told."""

import pytest

from tests.api.support import BOTH, Api, assert_problem, network

pytestmark = BOTH

BODY = {
    "name": "shop",
    "lease_time_s": 3600,
    "dns_servers": ["10.0.0.2", "fd00::2"],
    "domain_name": "shop.internal",
    "routes": [{"destination": "192.0.2.0/24", "next_hop": "10.0.0.9"}],
}


def test_a_sets_life(api: Api) -> None:
    tenant = api.tenant("dhcp")
    made = tenant.post("/v1/dhcp-options", json=BODY)
    assert made.status_code == 201, made.text
    one = made.json()
    assert {name: one[name] for name in BODY} == BODY
    assert (one["ntp_servers"], one["search_domains"]) == (None, None)
    path = f"/v1/dhcp-options/{one['id']}"
    assert made.headers["location"] == path
    assert tenant.get(path).json() == one
    assert one in tenant.get("/v1/dhcp-options", params={"name": "shop"}).json()["items"]
    changed = tenant.patch(path, json={"domain_name": None, "ntp_servers": []}).json()
    assert (changed["domain_name"], changed["ntp_servers"]) == (None, [])
    assert changed["dns_servers"] == BODY["dns_servers"]
    stale = tenant.patch(path, json={"name": "x"}, headers={"If-Match": f'"{one["revision"]}"'})
    assert_problem(stale, 412, "stale")
    assert_problem(api.tenant("somebody").get(path), 404, "not-found")
    vpc, _ = network(tenant)
    named = tenant.patch(f"/v1/vpcs/{vpc['id']}", json={"dhcp_options_id": one["id"]})
    assert named.json()["dhcp_options_id"] == one["id"]
    blocked = assert_problem(tenant.delete(path), 409, "conflict")
    assert [each["id"] for each in blocked["blockers"]] == [vpc["id"]]
    tenant.patch(f"/v1/vpcs/{vpc['id']}", json={"dhcp_options_id": None})
    assert tenant.delete(path).status_code == 204


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lease_time_s": 1}, "lease_time_s"),
        ({"dns_servers": ["x"]}, "dns_servers.0"),
        ({"domain_name": "a b"}, "domain_name"),
        ({"routes": [{"destination": "192.0.2.0/24"}]}, "routes.0.next_hop"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_bad_values_are_named(api: Api, body: dict, field: str) -> None:
    problem = assert_problem(api.tenant("dhcp").post("/v1/dhcp-options", json=body), 422)
    assert field in str(problem)


def test_ports_and_subnets_say_theirs(api: Api) -> None:
    tenant = api.tenant("dhcp-ports")
    vpc = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16", "fd00:7::/48"]}).json()
    body = {
        "vpc_id": vpc["id"],
        "cidr": "10.0.1.0/24",
        "ipv6_cidr": "fd00:7:0:1::/64",
        "ipv6_mode": "slaac",
    }
    subnet = tenant.post("/v1/subnets", json=body).json()
    assert subnet["ipv6_mode"] == "slaac"
    own = {"domain_name": "own.internal"}
    values = {"subnet_id": subnet["id"], "mac_address": "06:00:00:00:00:07", "dhcp_options": own}
    port = tenant.post("/v1/ports", json=values).json()
    assert port["fixed_ips"] == ["10.0.1.2", "fd00:7:0:1:400:ff:fe00:7"]
    assert port["dhcp_options"]["domain_name"] == "own.internal"
    path = f"/v1/ports/{port['id']}"
    assert tenant.patch(path, json={"name": "x"}).json()["dhcp_options"] == port["dhcp_options"]
    assert tenant.patch(path, json={"dhcp_options": None}).json()["dhcp_options"] is None
