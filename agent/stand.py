"""Keeps the port up or down that tells flows if this host may be the active one of gateways."""

from collections.abc import Callable

from agent.convergence import Convergence
from agent.decide import marks
from agent.watches import Watches
from agent.worker import Worker


class Stand:
    """The port on br-int; hosts without a way to an external network have none.

    Args:
        worker: netlink's thread.
        watches: know if others may rely on this host.
        trouble: told what is wrong, or None when all is well.
    """

    def __init__(
        self, worker: Worker, watches: Watches, trouble: Callable[[str | None], None]
    ) -> None:
        self._worker = worker
        self._watches = watches
        self._convergence = Convergence(self._converge, trouble)

    def look(self) -> None:
        """Look again if the port is to be up."""
        self._convergence.wake()

    def device_changed(self, name: str) -> None:
        """A device came, changed or went."""
        if name == marks.STANDS:
            self.look()

    async def run(self) -> None:
        """Work for ever."""
        await self._convergence.run()

    async def _converge(self) -> None:
        driver = self._worker.underlay
        device = await self._worker.run(lambda: driver.device(marks.STANDS))
        if device is None:
            return
        if self._watches.must_not_stand():
            await self._worker.run(lambda: driver.stop_on(marks.STANDS))
        elif self._watches.may_stand():
            await self._worker.run(lambda: driver.serve_on(marks.STANDS))
