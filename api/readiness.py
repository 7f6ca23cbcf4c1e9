"""Whether the southbound is there and keeps up: it reads on, or there is nothing to read."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from vpcctl.model.problems import Unavailable
from vpcctl.services.facade import Concern, Services

_NOBODY = Concern(vpc_ids=(), hosts=frozenset())


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the southbound may stand still.

    Attributes:
        seconds: so long.
        clock: monotonic seconds.
    """

    seconds: float
    clock: Callable[[], float] = time.monotonic


class SouthboundWatch:
    """Notices a southbound that is not there, or has changes to take and takes none.

    Args:
        services: where the revisions are.
        is_present: tells whether its process is there.
        patience: how long it may stand still.
    """

    def __init__(
        self, services: Services, is_present: Callable[[], bool], patience: Patience
    ) -> None:
        self._services = services
        self._is_present = is_present
        self._patience = patience
        self._processed = -1
        self._moved_at = patience.clock()

    def check(self) -> None:
        """Return when the database answers and the southbound keeps up (blocking).

        Raises:
            Unavailable: one of them does not.
        """
        self._services.status.ready()
        if not self._is_present():
            raise Unavailable("the southbound is not there", accepted="a southbound that runs")
        revision, _ = self._services.events.latest()
        progress = self._services.status.progress(_NOBODY, revision)
        now = self._patience.clock()
        if progress.processed_revision != self._processed or progress.realized:
            self._processed, self._moved_at = progress.processed_revision, now
        if now - self._moved_at > self._patience.seconds:
            raise Unavailable(
                f"the southbound stands at revision {self._processed} of {revision}",
                accepted="a southbound that reads on",
            )
