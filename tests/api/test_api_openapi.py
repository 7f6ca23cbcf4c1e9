"""The OpenAPI document is complete, and what the API answers is as it says."""

import importlib
import itertools
import pkgutil
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import BaseModel
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api import schemas
from api.auth import OPEN
from tests.api.answering import COUNTERS, answering
from tests.api.support import Api, network, report
from vpcctl.store.southbound import answer
from vpcctl.wire.report import Link

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


def test_everything_is_described(api: Api) -> None:
    document = api.app.openapi()
    names: set[str] = set()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            where = f"{method} {path}"
            assert operation["operationId"] not in names, where
            names.add(operation["operationId"])
            assert operation["summary"], where
            assert operation["description"], where
            for parameter in operation.get("parameters", []):
                assert parameter["description"], (where, parameter["name"])
                schema = parameter["schema"]
                assert "example" in parameter or schema.get("examples"), (where, parameter)
            assert "500" in operation["responses"], where
            if path.startswith("/v1/"):
                is_open = (method.upper(), path) in OPEN
                assert operation["security"] == ([] if is_open else [{"bearer": []}])
                assert {"401", "403", "429"} <= set(operation["responses"]), where
    for name, schema in document["components"]["schemas"].items():
        for field, value in schema.get("properties", {}).items():
            assert value.get("description"), (name, field)
            assert "examples" in value, (name, field)


def test_no_two_bodies_have_one_name() -> None:
    """The document names bodies after classes: of two of a name one would be described."""
    found: dict[str, set[str]] = {}
    for module in pkgutil.iter_modules(schemas.__path__, "api.schemas."):
        for name, made in vars(importlib.import_module(module.name)).items():
            if isinstance(made, type) and issubclass(made, BaseModel):
                found.setdefault(name, set()).add(made.__module__)
    assert len(found) > 50
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


def test_fuzzed_requests_get_documented_answers(own_api: Api, tmp_path: Path) -> None:
    tenant = own_api.tenant("acme")
    host_id, agent = own_api.host("hv-1")
    vpc, subnet = network(tenant)
    port = tenant.post("/v1/ports", json={"subnet_id": subnet["id"]}).json()
    link = Link(port_id=port["id"], interface="tap0", interface_uuid="u", ofport=3)
    agent.post(f"/v1/hosts/{host_id}/reports", json=report(1, (link,))).raise_for_status()
    in_vpc = {"vpc_id": vpc["id"]}
    group = tenant.post("/v1/security-groups", json={**in_vpc, "rules": [RULE]}).json()
    acl = tenant.post("/v1/network-acls", json={**in_vpc, "entries": [ENTRY]}).json()
    addresses = tenant.post("/v1/address-groups", json={"cidrs": ["10.9.0.0/16"]}).json()
    isp = {"provider": "isp", "cidr": "203.0.112.0/22", "pools": ["203.0.112.64-203.0.115.99"]}
    outside = {
        "external_network_id": own_api.admin.post("/v1/external-networks", json=isp).json()["id"]
    }
    eips = [tenant.post("/v1/eips", json=outside).json()["id"] for _ in range(2)]
    way = tenant.post("/v1/internet-gateways", json={**in_vpc, **outside}).json()
    nat = tenant.post("/v1/nat-gateways", json={**in_vpc, **outside, "eip_ids": eips[:1]}).json()
    ids = {
        "ext_id": outside["external_network_id"],
        "address": port["fixed_ips"][0],
        "external_network_id": outside["external_network_id"],
        "eip_id": eips[1],
        "igw_id": way["id"],
        "nat_id": nat["id"],
        "rtb_id": tenant.post("/v1/route-tables", json=in_vpc).json()["id"],
        "sg_id": group["id"],
        "sgr_id": group["rules"][0]["id"],
        "ag_id": addresses["id"],
        "nacl_id": acl["id"],
        "vpc_id": vpc["id"],
        "subnet_id": subnet["id"],
        "port_id": port["id"],
        "host_id": host_id,
    }
    headers = {"Authorization": f"Bearer {own_api.admin_secret}"}
    schema = schemathesis.openapi.from_url(f"{own_api.url}/openapi.json")
    statuses: dict[str, set[int]] = {}
    with answering(tmp_path / "run", answer(COUNTERS)):
        for result in schema.get_all_operations():
            operation = result.ok()
            if operation.path != "/v1/events":
                seen = statuses.setdefault(f"{operation.method.upper()} {operation.path}", set())
                _fuzz(operation, headers, ids, seen)
    # The fuzz must get beyond validation, or it says little.
    made = ("vpcs", "subnets", "ports", "security-groups", "address-groups", "network-acls")
    made = (*made, "route-tables", "eips", "external-networks", "nat-gateways/{nat_id}/forwards")
    for plural in (*made, "hosts", "tokens", "security-groups/{sg_id}/rules"):
        assert 201 in statuses[f"POST /v1/{plural}"], plural
    assert 200 in statuses["PUT /v1/route-tables/{rtb_id}/routes"]
    lists = ("network-acls/{nacl_id}/entries", "address-groups/{ag_id}/cidrs")
    for parts in (*lists, "route-tables/{rtb_id}/routes"):
        assert 200 in statuses[f"POST /v1/{parts}"], parts
    assert 200 in statuses["PUT /v1/network-acls/{nacl_id}/entries/{direction}/{number}"]
    assert 200 in statuses["POST /v1/hosts/{host_id}/reports"]
    assert 200 in statuses["PUT /v1/ports/{port_id}/attachment"]
    assert 200 in statuses["PUT /v1/eips/{eip_id}/association"]
    assert 200 in statuses["GET /v1/ports/{port_id}/counters"]


RULE = {"direction": "ingress", "family": "ipv4"}
ENTRY = {"number": 7, "direction": "ingress", "action": "allow", "cidr": "0.0.0.0/0"}


def _make_valid(body: Any, ids: dict[str, str], number: int) -> None:
    """Put in what chance would hardly hit, in three of four cases."""
    if number % 4 == 0:
        return
    if isinstance(body, list):
        for place, part in enumerate(body):
            _make_part_valid(part, 100 * number + place)
    if not isinstance(body, dict):
        return
    _make_outside_valid(body, ids, number)
    if "cidrs" in body:
        body["cidrs"] = ["10.0.0.0/8", f"fd00:{number:x}::/48"]
    for name in ("rules", "entries"):
        body.pop(name, None)
    if "vpc_id" in body and "cidr" not in body:
        body["vpc_id"] = ids["vpc_id"]
        return
    _make_part_valid(body, number)
    if "vpc_id" in body:
        body |= {"vpc_id": ids["vpc_id"], "cidr": f"10.0.{number}.0/24"}
        for name in ("gateway", "ipv6_cidr", "ipv6_gateway", "network_acl_id"):
            body.pop(name, None)
    if "subnet_id" in body:
        body |= {"subnet_id": ids["subnet_id"], "fixed_ips": [], "allowed_address_pairs": []}
        for name in ("mac_address", "attachment", "security_groups"):
            body.pop(name, None)


def _make_outside_valid(body: dict[str, Any], ids: dict[str, str], number: int) -> None:
    """Make an external network apart from others, and let the others lead there."""
    if "provider" in body:
        body |= {"provider": f"p{number}", "cidr": f"198.18.{number}.0/24", "pools": []}
        for name in ("gateway", "ipv6_cidr", "ipv6_gateway"):
            body.pop(name, None)
    if "external_network_id" in body:
        body["external_network_id"] = ids["external_network_id"]
        body.pop("address", None)
    if "port_id" in body:
        body |= {"port_id": ids["port_id"], "move": True}
        body.pop("fixed_ip", None)
    if "routes" in body:
        body["routes"] = []
    if {"ports", "address", "protocol"} <= body.keys():
        body |= {"eip_id": None, "address": ids["address"], "target_port": None}
        body |= {"ports": str(number), "description": ""}


def _make_part_valid(body: Any, number: int) -> None:
    """Make a rule, a route or an entry say something that is possible."""
    if isinstance(body, dict) and "destination" in body:
        body |= {"destination": f"{1 + number % 9}.{number // 9 % 256}.0.0/16", "targets": []}
        body.pop("description", None)
    if not isinstance(body, dict) or not {"direction", "action"} & body.keys():
        return
    for name in ("icmp_type", "icmp_code", "remote", "family", "description"):
        body.pop(name, None)
    if "action" in body:
        body["cidr"] = "0.0.0.0/0"
    if "number" in body:
        body["number"] = number
    body |= {"protocol": "tcp", "ports": str(number)}


def _fuzz(operation: Any, headers: dict[str, str], ids: dict[str, str], seen: set[int]) -> None:
    numbers = itertools.count(1)

    @settings(
        max_examples=14,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        known = {name: value for name, value in ids.items() if name in (case.path_parameters or {})}
        if known and operation.method.upper() != "DELETE":
            case.path_parameters.update(known)
        for name in ("wait", "timeout"):
            if case.query:
                case.query.pop(name, None)
        _make_valid(case.body, ids, next(numbers))
        answer = case.call_and_validate(headers=headers, checks=CHECKS, timeout=20)
        seen.add(answer.status_code)

    given(case=operation.as_strategy())(check)()


@pytest.mark.parametrize("mode", ["negative"])
def test_requests_against_the_schema_are_refused(own_api: Api, mode: str) -> None:
    headers = {"Authorization": f"Bearer {own_api.admin_secret}"}
    schema = schemathesis.openapi.from_url(f"{own_api.url}/openapi.json")
    generation = schemathesis.GenerationMode(mode)
    for result in schema.get_all_operations():
        operation = result.ok()
        if (operation.body or operation.query) and operation.path != "/v1/events":
            _fuzz_mode(operation, headers, generation)


def _fuzz_mode(operation: Any, headers: dict[str, str], mode: Any) -> None:
    @settings(
        max_examples=7,
        derandomize=True,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        if case.query:
            case.query.pop("timeout", None)
            if case.query.get("wait") == "realized":  # there is nobody who realises anything
                case.query.pop("wait")
        case.call_and_validate(headers=headers, checks=CHECKS, timeout=20)

    check()
