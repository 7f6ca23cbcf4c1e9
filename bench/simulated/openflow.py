"""The switch's side of OpenFlow 1.4 as far as a controller needs it that programs bundles.

Written against the specification alone (ONF TS-012), so that it shares no mistake with the
controller's own codec.
"""

import asyncio
import struct
import time
from collections.abc import Callable

_VERSION = 5
_HELLO, _ERROR, _ECHO_REQUEST, _ECHO_REPLY = 0, 1, 2, 3
_FEATURES_REQUEST, _FEATURES_REPLY = 5, 6
_CONFIG_REQUEST, _CONFIG_REPLY = 7, 8
_FLOW_MOD = 14
_MULTIPART_REQUEST, _MULTIPART_REPLY = 18, 19
_BARRIER_REQUEST, _BARRIER_REPLY = 20, 21
_METER_FEATURES = 11
_ROLE_REQUEST, _ROLE_REPLY = 24, 25
_BUNDLE_CONTROL, _BUNDLE_ADD = 33, 34
_COMMIT, _COMMITTED = 4, 5
_BUNDLE_HEAD = 16  # header, bundle id, flags before the message that is added
_COMMAND_AT = 25  # of a flow-mod
_DELETE = 3
_DESCRIPTION = 1056  # bytes in the body of a description
_CAPABILITIES = 0x4F
_HEADER = struct.Struct("!BBHI")


def _message(kind: int, xid: int, body: bytes = b"") -> bytes:
    return _HEADER.pack(_VERSION, kind, 8 + len(body), xid) + body


class Switch(asyncio.Protocol):
    """One simulated switch.

    Attributes:
        commits: bundles committed so far.
        committed_at: when the last one was, on the monotonic clock; 0.0 before the first.
        flows: flows added less flows deleted, in committed bundles and outside of bundles.
        connected: whether the connection stands.
    """

    def __init__(self, dpid: int, lost: Callable[["Switch"], None]) -> None:
        self.dpid = dpid
        self.commits = 0
        self.committed_at = 0.0
        self.flows = 0
        self.connected = False
        self._pending = 0
        self._lost = lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello: OpenFlow 1.3 and 1.4, as br-int would."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.connected = True
        self._pending = 0
        self._buffer.clear()
        bitmap = struct.pack("!HHI", 1, 8, 1 << 4 | 1 << 5)
        self._send(_message(_HELLO, 1, bitmap))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner, who connects anew."""
        self.connected = False
        self._transport = None
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        """Take every complete message in order."""
        buffer = self._buffer
        buffer += data
        start, size = 0, len(buffer)
        while start + 8 <= size:
            _, kind, length, xid = _HEADER.unpack_from(buffer, start)
            if start + length > size:
                break
            if kind == _BUNDLE_ADD:
                command = buffer[start + _BUNDLE_HEAD + _COMMAND_AT]
                self._pending += 1 if command == 0 else -1 if command >= _DELETE else 0
            else:
                self._take(kind, xid, bytes(buffer[start : start + length]))
            start += length
        del buffer[:start]

    def _take(self, kind: int, xid: int, message: bytes) -> None:
        if kind == _BUNDLE_CONTROL:
            self._bundle(xid, message)
        elif kind == _BARRIER_REQUEST:
            self._send(_message(_BARRIER_REPLY, xid))
        elif kind == _ECHO_REQUEST:
            self._send(_message(_ECHO_REPLY, xid, message[8:]))
        elif kind == _FEATURES_REQUEST:
            body = struct.pack("!QIBB2xII", self.dpid, 0, 254, 0, _CAPABILITIES, 0)
            self._send(_message(_FEATURES_REPLY, xid, body))
        elif kind == _MULTIPART_REQUEST:
            self._statistics(xid, message)
        elif kind == _CONFIG_REQUEST:
            self._send(_message(_CONFIG_REPLY, xid, struct.pack("!HH", 0, 0xFFFF)))
        elif kind == _ROLE_REQUEST:
            self._send(_message(_ROLE_REPLY, xid, message[8:24]))
        elif kind == _FLOW_MOD:
            self.flows += 1 if message[_COMMAND_AT] == 0 else 0

    def _bundle(self, xid: int, message: bytes) -> None:
        bundle, kind, flags = struct.unpack_from("!IHH", message, 8)
        if kind == _COMMIT:
            self.flows += self._pending
            self.commits += 1
        if kind >= _COMMIT:
            self._pending = 0
        self._send(_message(_BUNDLE_CONTROL, xid, struct.pack("!IHH", bundle, kind + 1, flags)))
        if kind == _COMMIT:
            self.committed_at = time.monotonic()

    def _statistics(self, xid: int, message: bytes) -> None:
        kind = struct.unpack_from("!H", message, 8)[0]
        body = b"\0" * _DESCRIPTION if kind == 0 else b""
        if kind == 2:  # aggregate
            body = struct.pack("!QQI4x", 0, 0, max(0, self.flows))
        if kind == _METER_FEATURES:  # none
            body = bytes(16)
        self._send(_message(_MULTIPART_REPLY, xid, struct.pack("!HH4x", kind, 0) + body))

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
