"""A Unix socket that passes on to another one and notes when each side spoke."""

import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something that one side said: when, who (``client`` or ``server``), and how it began."""

    time: float
    who: str
    text: str


class Tap:
    """Forwards connections from one Unix socket to another."""

    def __init__(self, listen: Path, target: Path) -> None:
        self._target = str(target)
        self._said: list[Spoken] = []
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(str(listen))
        self._server.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def take(self) -> list[Spoken]:
        """Return what was said since the last call."""
        said, self._said = self._said, []
        return said

    def close(self) -> None:
        """Take no more connections."""
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(self._target)
            except OSError:
                client.close()
                continue
            for who, source, sink in (("client", client, server), ("server", server, client)):
                arguments = (who, source, sink)
                threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

    def _pass_on(self, who: str, source: socket.socket, sink: socket.socket) -> None:
        while True:
            data, now = b"", 0.0
            try:
                data = source.recv(1 << 16)
                now = time.monotonic()
                if data:
                    sink.sendall(data)
            except OSError:
                data = b""
            if not data:
                sink.close()
                return
            self._said.append(Spoken(now, who, data[:200].decode("latin-1").partition("\r")[0]))
