"""What stays is taken out of the garbage collector's sight, so that it never stops the loop.

A full collection looks at every object there is: with 100,000 ports it would stop everything for
a tenth of a second or more. What the network holds lives long and has no cycles, so there is
nothing in it to find.
"""

import gc

_MANY = 10_000


class Ageing:
    """Counts what was added to the network, and hides it once it is much."""

    def __init__(self) -> None:
        self._added = 0

    def grown(self, changes: int) -> None:
        """Note that this many changes were applied; now and then, look at what is new and hide it.

        Few changes hide nothing: what belongs to connections is full of cycles and must be found.
        """
        self._added += changes
        if self._added >= _MANY:
            self.settle()

    def settle(self) -> None:
        """Free what is garbage among what is not hidden yet, and hide the rest."""
        gc.collect()
        gc.freeze()
        self._added = 0
