"""Whether the controller's own processes work: each has said so, and the API answers.

An answer alone proves nothing: another controller may have our port. So each process leaves its pid
in the run directory, which is ours alone, once it listens everywhere that it is to.

Asked by a process that lives as long as the controller and is to stay small: the request is
written by hand, and TLS is only loaded where it is spoken.
"""

import contextlib
import os
import socket
from dataclasses import dataclass

_TIMEOUT_S = 2.0
_REQUEST = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Door:
    """Where the API listens.

    Attributes:
        scheme: ``plain`` TCP, ``tls`` or ``unix``.
        host: address that it is bound to; empty for ``unix``.
        port: TCP port; 0 for ``unix``.
        path: socket path of ``unix``, else empty.
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""


def note_started(run_dir: str, name: str) -> None:
    """Say that this process, the one called *name*, listens everywhere that it is to.

    Raises:
        OSError: the run directory cannot be written to.
    """
    with open(_note(run_dir, name), "w") as file:
        file.write(str(os.getpid()))


def forget_started(run_dir: str, name: str) -> None:
    """Forget what an earlier process called *name* said: its pid may be given again."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_note(run_dir, name))


def has_started(run_dir: str, name: str, pid: int | None) -> bool:
    """Tell whether the process called *name* has said that it listens, and is *pid*."""
    try:
        with open(_note(run_dir, name)) as file:
            return file.read() == str(pid)
    except FileNotFoundError:
        return False


def _note(run_dir: str, name: str) -> str:
    return f"{run_dir}/{name}.started"


def is_ready(door: Door) -> bool:
    """Tell whether ``/readyz`` answers 200."""
    try:
        with contextlib.closing(_connect(door)) as sock:
            sock.sendall(_REQUEST)
            head = sock.recv(64)
    except OSError:
        return False
    return head.split(b" ", 2)[1:2] == [b"200"]


def _connect(door: Door) -> socket.socket:
    if door.scheme == "unix":
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(_TIMEOUT_S)
        try:
            plain.connect(door.path)
        except OSError:
            plain.close()
            raise
        return plain
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(door.host, door.host)  # noqa: S104
    plain = socket.create_connection((host, door.port), _TIMEOUT_S)
    return _encrypted(plain) if door.scheme == "tls" else plain


def _encrypted(plain: socket.socket) -> socket.socket:
    import ssl

    # Our own child on our own port: whether it answers is the question, not who it is.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return context.wrap_socket(plain)
    except OSError:
        plain.close()
        raise
