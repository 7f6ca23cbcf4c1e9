"""Watching a connection from both its ends: whether data flows, and since when not."""

import time
from dataclasses import dataclass

from mininet_labs.common.processes import within
from mininet_labs.common.workloads import Script

SILENCE_S = 0.3
"""A connection that was busy every few milliseconds and says nothing for so long has stopped."""

_FLOWING = 20


@dataclass(frozen=True)
class Arrivals:
    """What has come to one end, and how much it has sent itself; see ``streamer.Arrivals``."""

    sent: int
    count: int
    last: float
    resumed: float
    in_order: bool


class Streamer(Script):
    """The streamer inside one workload."""

    file = "streamer.py"

    def listen(self, port: int) -> None:
        """Take connections at *port* from now on."""
        self.ask("listen", port=port)

    def open(self, name: str, address: str, port: int, patience_s: float) -> float | None:
        """Connect; return when that came about, None when it did not within *patience_s*."""
        found = self.ask("open", name=name, address=address, port=port, patience_s=patience_s)
        return found["opened"]

    def watch(self, name: str) -> Arrivals:
        """Return what came over the stream *name* to this end."""
        return Arrivals(**self.ask("watch", name=name))

    def close(self, name: str) -> None:
        """Give a stream up."""
        self.ask("close", name=name)


@dataclass(frozen=True)
class Stream:
    """A connection from *near* to *far*, over which data goes to and fro once it is open.

    Attributes:
        near: who opens it.
        far: who listens.
        family: 4 or 6.
        port: TCP port of *far*.
        label: tells it from another one between the same two.
    """

    near: Streamer
    far: Streamer
    family: int
    port: int
    label: str = "first"

    @property
    def name(self) -> str:
        """Its name, which both ends use."""
        ends = f"{self.near.workload.name}-{self.far.workload.name}"
        return f"{ends}-{self.family}-{self.label}"

    def __str__(self) -> str:
        ends = f"{self.near.workload.name} → {self.far.workload.name}"
        return f"{ends}, IPv{self.family}"

    def open(self, patience_s: float) -> float | None:
        """Open it; return when that came about, None when it did not within *patience_s*."""
        address = self.far.workload.addresses[self.family]
        return self.near.open(self.name, address, self.port, patience_s)

    def ends(self) -> tuple[Arrivals, Arrivals]:
        """Return what came to the far end and to the near one."""
        return self.far.watch(self.name), self.near.watch(self.name)

    def flows(self, seconds: float) -> bool:
        """Tell whether data comes to both ends, within *seconds*."""
        before = self.ends()

        def more() -> bool:
            pairs = zip(before, self.ends(), strict=True)
            return all(new.count - old.count >= _FLOWING for old, new in pairs)

        return within(more, seconds=seconds)

    def catches_up(self, seconds: float) -> int | None:
        """Return how many records were sent, once all of them are back; None: not in time."""
        sent = self.ends()[1].sent
        back = within(lambda: self.ends()[1].count >= sent, seconds=seconds)
        return sent if back else None

    def stops(self, seconds: float) -> bool:
        """Tell whether nothing comes to either end any more, within *seconds*."""

        def silent() -> bool:
            return all(time.monotonic() - end.last > SILENCE_S for end in self.ends())

        return within(silent, seconds=seconds)

    def close(self) -> None:
        """Give it up."""
        self.near.close(self.name)
        self.far.close(self.name)
