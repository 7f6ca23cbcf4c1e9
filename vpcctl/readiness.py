"""Whether the controller's own API answers, asked the way its users would."""

import http.client
import socket
import ssl
from pathlib import Path

from vpcctl.settings import Listener, Settings

_TIMEOUT_S = 2.0


def is_ready(settings: Settings) -> bool:
    """Tell whether ``/readyz`` of the first listener answers 200."""
    connection = _connect(settings.api_listeners[0])
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def public_url(settings: Settings) -> str:
    """Return what a client gives as ``--api``."""
    text, listener = settings.api_listen[0], settings.api_listeners[0]
    return f"http://{listener.authority}" if listener.scheme == "plain" else text


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _connect(listener: Listener) -> http.client.HTTPConnection:
    if listener.path is not None:
        return _UnixConnection(listener.path)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)  # noqa: S104
    if listener.scheme == "plain":
        return http.client.HTTPConnection(host, listener.port, timeout=_TIMEOUT_S)
    # Our own child on our own port: whether it answers is the question, not who it is.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, listener.port, timeout=_TIMEOUT_S, context=context)
