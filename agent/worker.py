"""The one thread that speaks netlink and enters namespaces."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from agent.netlink import core
from agent.netlink.attachments import AttachmentDriver
from agent.netlink.neighbours import NeighbourDriver
from agent.netlink.services import ServicesDriver
from agent.netlink.underlay import UnderlayDriver

T = TypeVar("T")


class Worker:
    """Runs driver calls one after the other in a thread of their own.

    Args:
        netns_dir: where namespaces have their names.
        owner: host id that marks what we make.
        checksums_off: see :class:`AttachmentDriver`.
    """

    def __init__(self, netns_dir: Path, owner: str, *, checksums_off: bool) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="netlink")
        self._namespaces = self._pool.submit(core.Namespaces, netns_dir).result()
        self.attachments = AttachmentDriver(self._namespaces, owner, checksums_off=checksums_off)
        self.services = ServicesDriver(self._namespaces, owner, checksums_off=checksums_off)
        self.underlay = UnderlayDriver(self._namespaces)
        self.neighbours = NeighbourDriver(self._namespaces)

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call in the thread and return its result, or raise its exception."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def call(self, call: Callable[[], T]) -> T:
        """Run a call in the thread and wait for it: for commands that have no event loop."""
        return self._pool.submit(call).result()

    def close(self) -> None:
        """End the thread after what it does now."""
        self._pool.submit(self._namespaces.close).result()
        self._pool.shutdown()
