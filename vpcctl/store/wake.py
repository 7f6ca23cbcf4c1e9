"""Wake-ups between the processes of one controller: "look at the database now".

A wake-up carries nothing and may be lost: whoever listens also looks every second or so. Each
listener binds a Unix datagram socket ``<run_dir>/wake/<topic>.<pid>.<random>.sock``; waking a topic
sends an empty datagram to each. Over PostgreSQL the same goes by NOTIFY to other machines.
"""

import contextlib
import errno
import os
import secrets
import socket
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sqlalchemy import URL

if TYPE_CHECKING:
    import psycopg

Topic = Literal["network", "realised", "hoststate", "hoststate-soon", "zones"]
TOPICS: tuple[Topic, ...] = ("network", "realised", "hoststate", "hoststate-soon", "zones")
"""In the order of urgency: traffic waits for the network's flows."""
LATER: frozenset[Topic] = frozenset(("hoststate-soon", "zones"))
"""What nobody's packets wait for: each wake-up takes some of the time in which a write is made."""
CHANNEL = "vpcctl"


class SocketDirectory:
    """A directory of sockets, reached through a descriptor.

    A socket's path is limited to 107 bytes, a run directory's is not.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def reach(self, name: str) -> str:
        """Return a short path to *name* in it."""
        return f"/proc/self/fd/{self._descriptor}/{name}"

    def close(self) -> None:
        """Give the descriptor back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Waker:
    """Wakes listeners of a topic."""

    def __init__(self, run_dir: Path) -> None:
        self._directory = SocketDirectory(run_dir / "wake")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def wake(self, topic: str) -> None:
        """Wake everybody who listens to *topic*; never blocks, never raises for a dead one."""
        try:
            names = os.listdir(self._directory.path)
        except FileNotFoundError:
            return
        for name in names:
            if name.startswith(topic + "."):
                self._send(name)

    def _send(self, name: str) -> None:
        try:
            self._socket.sendto(b"\0", self._directory.reach(name))
        except OSError as error:
            # A full queue means that the listener is awake; a refused one has died.
            if error.errno == errno.ECONNREFUSED:
                with contextlib.suppress(OSError):
                    os.unlink(self._directory.path / name)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        self._directory.close()


def has_listener(run_dir: Path, topic: Topic) -> bool:
    """Tell whether a living process listens to *topic*; a dead one's socket refuses."""
    directory = SocketDirectory(run_dir / "wake")
    try:
        return any(_lives(directory.reach(name)) for name in _sockets(directory, topic))
    finally:
        directory.close()


def _sockets(directory: SocketDirectory, topic: str) -> list[str]:
    return [name for name in os.listdir(directory.path) if name.startswith(topic + ".")]


def _lives(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


class NullWaker(Waker):
    """Wakes nobody: for tools that work on the database alone."""

    def __init__(self) -> None:
        pass

    def wake(self, topic: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class WakeListener:
    """Listens to a topic: readable by ``fileno()`` after a wake-up, until :meth:`drain`."""

    def __init__(self, run_dir: Path, topic: str) -> None:
        self._directory = SocketDirectory(run_dir / "wake")
        self._name = f"{topic}.{os.getpid()}.{secrets.token_hex(4)}.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._socket.bind(self._directory.reach(self._name))

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def drain(self) -> bool:
        """Take all wake-ups; tell whether there was one."""
        woken = False
        while True:
            try:
                self._socket.recv(16)
                woken = True
            except BlockingIOError:
                return woken

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._directory.path / self._name)
        self._directory.close()


class NotifyRelay:
    """Hands NOTIFY of a PostgreSQL database on to the sockets of this machine.

    Run one per machine, beside the API.
    """

    def __init__(self, url: URL, run_dir: Path) -> None:
        # The same arguments as the engine's: libpq reads URLs a little differently.
        self._target = dict(url.get_dialect()().create_connect_args(url)[1])
        self._waker = Waker(run_dir)
        self._stop = threading.Event()
        self.listening = threading.Event()
        self._thread = threading.Thread(target=self._work, name="notify-relay", daemon=True)

    def start(self) -> None:
        """Begin to relay in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """End within about a second."""
        self._stop.set()
        self._thread.join()
        self._waker.close()

    def _work(self) -> None:
        import psycopg  # 5 MiB that no process needs without PostgreSQL

        while not self._stop.is_set():
            try:
                with psycopg.connect(**self._target, autocommit=True) as connection:
                    self._relay(connection)
            except psycopg.Error:
                self.listening.clear()
                self._stop.wait(1.0)

    def _relay(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        connection.execute(f"LISTEN {CHANNEL}")
        self._wake(TOPICS)  # whatever was said before we listened
        self.listening.set()
        while not self._stop.is_set():
            heard = {notice.payload for notice in connection.notifies(timeout=0.5)}
            self._wake(heard)

    def _wake(self, topics: Iterable[str]) -> None:
        for topic in topics:
            if topic in TOPICS:
                self._waker.wake(topic)
