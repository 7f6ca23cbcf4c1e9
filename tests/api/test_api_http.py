"""What HTTP itself can get wrong never breaks the server."""

import contextlib
import http.client
import select
import socket

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from api.config import ApiConfig
from tests.api.support import Api, assert_problem, running_api

MIB = 1 << 20


def test_unknown_paths_and_methods(api: Api) -> None:
    assert_problem(api.client().get("/nothing"), 404, "not-found")
    assert_problem(api.admin.get("/v1/nothing"), 404, "not-found")
    assert_problem(api.admin.get("/v1/vpcs/"), 404, "not-found")
    answer = api.admin.put("/v1/vpcs", json={})
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, POST"
    answer = api.admin.post("/v1/vpcs/vpc-1", json={})
    assert answer.headers["allow"] == "DELETE, GET, PATCH"


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Basic abc", "Bearer a b", "Bearer é", "Bearer " + "x" * 600],
)
def test_bad_authorization_is_401(api: Api, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for path in ("/v1/vpcs", "/v1/nothing", "/v1"):
        answer = api.client().get(path, headers=headers)
        assert_problem(answer, 401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_two_authorization_headers_are_401(api: Api) -> None:
    good = ("Authorization", f"Bearer {api.admin_secret}")
    assert_problem(api.client().get("/v1/vpcs", headers=[good, good]), 401)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"nul",
        b"\xff\xfe\x00",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800", "cidrs": []}',
        b'{"cidrs": [' + b"[" * 5000 + b"]",
    ],
)
def test_what_is_no_json_is_400(api: Api, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = api.admin.post("/v1/vpcs", content=content, headers=headers)
    assert_problem(answer, 400, "malformed")


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"null",
        b'"text"',
        b"1" * 5000,
        b'{"cidrs": ["10.0.0.0/16"], "name": 1' + b"0" * 5000 + b"}",
        b'{"cidrs": [1e400]}',
        b'{"cidrs": [NaN]}',
        b'{"cidrs": [""]}',
        b'{"cidrs": ["10.0.0.0/16"], "tags": {"\\u0000": "x"}}',
        b'{"cidrs": ["10.0.0.0/16"], "cidrs": 1}',
    ],
)
def test_json_of_another_shape_is_refused(api: Api, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = api.tenant("shape").post("/v1/vpcs", content=content, headers=headers)
    assert answer.status_code in (400, 422)
    assert_problem(answer, answer.status_code)


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "", "application/jsonx"])
def test_other_media_types_are_415(api: Api, media: str) -> None:
    headers = {"Content-Type": media}
    answer = api.admin.post("/v1/vpcs", content=b"{}", headers=headers)
    assert_problem(answer, 415, "unsupported-media-type")


def test_oversize_bodies_are_413_declared_or_chunked(api: Api) -> None:
    headers = {"Content-Type": "application/json"}
    body = b'{"name": "' + b"x" * (3 * MIB) + b'"}'
    assert_problem(api.admin.post("/v1/vpcs", content=body, headers=headers), 413, "too-large")

    def chunks() -> object:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    assert_problem(api.admin.post("/v1/vpcs", content=chunks(), headers=headers), 413, "too-large")
    assert api.admin.get("/v1/vpcs").status_code == 200


def test_oversize_body_without_token_is_not_read(api: Api) -> None:
    connection = http.client.HTTPConnection(*api.bound[0].sock.getsockname()[:2])
    connection.putrequest("POST", "/v1/vpcs")
    connection.putheader("Content-Length", str(1 << 40))
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_long_heads_are_refused(api: Api) -> None:
    answer = api.admin.get("/v1/vpcs", headers={"X-Long": "x" * 40_000})
    assert_problem(answer, 431, "headers-too-large")
    many = {f"X-{number}": "x" for number in range(150)}
    assert_problem(api.admin.get("/v1/vpcs", headers=many), 431)


@pytest.mark.parametrize("text", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\0" * 64])
def test_what_is_no_http_is_400(api: Api, text: bytes) -> None:
    with socket.create_connection(api.bound[0].sock.getsockname()[:2], timeout=10) as sock:
        sock.sendall(text + b"\r\n\r\n")
        answer = sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


@pytest.mark.parametrize("begun", [b"", b"GET /v1/vpcs HTTP/1.1\r\nX: "], ids=["nothing", "a part"])
def test_a_head_that_never_ends_costs_no_descriptor(begun: bytes, tmp_path) -> None:
    with running_api(tmp_path, None, ApiConfig(head_s=0.2)) as api:
        address = api.bound[0].sock.getsockname()[:2]
        with socket.create_connection(address, timeout=10) as slow:
            slow.sendall(begun)
            assert slow.recv(100) == b""
        with socket.create_connection(address, timeout=10) as kept:
            kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            while not kept.recv(65536).endswith(b"}"):
                pass
            assert not select.select([kept], [], [], 0.5)[0], "between requests there is time"
            kept.sendall(b"GET /healthz HTTP/1.1\r\nHo")
            assert kept.recv(100) == b""


def test_a_head_without_end_is_refused(api: Api) -> None:
    with socket.create_connection(api.bound[0].sock.getsockname()[:2], timeout=10) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + b"GET / HTTP/1.1\r\nX: ")
        sent = 0
        with contextlib.suppress(OSError):
            while sent < 8 * MIB and not (_readable(sock) and b" 400 " in sock.recv(65536)):
                sent += sock.send(b"x" * 4096)
        assert sent < 8 * MIB, "it took all of it"


def _readable(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def test_requests_may_follow_each_other_at_once(api: Api) -> None:
    with socket.create_connection(api.bound[0].sock.getsockname()[:2], timeout=10) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 20)
        answers = b""
        while answers.count(b"HTTP/1.1 200 ") < 20:
            answers += sock.recv(65536)


def test_rate_limit(tmp_path) -> None:
    with running_api(tmp_path, None, ApiConfig(rate_per_s=0.01, rate_burst=3)) as api:
        tenant, other = api.tenant("rate"), api.tenant("other")
        assert [tenant.get("/v1/vpcs").status_code for _ in range(3)] == [200] * 3
        answer = tenant.get("/v1/vpcs")
        assert_problem(answer, 429, "too-many-requests")
        assert 1 <= int(answer.headers["retry-after"]) <= 100
        assert other.get("/v1/vpcs").status_code == 200
        assert tenant.get("/healthz").status_code == 200


def test_a_fault_of_ours_is_500_without_internals(own_api: Api) -> None:
    def broken(*_args: object, **_options: object) -> object:
        raise RuntimeError("secret-detail")

    own_api.services.vpcs.list = broken
    answer = own_api.admin.get("/v1/vpcs")
    assert_problem(answer, 500, "internal")
    assert "secret-detail" not in answer.text
    assert own_api.admin.get("/v1/subnets").status_code == 200


def test_process_endpoints_need_no_token(api: Api) -> None:
    client = api.client()
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}
    api.admin.get("/v1/vpcs")
    metrics = client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'vpcctl_api_requests_total{method="GET",route="/v1/vpcs",status="200"}' in metrics.text
    assert "vpcctl_revision_lag" in metrics.text
    assert client.get("/openapi.json").json()["openapi"].startswith("3.")


def test_listeners(tmp_path) -> None:
    path = tmp_path / "api.sock"
    with running_api(tmp_path, None, None, f"unix:{path}", "[::1]:0") as api:
        assert path.stat().st_mode & 0o777 == 0o660
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, base_url="http://localhost") as client:
            assert client.get("/healthz").status_code == 200
            assert client.get("/v1/vpcs").status_code == 401
        with httpx.Client(base_url=api.bound[2].url, trust_env=False) as client:
            assert client.get("/healthz").status_code == 200
    assert not path.exists()


def test_a_request_is_held_against_the_routes_of_its_own_resource(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    matches = APIRoute.matches

    def noted(route: APIRoute, scope: Scope) -> tuple[Match, Scope]:
        tried.append(route.path)
        return matches(route, scope)

    monkeypatch.setattr(APIRoute, "matches", noted)
    assert api.admin.get("/v1/nat-gateways").status_code == 200
    assert "/v1/nat-gateways" in tried
    assert {path.split("/")[2] for path in tried if path.startswith("/v1/")} == {"nat-gateways"}
