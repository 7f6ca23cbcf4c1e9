"""A kept connection to the API, on which one request follows the other: HTTP/1.1 framed by h11.

A general HTTP client costs about a millisecond a request, several times what the exchange itself
does, and 8 MiB.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import h11

CONNECT_TIMEOUT_S = 3.0
_CHUNK = 1 << 16
_MAX_ANSWER = 256 << 20


class ChannelError(Exception):
    """No connection, or no answer that can be read, in time."""


class Channel:
    """Requests to one API, one at a time.

    Args:
        url: ``unix:/path``, ``http://…`` or ``https://…``.
        context: for ``https``.
        headers: sent with every request.
    """

    def __init__(
        self, url: str, context: ssl.SSLContext | None, headers: Mapping[str, str]
    ) -> None:
        self._path = url.removeprefix("unix:") if url.startswith("unix:") else None
        parts = urlsplit("http://localhost" if self._path is not None else url)
        self._tls = context if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._prefix = parts.path.rstrip("/")
        self._headers = [("Host", parts.netloc.rpartition("@")[2]), *headers.items()]
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._http = h11.Connection(h11.CLIENT)
        self._is_stale = False

    async def request(
        self, method: str, path: str, body: bytes | None, timeout_s: float
    ) -> tuple[int, bytes]:
        """Send a request; return the answer's status and body.

        Nothing is sent twice: a connection that turns out to be dead is an error.

        Args:
            method: such as ``POST``.
            path: with the query, if any.
            body: None for methods that have none.
            timeout_s: seconds for which nothing may come from the API, at most.

        Raises:
            ChannelError: no connection, no answer in time, or an unreadable one.
        """
        try:
            async with asyncio.timeout(timeout_s) as patience:
                reader, writer = await self._connected()
                writer.write(self._framed(method, path, body))
                await writer.drain()
                answer = await self._answer(reader, patience, timeout_s)
        except (OSError, TimeoutError, h11.ProtocolError) as error:
            self.close()
            raise ChannelError(str(error) or type(error).__name__) from error
        except BaseException:
            self.close()  # an answer may still come: the connection is out of step
            raise
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.close()
        return answer

    def _framed(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = list(self._headers)
        if body is not None:
            headers.append(("Content-Length", str(len(body))))
        events: list[h11.Event] = [
            h11.Request(method=method, target=self._prefix + path, headers=headers),
            h11.EndOfMessage(),
        ]
        if body:
            events.insert(1, h11.Data(data=body))
        return b"".join(self._http.send(event) or b"" for event in events)

    def renew(self) -> None:
        """Have the next request make a new connection: the context has changed."""
        self._is_stale = True

    def close(self) -> None:
        """Close the connection; the next request makes another one."""
        if self._streams is not None:
            with suppress(OSError, RuntimeError):
                self._streams[1].close()
            self._streams = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None:
            reader, writer = self._streams
            if not (self._is_stale or reader.at_eof() or writer.is_closing()):
                return self._streams
            self.close()
        self._is_stale = False
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            if self._path is not None:
                self._streams = await asyncio.open_unix_connection(self._path)
            else:
                self._streams = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        self._http = h11.Connection(h11.CLIENT)
        return self._streams

    async def _answer(
        self, reader: asyncio.StreamReader, patience: asyncio.Timeout, timeout_s: float
    ) -> tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        status, body = 0, bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await reader.read(_CHUNK))
                patience.reschedule(loop.time() + timeout_s)
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _MAX_ANSWER:
                    raise OSError("the answer is far too long")
            elif isinstance(event, h11.EndOfMessage):
                return status, bytes(body)
            elif isinstance(event, h11.ConnectionClosed):
                raise OSError("the connection was closed before the answer")
