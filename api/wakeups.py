"""Wake-ups on the event loop: datagrams from the other processes, and our own writes."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol


class Listener(Protocol):
    """A wake-up socket of the store."""

    def fileno(self) -> int:
        """Return the descriptor that becomes readable on a wake-up."""
        ...

    def drain(self) -> object:
        """Take all pending wake-ups."""
        ...

    def close(self) -> None:
        """Give the socket back."""
        ...


class Pulse:
    """A repeatable signal on one event loop: whoever waits when it fires goes on."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def fire(self) -> None:
        """Let every present waiter go on."""
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    @contextlib.contextmanager
    def held(self) -> "Iterator[asyncio.Future[None]]":
        """Give a future that the next :meth:`fire` completes, for the time of a block."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)
            waiter.cancel()

    async def wait(self, timeout: float, *others: "asyncio.Future[Any]") -> bool:
        """Wait for the next signal, any of *others*, or *timeout* seconds.

        Returns:
            Whether anything happened in time.
        """
        with self.held() as waiter:
            done, _ = await asyncio.wait(
                {waiter, *others}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
            )
            return bool(done)


class Wakeups:
    """Pulses that follow wake-up sockets.

    Args:
        run_dir: where the sockets live.
        listen: makes a listener for a topic in a run directory.
    """

    def __init__(self, run_dir: Path, listen: Callable[[Path, str], Listener]) -> None:
        self._run_dir = run_dir
        self._listen = listen
        self._listeners: list[Listener] = []
        self._pulses: dict[str, Pulse] = {}

    def pulse(self, topic: str) -> Pulse:
        """Return the pulse of *topic*."""
        return self._pulses.setdefault(topic, Pulse())

    def start(self, topics: Sequence[str]) -> None:
        """Listen for *topics* on the running loop."""
        loop = asyncio.get_running_loop()
        for topic in topics:
            listener = self._listen(self._run_dir, topic)
            self._listeners.append(listener)
            loop.add_reader(listener.fileno(), self._on_readable, listener, self.pulse(topic))

    @staticmethod
    def _on_readable(listener: Listener, pulse: Pulse) -> None:
        listener.drain()
        pulse.fire()

    def stop(self) -> None:
        """Close the sockets and let every waiter go on."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.remove_reader(listener.fileno())
            listener.close()
        self._listeners.clear()
        for pulse in self._pulses.values():
            pulse.fire()
