"""Asks the resolvers that the admin has set, from the host's own network."""

import asyncio
import functools
import secrets
import struct
from collections import Counter
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.rcode

from agent.decide.names.dns import Onward, question_for
from agent.decide.names.guest import Guest
from agent.decide.names.turns import Turns
from agent.names.counted import counted
from agent.names.gate import Gate

_TIMEOUT_S = 1.5
_PER_PORT = 64
_PORT = 53
_LENGTH = struct.Struct("!H")
_ANSWERS = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
"""What is an answer; with anything else a resolver says that it cannot or will not give one."""


class Forwarder:
    """Asks one resolver after the other; how much it asks for whom is limited.

    Args:
        counts: where it is counted who was not heard.
        turns: where it is counted for whom the process's time went.
    """

    def __init__(self, counts: Counter[str], turns: Turns) -> None:
        self._turns = turns
        self._gate = Gate("dns-forwarding", counts, per_port=_PER_PORT)

    async def ask(
        self, onward: Onward, servers: tuple[str, ...], guest: Guest, *, tcp: bool
    ) -> dns.message.Message | None:
        """Return what the first resolver that can answer says; else what the last one said, if any.

        Args:
            onward: what is to be asked.
            servers: addresses of the resolvers.
            guest: who wants to know.
            tcp: whether an answer of any length is wanted.
        """
        took = functools.partial(self._turns.took, guest.tenant)
        work = self._ask(onward, servers, tcp=tcp)
        asking = asyncio.ensure_future(counted(work, took))
        asking.add_done_callback(lambda _: work.close())  # one that never began has an end, too
        place = self._gate.enter(guest.tenant, guest.key, asking.cancel)
        if place is None:
            asking.cancel()
            return None
        try:
            await asyncio.wait([asking])
            return None if asking.cancelled() else asking.result()
        finally:
            asking.cancel()
            self._gate.leave(place)

    async def _ask(
        self, onward: Onward, servers: tuple[str, ...], *, tcp: bool
    ) -> dns.message.Message | None:
        question = question_for(onward, secrets.randbelow(1 << 16))
        wire = question.to_wire()
        failed: dns.message.Message | None = None
        for server in servers:
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    answer = _checked(question, await _over_udp(server, wire))
                    if tcp and answer.flags & dns.flags.TC:
                        answer = _checked(question, await _over_tcp(server, wire))
                if answer.rcode() in _ANSWERS:
                    return answer
                failed = answer
            except (OSError, TimeoutError, dns.exception.DNSException, ValueError, IndexError):
                continue
        return failed


def _checked(question: dns.message.Message, wire: bytes) -> dns.message.Message:
    answer = dns.message.from_wire(wire)
    if not question.is_response(answer):
        raise ValueError("the answer is to another question")
    return answer


class _One(asyncio.DatagramProtocol):
    """Waits for the one answer; the kernel lets in what comes from the server asked alone."""

    def __init__(self, id: bytes) -> None:
        self._id = id
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        del addr
        if data[:2] == self._id and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _over_udp(server: str, wire: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    made = await loop.create_datagram_endpoint(lambda: _One(wire[:2]), remote_addr=(server, _PORT))
    transport, protocol = made
    try:
        transport.sendto(wire)
        return await protocol.answer
    finally:
        transport.close()


async def _over_tcp(server: str, wire: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(server, _PORT)
    try:
        writer.write(_LENGTH.pack(len(wire)) + wire)
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise OSError("the server closed the connection") from error
    finally:
        writer.close()
