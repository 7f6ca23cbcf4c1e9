"""Drives the probing process inside a guest."""

import json
import math
import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.probe_worker import Flight
from bench.processes import Process
from bench.stats import Silence, silence
from bench.udp_worker import UdpFlight

INTERVAL_S = 0.001


@dataclass(frozen=True, slots=True)
class Answers:
    """A finished train of probes: when each was sent, and when answered (None: never)."""

    sent: tuple[float, ...]
    answered: tuple[float | None, ...]

    def first_after(self, moment: float) -> float | None:
        """Return when the first answer to a probe came that was not there before *moment*."""
        times = [time for time in self.answered if time is not None and time >= moment]
        return min(times, default=None)

    def elapsed_ms(self, moment: float) -> float:
        """Return milliseconds from *moment* to the first answer after it; infinite if none."""
        first = self.first_after(moment)
        return math.inf if first is None else (first - moment) * 1000

    def silence(self) -> Silence:
        """Return the longest silence."""
        return silence(self.sent, self.answered, INTERVAL_S)

    def round_trips_ms(self) -> list[float]:
        """Return the round-trip time of every answered probe, milliseconds."""
        pairs = zip(self.sent, self.answered, strict=True)
        return [(back - out) * 1000 for out, back in pairs if back is not None]

    @property
    def end(self) -> float:
        """When the last probe was sent or answered."""
        return max([*self.sent[-1:], *(time for time in self.answered if time is not None)])


class Prober:
    """A probing process that lives in one guest's namespace."""

    def __init__(
        self, netns: str, device: str, log: Path, *, worker: str = "bench.probe_worker"
    ) -> None:
        argv = [sys.executable, "-m", worker, device]
        self._process = Process(argv, log=log, netns=netns, pipes=True)

    def start(
        self,
        flight: Flight | UdpFlight,
        *,
        until_first: bool,
        timeout: float,
        interval: float = INTERVAL_S,
    ) -> None:
        """Start a train; returns once the first probe is about to leave."""
        self._write(
            {
                "op": "probe",
                "flight": asdict(flight),
                "until_first": until_first,
                "timeout": timeout,
                "interval": interval,
            }
        )
        self._read()

    def last_answer(self) -> float | None:
        """Return when the running train had its last answer; it goes on. None: not yet any."""
        self._write({"op": "peek"})
        return self._read()["last_answer"]

    def stop(self) -> Answers:
        """End the train and return its answers."""
        self._write({"op": "stop"})
        return self.result()

    def result(self) -> Answers:
        """Wait for the train's own end (first answer or timeout) and return its answers."""
        message = self._read()
        return Answers(tuple(message["sent"]), tuple(message["answered"]))

    def close(self) -> None:
        """End the process."""
        self._process.stop()

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.popen.stdin is not None
        self._process.popen.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.popen.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.popen.stdout is not None
        line = self._process.popen.stdout.readline()
        if not line:
            raise RuntimeError("the probing process died")
        return json.loads(line)


def new_identifier() -> int:
    """Return a random ICMP identifier, so that late answers to an older train do not count."""
    return random.randrange(1, 0x10000)
