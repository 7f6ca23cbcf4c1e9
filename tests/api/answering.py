"""Answers the API's questions in the southbound's place."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vpcctl.model.counters import Count, PortCounters, RuleCount, Side
from vpcctl.store import southbound

COUNTERS = PortCounters(
    Side(Count(5, 500), {"egress-denied": Count(1, 60)}),
    Side(Count(7, 700), {}),
    (RuleCount("sgr-00000000000000001", "sg-00000000000000001", Count(3, 300)),),
)


@contextmanager
def answering(run_dir: Path, *answers: bytes) -> Iterator[list[bytes]]:
    """Answer with these lines, over and over; yields what is asked."""
    asked: list[bytes] = []
    listening = southbound.listening_socket(run_dir)
    listening.listen()

    def serve() -> None:
        for answer in itertools.cycle(answers):
            try:
                connection, _ = listening.accept()
            except OSError:  # shut down
                return
            with connection, contextlib.suppress(OSError):
                asked.append(connection.recv(4096))
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield asked
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        listening.close()
