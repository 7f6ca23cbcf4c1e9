"""Whether the southbound keeps up: it reads on, or there is nothing to read."""

import time
from collections.abc import Callable

from vpcctl.model.problems import Unavailable
from vpcctl.services.facade import Concern, Services

_NOBODY = Concern(vpc_ids=(), hosts=frozenset())


class SouthboundWatch:
    """Notices a southbound that has changes to take and takes none.

    Args:
        services: where the revisions are.
        patience_s: how long it may stand still, seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self, services: Services, patience_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._services = services
        self._patience_s = patience_s
        self._clock = clock
        self._processed = -1
        self._moved_at = clock()

    def check(self) -> None:
        """Return when the database answers and the southbound keeps up (blocking).

        Raises:
            Unavailable: one of them does not.
        """
        self._services.status.ready()
        revision, _ = self._services.events.latest()
        progress = self._services.status.progress(_NOBODY, revision)
        now = self._clock()
        if progress.processed_revision != self._processed or progress.realized:
            self._processed, self._moved_at = progress.processed_revision, now
        if now - self._moved_at > self._patience_s:
            raise Unavailable(
                f"the southbound stands at revision {self._processed} of {revision}",
                accepted="a southbound that reads on",
            )
