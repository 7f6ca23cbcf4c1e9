"""Answers guests where flows cannot, through an internal port of br-int.

So far: neighbour solicitations for gateways, where the datapath cannot rewrite the options of
neighbour discovery (the kernel's cannot). What a guest may cost is limited twice, each port and
all of them together; beyond that the socket is not read, and the kernel drops for us.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from agent.decide import marks
from agent.decide.advertisement import MAX_FRAME, advertisement, port_key
from agent.worker import Worker

log = logging.getLogger(__name__)

PORT_BUDGET = 20
TOTAL_BUDGET = 1_000
"""Questions read a second: of one port, of all."""
_BATCH = 32
_PERIOD_S = 1.0
_ETH_IPV6 = 0x86DD


class Budget:
    """How many more questions are answered in this period.

    Attributes:
        total: questions that may still be read.
        refused: questions not answered because of their port's budget, since the start.
    """

    def __init__(self, *, total: int = TOTAL_BUDGET, port: int = PORT_BUDGET) -> None:
        self._full, self._port = total, port
        self._used: dict[int, int] = {}
        self.total = total
        self.refused = 0

    def renew(self) -> None:
        """Begin a new period."""
        self.total = self._full
        self._used.clear()

    def take(self, key: int) -> bool:
        """Count one question of a port; tell whether it may be answered."""
        self.total -= 1
        used = self._used[key] = self._used.get(key, 0) + 1
        if used > self._port:
            self.refused += 1
        return used <= self._port


class GuestAnswers:
    """Answers on the internal port while there is one.

    Args:
        worker: netlink's thread, which brings the port up.
        trouble: told what is wrong, or None when all is well.
    """

    def __init__(self, worker: Worker, trouble: Callable[[str | None], None]) -> None:
        self._worker = worker
        self._trouble = trouble
        self._budget = Budget()
        self._socket: socket.socket | None = None
        self._wake = asyncio.Event()
        self._wake.set()

    def device_changed(self, name: str, *, gone: bool) -> None:
        """A device came, changed or went."""
        if name == marks.GUESTS and (gone or self._socket is None):
            self._close()
            self._wake.set()

    async def run(self) -> None:
        """Work for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD_S):
                    await self._wake.wait()
            self._wake.clear()
            if self._socket is None:
                await self._open()
            else:
                self._budget.renew()
                self._listen()

    async def _open(self) -> None:
        device = await self._worker.run(lambda: self._worker.underlay.device(marks.GUESTS))
        if device is None:
            return
        try:
            await self._worker.run(lambda: self._worker.underlay.serve_on(marks.GUESTS))
            # Only IPv6 frames that come in: what we send ourselves is not heard again.
            opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_IPV6))
            opened.setblocking(False)
            opened.bind((marks.GUESTS, 0))
        except Exception as error:  # netlink's own errors are plain Exceptions
            self._trouble(f"{marks.GUESTS}: {error}")
            return
        self._socket = opened
        self._trouble(None)
        self._listen()

    def _listen(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def _readable(self) -> None:
        """Answer what is there; stop listening for the rest of the period when it is too much."""
        opened = self._socket
        if opened is None:
            return
        for _ in range(_BATCH):
            if self._budget.total <= 0:
                asyncio.get_running_loop().remove_reader(opened)
                return
            try:
                frame = opened.recv(MAX_FRAME + 1)
            except BlockingIOError:
                return
            except OSError as error:
                log.info("%s: %s", marks.GUESTS, error)
                self._close()
                return
            self._answer(opened, frame)

    def _answer(self, opened: socket.socket, frame: bytes) -> None:
        key = port_key(frame)
        if not self._budget.take(0 if key is None else key):
            return
        answer = advertisement(frame)
        if answer is not None:
            with contextlib.suppress(OSError):  # a full queue: the guest asks again
                opened.send(answer)

    def _close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
