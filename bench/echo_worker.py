"""A UDP echo inside a guest: ``serve PORT``, or ``ask ADDRESS PORT SECONDS``.

The asking side sends one datagram, waits for it to come back, sends the next, and prints the
round-trip times in microseconds as one JSON list.
"""

import json
import os
import socket
import sys
import time


def serve(port: int) -> None:
    """Send every datagram back until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("", port))
        print("ready", flush=True)
        while True:
            data, sender = line.recvfrom(2048)
            line.sendto(data, sender)


def ask(address: str, port: int, seconds: float) -> list[float]:
    """Return round-trip times in microseconds."""
    times: list[float] = []
    until = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(0.5)
        line.connect((address, port))
        while time.monotonic() < until:
            sent = time.monotonic_ns()
            line.send(b"\x5a" * 22)
            try:
                line.recv(2048)
            except (TimeoutError, ConnectionRefusedError):
                continue
            times.append((time.monotonic_ns() - sent) / 1000)
    return times


def main() -> None:
    """Serve or ask."""
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(40))
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        print(json.dumps(ask(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))))


if __name__ == "__main__":
    main()
