"""What security groups, address groups and network ACLs refuse is told, and changes nothing."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.api.support import BOTH, Api, assert_problem, network
from tests.api.unchanged import unchanged

pytestmark = BOTH

BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "ports upside down": ({"protocol": "tcp", "ports": "443-80"}, "ports", "80-443"),
    "a port that is none": ({"protocol": "udp", "ports": "65536"}, "ports", "0 to 65535"),
    "ports of a protocol without": ({"protocol": 47, "ports": "1-2"}, "ports", "tcp, udp or sctp"),
    "ports of ICMP": ({"protocol": "icmp", "ports": "8"}, "ports", "tcp, udp or sctp"),
    "ports of any protocol": ({"ports": "80"}, "ports", "tcp, udp or sctp"),
    "ICMP type too large": ({"protocol": "icmp", "icmp_type": 256}, "icmp_type", "up to 255"),
    "ICMP type below 0": ({"protocol": "icmp", "icmp_type": -1}, "icmp_type", "from 0 up"),
    "ICMP code too large": (
        {"protocol": "icmp", "icmp_type": 3, "icmp_code": 256},
        "icmp_code",
        "up to 255",
    ),
    "ICMP code without a type": ({"protocol": "icmp", "icmp_code": 0}, "icmp_code", "icmp_type"),
    "ICMP type of TCP": ({"protocol": "tcp", "icmp_type": 8}, "icmp_type", "icmp or icmpv6"),
    "a protocol that is none": ({"protocol": 256}, "protocol", "0 to 255"),
}
"""What neither rules nor entries may say: it, the field, and part of what would be accepted."""
OTHER_FAMILY: dict[str, tuple[dict[str, Any], str, str]] = {
    "an IPv6 block for IPv4": (
        {"family": "ipv4", "remote": {"cidr": "::/0"}},
        "remote.cidr",
        "an IPv4 block",
    ),
    "an IPv4 block for IPv6": (
        {"family": "ipv6", "remote": {"cidr": "10.0.0.0/8"}},
        "remote.cidr",
        "an IPv6 block",
    ),
    "an IPv4 block for ICMPv6": (
        {"protocol": "icmpv6", "remote": {"cidr": "10.0.0.0/8"}},
        "remote.cidr",
        "an IPv6 block",
    ),
    "ICMP for IPv6": ({"protocol": "icmp", "family": "ipv6"}, "protocol", "icmpv6"),
}
NOBODY: dict[str, tuple[dict[str, Any], str, str]] = {
    "a remote side that names nobody": ({"remote": {}}, "remote", "leave remote out for anybody"),
    "a remote side whose block is missing": (
        {"protocol": "tcp", "ports": "22", "remote": {"cidr": None}},
        "remote",
        "leave remote out for anybody",
    ),
}
BAD_ENTRIES: dict[str, tuple[dict[str, Any], str, str]] = {
    "an IPv4 block for ICMPv6": ({"protocol": "icmpv6"}, "cidr", "an IPv6 block"),
    "an IPv6 block for ICMP": ({"protocol": "icmp", "cidr": "::/0"}, "cidr", "an IPv4 block"),
}
MANY = [{"direction": "egress", "family": "ipv4", "protocol": n} for n in range(202) if n != 58]
"""One rule more than the quota."""


@dataclass(frozen=True)
class Place:
    """What a tenant has, and what it may not name.

    Attributes:
        tenant: the tenant.
        vpc: its VPC.
        subnet: a subnet there.
        group: a group there.
        addresses: an address group of the tenant's.
        acl: a network ACL of the VPC.
        port: a port of the subnet.
        strange: kind → ids of such in another VPC of the tenant's, and of another tenant.
    """

    tenant: httpx.Client
    vpc: str
    subnet: str
    group: str
    addresses: str
    acl: str
    port: str
    strange: dict[str, tuple[str, str]]


def _made(client: httpx.Client, plural: str, **body: Any) -> str:
    return client.post(f"/v1/{plural}", json=body).raise_for_status().json()["id"]


@pytest.fixture(scope="module")
def place(api: Api) -> Place:
    tenant, other = api.tenant("bad-rules"), api.tenant("bad-rules-other")
    vpc, subnet = network(tenant)
    elsewhere = ((tenant, network(tenant)[0]["id"]), (other, network(other)[0]["id"]))
    strange = {
        plural: tuple(_made(client, plural, vpc_id=id) for client, id in elsewhere)
        for plural in ("security-groups", "network-acls")
    }
    strange["address-groups"] = (_made(other, "address-groups"),) * 2
    group = _made(tenant, "security-groups", vpc_id=vpc["id"])
    return Place(
        *(tenant, vpc["id"], subnet["id"], group),
        _made(tenant, "address-groups", cidrs=["10.0.0.0/8"]),
        _made(tenant, "network-acls", vpc_id=vpc["id"]),
        _made(tenant, "ports", subnet_id=subnet["id"], security_groups=[group]),
        strange,  # type: ignore[arg-type]
    )


def refused(answer: httpx.Response, field: str, accepted: str) -> None:
    """Hold that what is wrong is named, and what would be accepted."""
    problem = assert_problem(answer, 422, "invalid")
    assert problem["field"] == field
    assert accepted in problem["accepted"]
    assert problem["detail"]


@pytest.mark.parametrize("name", BAD | OTHER_FAMILY | NOBODY)
def test_a_bad_rule(name: str, api: Api, place: Place) -> None:
    said, field, accepted = (BAD | OTHER_FAMILY | NOBODY)[name]
    rule, fine = {"direction": "ingress", **said}, {"direction": "egress"}
    path = f"/v1/security-groups/{place.group}/rules"
    whole = {"vpc_id": place.vpc, "rules": [fine, rule]}
    with unchanged(api):
        refused(place.tenant.post(path, json=rule), field, accepted)
        refused(place.tenant.post(path, json=[fine, rule]), f"1.{field}", accepted)
        made = place.tenant.post("/v1/security-groups", json=whole)
        refused(made, f"rules.1.{field}", accepted)


@pytest.mark.parametrize("name", BAD | BAD_ENTRIES)
def test_a_bad_entry(name: str, api: Api, place: Place) -> None:
    said, field, accepted = (BAD | BAD_ENTRIES)[name]
    fine = {"number": 1, "direction": "ingress", "action": "allow", "cidr": "0.0.0.0/0"}
    entry = fine | {"number": 2} | said
    path = f"/v1/network-acls/{place.acl}"
    whole = {"vpc_id": place.vpc, "entries": [fine, entry]}
    with unchanged(api):
        refused(place.tenant.post(f"{path}/entries", json=entry), field, accepted)
        refused(place.tenant.post(f"{path}/entries", json=[fine, entry]), f"1.{field}", accepted)
        refused(place.tenant.patch(path, json={"entries": [entry]}), f"entries.0.{field}", accepted)
        made = place.tenant.post("/v1/network-acls", json=whole)
        refused(made, f"entries.1.{field}", accepted)


@pytest.mark.parametrize("kind", ["security-groups", "address-groups"])
def test_a_rule_about_anothers_group(kind: str, api: Api, place: Place) -> None:
    member = {"security-groups": "security_group_id", "address-groups": "address_group_id"}[kind]
    path = f"/v1/security-groups/{place.group}/rules"
    with unchanged(api):
        for id in place.strange[kind]:
            rule = {"direction": "ingress", "remote": {member: id}}
            refused(place.tenant.post(path, json=rule), f"remote.{member}", "the id of")
            whole = {"vpc_id": place.vpc, "rules": [rule]}
            made = place.tenant.post("/v1/security-groups", json=whole)
            refused(made, f"rules.0.remote.{member}", "the id of")


def test_a_port_in_anothers_group(api: Api, place: Place) -> None:
    with unchanged(api):
        for id in place.strange["security-groups"]:
            body = {"security_groups": [place.group, id]}
            port = {"subnet_id": place.subnet, **body}
            refused(place.tenant.post("/v1/ports", json=port), "security_groups.1", place.vpc)
            changed = place.tenant.patch(f"/v1/ports/{place.port}", json=body)
            refused(changed, "security_groups.1", place.vpc)


def test_a_port_in_too_many_groups(api: Api, place: Place) -> None:
    body = {"security_groups": [f"sg-{number:017x}" for number in range(17)]}
    with unchanged(api):
        changed = place.tenant.patch(f"/v1/ports/{place.port}", json=body)
        refused(changed, "security_groups", "at most 16")


def test_a_subnet_with_anothers_acl(api: Api, place: Place) -> None:
    with unchanged(api):
        for id in place.strange["network-acls"]:
            made = {"vpc_id": place.vpc, "cidr": "10.0.9.0/24", "network_acl_id": id}
            refused(place.tenant.post("/v1/subnets", json=made), "network_acl_id", place.vpc)
            path, body = f"/v1/subnets/{place.subnet}", {"network_acl_id": id}
            refused(place.tenant.patch(path, json=body), "network_acl_id", place.vpc)


def test_anothers_groups_are_not_there(api: Api, place: Place) -> None:
    _, group = place.strange["security-groups"]
    path = f"/v1/security-groups/{group}"
    rule = {"direction": "egress"}
    with unchanged(api):
        assert_problem(place.tenant.post(f"{path}/rules", json=rule), 404, "not-found")
        assert_problem(place.tenant.patch(path, json={"name": "mine"}), 404, "not-found")
        assert_problem(place.tenant.delete(path), 404, "not-found")


def _users(answer: httpx.Response) -> list[tuple[str, str]]:
    problem = assert_problem(answer, 409, "conflict")
    assert all(one["reason"] for one in problem["blockers"])
    return [(one["kind"], one["id"]) for one in problem["blockers"]]


def test_what_is_in_use_is_not_deleted_and_its_users_are_named(api: Api, place: Place) -> None:
    tenant = place.tenant
    remotes = ({"security_group_id": place.group}, {"address_group_id": place.addresses})
    rules = [{"direction": "ingress", "family": "ipv4", "remote": remote} for remote in remotes]
    naming = _made(tenant, "security-groups", vpc_id=place.vpc, rules=rules)
    subnet = {"vpc_id": place.vpc, "cidr": "10.0.8.0/24", "network_acl_id": place.acl}
    walled = _made(tenant, "subnets", **subnet)
    (default,) = (
        one["id"]
        for one in tenant.get("/v1/security-groups", params={"vpc_id": place.vpc}).json()["items"]
        if one["name"] == "default"
    )
    with unchanged(api):
        for path, users in (
            (f"security-groups/{place.group}", [("port", place.port), ("sg", naming)]),
            (f"address-groups/{place.addresses}", [("sg", naming)]),
            (f"network-acls/{place.acl}", [("subnet", walled)]),
            (f"security-groups/{default}", [("vpc", place.vpc)]),
        ):
            assert _users(tenant.delete(f"/v1/{path}")) == users


def test_an_equal_rule_is_named(api: Api, place: Place) -> None:
    path = f"/v1/security-groups/{place.group}/rules"
    rule = {"direction": "ingress", "family": "ipv4", "protocol": "tcp", "ports": "22"}
    (made,) = place.tenant.post(path, json=rule).raise_for_status().json()["items"]
    with unchanged(api):
        equal = assert_problem(place.tenant.post(path, json=rule), 409, "conflict")
        assert made["id"] in equal["detail"]


@pytest.mark.parametrize(
    ("what", "list_of"),
    [
        ("rules", MANY),
        (
            "entries",
            [
                {"number": n, "direction": "ingress", "action": "deny", "cidr": "0.0.0.0/0"}
                for n in range(1, 42)
            ],
        ),
        ("cidrs", [f"11.{n >> 8}.{n & 255}.0/24" for n in range(1001)]),
    ],
)
def test_a_quota_that_is_passed(what: str, list_of: list[Any], api: Api, place: Place) -> None:
    plural, id = {
        "rules": ("security-groups", place.group),
        "entries": ("network-acls", place.acl),
        "cidrs": ("address-groups", place.addresses),
    }[what]
    most = {"rules": 200, "entries": 40, "cidrs": 1000}[what]
    whole = {what: list_of} | ({} if what == "cidrs" else {"vpc_id": place.vpc})
    added = {"cidrs": list_of} if what == "cidrs" else list_of
    with unchanged(api):
        for path, body in (
            (f"/v1/{plural}/{id}/{what}", added),
            (f"/v1/{plural}", whole),
        ):
            problem = assert_problem(place.tenant.post(path, json=body), 409, "exhausted")
            assert problem["field"] == what
            assert f"at most {most}" in problem["accepted"]
