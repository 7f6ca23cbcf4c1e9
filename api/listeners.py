"""Where the API listens: addresses as text, and the sockets bound to them."""

import contextlib
import ipaddress
import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

_UNTAKEN_MS = 60_000
_BACKLOG = 2048


class BadListener(ValueError):
    """An address cannot be listened on; the message says why."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths for HTTPS.

    Attributes:
        certificate: the server's certificate chain, PEM.
        key: its private key, PEM.
        ca: certificates that clients' are checked against, PEM; None: clients show none.
        require_client: refuse clients that show no certificate.
    """

    certificate: Path
    key: Path
    ca: Path | None = None
    require_client: bool = False


@dataclass(frozen=True, slots=True)
class Listener:
    """One place to listen.

    Attributes:
        host: address or name; empty for a Unix socket.
        port: TCP port, 0 for any free one.
        path: Unix socket, or None.
        tls: whether it speaks HTTPS.
    """

    host: str = ""
    port: int = 0
    path: Path | None = None
    tls: bool = False


def parse_listener(text: str, *, allow_plain: bool = False) -> Listener:
    """Return the listener that *text* names.

    Args:
        text: ``host:port``, ``http://host:port``, ``https://host:port`` or ``unix:/path``.
        allow_plain: whether plain HTTP may leave the machine.

    Raises:
        BadListener: it is malformed, or plain HTTP on an address that others can reach.
    """
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:"))
        if not path.is_absolute():
            raise BadListener(f"{text}: a Unix socket needs an absolute path")
        return Listener(path=path)
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadListener(f"{text}: {error}") from None
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in ("http", "https") or not host or port is None or extra:
        raise BadListener(f"{text}: expected host:port, https://host:port or unix:/path")
    tls = parts.scheme == "https"
    if not tls and not allow_plain and not _is_loopback(host):
        raise BadListener(f"{text}: plain HTTP only on loopback addresses; use https://")
    return Listener(host=host, port=port, tls=tls)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(listener: Listener) -> socket.socket:
    """Return a bound and listening socket.

    Raises:
        BadListener: the address is taken or cannot be had.
    """
    try:
        if listener.path is not None:
            return _bind_unix(listener.path)
        return _bind_tcp(listener.host, listener.port)
    except OSError as error:
        where = listener.path or f"{listener.host}:{listener.port}"
        raise BadListener(f"{where}: {error.strerror or error}") from error


def _bind_tcp(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Who never takes what was sent is given up by the kernel; connections inherit it.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNTAKEN_MS)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _bind_unix(path: Path) -> socket.socket:
    """Bind aside, restrict to owner and group, then rename: never reachable with other rights."""
    _refuse_live(path)
    aside = path.with_name(f".{path.name[:40]}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(aside))
        aside.chmod(0o660)
        sock.listen(_BACKLOG)
        aside.rename(path)
    except OSError:
        sock.close()
        aside.unlink(missing_ok=True)
        raise
    sock.setblocking(False)
    return sock


def _refuse_live(path: Path) -> None:
    """Raise OSError if *path* is no socket, or one that somebody still answers on."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError("exists and is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            if probe.connect_ex(str(path)) == 0:
                raise OSError("another process answers there")
