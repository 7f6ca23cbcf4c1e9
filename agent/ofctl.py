"""Flows of br-int as a whole, read and written by ``ovs-ofctl``.

A program has tens of thousands of flows. ovs-ofctl reads and writes it in a process of its own, so
that the agent's loop never waits for it; the text form is the same that a person would look at.
"""

import asyncio
import contextlib
import os
import re
import resource
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from agent.decide import aggregate, marks, meters, program

_OURS = f"cookie={marks.COOKIE_OWNER << 48:#x}/{0xFFFF << 48:#x}"
_FLOW_COUNT = re.compile(r"flow_count=(\d+)")
_METERS = re.compile(r"max_meter:(\d+)")
_TIMEOUT_S = 30
_NICENESS = 10


class OfctlError(Exception):
    """ovs-ofctl failed; the text is its own."""


class Overlap(OfctlError):
    """A bundle was refused because there are flows already."""


class Switch:
    """One bridge, through its management socket.

    Args:
        socket: ``<bridge>.mgmt`` in the run directory of Open vSwitch.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._target = f"unix:{socket}"

    async def count(self) -> int:
        """Return how many flows with our mark there are.

        Raises:
            OfctlError: the switch does not answer.
        """
        text = await self._ask("dump-aggregate", _OURS)
        found = _FLOW_COUNT.search(text)
        if found is None:
            raise OfctlError(f"unexpected answer of ovs-ofctl: {text[:200]!r}")
        return int(found.group(1))

    async def ports(self) -> dict[int, str]:
        """Return ofport → interface.

        Raises:
            OfctlError: the switch does not answer.
        """
        return program.listed(await self._ask("dump-ports-desc"))

    async def meter_count(self) -> int:
        """Return how many meters the datapath has; 0: none.

        Raises:
            OfctlError: the switch does not answer.
        """
        found = _METERS.search(await self._ask("meter-features"))
        return int(found.group(1)) if found is not None else 0

    async def dump(self, stream: IO[bytes], limit: int) -> None:
        """Write our flows to a file, which gets no larger than *limit* bytes.

        Raises:
            OfctlError: the switch does not answer, or there are too many.
        """
        arguments = ("--no-stats", "--no-names", "dump-flows", self._target, _OURS)
        process = await self._start(*arguments, stdin=DEVNULL, stdout=stream)
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        await self._finish(process)

    async def list_meters(self) -> tuple[meters.SavedMeter, ...]:
        """Return the meters that there are.

        Raises:
            OfctlError: the switch does not answer.
        """
        return meters.listed(await self._ask("dump-meters"))

    async def put_meters(self, wanted: Sequence[meters.SavedMeter]) -> set[int]:
        """Make meters that are not there, and return the numbers of those that are refused.

        Over the socket itself: ovs-ofctl takes one meter a process, and there may be thousands.

        Raises:
            OfctlError: the switch does not answer.
        """
        answers = await self._converse(meters.request(wanted))
        numbers = (meters.refused(*answer) for answer in answers)
        return {number for number in numbers if number is not None}

    async def packets(self, cookies: Sequence[int]) -> list[int]:
        """Return how many packets the flows with each of some cookies have counted.

        Over the socket itself: it is asked again and again.

        Raises:
            OfctlError: the switch does not answer.
        """
        answers = await self._converse(aggregate.request(cookies))
        counts = {xid: aggregate.packets(kind, body) for kind, xid, body in answers}
        return [counts.get(number) or 0 for number in range(1, len(cookies) + 1)]

    async def _converse(self, request: bytes) -> list[tuple[int, int, bytes]]:
        """Send what ends with a barrier; return type, transaction id and body of each answer."""
        answers: list[tuple[int, int, bytes]] = []
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self._socket)
                with contextlib.closing(writer):
                    writer.write(request)
                    while not meters.is_end((head := await reader.readexactly(8))[1]):
                        body = await reader.readexactly(int.from_bytes(head[2:4], "big") - 8)
                        answers.append((head[1], int.from_bytes(head[4:8], "big"), body))
        except (OSError, EOFError, TimeoutError) as error:
            raise OfctlError(f"the switch does not answer: {error!r}") from error
        return answers

    async def put(self, text: bytes) -> None:
        """Carry out flow changes as one atomic bundle.

        The switch is told first to let flows look into first fragments, as they rely on it.

        Raises:
            Overlap: one was to be checked for overlaps, and has one.
            OfctlError: one was refused, or the switch does not answer; nothing is changed.
        """
        await self._ask("set-frags", "nx-match")
        arguments = ("--bundle", "add-flows", self._target, "-")
        process = await self._start(*arguments, stdin=PIPE, stdout=DEVNULL)
        await self._finish(process, text)

    async def _ask(self, verb: str, *arguments: str) -> str:
        process = await self._start(verb, self._target, *arguments, stdin=DEVNULL, stdout=PIPE)
        return (await self._finish(process)).decode(errors="replace")

    async def _start(
        self, *arguments: str, stdin: int, stdout: int | IO[bytes]
    ) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *("ovs-ofctl", "-O", "OpenFlow14", f"--timeout={_TIMEOUT_S}", *arguments),
                stdin=stdin,
                stdout=stdout,
                stderr=PIPE,
            )
        except OSError as error:
            raise OfctlError(f"ovs-ofctl: {error.strerror}") from error

    async def _finish(
        self, process: asyncio.subprocess.Process, text: bytes | None = None
    ) -> bytes:
        try:
            async with asyncio.timeout(_TIMEOUT_S + 5):
                output, errors = await process.communicate(text)
        except TimeoutError:
            raise OfctlError("ovs-ofctl does not end") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        if process.returncode == 0:
            return output or b""
        said = errors.decode(errors="replace").strip()
        if "OFPFMFC_OVERLAP" in said:
            raise Overlap("there are flows already")
        raise OfctlError(said.splitlines()[0][:300] if said else f"exit code {process.returncode}")
