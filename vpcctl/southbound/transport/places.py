"""Who may be connected: every connection is counted from its first moment, strangers by source.

A stranger is a connection that has not shown which switch it is: its TLS handshake is under way,
or it is not admitted yet. There are only so many of them, of one source and in all. Who comes is
let in, and the oldest stranger of the source that has the most gives way: a switch needs a place
for some milliseconds, so whoever keeps many loses these, and never a switch's.
"""

import socket
import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from vpcctl.southbound.transport.limits import Allowance, Limits

T = TypeVar("T")
_CREDENTIALS = struct.Struct("3i")
_NETWORK = 8
"""Bytes of an IPv6 address that name a network: who is in it has any number of addresses."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where connections come from: the host of a certificate, or else an address or a user."""

    name: str
    is_host: bool = False


def source_of(sock: socket.socket) -> Source:
    """Return where an accepted connection comes from, before it has shown any certificate.

    Raises:
        OSError: it is gone already.
    """
    if sock.family == socket.AF_UNIX:
        data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return Source(f"user {_CREDENTIALS.unpack(data)[1]}")
    address = sock.getpeername()[0]
    if sock.family == socket.AF_INET6:
        network = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])[:_NETWORK]
        address = socket.inet_ntop(socket.AF_INET6, network + bytes(16 - _NETWORK))
    return Source(str(address))


class Places(Generic[T]):
    """Counts connections, and says which one gives way to another."""

    def __init__(self, limits: Limits, most: int, give_way: Callable[[T], None]) -> None:
        """Make empty places.

        Args:
            limits: for strangers.
            most: connections in all.
            give_way: drops one; told after it was taken out.
        """
        self._limits = limits
        self._most = most
        self._give_way = give_way
        self._taken: dict[T, Source | None] = {}
        self._strangers: dict[Source, dict[T, None]] = {}
        self._waiting = 0
        self._allowances: dict[Source, Allowance] = {}
        self.gave_way: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._taken)

    @property
    def strangers(self) -> int:
        """How many of them are strangers."""
        return self._waiting

    def enter(self, one: T, source: Source) -> bool:
        """Give *one* a place as a stranger; False if no stranger could give way for it."""
        if len(self._taken) >= self._most and not self._make_room():
            return False
        self._taken[one] = None
        self._add(one, source)
        return True

    def show(self, one: T, source: Source) -> bool:
        """Count *one* with the *source* that it has shown; False if it has no place any more."""
        if one not in self._taken:
            return False
        self._remove(one)
        self._add(one, source)
        return True

    def admit(self, one: T) -> None:
        """Count *one* as no stranger any more: it does not give way."""
        self._remove(one)

    def leave(self, one: T) -> None:
        """Free the place of *one*, if it has one."""
        self._remove(one)
        self._taken.pop(one, None)

    def allowance(self, source: Source) -> Allowance:
        """Return what connections of *source* may say.

        A host has one for all its connections, those to come, too: there are only as many as have
        certificates. Any number of hosts may share an address, so each connection has its own.
        """
        if not source.is_host:
            return Allowance(self._limits)
        return self._allowances.setdefault(source, Allowance(self._limits))

    def _add(self, one: T, source: Source) -> None:
        limits = self._limits
        most = limits.strangers_of_host if source.is_host else limits.strangers_of_address
        if len(self._strangers.get(source, ())) >= most:
            self._drop_oldest(source)
        elif self._waiting >= limits.strangers:
            self._make_room()
        self._strangers.setdefault(source, {})[one] = None
        self._taken[one] = source
        self._waiting += 1

    def _make_room(self) -> bool:
        """Have a stranger give way; hosts' only if there is no other."""
        if not self._strangers:
            return False

        def weight(source: Source) -> tuple[bool, int]:
            return not source.is_host, len(self._strangers[source])

        self._drop_oldest(max(self._strangers, key=weight))
        return True

    def _drop_oldest(self, source: Source) -> None:
        oldest = next(iter(self._strangers[source]))
        self.leave(oldest)
        self.gave_way[source.name] += 1
        self._give_way(oldest)

    def _remove(self, one: T) -> None:
        source = self._taken.get(one)
        if source is None:
            return
        self._taken[one] = None
        self._waiting -= 1
        same = self._strangers[source]
        del same[one]
        if not same:
            del self._strangers[source]
