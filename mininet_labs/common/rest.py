"""The REST API as a lab uses it: the standard library and nothing of the product."""

import http.client
import json
import socket
import uuid
from pathlib import Path
from typing import Any

_TIMEOUT_S = 60.0


class ApiError(Exception):
    """The API answered with an error.

    Attributes:
        status: HTTP status.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status


class Api:
    """The API behind a Unix socket, with one bearer token."""

    def __init__(self, socket_path: Path, token: str) -> None:
        self._socket_path = socket_path
        self._token = token

    def get(self, path: str) -> dict[str, Any]:
        """Return a document."""
        return self._call("GET", path)

    def post(self, path: str, body: dict[str, Any] | list[dict[str, Any]]) -> dict[str, Any]:
        """Create something, or several, and return it."""
        return self._call("POST", path, body)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Set something and return what it is part of."""
        return self._call("PUT", path, body)

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Change something and return it."""
        return self._call("PATCH", path, body)

    def delete(self, path: str) -> None:
        """Delete something."""
        self._call("DELETE", path)

    def is_ready(self) -> bool:
        """Tell whether the controller says that it is ready."""
        try:
            self.get("/readyz")
        except (OSError, http.client.HTTPException, ApiError):
            return False
        return True

    def status_of(self, path: str) -> int:
        """Return the HTTP status that a GET of *path* gets."""
        try:
            self.get(path)
        except ApiError as error:
            return error.status
        return http.client.OK

    def _call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if method == "POST":
            headers["Idempotency-Key"] = uuid.uuid4().hex
        connection = _UnixConnection(self._socket_path)
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise ApiError(answer.status, text)
        return json.loads(text) if text else {}


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of the host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
