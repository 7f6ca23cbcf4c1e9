"""The agent's side of the API as a real agent uses it: reports and a standing long poll."""

import asyncio
import json
import random
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

from bench.outside import BRIDGE
from bench.systems.ours import link_report
from vpcctl.wire.report import Link, OutsideFact

_POLL_S = 30
_PAUSE_S = 1.0
_OUTSIDE_OFPORT = 60_000
"""Above what links get."""


class Channel:
    """One persistent HTTP/1.1 connection."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, token: str) -> None:
        self._address = address
        self._context = context
        self._token = token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Send a request and return the answer's status and body.

        Raises:
            OSError: the connection broke; the next call makes a new one.
        """
        try:
            return await self._call(method, path, body)
        except (OSError, asyncio.IncompleteReadError, ValueError, IndexError) as error:
            await self.close()
            raise OSError(str(error)) from error

    async def _call(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            host, port = self._address
            self._streams = await asyncio.open_connection(host, port, ssl=self._context)
        reader, writer = self._streams
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: controller\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        status, length = 0, 0
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(lines[0].split()[1])
        for line in lines[1:]:
            name, _, value = line.partition(":")
            if name.lower() == "content-length":
                length = int(value)
        return status, await reader.readexactly(length) if length else b""

    async def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@dataclass(slots=True)
class Agent:
    """One simulated agent.

    Attributes:
        host_id: its host.
        vtep: its tunnel address.
        dpid: its switch's datapath id.
        links: its links.
        reports: reports answered well so far.
        errors: calls that failed so far.
        interval_s: seconds between two reports.
        network: the external network that the host reaches; empty: none.
    """

    host_id: str
    vtep: str
    dpid: int
    links: list[Link]
    report_line: Channel
    poll_line: Channel
    interval_s: float = 5.0
    network: str = ""
    reports: int = 0
    errors: int = 0
    last_error: str = ""
    _sequence: int = 0
    _boot: int = field(default_factory=lambda: int(time.time()))
    _revision: int = 0
    _digest: str = ""
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Report at once and then at every interval; keep a long poll open meanwhile."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_reporting())
            group.create_task(self._keep_polling())

    async def plug(self, link: Link) -> None:
        """Report a further link at once."""
        self.links.append(link)
        await self._report(full=True)

    async def _keep_reporting(self) -> None:
        # Agents of a real installation did not all start in the same millisecond.
        await asyncio.sleep(random.random() * _PAUSE_S)
        full = True
        while True:
            answered = await self._report(full=full)
            full = answered is None or bool(answered.get("full_report_needed"))
            await asyncio.sleep(_PAUSE_S if full else self.interval_s)

    async def _report(self, *, full: bool) -> dict[str, Any] | None:
        async with self._busy:
            self._sequence += 1
            report = link_report(
                self.host_id,
                self.vtep,
                tuple(self.links),
                dpid=self.dpid,
                outside=self._outside(),
            )
            values = {"boot": self._boot, "sequence": self._sequence}
            values["state_revision"] = self._revision
            body = report.model_copy(update=values)
            left_out = set() if full else {"facts", "links"}
            text = body.model_dump_json(exclude_defaults=True, exclude=left_out)
            path = f"/v1/hosts/{self.host_id}/reports"
            answer = await self._call(self.report_line, "POST", path, text.encode())
        if answer is not None:
            self.reports += 1
        return answer

    def _outside(self) -> tuple[OutsideFact, ...]:
        if not self.network:
            return ()
        return (OutsideFact(network_id=self.network, ofport=_OUTSIDE_OFPORT, bridge=BRIDGE),)

    async def _keep_polling(self) -> None:
        await asyncio.sleep(random.random() * _PAUSE_S)
        while True:
            path = f"/v1/hosts/{self.host_id}/state?after={self._revision}&timeout={_POLL_S}"
            state = await self._call(self.poll_line, "GET", path)
            if state is None:
                await asyncio.sleep(_PAUSE_S)
            elif state:
                self._revision = max(self._revision, state["revision"])

    async def _call(
        self, line: Channel, method: str, path: str, body: bytes = b""
    ) -> dict[str, Any] | None:
        try:
            status, text = await line.call(method, path, body)
        except OSError as error:
            return self._failed(str(error))
        if status >= 400:
            return self._failed(f"{status} {text[:200]!r}")
        return json.loads(text) if text else {}

    def _failed(self, text: str) -> None:
        self.errors += 1
        self.last_error = text
