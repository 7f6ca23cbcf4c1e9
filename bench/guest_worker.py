"""Asks what guests ask, at a steady rate from many ports in turn, and notes when each was answered.

Runs as a process of its own in the namespace of all these guests' devices. It takes one JSON
command a line on standard input and answers with one JSON line. ``calm`` as its only argument
keeps it from real-time priority: a flood must not take the processor from what it floods.
"""

import json
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from bench.guest_frames import Asker, Discover, Lookup, Questions

_ETH_P_IP = 0x0800
_LAST_ANSWERS_S = 0.3
"""How long answers are waited for after the last question."""


@dataclass(slots=True)
class Asking:
    """One series of questions.

    Attributes:
        wire: hears all devices of the namespace.
        askers: who asks, in turn.
        questions: what.
        rate: questions a second.
        sent: when each question left.
        times: how long each answer took, seconds; by the number of the question.
    """

    wire: socket.socket
    askers: list[Asker]
    questions: Questions
    rate: float
    sent: list[float] = field(default_factory=list[float])
    times: dict[int, float] = field(default_factory=dict[int, float])

    def run(self, seconds: float) -> None:
        """Ask for *seconds*, and wait for the last answers."""
        begin = time.monotonic()
        over = begin + seconds
        while (now := time.monotonic()) < over + _LAST_ANSWERS_S:
            due = begin + len(self.sent) / self.rate
            if now < over and now >= due:
                self._ask()
                due = begin + len(self.sent) / self.rate
            if now >= over and len(self.times) == len(self.sent):
                return
            until = min(due, over) if now < over else over + _LAST_ANSWERS_S
            self._hear(max(0.0, until - time.monotonic()))

    def _ask(self) -> None:
        number = len(self.sent)
        asker = self.askers[number % len(self.askers)]
        frame = self.questions.frame(asker, number)
        self.sent.append(time.monotonic())
        try:
            self.wire.sendto(frame, (asker.device, 0))
        except OSError:
            return  # a full queue: the question counts as lost

    def _hear(self, wait: float) -> None:
        """Take in what is there; wait until there is something, *wait* seconds at most."""
        ready, _, _ = select.select([self.wire], [], [], wait)
        while ready:
            try:
                frame = self.wire.recv(2048)
            except (BlockingIOError, InterruptedError):
                return
            number = self.questions.answered(frame)
            if number is not None and 0 <= number < len(self.sent):
                self.times.setdefault(number, time.monotonic() - self.sent[number])


def _questions(command: dict[str, Any]) -> Questions:
    if command["kind"] == "dhcp":
        return Discover(int.from_bytes(os.urandom(3), "big") << 4)
    return Lookup(tuple(command["names"]))


def _wire() -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_IP))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    opened.setblocking(False)
    return opened


def main() -> None:
    """Serve commands until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.argv[1:] != ["calm"]:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    while line := sys.stdin.readline():
        command = json.loads(line)
        askers = [Asker(**each) for each in command["askers"]]
        with _wire() as wire:
            asking = Asking(wire, askers, _questions(command), command["rate"])
            print(json.dumps({"started": time.monotonic()}), flush=True)
            asking.run(command["seconds"])
        said = {"sent": len(asking.sent), "times": list(asking.times.values())}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
