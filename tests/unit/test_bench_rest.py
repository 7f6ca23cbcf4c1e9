"""The bench's connection to the API, against a server that closes it."""

import socket
import threading

import pytest

from bench.rest import Api, ApiError

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers the first request of each connection and then closes it; counts the requests."""

    def __init__(self, path, *, answers=True):
        self.heads = []
        self.ended = threading.Semaphore(0)
        self._answers = answers
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                request = b""
                while not request.endswith(b"\r\n\r\n{}"):
                    request += connection.recv(65536)
                self.heads.append(request.split(b"\r\n")[0])
                if self._answers:
                    connection.sendall(ANSWER)
                connection.shutdown(socket.SHUT_RDWR)
            self.ended.release()

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def serve(tmp_path):
    servers = []

    def start(**options):
        server = Server(tmp_path / "api.sock", **options)
        servers.append(server)
        return server, Api.unix(tmp_path / "api.sock", "secret")

    yield start
    for server in servers:
        server.close()


def test_a_connection_that_the_server_closed_while_idle_is_made_anew(serve):
    server, api = serve()
    for number in (1, 2, 3):
        assert api.call("POST", f"/{number}", {}) == {}
        assert server.ended.acquire(timeout=10)
    assert server.heads == [b"POST /%d HTTP/1.1" % number for number in (1, 2, 3)]


def test_a_request_that_may_have_been_done_is_not_sent_again(serve):
    server, api = serve(answers=False)
    with pytest.raises(ApiError):
        api.call("POST", "/1", {})
    assert server.ended.acquire(timeout=10)
    assert server.heads == [b"POST /1 HTTP/1.1"]
