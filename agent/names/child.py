"""Starts the process that answers for names and metadata, and starts it again when it ends."""

import asyncio
import contextlib
import json
import logging
import os
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import agent
from agent.decide.backoff import Backoff
from agent.names.plug import Plug
from agent.worker import Worker

log = logging.getLogger(__name__)

_MAX_LINE = 1 << 20
_SETTLED_S = 10.0
_READY_S = 30.0
"""Until a process that was started answers, at most: millions of names take less."""
_LOOK_S, _PAUSE_S = 5.0, 0.1
"""Between two looks at the pair: unasked, and at least."""
_ROOT = str(Path(agent.__file__).parent.parent)


class Child:
    """The process.

    Args:
        worker: netlink's thread, which has its namespace, and connects that with br-int.
        plug: br-int's end of that.
        counted: given what was answered since the last time, by outcome.
        trouble: told what is wrong, or None when all is well.
        ready_s: seconds until a process that was started has to say that it answers.
    """

    def __init__(
        self,
        worker: Worker,
        plug: Plug,
        counted: Callable[[Mapping[str, int]], None],
        trouble: Callable[[str | None], None],
        ready_s: float = _READY_S,
    ) -> None:
        self._ready_s = ready_s
        self._worker = worker
        self._plug = plug
        self._counted = counted
        self._trouble = trouble
        self._order: bytes | None = None
        self._ordered = asyncio.Event()
        self._suspected = asyncio.Event()

    def suspect(self) -> None:
        """Look whether the pair is still connected: something has changed."""
        self._suspected.set()

    def tell(self, order: Mapping[str, Any]) -> None:
        """Have the process know this from now on; see :meth:`agent.names.library.Library.load`."""
        self._order = json.dumps(order).encode() + b"\n"
        self._ordered.set()

    async def run(self) -> None:
        """Keep the process running for ever; it is started when there is something to know."""
        failures = 0
        await self._ordered.wait()
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await self._live()
            except Exception as error:  # netlink's own errors are plain Exceptions
                self._failed(error)
            if asyncio.get_running_loop().time() - started > _SETTLED_S:
                failures = 0
            failures += 1
            await asyncio.sleep(Backoff(limit=5.0).delay(failures, random.random()))  # noqa: S311

    async def _live(self) -> None:
        """Start the process and attend to it until it ends.

        Raises:
            OSError: it could not be started, does not begin to answer, or has ended.
        """
        netns = await self._worker.run(self._worker.services.make)
        connected = await self._worker.run(self._worker.services.is_connected)
        if not connected or self._plug.is_missing():
            await self._connect()
        path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agent.names", netns),
            stdin=PIPE,
            stdout=PIPE,
            limit=_MAX_LINE,
            start_new_session=True,  # whose priority is its own
            env={**os.environ, "PYTHONPATH": path},
        )
        try:
            await self._attend(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _connect(self) -> None:
        """Connect the namespace with br-int, in place of what is left of a pair."""
        await self._plug.take_out()
        await self._worker.run(self._worker.services.connect)
        await self._plug.put_in()

    async def _attend(self, process: Process) -> None:
        self._ordered.set()
        telling = asyncio.create_task(self._keep_telling(process))
        connecting = asyncio.create_task(self._keep_connected())
        try:
            async with asyncio.timeout(self._ready_s) as patience:
                while True:
                    said = await _hear(process)
                    if "counts" in said:
                        self._counted(said["counts"])
                    if "serving" in said:
                        patience.reschedule(None)
                        log.info("names and metadata are answered by process %d", process.pid)
                        self._trouble(None)
        except TimeoutError:
            self._counted({"names-silent": 1})
            raise OSError(f"the process did not begin to answer in {self._ready_s:g} s") from None
        finally:
            telling.cancel()
            connecting.cancel()

    async def _keep_telling(self, process: Process) -> None:
        with contextlib.suppress(OSError):
            while True:
                await self._ordered.wait()
                self._ordered.clear()
                if self._order is not None:
                    await _write(process, self._order)

    async def _keep_connected(self) -> None:
        """Put back what somebody has deleted: the bridge, its port, or the device."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._suspected.wait()
            self._suspected.clear()
            try:
                if self._plug.is_missing():
                    log.warning("names: br-int has lost its way to the sockets")
                    await self._connect()
                    self._trouble(None)
            except Exception as error:  # netlink's own errors are plain Exceptions
                self._failed(error)
            await asyncio.sleep(_PAUSE_S)

    def _failed(self, error: Exception) -> None:
        text = f"names: {str(error) or type(error).__name__}"
        log.warning("%s", text)
        self._trouble(text)


async def _hear(process: Process) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    line = await process.stdout.readline()
    if not line:
        raise OSError("the process has ended")
    return json.loads(line)


async def _write(process: Process, line: bytes) -> None:
    assert process.stdin is not None  # noqa: S101 - a pipe was asked for
    process.stdin.write(line)
    await process.stdin.drain()
