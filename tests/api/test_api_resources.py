"""Every resource's life over HTTP."""

import pytest

from tests.api.support import BOTH, Api, assert_problem, network

pytestmark = BOTH


def test_vpc_life(api: Api) -> None:
    tenant = api.tenant("life")
    made = tenant.post("/v1/vpcs", json={"name": "a", "cidrs": ["10.0.0.0/16"], "tags": {"k": "v"}})
    assert made.status_code == 201
    vpc = made.json()
    assert vpc["id"].startswith("vpc-")
    assert vpc["tenant_id"] == "life"
    assert vpc["tags"] == {"k": "v"}
    assert made.headers["location"] == f"/v1/vpcs/{vpc['id']}"
    assert made.headers["etag"] == f'"{vpc["revision"]}"'
    assert made.headers["vpcctl-revision"] == str(vpc["revision"])
    assert tenant.get(made.headers["location"]).json() == vpc
    changed = tenant.patch(
        f"/v1/vpcs/{vpc['id']}", json={"cidrs": ["10.0.0.0/16", "fd00:1::/48"], "name": "b"}
    )
    assert changed.status_code == 200
    assert changed.json()["name"] == "b"
    assert changed.json()["tags"] == {"k": "v"}
    assert "fd00:1::/48" in changed.json()["cidrs"]
    assert int(changed.headers["vpcctl-revision"]) > vpc["revision"]
    gone = tenant.delete(f"/v1/vpcs/{vpc['id']}")
    assert gone.status_code == 204
    assert gone.content == b""
    assert int(gone.headers["vpcctl-revision"]) > int(changed.headers["vpcctl-revision"])
    assert_problem(tenant.get(f"/v1/vpcs/{vpc['id']}"), 404, "not-found")
    assert_problem(tenant.delete(f"/v1/vpcs/{vpc['id']}"), 404, "not-found")


def test_subnet_life(api: Api) -> None:
    tenant = api.tenant("subnets")
    vpc = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16", "fd00:2::/48"]}).json()
    made = tenant.post(
        "/v1/subnets",
        json={"vpc_id": vpc["id"], "cidr": "10.0.1.0/24", "availability_zone": "zone-a"},
    )
    assert made.status_code == 201, made.text
    subnet = made.json()
    assert subnet["gateway"] == "10.0.1.1"
    assert subnet["ipv6_cidr"] is None
    path = f"/v1/subnets/{subnet['id']}"
    changed = tenant.patch(path, json={"ipv6_cidr": "fd00:2:0:1::/64", "availability_zone": None})
    assert changed.status_code == 200, changed.text
    assert changed.json()["ipv6_gateway"] == "fd00:2:0:1::1"
    assert changed.json()["availability_zone"] is None
    blocked = assert_problem(tenant.delete(f"/v1/vpcs/{vpc['id']}"), 409, "conflict")
    assert [item["id"] for item in blocked["blockers"]] == [subnet["id"]]
    assert tenant.delete(path).status_code == 204
    assert tenant.delete(f"/v1/vpcs/{vpc['id']}").status_code == 204


def test_port_life(api: Api) -> None:
    tenant = api.tenant("ports")
    _, subnet = network(tenant)
    made = tenant.post(
        "/v1/ports",
        json={
            "subnet_id": subnet["id"],
            "mac_address": "0e:00:00:00:01:14",
            "fixed_ips": ["10.0.0.20"],
            "allowed_address_pairs": [{"cidr": "10.0.0.100/32", "mac_address": None}],
        },
    )
    assert made.status_code == 201, made.text
    port = made.json()
    assert port["fixed_ips"] == ["10.0.0.20"]
    assert port["vpc_id"] == subnet["vpc_id"]
    assert port["allowed_address_pairs"] == [{"cidr": "10.0.0.100/32", "mac_address": None}]
    taken = tenant.post("/v1/ports", json={"subnet_id": subnet["id"], "fixed_ips": ["10.0.0.20"]})
    assert port["id"] in assert_problem(taken, 409)["detail"]
    path = f"/v1/ports/{port['id']}"
    changed = tenant.patch(
        path, json={"mac_address": "0e:00:00:00:01:15", "allowed_address_pairs": []}
    )
    assert changed.json()["mac_address"] == "0e:00:00:00:01:15"
    assert changed.json()["allowed_address_pairs"] == []
    assert changed.json()["fixed_ips"] == ["10.0.0.20"]
    assert tenant.delete(path).status_code == 204
    assert tenant.get("/v1/ports", params={"subnet_id": subnet["id"]}).json()["items"] == []


def test_attachment_is_put_and_deleted(api: Api) -> None:
    tenant = api.tenant("attach")
    host_id, _ = api.host("attach-1")
    _, subnet = network(tenant)
    port = tenant.post("/v1/ports", json={"subnet_id": subnet["id"]}).json()
    path = f"/v1/ports/{port['id']}/attachment"
    want = {"kind": "namespace", "host_id": host_id, "interface": "eth0", "netns": "web-1"}
    put = tenant.put(path, json=want)
    assert put.status_code == 200, put.text
    assert put.json()["attachment"] == want
    assert put.headers["etag"] == f'"{put.json()["revision"]}"'
    absent = tenant.put(path, json={**want, "host_id": "host-" + "0" * 17})
    assert absent.status_code in (404, 409, 422)
    assert_problem(absent, absent.status_code)
    detached = tenant.delete(path)
    assert detached.status_code == 200
    assert detached.json()["attachment"] is None
    assert tenant.patch(f"/v1/ports/{port['id']}", json={"attachment": want}).json()["attachment"]


def test_host_life(api: Api) -> None:
    made = api.admin.post("/v1/hosts", json={"name": "hv-life", "vtep_address": "192.0.2.77"})
    assert made.status_code == 201, made.text
    host = made.json()
    assert len(host["dpid"]) == 16
    assert host["dpid"].startswith("7663")
    assert host["state"] == "never"
    path = f"/v1/hosts/{host['id']}"
    changed = api.admin.patch(path, json={"availability_zone": "zone-b"})
    assert changed.json()["availability_zone"] == "zone-b"
    assert changed.json()["vtep_address"] == "192.0.2.77"
    assert api.admin.delete(path).status_code == 204
    assert_problem(api.admin.get(path), 404)


def test_tokens_are_made_used_and_revoked(api: Api) -> None:
    made = api.admin.post(
        "/v1/tokens", json={"role": "tenant", "tenant_id": "acme", "description": "ci"}
    )
    assert made.status_code == 201, made.text
    token, secret = made.json()["token"], made.json()["secret"]
    assert secret not in str(token)
    client = api.client(secret)
    assert client.get("/v1/vpcs").status_code == 200
    listed = api.admin.get("/v1/tokens", params={"limit": 500}).json()["items"]
    assert token["id"] in [item["id"] for item in listed]
    assert api.admin.get(f"/v1/tokens/{token['id']}").json() == token
    assert api.admin.delete(f"/v1/tokens/{token['id']}").status_code == 204
    # At once in this process, although the token was in use a moment ago.
    assert_problem(client.get("/v1/vpcs"), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "cidrs"),
        ({"cidrs": "10.0.0.0/16"}, "cidrs"),
        ({"cidrs": [1]}, "cidrs.0"),
        ({"cidrs": ["10.0.0.0/16"], "nam": "x"}, "nam"),
        ({"cidrs": ["10.0.0.0/16"], "name": "x" * 129}, "name"),
        ({"cidrs": ["10.0.0.0/16"], "tags": {"a": 1}}, "tags.a"),
        ({"cidrs": ["10.0.0.1/16"]}, "cidrs.0"),
        ({"cidrs": ["10.0.0.0/16", "10.0.1.0/24"]}, None),
        ({"cidrs": ["10.0.0.0/16"], "name": "a\0b"}, "name"),
    ],
)
def test_bad_values_name_the_field(api: Api, body: dict[str, object], field: str | None) -> None:
    before = api.admin.get("/v1/status").json()["revision"]
    answer = api.tenant("bad").post("/v1/vpcs", json=body)
    problem = assert_problem(answer, answer.status_code)
    assert answer.status_code in (409, 422)
    if field is not None:
        assert problem["field"] == field
        assert problem["accepted"]
    assert api.admin.get("/v1/status").json()["revision"] == before


def test_status_shows_revisions_and_hosts(api: Api) -> None:
    host_id, _ = api.host("status-1")
    body = api.admin.get("/v1/status").raise_for_status().json()
    assert body["revision"] >= body["processed_revision"]
    assert host_id in [host["id"] for host in body["hosts"]]
