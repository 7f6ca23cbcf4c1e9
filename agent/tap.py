"""Frames that the agent exchanges with flows through the internal port of br-int.

There are two who listen, for guests and for the world outside. The kernel gives each its own
frames alone, told apart by the first 16 bits of the destination MAC, so that a flood of the one
kind takes nothing from the other. Who has used up a share is muted for the rest of the period, by
the kernel too: what is not read costs nothing, and what others ask finds room in the queue.
"""

import asyncio
import contextlib
import ctypes
import logging
import socket
import struct
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from agent.decide import marks
from agent.worker import Worker

log = logging.getLogger(__name__)

_BATCH = 32
_SO_ATTACH_FILTER = 26
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30  # see linux/bpf_common.h
_JUMP_EQUAL, _RETURN = 0x15, 0x06
_ALL = 0xFFFF_FFFF
_MOST_MUTED = 64
"""Of one socket in a period: each one makes the kernel's program longer."""

Pattern = tuple[tuple[int, bytes], ...]
"""What marks the frames of one who asks: bytes, and where they are in the frame."""
_Instruction = tuple[int, int, int, int]


class Budget:
    """How many more questions are answered in this period.

    Args:
        total: questions that may be answered in a period.
        port: those of one who asks.
        reads: frames that may be read, answered or not.

    Attributes:
        reads: frames that may still be read.
        total: questions that may still be answered.
    """

    def __init__(self, *, total: int, port: int, reads: int = 10_000) -> None:
        self._full, self._port, self._reads = total, port, reads
        self._used: dict[Hashable, int] = {}
        self._tenants: dict[str, int] = {}
        self.total, self.reads = total, reads

    def renew(self) -> None:
        """Begin a new period."""
        self.total, self.reads = self._full, self._reads
        self._used.clear()
        self._tenants.clear()

    def is_spent(self) -> bool:
        """Tell whether nothing more is to be read in this period."""
        return self.total <= 0 or self.reads <= 0

    def take(self, who: Hashable, tenant: str = "") -> bool:
        """Count one frame of somebody; tell whether it may be answered.

        Args:
            who: who asks.
            tenant: whose it is: a tenant gets half of what the others leave of a period, so that
                there is something for the next one. Empty: nobody is held back for it.
        """
        self.reads -= 1
        used = self._used[who] = self._used.get(who, 0) + 1
        if used > self._port or not self._has_share(tenant):
            return False
        self.total -= 1
        return True

    def _has_share(self, tenant: str) -> bool:
        if not tenant:
            return True
        used = self._tenants.get(tenant, 0)
        if used >= self.total:  # total + used is what the others leave
            return False
        self._tenants[tenant] = used + 1
        return True


@dataclass(frozen=True, slots=True)
class Kind:
    """Which frames are heard.

    Attributes:
        ethernet_types: their types.
        prefix: first 16 bits of their destination MAC.
        longest: bytes that are read of one, with its head.
    """

    ethernet_types: Sequence[int]
    prefix: int
    longest: int


class Tap:
    """Sockets on the port while there is one.

    Args:
        worker: netlink's thread, which brings the port up.
        kind: which frames are heard.
        hear: given each frame; returns what marks those that are not to be heard any more in this
            period, or None.
        budget: while it is spent nothing is read, and the kernel drops for us.
        trouble: told what is wrong, or None when all is well.
    """

    def __init__(
        self,
        worker: Worker,
        kind: Kind,
        hear: Callable[[bytes], Pattern | None],
        budget: Budget,
        trouble: Callable[[str | None], None],
    ) -> None:
        self._worker = worker
        self._kind = kind
        self._hear = hear
        self._budget = budget
        self._trouble = trouble
        self._sockets: list[socket.socket] = []
        self._muted: dict[socket.socket, list[Pattern]] = {}

    @property
    def is_open(self) -> bool:
        """Whether frames are heard and can be sent."""
        return bool(self._sockets)

    async def open(self) -> None:
        """Begin to listen, if there is a port."""
        try:
            device = await self._worker.run(lambda: self._worker.underlay.device(marks.GUESTS))
            if device is None:
                return
            await self._worker.run(lambda: self._worker.underlay.serve_on(marks.GUESTS))
            self._sockets = [_opened(each, self._kind.prefix) for each in self._kind.ethernet_types]
        except Exception as error:  # netlink's own errors are plain Exceptions
            self._trouble(f"{marks.GUESTS}: {error}")
            return
        self._trouble(None)
        self.listen()

    def listen(self) -> None:
        """Read again, in a new period."""
        self._budget.renew()
        for opened in self._muted:
            _filter(opened, self._kind.prefix)
        self._muted.clear()
        for opened in self._sockets:
            asyncio.get_running_loop().add_reader(opened, self._readable, opened)

    def send(self, frame: bytes) -> None:
        """Send a frame; one that does not fit into the queue is lost, as on any wire."""
        if self._sockets:
            with contextlib.suppress(OSError):
                self._sockets[0].send(frame)

    def close(self) -> None:
        """Stop listening."""
        for opened in self._sockets:
            asyncio.get_running_loop().remove_reader(opened)
            opened.close()
        self._sockets = []
        self._muted.clear()

    def _readable(self, opened: socket.socket) -> None:
        """Hear what is there; stop listening for the rest of the period when it is too much."""
        for _ in range(_BATCH):
            if self._budget.is_spent():
                asyncio.get_running_loop().remove_reader(opened)
                return
            try:
                frame = opened.recv(self._kind.longest + 1)
            except BlockingIOError:
                return
            except OSError as error:
                log.info("%s: %s", marks.GUESTS, error)
                self.close()
                return
            pattern = self._hear(frame)
            if pattern is not None:
                self._mute(opened, pattern)

    def _mute(self, opened: socket.socket, pattern: Pattern) -> None:
        """Have the kernel drop frames with *pattern* until the period is over."""
        muted = self._muted.setdefault(opened, [])
        if len(muted) < _MOST_MUTED and pattern not in muted:  # some were in the queue already
            muted.append(pattern)
            with contextlib.suppress(OSError):  # no room for the program: it is read, and refused
                _filter(opened, self._kind.prefix, muted)


def _opened(ethernet_type: int, prefix: int) -> socket.socket:
    """Return a socket of one Ethernet type: what we send ourselves is not heard again."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        _filter(opened, prefix)
        opened.setblocking(False)
        opened.bind((marks.GUESTS, ethernet_type))
    except OSError:
        opened.close()
        raise
    return opened


def _filter(opened: socket.socket, prefix: int, muted: Sequence[Pattern] = ()) -> None:
    """Have the kernel drop what is not for us: classic BPF, see packet(7) and socket(7)."""
    program: list[_Instruction] = [
        *((_LOAD_HALF, 0, 0, 0), (_JUMP_EQUAL, 1, 0, prefix), (_RETURN, 0, 0, 0)),
        *(one for pattern in muted for one in _unless(pattern)),
        (_RETURN, 0, 0, _ALL),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
    head = struct.pack("HL", len(program), ctypes.addressof(code))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)


def _unless(pattern: Pattern) -> Iterator[_Instruction]:
    """Yield the part of a program that drops a frame with *pattern*, and else goes on."""
    parts = [part for at, data in pattern for part in _loads(at, data)]
    for left, (load, at, value) in zip(range(len(parts) - 1, -1, -1), parts, strict=True):
        yield load, 0, 0, at
        yield _JUMP_EQUAL, 0, 2 * left + 1, value
    yield _RETURN, 0, 0, 0


def _loads(at: int, data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield how bytes are loaded, from where, and what they have to be: 4, 2 or 1 at a time."""
    while data:
        size = 4 if len(data) > 3 else 2 if len(data) > 1 else 1
        load = {4: _LOAD_WORD, 2: _LOAD_HALF, 1: _LOAD_BYTE}[size]
        yield load, at, int.from_bytes(data[:size], "big")
        at, data = at + size, data[size:]
