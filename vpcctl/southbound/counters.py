"""Answers what the API asks about counters: a port's are read from its switch, a few at a time.

What is dropped on all hosts is known from their audits. A question about a port costs the switch a
look at the flows of that port and of the rules of its groups. At most a few are under way; who
comes beside them is told so at once.
"""

import asyncio
import contextlib
from pathlib import Path

import structlog

from vpcctl.model.counters import Count
from vpcctl.pipeline.counters import CountedFlow, Subject, counters
from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.engine import Engine
from vpcctl.southbound.session import OpenFlowError, Session, SwitchTimeout
from vpcctl.store import southbound as protocol

log = structlog.get_logger(__name__)

_QUESTION_S = 2.0
_ASKERS = 16
_READING = 4
_MAX_FLOWS = 200_000


class _Refused(Exception):
    """A question that has no answer now; the text says why."""


class CounterServer:
    """Listens for questions in the southbound's event loop."""

    def __init__(self, engine: Engine, run_dir: Path) -> None:
        self._engine = engine
        self._run_dir = run_dir
        self._server: asyncio.Server | None = None
        self._askers = 0
        self._readings: set[asyncio.Task[bytes]] = set()

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the socket cannot be made.
        """
        made = protocol.listening_socket(self._run_dir)
        self._server = await asyncio.start_unix_server(
            self._serve, sock=made, limit=protocol.MAX_QUESTION, backlog=_ASKERS
        )

    async def stop(self) -> None:
        """Listen no more; what is under way is given up with its connection."""
        if self._server is not None:
            self._server.close()
        for reading in self._readings:
            reading.cancel()
        await asyncio.gather(*self._readings, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._askers += 1
        try:
            async with asyncio.timeout(_QUESTION_S + protocol.ANSWER_S):
                writer.write(await self._answer(reader))
                await writer.drain()
        except (TimeoutError, ConnectionError):
            log.debug("a question for counters was given up")
        finally:
            self._askers -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            if self._askers > _ASKERS:
                raise _Refused("Too many ask for counters at once.")
            async with asyncio.timeout(_QUESTION_S):
                line = await reader.readline()
            asked = protocol.read_question(line)
            if asked is None:
                return protocol.drops_answer(self._engine.drops)
            return await self._look_up(*asked)
        except _Refused as refused:
            return protocol.refusal(str(refused))
        except (ValueError, TimeoutError) as error:
            return protocol.refusal(f"The question cannot be read: {error or 'too slow'}")

    async def _look_up(self, port_id: str, host_id: str) -> bytes:
        """Return the answer about a port that the API believes on a host.

        Raises:
            _Refused: there is none now.
        """
        subject = self._engine.subject(port_id)
        if subject is None or subject.host_id != host_id:
            raise _Refused(f"The southbound does not know {port_id} on {host_id} yet.")
        session = self._engine.session(host_id)
        if session is None:
            raise _Refused(f"br-int of {host_id} is not connected to this controller.")
        if len(self._readings) >= _READING:
            raise _Refused(f"Too many ask for counters at once, of {host_id} too.")
        reading = asyncio.create_task(_read(session, subject))
        self._readings.add(reading)
        reading.add_done_callback(self._done)
        try:
            async with asyncio.timeout(protocol.ANSWER_S):
                return await asyncio.shield(reading)  # a reading begun has to come to its end
        except TimeoutError:
            raise _Refused(f"The switch of {host_id} does not answer in time.") from None
        except (SwitchTimeout, OpenFlowError, ConnectionError) as error:
            raise _Refused(f"The switch of {host_id} does not answer: {error}") from None

    def _done(self, reading: asyncio.Task[bytes]) -> None:
        self._readings.discard(reading)
        if not reading.cancelled():
            reading.exception()  # nobody may be waiting for it any more


async def _read(session: Session, subject: Subject) -> bytes:
    found: list[CountedFlow] = []
    wanted = subject.wanted()

    def take(entry: m.StatsEntry, packets: int, size: int) -> None:
        if len(found) >= _MAX_FLOWS or m.cookie_of(entry) not in wanted:
            return
        with contextlib.suppress(ValueError):  # a flow of another version's
            found.append(CountedFlow(m.decode_entry(entry), Count(packets, size)))

    for cookie, mask in subject.cookies():
        await session.counts(cookie, mask, take)
    return protocol.answer(counters(subject, found))
