"""Long work in the event loop, in slices."""

import asyncio
import time

_SLICE_S = 0.005
"""How long work may hold the event loop at a time."""


class Slicer:
    """Gives the loop back to others every few milliseconds."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def breathe(self) -> None:
        """Let others run if we have run long enough."""
        if time.perf_counter() - self._since > _SLICE_S:
            await asyncio.sleep(0)
            self._since = time.perf_counter()
