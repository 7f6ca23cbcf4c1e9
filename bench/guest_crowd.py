"""Many guests of one host, a device each in one namespace, that ask with raw frames."""

import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench import netns
from bench.addressing import GATEWAY_MAC, GUEST_MTU, SUBNETS, PortSpec
from bench.guest_frames import Asker
from bench.host import Host
from bench.processes import Process
from bench.stats import quantile
from bench.systems.base import System
from bench.waiting import wait_for
from bench.world import World

LOST_MS = 1_000.0
"""After which clients ask again, at the earliest."""
_FIRST_OCTET = 240
"""Third octet of their addresses: what mass ports never come to."""


def local_port(number: int) -> PortSpec:
    """Return the *number*-th (from 0) of the ports that are all on one host."""
    subnet, index = number % SUBNETS, number // SUBNETS
    octets = f"{number >> 8:02x}:{number & 0xFF:02x}"
    address = f"10.{subnet}.{_FIRST_OCTET + index // 250}.{1 + index % 250}"
    return PortSpec(f"local-{number}", subnet, f"0e:02:00:00:{octets}", address)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a series of questions.

    Attributes:
        sent: how many were asked.
        times_ms: how long each answer took.
    """

    sent: int
    times_ms: tuple[float, ...]

    def at(self, share: float) -> float:
        """Return a quantile of all questions, ms: lost ones take until they are asked again."""
        return quantile([*self.times_ms, *[LOST_MS] * self.lost], share)

    @property
    def lost(self) -> int:
        """How many had no answer."""
        return self.sent - len(self.times_ms)


class Crowd:
    """Guests of one host, all in one namespace, and the process that asks for them.

    Args:
        world: that they are in.
        host: that they are on.
        name: of their namespace; a letter.
        calm: whether the process that asks has no real-time priority.
    """

    def __init__(self, world: World, host: Host, name: str, *, calm: bool = False) -> None:
        self._host = host
        self._devices = f"{world.prefix}{name}"
        self._netns = world.add_netns(f"crowd-{name}")
        self._log = world.directory / f"crowd-{name}.log"
        self._argv = [sys.executable, "-m", "bench.guest_worker", *(["calm"] if calm else [])]
        self._process: Process | None = None
        self.askers: list[Asker] = []

    def add(self, system: System, specs: Sequence[PortSpec]) -> None:
        """Create ports and plug their guests."""
        first = len(self.askers)
        devices = [f"{self._devices}{first + place}" for place in range(len(specs))]
        netns.ip_batch(None, *itertools.starmap(self._pair, zip(devices, specs, strict=True)))
        for space, prefix in ((self._host.netns, ""), (self._netns, "e")):
            netns.ip_batch(space, *(f"link set {prefix}{device} up" for device in devices))
        for device, spec in zip(devices, specs, strict=True):
            system.create_port(spec)
            ids = {"iface-id": system.interface_id(spec), "attached-mac": spec.mac}
            self._host.add_interface("br-int", device, ids)
            self.askers.append(Asker(f"e{device}", spec.mac, spec.address, GATEWAY_MAC))

    def _pair(self, device: str, spec: PortSpec) -> str:
        far = f"peer name e{device} netns {self._netns} mtu {GUEST_MTU} address {spec.mac}"
        return f"link add {device} netns {self._host.netns} mtu {GUEST_MTU} type veth {far}"

    def start(
        self,
        kind: str,
        *,
        rate: float,
        seconds: float,
        askers: Sequence[Asker] | None = None,
        names: Sequence[str] = (),
    ) -> None:
        """Begin to ask, at *rate* questions a second altogether; returns once it has begun."""
        if self._process is None:
            self._process = Process(self._argv, log=self._log, netns=self._netns, pipes=True)
        command = {
            "kind": kind,
            "rate": rate,
            "seconds": seconds,
            "askers": [asdict(each) for each in (askers or self.askers)],
            "names": list(names),
        }
        stdin = self._process.popen.stdin
        assert stdin is not None
        stdin.write(json.dumps(command).encode() + b"\n")
        stdin.flush()
        self._read()

    def result(self) -> Answered:
        """Wait for the end of the questions and return what came of them."""
        said = self._read()
        return Answered(said["sent"], tuple(took * 1000 for took in said["times"]))

    def await_answers(self, kind: str, names: Sequence[str] = (), *, timeout: float = 60) -> None:
        """Ask until every guest is answered.

        Raises:
            TooLongError: some are not.
        """

        def all_answered() -> bool:
            time.sleep(0.1)  # a guest may be limited: it is not to be asked without a pause
            count = len(self.askers)
            self.start(kind, rate=200.0, seconds=count / 200 + 0.001, names=names)
            return self.result().lost == 0

        wait_for(f"every guest to have {kind}", all_answered, timeout=timeout, every=0.0)

    def _read(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.popen.stdout is not None
        line = self._process.popen.stdout.readline()
        if not line:
            raise RuntimeError(f"the asking process died: {self._log.read_text()[-1000:]}")
        return json.loads(line)

    def close(self) -> None:
        """End the process; namespace and devices go with the world."""
        if self._process is not None:
            self._process.stop()
