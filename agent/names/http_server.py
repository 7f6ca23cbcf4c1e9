"""Answers questions for metadata, over HTTP/1.1."""

import asyncio
import functools
import secrets
import socket
import time

import h11

from agent.decide.names.guest import Guest
from agent.decide.names.limits import Limits
from agent.decide.names.metadata import Request, Response, answer, path_of
from agent.decide.names.tokens import Tokens
from agent.decide.names.turns import PERIOD_S, Turns
from agent.names import sockets
from agent.names.counted import counted
from agent.names.gate import Gate
from agent.names.library import Library

_IDLE_S = 10.0
_MAX_HEAD, _CHUNK = 8_192, 4_096
_MAX_BODY = 1_024
_MOST_ON_ONE = 100
"""Requests on one connection."""
_PERIODS = 20
"""That a request waits for its tenant's turn; machines that start together ask together."""
_MOST_A_SECOND = 200
"""Requests of one port."""
_PHRASES = {200: b"OK", 400: b"Bad Request", 401: b"Unauthorized", 403: b"Forbidden"}
_PHRASES |= {404: b"Not Found", 405: b"Method Not Allowed", 429: b"Too Many Requests"}
_TOO_MANY = 429
_PHRASES |= {503: b"Service Unavailable"}


class HttpServer:
    """The metadata service of all guests of this host.

    Args:
        library: what is known.
        turns: how the process's time is shared.
    """

    def __init__(self, library: Library, turns: Turns) -> None:
        self._library = library
        self._tokens = Tokens(secrets.token_bytes(32))
        self._limits = Limits(_MOST_A_SECOND)
        self._turns = turns
        self._gate = Gate("metadata-connections", library.counts)

    async def start(self, listeners: list[socket.socket]) -> None:
        """Answer at these sockets from now on."""
        for opened in listeners:
            await asyncio.start_server(self._connected, sock=opened, limit=_MAX_HEAD)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, own = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        key = sockets.key_of(peer, own) if peer and own else 0
        guest = self._library.guest(key)
        if guest is None:
            self._library.counts["metadata-unknown-port"] += 1
            writer.close()
            return
        place = self._gate.enter(guest.tenant, key, writer.transport.abort)
        if place is None:
            writer.close()
            return
        took = functools.partial(self._turns.took, guest.tenant)
        try:
            await counted(self._talk(guest, reader, writer), took)
        except (OSError, TimeoutError, h11.ProtocolError):
            self._library.counts["metadata-broken-off"] += 1
        finally:
            self._gate.leave(place)
            writer.close()

    async def _talk(
        self, guest: Guest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
        for _ in range(_MOST_ON_ONE):
            async with asyncio.timeout(_IDLE_S):
                request = await read_request(http, reader)
            if request is None:
                return
            response = await self._response(guest, request)
            async with asyncio.timeout(_IDLE_S):
                writer.write(_encoded(http, request, response))
                await writer.drain()
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _response(self, guest: Guest, request: Request) -> Response:
        if not self._limits.take(guest.key, time.monotonic()):
            self._library.counts["metadata-limited"] += 1
            await asyncio.sleep(PERIOD_S)  # to say so takes time as well
            return Response(_TOO_MANY)
        if not await self._has_turn(guest.tenant):
            return Response(_TOO_MANY)
        return self._looked_up(guest, request)

    async def _has_turn(self, tenant: str) -> bool:
        """Wait until a tenant may take time again; tell whether it may."""
        for waited in range(_PERIODS):
            if self._turns.may(tenant, time.monotonic()):
                return True
            self._library.counts["metadata-tenant-limited"] += not waited
            await asyncio.sleep(PERIOD_S)
        return False

    def _looked_up(self, guest: Guest, request: Request) -> Response:
        library = self._library
        # Looked up again: since the connection was made it may be another's, or gone.
        present = library.guest(guest.key)
        if present is None:
            return Response(404)
        data = library.data(present)
        if data is None:  # a guest that is told "nothing" now would not ask again
            library.counts["metadata-503"] += 1
            return Response(503)
        response = answer(request, present, data, self._tokens, time.time())
        outcome = "answered" if response.status == 200 else str(response.status)
        library.counts[f"metadata-{outcome}"] += 1
        return response


async def read_request(http: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    """Return the next request, its body read and forgotten; None: there is none.

    Raises:
        h11.ProtocolError: it is not HTTP, or too long.
    """
    found: Request | None = None
    length = 0
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(_CHUNK))
        elif isinstance(event, h11.Request):
            pairs = [(one.decode("latin-1"), said.decode("latin-1")) for one, said in event.headers]
            path = path_of(event.target.decode("latin-1"))
            found = Request(event.method.decode("latin-1"), path, dict(pairs))
        elif isinstance(event, h11.Data):
            length += len(event.data)
            if length > _MAX_BODY:
                raise h11.RemoteProtocolError("the body is too long")
        elif isinstance(event, h11.EndOfMessage):
            return found
        else:
            return None


def _encoded(http: h11.Connection, request: Request, response: Response) -> bytes:
    headers = [
        ("Content-Type", response.kind),
        ("Content-Length", str(len(response.body))),
        *response.headers,
    ]
    head = h11.Response(
        status_code=response.status, headers=headers, reason=_PHRASES.get(response.status, b"")
    )
    events: list[h11.Event] = [head]
    if request.method != "HEAD":
        events.append(h11.Data(data=response.body))
    return b"".join(http.send(event) or b"" for event in (*events, h11.EndOfMessage()))
