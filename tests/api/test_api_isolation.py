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
TENANT = [
    (method, path)
    for method, path in CLOSED
    if any(name in path for name in ("{vpc_id}", "{subnet_id}", "{port_id}"))
]
HOST_ONLY = {("POST", "/v1/hosts/{host_id}/reports"), ("GET", "/v1/hosts/{host_id}/state")}

BODIES = {
    "/v1/vpcs/{vpc_id}": {"name": "mine now"},
    "/v1/subnets/{subnet_id}": {"name": "mine now"},
    "/v1/ports/{port_id}": {"name": "mine now"},
    "/v1/ports/{port_id}/attachment": {"kind": "interface"},
    "/v1/vpcs": {"cidrs": ["10.0.0.0/16"]},
    "/v1/hosts": {"name": "hv"},
    "/v1/hosts/{host_id}": {"name": "hv"},
    "/v1/tokens": {"role": "admin"},
    "/v1/hosts/{host_id}/certificate": {"csr": "none"},
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
    return {"vpc_id": vpc["id"], "subnet_id": subnet["id"], "port_id": port["id"]}


@pytest.mark.parametrize(("method", "path"), TENANT)
def test_another_tenants_resource_is_404(
    api: Api, theirs: dict[str, str], method: str, path: str
) -> None:
    stranger = api.tenant("stranger")
    answer = stranger.request(method, path.format(**theirs), json=BODIES.get(path))
    assert_problem(answer, 404, "not-found")


def test_another_tenants_resources_are_not_listed_or_used(api: Api, theirs: dict[str, str]) -> None:
    stranger = api.tenant("stranger")
    for plural in ("vpcs", "subnets", "ports"):
        assert stranger.get(f"/v1/{plural}").json()["items"] == []
        answer = stranger.get(f"/v1/{plural}", params={"tenant_id": "owner"})
        assert answer.status_code in (403, 404, 422) or answer.json()["items"] == []
    subnet = {"vpc_id": theirs["vpc_id"], "cidr": "10.0.9.0/24"}
    assert stranger.post("/v1/subnets", json=subnet).status_code in (404, 422)
    port = {"subnet_id": theirs["subnet_id"]}
    assert stranger.post("/v1/ports", json=port).status_code in (404, 422)
    vpc = {"cidrs": ["10.0.0.0/16"], "tenant_id": "owner"}
    assert stranger.post("/v1/vpcs", json=vpc).status_code in (403, 404, 422)


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
    filled = path.format(host_id=host_id, token_id="token-" + "0" * 17)
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
    answer = agent.request(method, filled, json=body)
    assert_problem(answer, answer.status_code)
    assert answer.status_code in (403, 404)
    if (method, path) in HOST_ONLY:
        assert answer.status_code == 403
