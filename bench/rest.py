"""One persistent HTTP connection to the API, over a Unix socket or TLS."""

import http.client
import json
import select
import socket
import ssl
import time
from pathlib import Path
from typing import Any

_TRIES = 50


class ApiError(RuntimeError):
    """The API refused a request, or went away."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


class Api:
    """A client that keeps its connection, as a program that makes many changes would.

    A server may close a connection that was idle for long. That is looked for before a request is
    sent; one that was sent is never sent again, because it may have been done.
    """

    def __init__(self, connection: http.client.HTTPConnection, token: str) -> None:
        self._connection = connection
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.revision = 0

    @classmethod
    def unix(cls, path: Path, token: str) -> "Api":
        """Return a client of the API at the Unix socket *path*."""
        return cls(_UnixConnection(path), token)

    @classmethod
    def tls(cls, host: str, port: int, token: str, context: ssl.SSLContext) -> "Api":
        """Return a client of the API at *host*:*port*."""
        connection = http.client.HTTPSConnection(host, port, context=context, timeout=60)
        return cls(connection, token)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request and return the answer's JSON, None when it has none.

        A request that is asked to come later comes later. The newest revision that a write has
        made is kept in ``revision``.

        Raises:
            ApiError: the answer's status is 400 or more, or there was none.
        """
        data = None if body is None else json.dumps(body)
        response, text = self._exchange(method, path, data)
        for _ in range(_TRIES):
            if response.status != http.client.TOO_MANY_REQUESTS:
                break
            time.sleep(float(response.headers.get("Retry-After", "1")))
            response, text = self._exchange(method, path, data)
        if response.status >= http.client.BAD_REQUEST:
            raise ApiError(f"{method} {path}: {response.status} {text[:300].decode()}")
        if made := response.headers.get("Vpcctl-Revision"):
            self.revision = max(self.revision, int(made))
        return json.loads(text) if text else None

    def _exchange(
        self, method: str, path: str, data: str | None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        if _ended(self._connection.sock):
            self._connection.close()  # the request makes a new one
        try:
            self._connection.request(method, path, data, self._headers)
            response = self._connection.getresponse()
            return response, response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ApiError(f"{method} {path}: {error!r}") from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _ended(sock: socket.socket | None) -> bool:
    """Tell whether the server has closed an idle connection: nothing else makes it readable."""
    return sock is not None and bool(select.select([sock], [], [], 0)[0])
