"""Where switches connect to: loopback TCP, unix sockets, TLS; and the watch over connections."""

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.transport.connection import Connection
from vpcctl.southbound.transport.hub import handler
from vpcctl.southbound.transport.limits import Limits

log = structlog.get_logger(__name__)

_WATCH_S = 0.5


class ListenError(ValueError):
    """A listener that cannot or must not be opened."""


class ServerTls(Protocol):
    """Makes the context that switches are met with, and keeps its certificate fresh."""

    def context(self) -> ssl.SSLContext:
        """Return a context that demands a certificate of the peer."""
        ...

    def reload(self) -> bool:
        """Take over a certificate that was renewed; tell whether there was one."""
        ...


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: our certificate, its key, the authority whose hosts we accept, and its CRL."""

    certificate: Path
    key: Path
    authority: Path
    revoked: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return a server context that demands a certificate of the peer, TLS 1.2 or newer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.authority)
        if self.revoked is not None and self.revoked.exists():
            context.load_verify_locations(self.revoked)
            context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        return context

    def reload(self) -> bool:
        """Return False: these files are read once."""
        return False


def _split(target: str) -> tuple[str, str, int]:
    """Return (scheme, host or path, port) of ``tcp:host:port``, ``ssl:host:port``, ``unix:path``.

    Raises:
        ListenError: the target has none of these forms.
    """
    scheme, _, rest = target.partition(":")
    if scheme == "unix" and rest:
        return scheme, rest, 0
    host, _, port = rest.rpartition(":")
    if scheme not in ("tcp", "ssl") or not host or not port.isdigit():
        raise ListenError(f"{target!r}: expected tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH")
    return scheme, host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Listeners:
    """Opens listeners, counts connections and drops those that are late, silent or stuck."""

    def __init__(
        self,
        *,
        limits: Limits,
        tls: ServerTls | None = None,
        allow_plain: bool = False,
        on_fault: Callable[[Connection, str], None] = lambda _connection, _fault: None,
    ) -> None:
        self._limits = limits
        self._tls = tls
        self._allow_plain = allow_plain
        self._on_fault = on_fault
        self._servers: list[asyncio.Server] = []
        self._unix: list[str] = []
        self._watch: asyncio.Task[None] | None = None
        self.connections: set[Connection] = set()
        self.addresses: list[str] = []

    async def open(self, targets: Sequence[str]) -> None:
        """Open every listener.

        Raises:
            ListenError: malformed; plain off the loopback without leave; TLS without its files.
            OSError: the address cannot be bound.
        """
        for target in targets:
            scheme, host, port = _split(target)
            if scheme == "unix":
                await self._open_unix(host)
            else:
                await self._open_port(scheme, host, port)
        self._watch = asyncio.create_task(self._watch_connections())

    async def _open_port(self, scheme: str, host: str, port: int) -> None:
        context = None
        if scheme == "ssl":
            if self._tls is None:
                raise ListenError(f"ssl:{host}:{port} needs a certificate, its key and a CA")
            context = self._tls.context()
        elif not (self._allow_plain or _is_loopback(host)):
            raise ListenError(f"tcp:{host}:{port} is plain text off the loopback; use ssl:")
        deadline = self._limits.handshake_s if context else None
        server = await asyncio.get_running_loop().create_server(
            self._connection, host, port, ssl=context, ssl_handshake_timeout=deadline, backlog=1024
        )
        self._servers.append(server)
        for sock in server.sockets:
            bound = sock.getsockname()
            name = f"[{bound[0]}]" if sock.family == socket.AF_INET6 else bound[0]
            self.addresses.append(f"{scheme}:{name}:{bound[1]}")

    async def _open_unix(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode):
                os.unlink(path)
        loop = asyncio.get_running_loop()
        previous = os.umask(0o077)
        try:
            server = await loop.create_unix_server(self._connection, path, backlog=1024)
        finally:
            os.umask(previous)
        self._servers.append(server)
        self._unix.append(path)
        self.addresses.append(f"unix:{path}")

    def _connection(self) -> Connection:
        return Connection(self, self._limits)

    # --- Owner ----------------------------------------------------------------------------------

    def on_open(self, connection: Connection) -> bool:
        """Count a connection, or refuse it: the limits are for all and for strangers."""
        strangers = sum(1 for c in self.connections if c.sink is None)
        if len(self.connections) >= self._limits.connections or strangers >= self._limits.strangers:
            log.warning("connection refused", peer=connection.peer, fault="too many connections")
            return False
        self.connections.add(connection)
        return True

    def on_close(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.discard(connection)

    def on_fault(self, connection: Connection, fault: str) -> None:
        """Pass the fault on."""
        self._on_fault(connection, fault)

    # --- watch ----------------------------------------------------------------------------------

    async def _watch_connections(self) -> None:
        while True:
            due = time.monotonic() + _WATCH_S
            await asyncio.sleep(_WATCH_S)
            now = time.monotonic()
            for connection in list(self.connections):
                connection.excuse(now - due, _WATCH_S)
                self._check(connection, now)

    def _check(self, connection: Connection, now: float) -> None:
        limits, silent = self._limits, now - connection.last_heard
        if connection.sink is None and now - connection.opened > limits.handshake_s:
            connection.fault("handshake not finished in time")
        elif silent > limits.echo_dead_s:
            connection.fault(f"silent for {silent:.0f} s")
        elif connection.is_stalled:
            connection.fault("does not read what we send")
        elif (
            silent > limits.echo_idle_s
            and connection.echo_sent is None
            and connection.datapath.state == handler.MAIN_DISPATCHER
        ):
            connection.echo_sent = now
            connection.write(m.echo_request(connection.datapath.next_xid()))

    async def close(self) -> None:
        """Close listeners and connections."""
        if self._watch is not None:
            self._watch.cancel()
        for server in self._servers:
            server.close()
        for connection in list(self.connections):
            connection.drop("the controller stops")
        for path in self._unix:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        await asyncio.sleep(0)
