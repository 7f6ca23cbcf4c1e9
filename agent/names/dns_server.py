"""Answers questions for names, over UDP and TCP."""

import asyncio
import logging
import socket
import struct
import time

from dns.exception import DNSException

from agent.decide.names import dns
from agent.decide.names.guest import Guest
from agent.decide.names.limits import Limits
from agent.decide.names.turns import Turns
from agent.names import sockets
from agent.names.forward import Forwarder
from agent.names.gate import Gate
from agent.names.library import Library

log = logging.getLogger(__name__)

_BATCH = 64
_BREAKS = (OSError, TimeoutError, asyncio.IncompleteReadError, DNSException, ValueError)
_IDLE_S = 10.0
_LENGTH = struct.Struct("!H")
_MOST_ON_ONE = 200
"""Questions on one TCP connection."""


class DnsServer:
    """The resolver of all guests of this host.

    Args:
        library: what is known.
        turns: how the process's time is shared.
    """

    def __init__(self, library: Library, turns: Turns) -> None:
        self._library = library
        self._turns = turns
        self._limits = Limits()
        self._gate = Gate("dns-connections", library.counts)
        self._forwarder = Forwarder(library.counts, turns)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, datagrams: list[socket.socket], listeners: list[socket.socket]) -> None:
        """Answer at these sockets from now on."""
        loop = asyncio.get_running_loop()
        for opened in datagrams:
            loop.add_reader(opened, self._readable, opened)
        for opened in listeners:
            await asyncio.start_server(self._connected, sock=opened, limit=dns.MAX_QUESTION + 2)

    def _readable(self, opened: socket.socket) -> None:
        for _ in range(_BATCH):
            question = sockets.receive(opened)
            if question is None:
                return
            self._answer(opened, question)

    def _answer(self, opened: socket.socket, question: sockets.Question) -> None:
        """Answer at once if the answer is known here, else when others have been asked."""
        if question.client[1] == 0:  # nothing can be sent there
            self._library.counts["dns-source-port"] += 1
            return
        guest = self._library.guest(question.key)
        if guest is None:
            self._library.counts["dns-unknown-port"] += 1
            return
        try:
            reply = self._reply(guest, question.data, tcp=False)
        except dns.Ignored as reason:
            self._library.counts[str(reason)] += 1
            return
        except (DNSException, ValueError):  # what a tenant wrote must not fill the log
            self._library.counts["dns-failed"] += 1
            return
        if isinstance(reply, dns.Onward):
            task = asyncio.create_task(self._answer_later(opened, question, guest, reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        self._send(opened, question, reply)

    def _send(self, opened: socket.socket, question: sockets.Question, reply: bytes) -> None:
        if not sockets.send(opened, question, reply):
            self._library.counts["dns-unsent"] += 1

    def _reply(self, guest: Guest, data: bytes, *, tcp: bool) -> bytes | dns.Onward:
        """Return the answer to a message, or what has to be asked elsewhere.

        Raises:
            dns.Ignored: it is not answered.
        """
        now = time.monotonic()
        if not self._limits.take(guest.key, now):
            raise dns.Ignored("dns-limited")
        if not self._turns.may(guest.tenant, now):
            raise dns.Ignored("dns-tenant-limited")
        try:
            return self._looked_up(guest, data, tcp=tcp)
        finally:
            self._turns.took(guest.tenant, time.monotonic() - now)

    def _looked_up(self, guest: Guest, data: bytes, *, tcp: bool) -> bytes | dns.Onward:
        library = self._library
        kept = library.cache.get(guest.vpc_id, data, tcp=tcp)
        if kept is not None:
            library.counts["dns-answered-again"] += 1
            return kept
        zone = library.zone(guest)
        reply = dns.resolve(zone, data, tcp=tcp)
        if isinstance(reply, dns.Onward):
            if library.forwarders:
                return reply
            reply = dns.refused(reply, tcp=tcp)
        library.counts[reply.outcome] += 1
        if reply.lasting:
            library.cache.put(guest.vpc_id, data, reply.data, tcp=tcp)
        return reply.data

    async def _answer_later(
        self, opened: socket.socket, question: sockets.Question, guest: Guest, onward: dns.Onward
    ) -> None:
        try:
            reply = await self._forwarded(guest, onward, tcp=False)
        except (DNSException, ValueError):
            self._library.counts["dns-failed"] += 1
            return
        self._send(opened, question, reply)

    async def _forwarded(self, guest: Guest, onward: dns.Onward, *, tcp: bool) -> bytes:
        servers = self._library.forwarders
        answer = await self._forwarder.ask(onward, servers, guest, tcp=tcp)
        started = time.monotonic()
        try:
            reply = dns.completed(onward, answer, tcp=tcp)
        finally:
            self._turns.took(guest.tenant, time.monotonic() - started)
        self._library.counts[reply.outcome] += 1
        return reply.data

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, own = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
        guest = self._library.guest(sockets.key_of(peer, own) if peer and own else 0)
        if guest is None:
            self._library.counts["dns-unknown-port"] += 1
            writer.close()
            return
        place = self._gate.enter(guest.tenant, guest.key, writer.transport.abort)
        if place is None:
            writer.close()
            return
        try:
            await self._talk(guest.key, reader, writer)
        except dns.Ignored as reason:
            self._library.counts[str(reason)] += 1
        except _BREAKS:
            self._library.counts["dns-broken-off"] += 1
        finally:
            self._gate.leave(place)
            writer.close()

    async def _talk(
        self, key: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        for _ in range(_MOST_ON_ONE):
            async with asyncio.timeout(_IDLE_S):
                head = await reader.read(1)
                if not head:
                    return
                head += await reader.readexactly(1)
                (length,) = _LENGTH.unpack(head)
                if length > dns.MAX_QUESTION:
                    raise dns.Ignored("dns-length")
                data = await reader.readexactly(length)
            guest = self._library.guest(key)  # it may be gone since the connection was made
            if guest is None:
                raise dns.Ignored("dns-unknown-port")
            reply = self._reply(guest, data, tcp=True)
            if isinstance(reply, dns.Onward):
                reply = await self._forwarded(guest, reply, tcp=True)
            async with asyncio.timeout(_IDLE_S):
                writer.write(_LENGTH.pack(len(reply)) + reply)
                await writer.drain()
