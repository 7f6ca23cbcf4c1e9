"""One switch's connection: bytes in the event loop, os-ken's ``Datapath`` to everybody else."""

import asyncio
import random
import socket
import ssl
import struct
import time
from typing import Any, Protocol, cast

import structlog

from vpcctl.pki.certificates import HostIdentity, host_identity
from vpcctl.pki.errors import PkiError
from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.transport import validate
from vpcctl.southbound.transport.hub import (
    app_manager,
    controller,
    handler,
    ofp_event,
    ofproto_parser,
    ofproto_protocol,
)
from vpcctl.southbound.transport.limits import Allowance, Limits, cost
from vpcctl.southbound.transport.places import Source

log = structlog.get_logger(__name__)

_HANDSHAKE_KINDS = frozenset({m.HELLO, m.ERROR, m.ECHO_REQUEST, m.ECHO_REPLY})
_CONFIG_KINDS = (_HANDSHAKE_KINDS - {m.HELLO}) | {m.FEATURES_REPLY}
_ANSWERS = frozenset({m.MULTIPART_REPLY, m.BARRIER_REPLY, m.BUNDLE_CONTROL})
"""To the engine's own requests: taken as bytes, os-ken's parser is far too slow."""
_MAIN_KINDS = (_CONFIG_KINDS - {m.FEATURES_REPLY}) | _ANSWERS
_CREDENTIALS = struct.Struct("3i")
_CONTROL_XID = 0x8000_0000
"""Transaction ids from here on belong to the connection, those below to encoded flows."""
_AT_ONCE = 9 * 1024
"""Bytes that are encrypted at once: half of what a bundle gathers for a write, and a bit more.
OpenSSL keeps a third more than the most there ever were, for each connection."""
_LATE_S = 0.1
"""By so much a busy event loop is late without meaning anything by it."""


class MessageSink(Protocol):
    """Who takes the messages that an accepted switch answers our requests with."""

    def on_message(self, kind: int, xid: int, message: bytes) -> None:
        """Take a validated message; raise ``validate.Fault`` when it answers nothing."""
        ...


class Owner(Protocol):
    """Who keeps the connections."""

    def on_open(self, connection: "Connection") -> Allowance | None:
        """Say how much a connection that is ready may send; None refuses it."""
        ...

    def on_admitted(self, connection: "Connection") -> None:
        """Count a connection as that of a switch that we know."""
        ...

    def on_close(self, connection: "Connection") -> None:
        """Forget a connection."""
        ...

    def on_fault(self, connection: "Connection", fault: str) -> None:
        """Note that a peer broke the protocol."""
        ...


class Datapath(controller.Datapath):  # type: ignore[misc]
    """os-ken's datapath on our transport: same attributes and methods, no threads, no socket."""

    def __init__(self, connection: "Connection", address: str) -> None:
        ofproto_protocol.ProtocolDesc.__init__(self, version=m.VERSION)
        self.connection = connection
        self.address = address
        self.is_active = True
        self.xid: int = random.randint(_CONTROL_XID, 0xFFFF_0000)  # noqa: S311
        self.id: int | None = None
        self.ports: dict[int, Any] = {}
        self.unreplied_echo_requests: list[int] = []
        self.ofp_brick = app_manager.lookup_service_brick("ofp_event")
        self.state: str | None = None

    @property
    def supported_ofp_version(self) -> set[int]:
        """OpenFlow versions that we speak: the one that the codec writes."""
        return {m.VERSION}

    def set_xid(self, msg: Any) -> int:
        """Give *msg* the next transaction id of this connection."""
        msg.set_xid(self.next_xid())
        return self.xid

    def next_xid(self) -> int:
        """Return the connection's next transaction id, in its own half of the range."""
        self.xid = (self.xid + 1) & 0xFFFF_FFFF | _CONTROL_XID
        return self.xid

    def send(self, buf: bytes, close_socket: bool = False) -> bool:
        """Queue bytes; os-ken's signature."""
        return self.connection.send_from_anywhere(bytes(buf), close=close_socket)

    def close(self) -> None:
        """Drop the connection."""
        self.connection.drop("closed")


class Connection(asyncio.Protocol):
    """Bytes of one peer: framing, limits, validation, and dispatch to os-ken and to the engine."""

    def __init__(self, owner: Owner, limits: Limits) -> None:
        self._owner = owner
        self.limits = limits
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._allowance = Allowance(limits)
        self._said = 0
        self.sink: MessageSink | None = None
        self.peer = "?"
        self.source = Source("?")
        self.certificate_names: frozenset[str] | None = None
        self.identity: HostIdentity | None = None
        self.opened = self.last_heard = self.last_drained = time.monotonic()
        self.echo_sent: float | None = None
        self.close_reason: str | None = None
        self._aborted = False
        self.datapath: Datapath

    # --- asyncio's side -----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say hello."""
        transport = cast(asyncio.Transport, transport)
        self._transport = transport
        self.peer = _peer_name(transport)
        self.certificate_names = _certificate_names(transport)
        self.identity = _identity(transport)
        self._writable.set()
        transport.set_write_buffer_limits(high=self.limits.write_buffer)
        self.datapath = Datapath(self, self.peer)
        allowance = self._owner.on_open(self)
        if allowance is None:
            self.drop("too many connections")
            return
        self._allowance = allowance
        self.datapath.set_state(handler.HANDSHAKE_DISPATCHER)
        parser = self.datapath.ofproto_parser
        bitmap = parser.OFPHelloElemVersionBitmap([m.VERSION])
        self.datapath.send_msg(parser.OFPHello(self.datapath, [bitmap]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody who knew this datapath."""
        self._transport = None
        self._writable.set()
        self.close_reason = self.close_reason or (str(exc) if exc else "closed by the switch")
        self.datapath.is_active = False
        self.datapath.set_state(handler.DEAD_DISPATCHER)
        self._owner.on_close(self)

    def pause_writing(self) -> None:
        """Stop producing: the peer is not reading."""
        self._writable.clear()
        self.last_drained = time.monotonic()

    def resume_writing(self) -> None:
        """Go on producing."""
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Cut the stream into messages and take each."""
        self._buffer += data
        try:
            self._take_messages()
        except validate.Fault as fault:
            self.fault(str(fault))

    def _take_messages(self) -> None:
        buffer, position = self._buffer, 0
        while len(buffer) - position >= 8 and self._transport is not None:
            length = buffer[position + 2] << 8 | buffer[position + 3]
            if length < 8:
                raise validate.Fault(f"message of length {length}")
            if len(buffer) - position < length:
                break
            message = bytes(buffer[position : position + length])
            position += length
            self._spend(message[1], length)
            self._take(message)
        del buffer[:position]

    def _spend(self, kind: int, length: int) -> None:
        """Count a message; how much an answer may hold is up to who asked.

        Raises:
            Fault: the peer says more than it may.
        """
        messages = 1 if kind in _ANSWERS and self.sink is not None else cost(length)
        self._said += messages
        if not self._allowance.spend(messages):
            raise validate.Fault("too many messages")

    def admit(self, sink: MessageSink) -> None:
        """Take the peer as a switch that we know, whose answers go to *sink*."""
        self.sink = sink
        self._owner.on_admitted(self)

    # --- messages -----------------------------------------------------------------------------

    def _take(self, message: bytes) -> None:
        kind, xid = message[1], int.from_bytes(message[4:8], "big")
        if message[0] != m.VERSION and kind not in (m.HELLO, m.ERROR):
            raise validate.Fault(f"message of OpenFlow version {message[0]:#x}")
        if kind in validate.UNWANTED:
            return
        state = self.datapath.state
        if kind not in _KINDS.get(state or "", _HANDSHAKE_KINDS):
            raise validate.Fault(f"message of type {kind} in state {state}")
        if kind in _ANSWERS and self.sink is None:
            raise validate.Fault(f"message of type {kind} before any request")
        validate.check(message)
        self.last_heard = time.monotonic()
        self.echo_sent = None
        if kind == m.ECHO_REQUEST:
            self.write(m.header(m.ECHO_REPLY, len(message), xid) + message[8:])
        elif kind in _PARSED:
            self._dispatch(message, kind, xid)
        elif kind != m.ECHO_REPLY and self.sink is not None:
            self.sink.on_message(kind, xid, message)

    def _dispatch(self, message: bytes, kind: int, xid: int) -> None:
        """Let os-ken parse the message; its handlers and observers get it as an event."""
        version = message[0] if message[0] in _PARSED_VERSIONS else m.VERSION
        brick: Any = self.datapath.ofp_brick
        state = self.datapath.state
        try:
            parsed = ofproto_parser.msg(self.datapath, version, kind, len(message), xid, message)
            event = ofp_event.ofp_msg_to_ev(parsed)
            for handle in list(brick.get_handlers(event, state)):
                handle(event)
        except Exception as error:  # os-ken's parser and handlers trust what is in a message
            detail = f"message of type {kind} that cannot be handled: {error!r:.80}"
            raise validate.Fault(detail) from error
        brick.send_event_to_observers(event, state)

    # --- writing ------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether bytes can still be written."""
        return self._transport is not None and not self._transport.is_closing()

    def excuse(self, late: float, seconds: float) -> None:
        """Do not hold against the peer that we ourselves were busy for *late* seconds.

        One that has sent more than it may in the long run is held to its deadlines: it may be what
        kept us busy.

        Args:
            late: seconds that the loop was late.
            seconds: since the last look, without these.
        """
        said, self._said = self._said, 0
        if late > _LATE_S and said <= self.limits.messages_per_s * seconds:
            now = time.monotonic()
            self.opened = min(now, self.opened + late)
            self.last_heard = min(now, self.last_heard + late)
            self.last_drained = min(now, self.last_drained + late)

    @property
    def is_made(self) -> bool:
        """Whether there is a transport: TLS, if any, is finished."""
        return self._transport is not None

    @property
    def is_stalled(self) -> bool:
        """Whether the peer has left our bytes unread for longer than it may."""
        waited = time.monotonic() - self.last_drained
        return not self._writable.is_set() and waited > self.limits.stall_s

    def write(self, data: bytes) -> None:
        """Queue bytes; whoever writes much awaits ``drained`` in between.

        A peer that makes us queue without reading (echo requests) is dropped.
        """
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > self.limits.most_unread:
            self.fault("does not read what it asks for")
            return
        for start in range(0, len(data), _AT_ONCE):
            self._transport.write(data[start : start + _AT_ONCE])

    async def drained(self) -> None:
        """Return once the peer has room for more.

        Raises:
            ConnectionError: the connection is gone.
        """
        await self._writable.wait()
        if self._transport is None:
            raise ConnectionResetError(self.close_reason or "closed")

    def send_from_anywhere(self, data: bytes, *, close: bool) -> bool:
        """Queue bytes from any thread; tell whether there was still a connection."""
        if not self.is_open:
            return False

        def send() -> None:
            self.write(data)
            if close and self.is_open and self._transport is not None:
                self.close_reason = self.close_reason or "handshake failed"
                self._transport.close()

        try:
            inside = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            inside = False
        if inside:
            send()
        else:
            self._loop.call_soon_threadsafe(send)
        return True

    def fault(self, what: str) -> None:
        """Drop a peer that broke the protocol, and say so once."""
        if self.close_reason is None:
            log.warning("connection dropped", peer=self.peer, fault=what)
            self._owner.on_fault(self, what)
        self.drop(what)

    def drop(self, reason: str) -> None:
        """Close at once, unwritten bytes included."""
        self.close_reason = self.close_reason or reason
        self._buffer.clear()
        if self._transport is not None and not self._aborted:
            self._aborted = True  # asyncio's TLS transports break when they are closed twice
            self._transport.abort()


_PARSED_VERSIONS = (1, 3, 4, 5, 6)
"""Versions whose hello os-ken can read, if only to say that they will not do."""

_PARSED = frozenset({m.HELLO, m.FEATURES_REPLY})
"""All that os-ken parses: once a connection each, and small."""

_KINDS: dict[str, frozenset[int]] = {
    handler.HANDSHAKE_DISPATCHER: _HANDSHAKE_KINDS,
    handler.CONFIG_DISPATCHER: frozenset(_CONFIG_KINDS),
    handler.MAIN_DISPATCHER: frozenset(_MAIN_KINDS),
}


def _peer_name(transport: asyncio.Transport) -> str:
    peer = transport.get_extra_info("peername")
    if isinstance(peer, tuple):
        return f"{peer[0]}:{peer[1]}"
    sock = transport.get_extra_info("socket")
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    process, user, _ = _CREDENTIALS.unpack(credentials)
    return f"unix, process {process}, user {user}"


def _identity(transport: asyncio.Transport) -> HostIdentity | None:
    """Return host and serial of the peer's verified certificate; None when it has none of ours."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    der = tls.getpeercert(binary_form=True) if tls is not None else None
    try:
        return host_identity(der) if der else None
    except PkiError:
        return None


def _certificate_names(transport: asyncio.Transport) -> frozenset[str] | None:
    """Return the names in the peer's verified certificate; None on a connection without TLS."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if tls is None:
        return None
    certificate: dict[str, Any] = dict(tls.getpeercert() or {})
    subject = {
        value
        for group in certificate.get("subject", ())
        for name, value in group
        if name == "commonName"
    }
    return frozenset(subject | {value for _, value in certificate.get("subjectAltName", ())})
