"""Where switches connect to: loopback TCP, unix sockets, TLS; and the watch over connections."""

import asyncio
import contextlib
import ipaddress
import os
import resource
import socket
import ssl
import stat
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.transport.connection import Connection
from vpcctl.southbound.transport.hub import handler
from vpcctl.southbound.transport.limits import Allowance, Limits
from vpcctl.southbound.transport.places import Places, Source, source_of

log = structlog.get_logger(__name__)

_WATCH_S = 0.5
_TELL_S = 10.0
"""How often the log says that there are too many connections."""
_BACKLOG = 1024
_AT_ONCE = 16
"""Connections that are accepted before those that we have get their turn."""
_PAUSE_S = 1.0
_CROWDED_S = 0.002
"""How long accepting rests after one that another had to give way for: at 500 a second a stranger
keeps its place for 3 s, which is enough for a switch, and all who come have their turn."""
_OTHER_FILES = 128
"""Descriptors that are not for connections: database, log, sockets of the controller's processes,
and connections that gave way and are not closed yet."""


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


def _why(error: OSError) -> str:
    """Return what *error* says, without what Python adds: the address is told already."""
    if error.errno is None or error.errno < 0:  # a resolver's
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _files() -> int:
    """Return how many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


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
        self._listening: list[socket.socket] = []
        self._unix: list[str] = []
        self._watch: asyncio.Task[None] | None = None
        self._greetings: dict[Connection, asyncio.Task[None] | None] = {}
        self._told = -_TELL_S
        self._refused = 0
        most = min(limits.connections, max(1, _files() - _OTHER_FILES))
        self.places: Places[Connection] = Places(limits, most, self._give_way)
        self.connections: set[Connection] = set()
        self.addresses: list[str] = []

    async def open(self, targets: Sequence[str]) -> None:
        """Open every listener.

        Raises:
            ListenError: malformed; plain off the loopback without leave; TLS without its files;
                the address cannot be bound.
        """
        for target in targets:
            scheme, host, port = _split(target)
            try:
                if scheme == "unix":
                    self._open_unix(host)
                else:
                    await self._open_port(scheme, host, port)
            except OSError as error:
                raise ListenError(f"{target}: {_why(error)}") from error
        self._watch = asyncio.create_task(self._watch_connections())

    async def _open_port(self, scheme: str, host: str, port: int) -> None:
        context = None
        if scheme == "ssl":
            if self._tls is None:
                raise ListenError(f"ssl:{host}:{port} needs a certificate, its key and a CA")
            context = self._tls.context()
        elif not (self._allow_plain or _is_loopback(host)):
            raise ListenError(f"tcp:{host}:{port} is plain text off the loopback; use ssl:")
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, address in dict.fromkeys((one[0], one[4]) for one in found):
            sock = socket.create_server((address[0], address[1]), family=family, backlog=_BACKLOG)
            self._listen(sock, context)
            bound = sock.getsockname()
            name = f"[{bound[0]}]" if sock.family == socket.AF_INET6 else bound[0]
            self.addresses.append(f"{scheme}:{name}:{bound[1]}")

    def _open_unix(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode):
                os.unlink(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        previous = os.umask(0o077)
        try:
            sock.bind(path)
        except OSError:
            sock.close()
            raise
        finally:
            os.umask(previous)
        sock.listen(_BACKLOG)
        self._listen(sock, None)
        self._unix.append(path)
        self.addresses.append(f"unix:{path}")

    def _listen(self, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        sock.setblocking(False)
        self._listening.append(sock)
        asyncio.get_running_loop().add_reader(sock, self._accept, sock, context)

    # --- accepting ------------------------------------------------------------------------------

    def _accept(self, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        """Take a few connections; asyncio's own servers count nothing before TLS is finished."""
        for _ in range(_AT_ONCE):
            try:
                sock, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no descriptors or no memory: others may give some back
                log.error("cannot accept connections", error=str(error))
                self._rest(_PAUSE_S, listening, context)
                return
            if not self._receive(sock, context):
                self._rest(_CROWDED_S, listening, context)
                return

    def _rest(
        self, seconds: float, listening: socket.socket, context: ssl.SSLContext | None
    ) -> None:
        """Let who comes wait in the kernel's queue for a while."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(seconds, self._accept_again, listening, context)

    def _accept_again(self, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        if listening in self._listening:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening, context)

    def _receive(self, sock: socket.socket, context: ssl.SSLContext | None) -> bool:
        """Give a connection a place, and tell whether there was one without another giving way."""
        sock.setblocking(False)
        before = self.places.gave_way.total()
        connection = Connection(self, self._limits)
        try:
            connection.source = source_of(sock)
        except OSError:
            sock.close()
            return True
        if not self.places.enter(connection, connection.source):
            self._refused += 1
            sock.close()
            return False
        self._greetings[connection] = None
        asyncio.create_task(self._greet(connection, sock, context))  # noqa: RUF006 - kept by itself
        return self.places.gave_way.total() == before

    async def _greet(
        self, connection: Connection, sock: socket.socket, context: ssl.SSLContext | None
    ) -> None:
        """See a connection through its TLS handshake; from then on it is among ``connections``."""
        if connection.close_reason is not None:  # gave way before it began
            self._greetings.pop(connection, None)
            sock.close()
            return
        self._greetings[connection] = asyncio.current_task()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=context,
                ssl_handshake_timeout=self._limits.handshake_s if context else None,
            )
        except OSError as error:
            log.debug("handshake failed", peer=connection.source.name, error=str(error))
        finally:
            self._greetings.pop(connection, None)
            if connection not in self.connections:
                self.places.leave(connection)

    def _give_way(self, connection: Connection) -> None:
        """Drop a stranger, in the midst of its TLS handshake or after it."""
        self._end(connection, "gave way to a newer connection")

    def _end(self, connection: Connection, reason: str) -> None:
        connection.drop(reason)
        greeting = self._greetings.get(connection)
        if greeting is not None and not connection.is_made:
            greeting.cancel()

    # --- Owner ----------------------------------------------------------------------------------

    def on_open(self, connection: Connection) -> Allowance | None:
        """Count a connection with the host whose certificate it has shown."""
        names = connection.certificate_names
        if connection.identity is not None:
            connection.source = Source(connection.identity.host_id, is_host=True)
        elif names:
            connection.source = Source(", ".join(sorted(names)), is_host=True)
        if not self.places.show(connection, connection.source):
            return None
        self.connections.add(connection)
        return self.places.allowance(connection.source)

    def on_admitted(self, connection: Connection) -> None:
        """Let a switch that we know keep its place."""
        self.places.admit(connection)

    def on_close(self, connection: Connection) -> None:
        """Forget a connection."""
        self.connections.discard(connection)
        self.places.leave(connection)

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
            if (self._refused or self.places.gave_way) and now - self._told > _TELL_S:
                self._tell(now)

    def _tell(self, now: float) -> None:
        most = dict(self.places.gave_way.most_common(3))
        log.warning("too many connections", refused=self._refused, gave_way=most)
        self._told, self._refused = now, 0
        self.places.gave_way.clear()

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
        loop = asyncio.get_running_loop()
        listening, self._listening = self._listening, []
        for sock in listening:
            loop.remove_reader(sock)
            sock.close()
        greetings = [one for one in self._greetings.values() if one is not None]
        for connection in {*self._greetings, *self.connections}:
            self._end(connection, "the controller stops")
        await asyncio.gather(*greetings, return_exceptions=True)
        for path in self._unix:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        await asyncio.sleep(0)
