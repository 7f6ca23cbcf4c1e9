"""Security groups, address groups and network ACLs over HTTP."""

from typing import Any

import httpx
import pytest

from tests.api.support import BOTH, Api, assert_problem, network, report
from vpcctl.wire.report import Link

pytestmark = BOTH

HTTPS = {"direction": "ingress", "protocol": "tcp", "ports": "443", "remote": {"cidr": "0.0.0.0/0"}}
ALLOW = {"number": 100, "direction": "ingress", "action": "allow", "cidr": "0.0.0.0/0"}


@pytest.fixture
def tenant(api: Api, request: pytest.FixtureRequest) -> httpx.Client:
    return api.tenant(request.node.name.partition("[")[0])


def create(client: httpx.Client, plural: str, **body: Any) -> dict[str, Any]:
    made = client.post(f"/v1/{plural}", json=body)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/v1/{plural}/{made.json()['id']}"
    assert made.headers["etag"] == f'"{made.json()["revision"]}"'
    assert client.get(made.headers["location"]).json() == made.json()
    return made.json()


def test_group_life(tenant: httpx.Client) -> None:
    vpc, subnet = network(tenant)
    group = create(tenant, "security-groups", vpc_id=vpc["id"], name="web", rules=[HTTPS])
    path = f"/v1/security-groups/{group['id']}"
    (rule,) = group["rules"]
    assert rule == {
        "id": rule["id"],
        "security_group_id": group["id"],
        "direction": "ingress",
        "family": "ipv4",
        "protocol": "tcp",
        "ports": "443",
        "icmp_type": None,
        "icmp_code": None,
        "remote": {"cidr": "0.0.0.0/0", "security_group_id": None, "address_group_id": None},
        "description": "",
        "created_at": group["created_at"],
    }
    listed = tenant.get("/v1/security-groups", params={"name": "web"}).json()["items"]
    assert listed == [{k: v for k, v in group.items() if k != "rules"}]
    changed = tenant.patch(path, json={"established": "keep", "tags": {"a": "b"}}).json()
    assert (changed["established"], changed["tags"], changed["rules"]) == (
        "keep",
        {"a": "b"},
        [rule],
    )
    port = tenant.post(
        "/v1/ports", json={"subnet_id": subnet["id"], "security_groups": [group["id"]]}
    ).json()
    assert port["security_groups"] == [group["id"]]
    found = tenant.get("/v1/ports", params={"security_group_id": group["id"]}).json()["items"]
    assert [one["id"] for one in found] == [port["id"]]
    blocked = assert_problem(tenant.delete(path), 409, "conflict")
    assert blocked["blockers"] == [{"kind": "port", "id": port["id"], "reason": "is in this group"}]
    changed = tenant.patch(f"/v1/ports/{port['id']}", json={"security_groups": []}).json()
    assert changed["security_groups"] == []
    assert tenant.delete(path).status_code == 204
    assert_problem(tenant.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("self", "a name other than self"),
        ("sg-00000000000000000", "a name other than sg- and 17 hexadecimal digits"),
    ],
)
def test_a_group_has_no_name_that_means_something_else(
    tenant: httpx.Client, name: str, accepted: str
) -> None:
    vpc, _ = network(tenant)
    body = {"vpc_id": vpc["id"], "name": name}
    problem = assert_problem(tenant.post("/v1/security-groups", json=body), 422)
    assert (problem["field"], problem["accepted"]) == ("name", accepted)
    path = f"/v1/security-groups/{create(tenant, 'security-groups', vpc_id=vpc['id'])['id']}"
    problem = assert_problem(tenant.patch(path, json={"name": name}), 422)
    assert (problem["field"], problem["accepted"]) == ("name", accepted)


def test_rules_are_added_one_or_many_and_removed(tenant: httpx.Client) -> None:
    vpc, _ = network(tenant)
    group = create(tenant, "security-groups", vpc_id=vpc["id"])
    path = f"/v1/security-groups/{group['id']}"
    one = tenant.post(f"{path}/rules", json={"direction": "egress", "protocol": 17, "ports": "53"})
    assert one.status_code == 201, one.text
    assert [(r["family"], r["protocol"]) for r in one.json()["items"]] == [
        ("ipv4", "udp"),
        ("ipv6", "udp"),
    ]
    assert one.headers["etag"] == tenant.get(path).headers["etag"]
    many = tenant.post(f"{path}/rules", json=[HTTPS, {**HTTPS, "ports": "80"}])
    assert [r["ports"] for r in many.json()["items"]] == ["443", "80"]
    made = [*one.json()["items"], *many.json()["items"]]
    assert tenant.get(f"{path}/rules").json() == {"items": made, "next_cursor": None}
    assert tenant.get(path).json()["rules"] == made
    page = tenant.get(f"{path}/rules", params={"limit": 3, "direction": "egress"}).json()
    assert page == {"items": made[:2], "next_cursor": None}
    page = tenant.get(f"{path}/rules", params={"limit": 3}).json()
    rest = tenant.get(f"{path}/rules", params={"cursor": page["next_cursor"]}).json()
    assert page["items"] + rest["items"] == made
    this = f"{path}/rules/{made[0]['id']}"
    described = tenant.patch(this, json={"description": "names"})
    assert described.json() == {**made[0], "description": "names"}
    assert tenant.get(this).json() == described.json()
    gone = tenant.delete(this)
    assert (gone.status_code, gone.content) == (204, b"")
    assert f'"{gone.headers["vpcctl-revision"]}"' == tenant.get(path).headers["etag"]
    for method in ("GET", "DELETE"):
        assert_problem(tenant.request(method, this), 404, "not-found")
    assert_problem(tenant.patch(this, json={"description": ""}), 404, "not-found")


def test_an_array_of_rules_is_taken_whole_or_not_at_all(tenant: httpx.Client) -> None:
    vpc, _ = network(tenant)
    group = create(tenant, "security-groups", vpc_id=vpc["id"], rules=[HTTPS])
    path = f"/v1/security-groups/{group['id']}"
    fine = {"direction": "egress"}
    equal = assert_problem(tenant.post(f"{path}/rules", json=[fine, HTTPS]), 409, "conflict")
    assert group["rules"][0]["id"] in equal["detail"]
    assert equal["field"] == "1"
    for bad, field in (
        ({**HTTPS, "ports": "2-1"}, "1.ports"),
        ({**HTTPS, "ports": 443}, "1.ports"),
        ({**HTTPS, "protocol": "quic"}, "1.protocol"),
        ({**HTTPS, "protocol": True}, "1.protocol"),
        ({**HTTPS, "direction": "in"}, "1.direction"),
        ({**HTTPS, "family": 4}, "1.family"),
        ({**HTTPS, "remote": {"cidr": "10.0.0.1/8"}}, "1.remote.cidr"),
        ({**HTTPS, "remote": {"group": "x"}}, "1.remote.group"),
        ({**HTTPS, "remote_cidr": "::/0"}, "1.remote_cidr"),
        ({"direction": "egress", "protocol": "icmp", "icmp_type": 300}, "1.icmp_type"),
    ):
        refused = assert_problem(tenant.post(f"{path}/rules", json=[fine, bad]), 422, "invalid")
        assert refused["field"] == field
        assert refused["accepted"]
        single = assert_problem(tenant.post(f"{path}/rules", json=bad), 422, "invalid")
        assert single["field"] == field.removeprefix("1.")
        whole = {"vpc_id": vpc["id"], "rules": [fine, bad]}
        created = assert_problem(tenant.post("/v1/security-groups", json=whole), 422, "invalid")
        assert created["field"] == f"rules.{field}"
    for odd in ([], [[]], "x", 7, [None], [fine] * 1001):
        assert_problem(tenant.post(f"{path}/rules", json=odd), 422, "invalid")
    quota = [
        {"direction": "egress", "family": "ipv4", "protocol": n} for n in range(201) if n != 58
    ]
    assert len(quota) + 1 > 200
    assert_problem(tenant.post(f"{path}/rules", json=quota), 409, "exhausted")
    assert tenant.get(path).json() == group


def test_a_part_obeys_if_match_and_idempotency_keys(tenant: httpx.Client) -> None:
    vpc, _ = network(tenant)
    group = create(tenant, "security-groups", vpc_id=vpc["id"])
    acl = create(tenant, "network-acls", vpc_id=vpc["id"])
    addresses = create(tenant, "address-groups", cidrs=["10.0.0.0/8"])
    for item, parent, part, body in (
        (group, "security-groups", "rules", HTTPS),
        (acl, "network-acls", "entries", ALLOW),
        (addresses, "address-groups", "cidrs", {"cidrs": ["192.0.2.0/24"]}),
    ):
        path = f"/v1/{parent}/{item['id']}"
        stale = tenant.post(f"{path}/{part}", json=body, headers={"If-Match": '"1"'})
        assert_problem(stale, 412, "stale")
        assert tenant.get(path).json() == item
        headers = {"If-Match": f'"{item["revision"]}"', "Idempotency-Key": f"add-{part}"}
        first = tenant.post(f"{path}/{part}", json=body, headers=headers)
        assert first.is_success, first.text
        again = tenant.post(f"{path}/{part}", json=body, headers=headers)
        assert again.content == first.content
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["etag"] == first.headers["etag"]
        assert_problem(tenant.post(f"{path}/{part}", json=body), 409, "conflict")
    rule = tenant.get(f"/v1/security-groups/{group['id']}/rules").json()["items"][0]
    gone = f"/v1/security-groups/{group['id']}/rules/{rule['id']}"
    assert_problem(tenant.delete(gone, headers={"If-Match": '"1"'}), 412, "stale")
    cidr = {"cidr": "192.0.2.0/24"}
    path = f"/v1/address-groups/{addresses['id']}/cidrs"
    stale = tenant.delete(path, params=cidr, headers={"If-Match": '"1"'})
    assert_problem(stale, 412, "stale")
    assert tenant.delete(path, params=cidr).json()["cidrs"] == ["10.0.0.0/8"]


def test_address_group_life(tenant: httpx.Client) -> None:
    made = create(tenant, "address-groups", name="office", cidrs=["10.0.0.0/8", "fd00::1"])
    assert (made["cidrs"], made["cidr_count"]) == (["10.0.0.0/8", "fd00::1/128"], 2)
    path = f"/v1/address-groups/{made['id']}"
    (listed,) = tenant.get("/v1/address-groups", params={"name": "office"}).json()["items"]
    assert listed == {k: v for k, v in made.items() if k != "cidrs"}
    added = tenant.post(f"{path}/cidrs", json={"cidrs": ["192.0.2.0/24", "::/0"]})
    assert added.status_code == 200
    assert added.json()["cidr_count"] == 4
    params = {"cidr": ["::/0", "10.0.0.0/8"]}
    removed = tenant.delete(f"{path}/cidrs", params=params)
    assert removed.json()["cidrs"] == ["192.0.2.0/24", "fd00::1/128"]
    assert_problem(tenant.delete(f"{path}/cidrs", params=params), 409, "conflict")
    refused = assert_problem(tenant.delete(f"{path}/cidrs"), 422, "invalid")
    assert refused["field"] == "cidr"
    whole = tenant.patch(path, json={"cidrs": []}).json()
    assert whole["cidrs"] == []
    assert tenant.delete(path).status_code == 204
    assert_problem(tenant.get(path), 404, "not-found")


def test_network_acl_life(tenant: httpx.Client) -> None:
    vpc, subnet = network(tenant)
    acl = create(tenant, "network-acls", vpc_id=vpc["id"], name="edge", entries=[ALLOW])
    path = f"/v1/network-acls/{acl['id']}"
    assert acl["entries"] == [
        {
            **ALLOW,
            "protocol": "any",
            "ports": None,
            "icmp_type": None,
            "icmp_code": None,
            "description": "",
        }
    ]
    more = [{**ALLOW, "number": n, "direction": "egress", "action": "deny"} for n in (2, 1)]
    added = tenant.post(f"{path}/entries", json=more).json()
    assert [(e["direction"], e["number"]) for e in added["entries"]] == [
        ("egress", 1),
        ("egress", 2),
        ("ingress", 100),
    ]
    put = tenant.put(
        f"{path}/entries/egress/1", json={"action": "allow", "cidr": "::/0", "protocol": "tcp"}
    ).json()
    assert (put["entries"][0]["cidr"], put["entry_count"]) == ("::/0", 3)
    gone = tenant.delete(f"{path}/entries/egress/2")
    assert [e["number"] for e in gone.json()["entries"]] == [1, 100]
    assert_problem(tenant.delete(f"{path}/entries/egress/2"), 404, "not-found")
    for place in ("egress/0", "egress/32767", "out/1", "egress/x"):
        assert_problem(tenant.delete(f"{path}/entries/{place}"), 422, "invalid")
    refused = tenant.patch(path, json={"entries": [{**ALLOW, "number": 0}]})
    assert assert_problem(refused, 422, "invalid")["field"] == "entries.0.number"
    has = tenant.patch(f"/v1/subnets/{subnet['id']}", json={"network_acl_id": acl["id"]}).json()
    assert has["network_acl_id"] == acl["id"]
    assert_problem(tenant.delete(path), 409, "conflict")
    without = tenant.patch(f"/v1/subnets/{subnet['id']}", json={"network_acl_id": None}).json()
    assert without["network_acl_id"] is None
    assert tenant.delete(path).status_code == 204


def test_writes_wait_for_the_hosts_of_the_vpc(api: Api, tenant: httpx.Client) -> None:
    host_id, agent = api.host("security-hv")
    vpc, subnet = network(tenant)
    port = tenant.post("/v1/ports", json={"subnet_id": subnet["id"]}).json()
    link = Link(port_id=port["id"], interface="tap0", interface_uuid="u", ofport=3)
    body = report(1, (link,), vtep="192.0.2.99")
    agent.post(f"/v1/hosts/{host_id}/reports", json=body).raise_for_status()
    group = create(tenant, "security-groups", vpc_id=vpc["id"])
    addresses = create(tenant, "address-groups")
    rules = f"/v1/security-groups/{group['id']}/rules"
    naming = {"direction": "ingress", "remote": {"address_group_id": addresses["id"]}}
    wait = {"wait": "realized", "timeout": 0}
    for method, path, body in (
        ("POST", rules, naming),
        ("PATCH", f"/v1/address-groups/{addresses['id']}", {"cidrs": ["10.0.0.0/8"]}),
        ("POST", f"/v1/address-groups/{addresses['id']}/cidrs", {"cidrs": ["11.0.0.0/8"]}),
        ("POST", "/v1/network-acls", {"vpc_id": vpc["id"]}),
        ("PATCH", f"/v1/security-groups/{group['id']}", {"name": "web"}),
    ):
        late = tenant.request(method, path, json=body, params=wait)
        lagging = assert_problem(late, 504, "not-realized")
        assert [host["id"] for host in lagging["hosts"]] == [host_id]
    rule = tenant.get(rules).json()["items"][0]
    api.realise(host_id, revision=10**6)
    gone = tenant.delete(f"{rules}/{rule['id']}", params=wait)
    assert gone.status_code == 204
    shown = tenant.get(f"/v1/security-groups/{group['id']}").json()["status"]
    assert (shown["state"], shown["hosts"]) == ("active", 1)
    made = tenant.post(rules, json=HTTPS, params=wait)
    assert made.status_code == 201
    assert [one["ports"] for one in made.json()["items"]] == ["443"]
