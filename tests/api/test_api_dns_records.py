"""DNS records and ports' metadata over HTTP, and the documents that hosts fetch of them."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.support import BOTH, Api, assert_problem, network

pytestmark = BOTH

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBRsDO me@here"


def test_a_records_life(api: Api) -> None:
    tenant = api.tenant("names")
    vpc, _ = network(tenant)
    body = {"vpc_id": vpc["id"], "name": "DB", "type": "A", "values": ["10.0.0.9"], "ttl": 30}
    made = tenant.post("/v1/dns-records", json=body)
    assert made.status_code == 201, made.text
    one = made.json()
    assert (one["name"], one["full_name"], one["ttl"]) == ("db", "db.vpc.internal", 30)
    path = f"/v1/dns-records/{one['id']}"
    assert made.headers["location"] == path
    assert tenant.get(path).json() == one
    params = {"vpc_id": vpc["id"], "type": "A"}
    assert tenant.get("/v1/dns-records", params=params).json()["items"] == [one]
    changed = tenant.patch(path, json={"values": ["10.0.0.7", "10.0.0.8"]}).json()
    assert (changed["values"], changed["ttl"]) == (["10.0.0.7", "10.0.0.8"], 30)
    stale = tenant.patch(path, json={"ttl": 5}, headers={"If-Match": f'"{one["revision"]}"'})
    assert_problem(stale, 412, "stale")
    again = assert_problem(tenant.post("/v1/dns-records", json=body), 409, "conflict")
    assert [each["id"] for each in again["blockers"]] == [one["id"]]
    alias = {**body, "type": "CNAME", "values": ["web"]}
    assert_problem(tenant.post("/v1/dns-records", json=alias), 409, "conflict")
    assert_problem(api.tenant("somebody").get(path), 404, "not-found")
    assert tenant.delete(path).status_code == 204
    assert tenant.get(path).status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "A", "values": ["fd00::1"]}, "values.0"),
        ({"type": "AAAA", "values": ["10.0.0.1"]}, "values.0"),
        ({"type": "SRV", "values": ["1 2 x"]}, "values.0"),
        ({"type": "MX", "values": ["70000 mail"]}, "values.0"),
        ({"type": "TXT", "values": ["a\nb"]}, "values.0"),
        ({"type": "CNAME", "values": ["a", "b"]}, "values"),
        ({"type": "A", "values": []}, "values"),
        ({"type": "NS", "values": ["a"]}, "type"),
        ({"name": "a..b"}, "name"),
        ({"name": "1.0.0.10.in-addr.arpa"}, "name"),
        ({"ttl": 0}, "ttl"),
        ({"vpc_id": "vpc-x"}, "vpc_id"),
    ],
)
def test_bad_records_are_named(api: Api, change: dict, field: str) -> None:
    tenant = api.tenant("names-bad")
    vpc = tenant.post("/v1/vpcs", json={"cidrs": ["10.0.0.0/16"]}).json()
    body = {"vpc_id": vpc["id"], "name": "a", "type": "A", "values": ["10.0.0.1"], **change}
    assert field in str(assert_problem(tenant.post("/v1/dns-records", json=body), 422))


def test_a_vpc_says_its_domain_and_keeps_its_records(api: Api) -> None:
    tenant = api.tenant("names-vpc")
    body = {"cidrs": ["10.0.0.0/16"], "dns_domain": "Shop.Internal."}
    vpc = tenant.post("/v1/vpcs", json=body).json()
    assert (vpc["dns_enabled"], vpc["dns_domain"]) == (True, "shop.internal")
    path = f"/v1/vpcs/{vpc['id']}"
    assert tenant.patch(path, json={"dns_enabled": False}).json()["dns_enabled"] is False
    problem = assert_problem(tenant.patch(path, json={"dns_domain": "a b"}), 422)
    assert "dns_domain" in str(problem)
    record = {"vpc_id": vpc["id"], "name": "@", "type": "MX", "values": ["10 mail"]}
    made = tenant.post("/v1/dns-records", json=record).json()
    assert made["full_name"] == "shop.internal"
    blocked = assert_problem(tenant.delete(path), 409, "conflict")
    assert [each["id"] for each in blocked["blockers"]] == [made["id"]]


def test_a_ports_metadata(api: Api) -> None:
    tenant = api.tenant("names-port")
    _, subnet = network(tenant)
    said = base64.b64encode(b"#!/bin/sh\n").decode()
    body = {"subnet_id": subnet["id"], "user_data": said, "public_keys": [KEY]}
    port = tenant.post("/v1/ports", json=body).json()
    assert (port["user_data"], port["public_keys"]) == (said, [KEY])
    assert port["metadata_tokens"] == "optional"
    path = f"/v1/ports/{port['id']}"
    strict = tenant.patch(path, json={"metadata_tokens": "required"}).json()
    assert (strict["user_data"], strict["metadata_tokens"]) == (said, "required")
    assert tenant.patch(path, json={"user_data": None}).json()["user_data"] is None
    too_long = base64.b64encode(bytes(16_385)).decode()
    for values, field in (
        ({"user_data": "%%%"}, "user_data"),
        ({"user_data": too_long}, "user_data"),
        ({"public_keys": ["no key"]}, "public_keys.0"),
        ({"metadata_tokens": "never"}, "metadata_tokens"),
    ):
        assert field in str(assert_problem(tenant.patch(path, json=values), 422))
    assert tenant.delete(path).status_code == 204


def test_a_host_fetches_the_zones_of_its_guests_alone(api: Api) -> None:
    tenant = api.tenant("names-host")
    vpc, subnet = network(tenant)
    host = api.admin.post("/v1/hosts", json={"name": "names-host"}).json()
    base = f"/v1/hosts/{host['id']}"
    assert_problem(api.admin.get(f"{base}/zones/{vpc['id']}"), 404, "not-found")
    attachment = {"kind": "namespace", "host_id": host["id"], "netns": "names-host"}
    body = {"subnet_id": subnet["id"], "name": "Web 1", "attachment": attachment}
    port = tenant.post("/v1/ports", json=body | {"public_keys": [KEY]}).json()
    zone = api.admin.get(f"{base}/zones/{vpc['id']}").json()
    assert zone["ports"] == {port["id"]: ["web-1", port["fixed_ips"]]}
    told = api.admin.get(f"{base}/guests/{port['id']}").json()
    assert told["public_keys"] == [KEY]
    (guest,) = api.admin.get(f"{base}/state").json()["guests"]
    assert guest["metadata_revision"] == told["revision"]
    assert_problem(tenant.get(f"{base}/zones/{vpc['id']}"), 403)

    def wait(revision: int, seconds: float):
        known = {"known": {vpc["id"]: revision}}
        return api.admin.post(f"{base}/zones", json=known, params={"timeout": seconds})

    assert wait(zone["revision"], 0).status_code == 204
    assert wait(0, 20).json()["changed"] == {vpc["id"]: zone["revision"]}
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, zone["revision"], 20)
        started = time.monotonic()
        renamed = tenant.patch(f"/v1/ports/{port['id']}", json={"name": "other"}).json()
        assert waiting.result().json()["changed"] == {vpc["id"]: renamed["revision"]}
        assert time.monotonic() - started < 5
    record = {"vpc_id": vpc["id"], "name": "db", "type": "A", "values": ["10.0.0.9"]}
    path, since = f"{base}/zones/{vpc['id']}", {"since": zone["revision"]}
    news = api.admin.get(path, params=since).json()
    assert (news["since"], news["revision"]) == (zone["revision"], renamed["revision"])
    assert (news["ports"], news["records"]) == ({port["id"]: ["other", port["fixed_ips"]]}, None)
    assert tenant.post("/v1/dns-records", json=record).status_code == 201
    assert tenant.delete(f"/v1/ports/{port['id']}").status_code == 204
    assert_problem(api.admin.get(path, params=since), 404, "not-found")  # no guest is there now
    again = tenant.post("/v1/ports", json=body).json()
    news = api.admin.get(path, params=since).json()
    assert news["ports"] == {port["id"]: None, again["id"]: ["web-1", again["fixed_ips"]]}
    assert [one["name"] for one in news["records"]] == ["db.vpc.internal"]
    whole = api.admin.get(path).json()
    assert (whole["since"], list(whole["ports"])) == (0, [again["id"]])
    later = {"since": whole["revision"] + 1_000}
    assert api.admin.get(path, params=later).json() == whole
