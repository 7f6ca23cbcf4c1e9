"""Resolvers of an operator's, for tests: each does as it is told, over UDP and TCP."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from tests.traffic.site import inside

Manner = Literal["good", "REFUSED", "SERVFAIL", "truncated", "wrong-id", "wrong-question"]
_LENGTH = struct.Struct("!H")


class Resolver:
    """Answers every question with one address.

    Attributes:
        manner: how it behaves. ``truncated``: whole over TCP alone; ``wrong-id``: an answer with
            another id, and then nothing; ``wrong-question``: an answer to another question.
        asked: questions that it has got.
    """

    def __init__(self, netns: str, address: str, value: str) -> None:
        self.manner: Manner = "good"
        self.asked: list[dns.message.Message] = []
        self._value = value
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._address = address, 53
        self._datagrams = inside(netns, lambda: socket.socket(family, socket.SOCK_DGRAM))
        self._datagrams.bind(self._address)
        self._listener = inside(netns, lambda: socket.create_server(self._address, family=family))
        self._threads = [threading.Thread(target=one) for one in (self._over_udp, self._over_tcp)]
        for thread in self._threads:
            thread.start()

    def _over_udp(self) -> None:
        while True:
            data, peer = self._datagrams.recvfrom(4096)
            if not data:
                return
            self._datagrams.sendto(self._answer(data).to_wire(), peer)

    def _over_tcp(self) -> None:
        while True:
            try:
                opened, _ = self._listener.accept()
            except OSError:
                return
            with opened, opened.makefile("rb") as stream:
                (length,) = _LENGTH.unpack(stream.read(2))
                answer = self._whole(dns.message.from_wire(stream.read(length)))
                wire = answer.to_wire()
                opened.sendall(_LENGTH.pack(len(wire)) + wire)

    def _answer(self, data: bytes) -> dns.message.Message:
        question = dns.message.from_wire(data)
        self.asked.append(question)
        if self.manner in ("good", "wrong-id", "wrong-question"):
            answer = self._whole(question)
            if self.manner == "wrong-id":
                answer.id ^= 1
            elif self.manner == "wrong-question":
                answer.question = dns.message.make_query("other.test", "A").question
            return answer
        answer = dns.message.make_response(question)
        if self.manner == "truncated":
            answer.flags |= dns.flags.TC
        else:
            answer.set_rcode(dns.rcode.from_text(self.manner))
        return answer

    def _whole(self, question: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.AD
        name = question.question[0].name
        answer.answer = [dns.rrset.from_text(name, 60, "IN", "A", self._value)]
        return answer

    def close(self) -> None:
        """End it."""
        self._datagrams.sendto(b"", self._datagrams.getsockname())
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._datagrams.close()
        self._listener.close()


@contextmanager
def resolver(netns: str, address: str, value: str) -> Iterator[Resolver]:
    """Run a resolver in a network namespace."""
    made = Resolver(netns, address, value)
    try:
        yield made
    finally:
        made.close()
