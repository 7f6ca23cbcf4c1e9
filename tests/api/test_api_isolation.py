"""Who may do what, over every operation of the OpenAPI document: a new one is checked unasked."""

from typing import Any

import pytest

from api import auth
from api.app import create_app
from tests.api.support import Api, assert_problem, network

METHODS = ("get", "post", "put", "patch", "delete")
OPEN = {"/healthz", "/readyz", "/metrics"}


class _NoServices:
    """Stands where services are not called."""


def _operations(tmp: Any) -> list[tuple[str, str]]:
    document = create_app(_NoServices(), run_dir=tmp).openapi()  # type: ignore[arg-type]
    return [
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    ]


OPERATIONS = _operations("/nonexistent")
CLOSED = [
    (method, path)
    for method, path in OPERATIONS
    if path not in OPEN and (method, path) not in auth.OPEN
]
_OWNED = (
    *("vpc", "subnet", "port", "sg", "ag", "nacl", "dhcp_options", "dns_record"),
    *("rtb", "nat", "igw", "eip"),
)
TENANT = [
    (method, path)
    for method, path in CLOSED
    if any(f"{{{name}_id}}" in path for name in _OWNED) and "{host_id}" not in path
]
_NAMED = ("token_id", "vpc_id", "port_id")
HOST_ONLY = {
    ("POST", "/v1/hosts/{host_id}/reports"),
    ("GET", "/v1/hosts/{host_id}/state"),
    ("POST", "/v1/hosts/{host_id}/zones"),
    ("GET", "/v1/hosts/{host_id}/zones/{vpc_id}"),
    ("GET", "/v1/hosts/{host_id}/guests/{port_id}"),
}
RECORD = {"name": "a", "type": "A", "values": ["10.0.0.1"]}

BODIES = {
    "/v1/vpcs/{vpc_id}": {"name": "mine now"},
    "/v1/subnets/{subnet_id}": {"name": "mine now"},
    "/v1/ports/{port_id}": {"name": "mine now"},
    "/v1/ports/{port_id}/attachment": {"kind": "interface"},
    "/v1/security-groups/{sg_id}": {"name": "mine now"},
    "/v1/security-groups/{sg_id}/rules": {"direction": "ingress"},
    "/v1/security-groups/{sg_id}/rules/{sgr_id}": {"description": "mine now"},
    "/v1/address-groups/{ag_id}": {"name": "mine now"},
    "/v1/dhcp-options/{dhcp_options_id}": {"name": "mine now"},
    "/v1/dns-records/{dns_record_id}": {"description": "mine now"},
    "/v1/address-groups/{ag_id}/cidrs": {"cidrs": ["10.9.0.0/16"]},
    "/v1/network-acls/{nacl_id}": {"name": "mine now"},
    "/v1/network-acls/{nacl_id}/entries": {
        "number": 7,
        "direction": "ingress",
        "action": "allow",
        "cidr": "0.0.0.0/0",
    },
    "/v1/network-acls/{nacl_id}/entries/{direction}/{number}": {
        "action": "allow",
        "cidr": "0.0.0.0/0",
    },
    "/v1/route-tables/{rtb_id}": {"name": "mine now"},
    "/v1/route-tables/{rtb_id}/routes": {"destination": "192.0.2.0/24"},
    "/v1/internet-gateways/{igw_id}": {"name": "mine now"},
    "/v1/nat-gateways/{nat_id}": {"name": "mine now"},
    "/v1/nat-gateways/{nat_id}/forwards": {
        "protocol": "tcp",
        "ports": "80",
        "address": "10.0.1.20",
    },
    "/v1/eips/{eip_id}": {"name": "mine now"},
    "/v1/eips/{eip_id}/association": {"port_id": "port-00000000000000000"},
    "/v1/external-networks": {"provider": "p", "cidr": "198.51.100.0/24"},
    "/v1/external-networks/{ext_id}": {"name": "mine now"},
    "/v1/address-groups": {"cidrs": ["10.9.0.0/16"]},
    "/v1/vpcs": {"cidrs": ["10.0.0.0/16"]},
    "/v1/dns-records": {"vpc_id": "vpc-" + "0" * 17, **RECORD},
    "/v1/hosts/{host_id}/zones": {"known": {}},
    "/v1/hosts": {"name": "hv"},
    "/v1/hosts/{host_id}": {"name": "hv"},
    "/v1/tokens": {"role": "admin"},
    "/v1/hosts/{host_id}/certificate": {"csr": "none"},
}


RULE = {"direction": "ingress", "family": "ipv4"}
ENTRY = {"number": 7, "direction": "ingress", "action": "allow", "cidr": "0.0.0.0/0"}
QUERIES = {
    ("DELETE", "/v1/address-groups/{ag_id}/cidrs"): {"cidr": "10.9.0.0/16"},
    ("DELETE", "/v1/route-tables/{rtb_id}/routes"): {"destination": "192.0.2.0/24"},
}


def test_only_these_paths_are_open() -> None:
    assert len(CLOSED) >= 30
    assert {path for _, path in OPERATIONS if not path.startswith("/v1/")} == OPEN


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_every_operation_needs_a_token(api: Api, method: str, path: str) -> None:
    client = api.client("no-such-secret")
    for who in (api.client(), client):
        answer = who.request(method, path.replace("{", "").replace("}", ""), json={})
        assert_problem(answer, 401, "unauthenticated")


@pytest.fixture(scope="module")
def theirs(api: Api) -> dict[str, str]:
    """One tenant's resources."""
    owner = api.tenant("owner")
    vpc, subnet = network(owner)
    port = owner.post("/v1/ports", json={"subnet_id": subnet["id"]}).json()
    in_vpc = {"vpc_id": vpc["id"]}
    group = owner.post("/v1/security-groups", json={**in_vpc, "rules": [RULE]}).json()
    acl = owner.post("/v1/network-acls", json={**in_vpc, "entries": [ENTRY]}).json()
    addresses = owner.post("/v1/address-groups", json={"cidrs": ["10.9.0.0/16"]}).json()
    network_id = api.admin.post(
        "/v1/external-networks",
        json={"provider": "theirs", "cidr": "203.0.113.0/24", "pools": ["203.0.113.64/26"]},
    ).json()["id"]
    outside = {"external_network_id": network_id}
    eip, other = (owner.post("/v1/eips", json=outside).json() for _ in range(2))
    nat = owner.post("/v1/nat-gateways", json={**in_vpc, **outside, "eip_ids": [other["id"]]})
    return {
        "ext_id": network_id,
        "eip_id": eip["id"],
        "nat_id": nat.json()["id"],
        "fwd_id": "fwd-" + "0" * 17,
        "igw_id": owner.post("/v1/internet-gateways", json={**in_vpc, **outside}).json()["id"],
        "rtb_id": owner.post("/v1/route-tables", json=in_vpc).json()["id"],
        "vpc_id": vpc["id"],
        "subnet_id": subnet["id"],
        "port_id": port["id"],
        "sg_id": group["id"],
        "sgr_id": group["rules"][0]["id"],
        "ag_id": addresses["id"],
        "nacl_id": acl["id"],
        "dhcp_options_id": owner.post("/v1/dhcp-options", json={}).json()["id"],
        "dns_record_id": owner.post("/v1/dns-records", json={**in_vpc, **RECORD}).json()["id"],
        "direction": "ingress",
        "number": "7",
    }


@pytest.mark.parametrize(("method", "path"), TENANT)
def test_another_tenants_resource_is_404(
    api: Api, theirs: dict[str, str], method: str, path: str
) -> None:
    stranger = api.tenant("stranger")
    answer = stranger.request(
        method, path.format(**theirs), json=BODIES.get(path), params=QUERIES.get((method, path))
    )
    assert_problem(answer, 404, "not-found")


def test_another_tenants_resources_are_not_listed_or_used(api: Api, theirs: dict[str, str]) -> None:
    stranger = api.tenant("stranger")
    for plural in (
        *("vpcs", "subnets", "ports", "security-groups", "address-groups", "network-acls"),
        *("route-tables", "nat-gateways", "internet-gateways", "eips"),
    ):
        assert stranger.get(f"/v1/{plural}").json()["items"] == []
        answer = stranger.get(f"/v1/{plural}", params={"tenant_id": "owner"})
        assert answer.status_code in (403, 404, 422) or answer.json()["items"] == []
    subnet = {"vpc_id": theirs["vpc_id"], "cidr": "10.0.9.0/24"}
    assert stranger.post("/v1/subnets", json=subnet).status_code in (404, 422)
    port = {"subnet_id": theirs["subnet_id"]}
    assert stranger.post("/v1/ports", json=port).status_code in (404, 422)
    in_vpc = {"vpc_id": theirs["vpc_id"]}
    outside = {"external_network_id": theirs["ext_id"]}
    eip = stranger.post("/v1/eips", json=outside).json()["id"]
    for plural, body in (
        ("security-groups", in_vpc),
        ("network-acls", in_vpc),
        ("route-tables", in_vpc),
        ("internet-gateways", in_vpc | outside),
        ("nat-gateways", {**in_vpc, **outside, "eip_ids": [eip]}),
    ):
        answer = stranger.post(f"/v1/{plural}", json=body)
        assert_problem(answer, 422, "invalid")
    answer = stranger.put(f"/v1/eips/{eip}/association", json={"port_id": theirs["port_id"]})
    assert_problem(answer, 422, "invalid")
    stranger.delete(f"/v1/eips/{eip}").raise_for_status()
    vpc = {"cidrs": ["10.0.0.0/16"], "tenant_id": "owner"}
    assert stranger.post("/v1/vpcs", json=vpc).status_code in (403, 404, 422)


def test_another_tenants_targets_and_eips_cannot_be_named(api: Api, theirs: dict[str, str]) -> None:
    """What refuses them does not tell whether they are there."""
    stranger = api.tenant("stranger")
    vpc, subnet = network(stranger)
    table = stranger.post("/v1/route-tables", json={"vpc_id": vpc["id"]}).json()
    routes = f"/v1/route-tables/{table['id']}/routes"
    gateway = {"vpc_id": vpc["id"], "external_network_id": theirs["ext_id"]}
    told = []
    nobodys = {name: f"{name.partition('_')[0]}-" + "0" * 17 for name in theirs}
    for ids in (theirs, nobodys):
        to = [ids[name] for name in ("igw_id", "nat_id", "port_id")]
        answers = (
            *(stranger.post(routes, json={"destination": "::/0", "targets": [id]}) for id in to),
            stranger.post("/v1/nat-gateways", json={**gateway, "eip_ids": [ids["eip_id"]]}),
            stranger.patch(f"/v1/subnets/{subnet['id']}", json={"route_table_id": ids["rtb_id"]}),
        )
        problems = [assert_problem(answer, 422, "invalid") for answer in answers]
        told.append([(p["field"], p["accepted"], p["title"]) for p in problems])
    assert told[0] == told[1]
    assert [field for field, *_ in told[0]] == [*["targets.0"] * 3, "eip_ids.0", "route_table_id"]


def test_another_tenants_groups_cannot_be_named(api: Api, theirs: dict[str, str]) -> None:
    """What refuses them does not tell whether they are there."""
    stranger = api.tenant("stranger")
    vpc, subnet = network(stranger)
    group = stranger.post("/v1/security-groups", json={"vpc_id": vpc["id"]}).json()
    rules = f"/v1/security-groups/{group['id']}/rules"
    told = []
    for sg_id, ag_id, nacl_id in (
        (theirs["sg_id"], theirs["ag_id"], theirs["nacl_id"]),
        ("sg-" + "0" * 17, "ag-" + "0" * 17, "nacl-" + "0" * 17),
    ):
        answers = (
            stranger.post(rules, json={**RULE, "remote": {"security_group_id": sg_id}}),
            stranger.post(rules, json={**RULE, "remote": {"address_group_id": ag_id}}),
            stranger.post(
                "/v1/ports", json={"subnet_id": subnet["id"], "security_groups": [sg_id]}
            ),
            stranger.patch(f"/v1/subnets/{subnet['id']}", json={"network_acl_id": nacl_id}),
        )
        problems = [assert_problem(answer, 422, "invalid") for answer in answers]
        told.append([(p["field"], p["accepted"], p["title"]) for p in problems])
    assert told[0] == told[1]
    assert [field for field, *_ in told[0]] == [
        "remote.security_group_id",
        "remote.address_group_id",
        "security_groups.0",
        "network_acl_id",
    ]
    assert stranger.get(rules).json()["items"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for method, path in CLOSED if "hosts" in path or "tokens" in path],
)
def test_tenants_have_no_business_with_hosts_and_tokens(api: Api, method: str, path: str) -> None:
    host_id, _ = api.host("isolation")
    body = BODIES.get(path, {})
    if path.endswith("reports"):
        from tests.api.support import report

        body = report(1)
    nobody = {name: f"{name.removesuffix('_id')}-" + "0" * 17 for name in _NAMED}
    filled = path.format(host_id=host_id, **nobody)
    answer = api.tenant("stranger").request(method, filled, json=body)
    assert answer.status_code in (403, 404), answer.text
    assert_problem(answer, answer.status_code)


@pytest.mark.parametrize(("method", "path"), CLOSED)
def test_a_host_token_reaches_its_own_host_alone(
    api: Api, theirs: dict[str, str], method: str, path: str
) -> None:
    _, agent = api.host("agent")
    other, _ = api.host("other")
    filled = path.format(host_id=other, token_id="token-" + "0" * 17, **theirs)
    body = BODIES.get(path, {})
    if path.endswith("reports"):
        from tests.api.support import report

        body = report(1)
    if path == "/v1/subnets":
        body = {"vpc_id": theirs["vpc_id"], "cidr": "10.0.7.0/24"}
    if path == "/v1/ports":
        body = {"subnet_id": theirs["subnet_id"]}
    if path in ("/v1/security-groups", "/v1/network-acls", "/v1/route-tables"):
        body = {"vpc_id": theirs["vpc_id"]}
    if path in ("/v1/internet-gateways", "/v1/nat-gateways", "/v1/eips"):
        body = {"external_network_id": theirs["ext_id"]}
        if path != "/v1/eips":
            body["vpc_id"] = theirs["vpc_id"]
        if path == "/v1/nat-gateways":
            body = {**body, "eip_ids": [theirs["eip_id"]]}
    answer = agent.request(method, filled, json=body, params=QUERIES.get((method, path)))
    assert_problem(answer, answer.status_code)
    assert answer.status_code in (403, 404)
    if (method, path) in HOST_ONLY:
        assert answer.status_code == 403
