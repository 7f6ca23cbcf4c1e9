"""Running the application on several listeners at once, in one event loop."""

import asyncio
import contextlib
import gc
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import h11
import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from api import peer, problems
from api.config import ApiConfig
from api.listeners import BadListener, Listener, TlsFiles, bind
from api.upkeep import running

_GRACE_S = 5
_UNSENT = 4 << 10
"""Bytes of an answer that may wait for a slow client before no more of it is produced."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A listener with its socket."""

    listener: Listener
    sock: socket.socket

    @property
    def url(self) -> str:
        """Where a client finds it: a base URL, or ``unix:`` and the path."""
        if self.listener.path is not None:
            return f"unix:{self.listener.path}"
        host, port = self.sock.getsockname()[:2]
        scheme = "https" if self.listener.tls else "http"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def bind_all(listeners: Sequence[Listener]) -> tuple[Bound, ...]:
    """Bind every listener, or none.

    Raises:
        BadListener: one of them cannot be bound.
    """
    bound: list[Bound] = []
    try:
        for listener in listeners:
            bound.append(Bound(listener, bind(listener)))  # noqa: PERF401 - kept for the unwinding
    except BadListener:
        for item in bound:
            item.sock.close()
        raise
    return tuple(bound)


class _Protocol(H11Protocol):
    """HTTP/1.1 whose own refusals are problem documents too, and that knows the TLS peer."""

    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let every request of this connection know who is at its other end."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_UNSENT)
        self._await_head()
        found = peer.peer_of(transport)
        if found is not None:
            self.app_state = {**self.app_state, peer.STATE: found}

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that has begun must go on, and so must what was answered already."""
        super().data_received(data)
        answered = self.cycle is not None and self.cycle.response_complete
        if self.conn.their_state is not h11.IDLE and not answered:
            self._head_came()
        elif self._head_timer is None:
            self._await_head()

    def on_response_complete(self) -> None:
        """Forget a request that is over: agents keep their connections for days between two."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE:  # else the next one is here, or the rest of this one
            self.cycle = self.scope = self.headers = None  # type: ignore[assignment]

    def pause_writing(self) -> None:
        """Give a client that does not read its answers as long as one that stops asking."""
        super().pause_writing()
        self._stall_timer = self.loop.call_later(self._patience, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it has read."""
        self._reads_again()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers with the connection."""
        self._head_came()
        self._reads_again()
        super().connection_lost(exc)

    @property
    def _patience(self) -> float:
        limit: ApiConfig = self.config.app.state.context.config  # type: ignore[union-attr]
        return limit.head_s

    def _await_head(self) -> None:
        """Let nobody hold a connection, and a descriptor, by sending a head bit by bit."""
        self._head_timer = self.loop.call_later(self._patience, self.transport.close)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _reads_again(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        answer = problems.response(problems.Malformed(msg))
        head = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
        fields = b"".join(b"%s: %s\r\n" % field for field in answer.raw_headers)
        self.transport.write(head + fields + b"\r\n" + bytes(answer.body))
        self.transport.close()


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to its owner."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


async def serve(
    app: FastAPI,
    bound: Sequence[Bound],
    *,
    tls: TlsFiles | ssl.SSLContext | None = None,
    stop: asyncio.Event | None = None,
    started: Callable[[], None] | None = None,
) -> None:
    """Serve *app* on *bound* until *stop* is set; without one, until SIGTERM or SIGINT.

    Open streams and long polls end at once; other requests get a few seconds.

    Args:
        app: the application of :func:`api.app.create_app`.
        bound: the listeners; their sockets are closed at the end.
        tls: files for HTTPS listeners, or a context that its owner keeps up to date.
        stop: set from the same event loop to end it.
        started: called when requests are answered.

    Raises:
        BadListener: an HTTPS listener has no usable certificate.
    """
    stop = stop or _stop_on_signals()
    servers = _servers(app, bound, tls)
    async with running(app.state.context):
        tasks = [
            asyncio.create_task(server.serve(sockets=[item.sock for item in items]))
            for server, items in servers
        ]
        stopping = asyncio.create_task(stop.wait())
        try:
            await _until_started([server for server, _ in servers], tasks)
            gc.collect()
            gc.freeze()  # the program itself stays: looking through it again would stop the loop
            structlog.get_logger("api").info("listening", on=[item.url for item in bound])
            if started is not None:
                started()
            await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            app.state.context.stop()
            for server, _ in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)
            _unlink(bound)


def _servers(
    app: FastAPI, bound: Sequence[Bound], tls: TlsFiles | ssl.SSLContext | None
) -> list[tuple[_Server, list[Bound]]]:
    """Return one server for plain and one for HTTPS listeners, as far as there are any."""
    servers: list[tuple[_Server, list[Bound]]] = []
    for encrypted in (False, True):
        items = [item for item in bound if item.listener.tls is encrypted]
        if items:
            config = _config(app)
            config.load()
            config.ssl = _tls_context(tls) if encrypted else None
            servers.append((_Server(config), items))
    return servers


def _config(app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=64 << 10,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_GRACE_S,
    )


def _tls_context(tls: TlsFiles | ssl.SSLContext | None) -> ssl.SSLContext:
    if tls is None:
        raise BadListener("https needs a certificate and a key")
    if isinstance(tls, ssl.SSLContext):
        return tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.ca is not None:
            context.load_verify_locations(tls.ca)
            context.verify_mode = ssl.CERT_REQUIRED if tls.require_client else ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        raise BadListener(f"https: {error}") from error
    return context


async def _until_started(servers: Sequence[_Server], tasks: Sequence["asyncio.Task[None]"]) -> None:
    while not all(server.started for server in servers):
        if any(task.done() for task in tasks):
            return
        await asyncio.sleep(0.005)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _unlink(bound: Sequence[Bound]) -> None:
    for item in bound:
        item.sock.close()
        if item.listener.path is not None:
            item.listener.path.unlink(missing_ok=True)
