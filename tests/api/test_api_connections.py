"""What one connection may ask: no memory without end, no answer that is of something else."""

import socket
from collections.abc import Iterator

import pytest

from api.config import ApiConfig
from tests.api.support import ADMIN, Api, running_api, wait_until
from tests.support.waiting import PATIENCE_S

MIB = 1 << 20
GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("api"), None, ApiConfig(head_s=0.2)) as api:
        yield api


def connect(api: Api) -> socket.socket:
    return socket.create_connection(api.bound[0].sock.getsockname()[:2], timeout=PATIENCE_S)


def rest_of(sock: socket.socket) -> bytes:
    """Return all that comes until the server closes the connection."""
    answers = b""
    while data := sock.recv(65536):
        answers += data
    return answers


def takes_all(sock: socket.socket, data: bytes, times: int) -> bool:
    """Send *data* so many times; tell whether the server let that be."""
    try:
        for _ in range(times):
            sock.sendall(data)
    except ConnectionError:
        return False
    return True


def test_requests_without_end_are_not_kept(api: Api) -> None:
    with connect(api) as sock:
        assert not takes_all(sock, GET * (MIB // len(GET)), 64)


@pytest.mark.parametrize("unit", [b"X: y\r\n", b"y"], ids=["many", "one"])
def test_trailers_without_end_are_refused(api: Api, unit: bytes) -> None:
    with connect(api) as sock:
        sock.sendall(
            b"POST /v1/vpcs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\nX: "
        )
        assert not takes_all(sock, unit * (MIB // len(unit)), 64)


def test_the_rest_of_an_answered_request_must_come_soon(api: Api) -> None:
    with connect(api) as sock:
        sock.sendall(b"POST /v1/vpcs HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        answers = sock.recv(65536)
        sock.sendall(b"1")
        answers += rest_of(sock)
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"401"]


def test_what_is_no_http_is_answered_after_what_was_asked_before(api: Api) -> None:
    with connect(api) as sock:
        sock.sendall(GET * 3 + b"\0\0\r\n\r\n")
        answers = rest_of(sock)
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"200"] * 3 + [b"400"]


def test_a_bad_body_ends_its_own_request_alone(api: Api) -> None:
    head = b"POST /v1/vpcs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    with connect(api) as sock:
        sock.sendall(GET + head)
        answers = rest_of(sock)
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400"]


def test_a_stream_with_a_request_behind_it_ends_with_its_client(api: Api) -> None:
    _, secret = api.services.tokens.create(ADMIN, "tenant", tenant_id="behind")
    hub = api.app.state.context.events
    authorization = f"Authorization: Bearer {secret}\r\n".encode()
    with connect(api) as sock:
        sock.sendall(b"GET /v1/events HTTP/1.1\r\n" + authorization + b"Host: a\r\n\r\n" + GET)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
        wait_until(lambda: hub.streams == 1, "the stream is open")
    wait_until(lambda: hub.streams == 0, "the stream has ended")
