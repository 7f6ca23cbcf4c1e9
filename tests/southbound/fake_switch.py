"""A peer that speaks just enough OpenFlow 1.4, and misbehaves as it is told to."""

import asyncio
import contextlib
import ssl
import struct

from vpcctl.southbound.codec import messages as m

FEATURES_REQUEST = 5
METER_MOD = 29


def message(kind: int, body: bytes = b"", xid: int = 0, version: int = 5) -> bytes:
    return struct.pack("!BBHI", version, kind, 8 + len(body), xid) + body


def hello() -> bytes:
    return message(m.HELLO, struct.pack("!HHI", 1, 8, 1 << 5))


def error(kind: int, code: int, request: bytes) -> bytes:
    xid = int.from_bytes(request[4:8], "big")
    return message(m.ERROR, struct.pack("!HH", kind, code) + request[:64], xid)


def control(kind: int, xid: int) -> bytes:
    return message(m.BUNDLE_CONTROL, struct.pack("!IHH", m.BUNDLE_ID, kind, 3), xid)


def flow_reply(*entries: bytes, xid: int) -> bytes:
    return message(m.MULTIPART_REPLY, struct.pack("!HH4x", m.MP_FLOW, 0) + b"".join(entries), xid)


class FakeSwitch:
    """One connection. ``faults`` says what it does wrong:

    ``no-barrier``, ``wrong-barrier``, ``refuse-at-commit``, ``refuse-add``, ``deaf`` (reads nothing
    once it is up), ``no-echo``, ``no-features``, ``refuse-meters``.
    """

    def __init__(self, dpid: int, *faults: str) -> None:
        self.dpid = dpid
        self.faults = set(faults)
        self.added = 0
        self.bundles = 0
        self.stats_requests = 0
        self.closed = asyncio.Event()
        self.reader: asyncio.StreamReader
        self.writer: asyncio.StreamWriter
        self._task: asyncio.Task[None] | None = None
        self._last_add = b""
        self.adds: list[bytes] = []
        self.most_meters = 0
        self.metered: list[bytes] = []
        self.listed: tuple[bytes, ...] = ()

    async def connect(
        self, path: str | None = None, *, port: int = 0, tls: ssl.SSLContext | None = None
    ) -> "FakeSwitch":
        if path is not None:
            self.reader, self.writer = await asyncio.open_unix_connection(path)
        else:
            self.reader, self.writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=tls, server_hostname="controller" if tls else None
            )
        self.writer.write(hello())
        self._task = asyncio.create_task(self._serve())
        return self

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self.writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await self.writer.wait_closed()

    async def _serve(self) -> None:
        try:
            while True:
                head = await self.reader.readexactly(8)
                length = int.from_bytes(head[2:4], "big")
                self._answer(head + await self.reader.readexactly(length - 8))
                if "deaf" in self.faults and self.stats_requests:
                    self.reader._transport.pause_reading()  # type: ignore[attr-defined]
                    await asyncio.Event().wait()
        except (asyncio.IncompleteReadError, OSError):
            self.closed.set()

    def _answer(self, got: bytes) -> None:
        kind, xid = got[1], int.from_bytes(got[4:8], "big")
        if kind == FEATURES_REQUEST and "no-features" not in self.faults:
            features = struct.pack("!QIBB2xII", self.dpid, 0, 254, 0, 0, 0)
            self._send(message(m.FEATURES_REPLY, features, xid))
        elif kind == m.MULTIPART_REQUEST:
            self._multipart(got, xid)
        elif kind == m.ECHO_REQUEST and "no-echo" not in self.faults:
            self._send(message(m.ECHO_REPLY, got[8:], xid))
        elif kind == m.BUNDLE_ADD:
            self.added += 1
            self._last_add = got
            self.adds.append(got)
            if "refuse-add" in self.faults:
                self._send(error(2, 10, got))
        elif kind == METER_MOD:
            self.metered.append(got)
            if "refuse-meters" in self.faults:
                self._send(error(12, 5, got))
        elif kind == m.BUNDLE_CONTROL:
            self._bundle(got, xid)
        elif kind == m.BARRIER_REQUEST and "no-barrier" not in self.faults:
            self._send(message(m.BARRIER_REPLY, b"", xid + ("wrong-barrier" in self.faults)))

    def _multipart(self, got: bytes, xid: int) -> None:
        if got[9] == m.MP_METER_FEATURES:
            body = struct.pack("!HH4xI12x", m.MP_METER_FEATURES, 0, self.most_meters)
            self._send(message(m.MULTIPART_REPLY, body, xid))
        elif got[9] == m.MP_METER_CONFIG:
            self._send(message(m.MULTIPART_REPLY, struct.pack("!HH4x", m.MP_METER_CONFIG, 0), xid))
        else:
            self.stats_requests += 1
            if "deaf" not in self.faults:
                self._send(flow_reply(*self.listed, xid=xid))
            else:
                self._send(flow_reply(xid=xid))

    def _bundle(self, got: bytes, xid: int) -> None:
        asked = got[13]
        if asked == m.COMMIT and "refuse-at-commit" in self.faults:
            self._send(error(5, 1, self._last_add[16:]) + error(17, 13, got))
            return
        self.bundles += asked == m.COMMIT
        self._send(control(asked + 1, xid))

    def _send(self, data: bytes) -> None:
        self.writer.write(data)
