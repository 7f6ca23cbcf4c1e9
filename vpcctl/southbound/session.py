"""What the engine asks of one switch: a bundle with its barrier, its flows; one at a time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from vpcctl.flows.meter import Meter
from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.codec import meters as meter_codec
from vpcctl.southbound.listings import Listings
from vpcctl.southbound.metering import Meters
from vpcctl.southbound.transport.connection import Connection
from vpcctl.southbound.transport.hub import ofproto_v1_4
from vpcctl.southbound.transport.validate import Fault

MAX_REFUSALS = 1_024
"""Messages of one bundle whose refusals are kept: with as many, there may be more."""
_REPLY_BIT = 1


class SwitchTimeout(Exception):
    """The switch did not answer in time; its connection has been dropped."""


class OpenFlowError(Exception):
    """The switch answered a request with an error.

    Attributes:
        xid: transaction id of the message that it refuses.
        kind: OFPET_… number.
        code: number within the kind.
    """

    def __init__(self, xid: int, kind: int, code: int) -> None:
        super().__init__(error_text(kind, code))
        self.xid = xid
        self.kind = kind
        self.code = code


@dataclass(frozen=True, slots=True)
class Refusal:
    """One message of a bundle that the switch refuses."""

    xid: int
    error: str


class BundleRefused(Exception):
    """The switch refuses a bundle, or parts of it; a comparison is due.

    Nothing of it is in force, or, if it was small (``Session.bundle``), all but these parts.

    Attributes:
        refusals: messages that it named, at most ``MAX_REFUSALS``.
    """

    def __init__(self, refusals: tuple[Refusal, ...], error: str) -> None:
        super().__init__(refusals[0].error if refusals else error)
        self.refusals = refusals


def error_text(kind: int, code: int) -> str:
    """Return an OpenFlow error as ``OFPET_…: OFP…_…``."""
    numbers: Any = ofproto_v1_4
    kind_name = numbers.ofp_error_type_to_str(kind)
    code_name = numbers.ofp_error_code_to_str(kind, code)
    return f"{str(kind_name).partition('(')[0]}: {str(code_name).partition('(')[0]}"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a switch may take, in seconds.

    Attributes:
        reply_s: for an answer to one small request.
        per_flow_s: added for every message of a bundle.
    """

    reply_s: float = 10.0
    per_flow_s: float = 0.001


class Session:
    """Requests to one switch over one connection."""

    def __init__(self, connection: Connection, deadlines: Deadlines, listings: Listings) -> None:
        self.connection = connection
        self._listings = listings
        self.meters = Meters()
        self._deadlines = deadlines
        self._expected: dict[int, tuple[int, int, asyncio.Future[None]]] = {}
        self._refusals: list[Refusal] = []
        self._collect: tuple[int, Callable[[bytes], None], asyncio.Future[None]] | None
        self._collect = None
        self._listed = m.MP_FLOW
        self._bundling = asyncio.Lock()
        self._reading = asyncio.Lock()

    # --- answers --------------------------------------------------------------------------------

    def on_message(self, kind: int, xid: int, message: bytes) -> None:
        """Take an answer.

        Raises:
            Fault: it answers nothing that we asked.
        """
        if kind == m.ERROR:
            self._on_error(message)
        elif kind == m.MULTIPART_REPLY:
            self._on_stats(xid, message)
        else:
            detail = message[13] if kind == m.BUNDLE_CONTROL else 0
            bundle = int.from_bytes(message[8:12], "big") if detail else m.BUNDLE_ID
            expected = self._expected.pop(xid, None)
            if expected is None or expected[:2] != (kind, detail) or bundle != m.BUNDLE_ID:
                raise Fault(f"answer of type {kind} to a request that was not made")
            if not expected[2].done():
                expected[2].set_result(None)

    def _on_error(self, message: bytes) -> None:
        kind, code = int.from_bytes(message[8:10], "big"), int.from_bytes(message[10:12], "big")
        xid = int.from_bytes(message[4:8], "big")
        expected = self._expected.pop(xid, None)
        error = OpenFlowError(xid, kind, code)
        if expected is not None:
            if not expected[2].done():
                expected[2].set_exception(error)
        elif self._collect is not None and self._collect[0] == xid:
            if not self._collect[2].done():
                self._collect[2].set_exception(error)
        elif self.meters.on_error(xid, kind, code, str(error)):
            return
        elif len(self._refusals) < MAX_REFUSALS:
            self._refusals.append(Refusal(xid, str(error)))

    def _on_stats(self, xid: int, message: bytes) -> None:
        if self._collect is None or self._collect[0] != xid or message[9] != self._listed:
            raise Fault("statistics that nobody asked for")
        _, take, done = self._collect
        self._listings.take(self, message)
        take(message)
        if not message[11] & _REPLY_BIT and not done.done():
            done.set_result(None)

    def _expect(self, kind: int, detail: int = 0) -> tuple[int, asyncio.Future[None]]:
        xid = self.connection.datapath.next_xid()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._expected[xid] = (kind, detail, future)
        return xid, future

    async def _answer(self, future: asyncio.Future[None], seconds: float, what: str) -> None:
        try:
            async with asyncio.timeout(seconds):
                await future
        except TimeoutError:
            self.connection.fault(f"no answer to {what} within {seconds:.0f} s")
            raise SwitchTimeout(f"no answer to {what} within {seconds:.0f} s") from None

    def close(self) -> None:
        """Let everybody who waits know that the connection is gone."""
        self.forget_listing()
        error = ConnectionResetError(self.connection.close_reason or "connection closed")
        pending = [future for *_, future in self._expected.values()]
        if self._collect is not None:
            pending.append(self._collect[2])
        for future in pending:
            if not future.done():
                future.set_exception(error)
                future.exception()  # nobody may be waiting for it any more
        self._expected.clear()

    # --- requests -------------------------------------------------------------------------------

    @asynccontextmanager
    async def bundle(self) -> AsyncIterator["Bundle"]:
        """Open a bundle; it is committed and confirmed by a barrier when the block ends.

        Raises:
            BundleRefused: the switch refuses it, or parts of it.
            SwitchTimeout: no answer in time.
            ConnectionError: the connection is gone.
        """
        async with self._bundling:
            self._refusals.clear()
            xid, opened = self._expect(m.BUNDLE_CONTROL, m.OPENED)
            bundle = Bundle(self.connection, m.bundle_control(m.OPEN, xid))
            try:
                yield bundle
                if bundle.messages:
                    await self._finish(bundle, opened)
            finally:
                self._expected.pop(xid, None)
                if bundle.messages and not opened.done():
                    opened.cancel()

    async def _finish(self, bundle: "Bundle", opened: asyncio.Future[None]) -> None:
        """Close the bundle and commit it.

        One that is still here as a whole is closed and committed in the same write: that saves a
        round trip of every small change. Of a larger one, errors of its parts are waited for
        before anything of it is in force; see docs/southbound.md.
        """
        patience = self._deadlines.reply_s + bundle.messages * self._deadlines.per_flow_s
        xid, closed = self._expect(m.BUNDLE_CONTROL, m.CLOSED)
        bundle.put(m.bundle_control(m.CLOSE, xid))
        if bundle.is_whole:
            await self._commit(bundle, patience, [opened, closed])
            return
        await bundle.flush()
        failed = await self._failure([closed, opened], patience, "a bundle")
        if failed or self._refusals:
            await self._discard()
            raise BundleRefused(tuple(self._refusals), failed)
        await self._commit(bundle, patience, [])

    async def _commit(
        self, bundle: "Bundle", patience: float, before: list[asyncio.Future[None]]
    ) -> None:
        """Write what is left of a bundle with its commit and a barrier; judge all their answers."""
        commit_xid, committed = self._expect(m.BUNDLE_CONTROL, m.COMMITTED)
        barrier_xid, passed = self._expect(m.BARRIER_REPLY)
        bundle.put(m.bundle_control(m.COMMIT, commit_xid) + m.barrier(barrier_xid))
        await bundle.flush()
        failed = await self._failure(before, patience, "a bundle")
        failed = await self._failure([committed], patience, "a commit") or failed
        await self._answer(passed, patience, "a barrier")
        if failed or self._refusals:
            raise BundleRefused(tuple(self._refusals), failed)

    async def _failure(
        self, answers: Iterable[asyncio.Future[None]], patience: float, what: str
    ) -> str:
        """Wait for answers; return the last error among them, or nothing."""
        failed = ""
        for answer in answers:
            try:
                await self._answer(answer, patience, what)
            except OpenFlowError as error:
                failed = str(error)
        return failed

    async def _discard(self) -> None:
        """Throw the bundle away, so that its id is free again; an error says that it is."""
        xid, discarded = self._expect(m.BUNDLE_CONTROL, m.DISCARDED)
        barrier_xid, passed = self._expect(m.BARRIER_REPLY)
        self.connection.write(m.bundle_control(m.DISCARD, xid) + m.barrier(barrier_xid))
        await self._answer(passed, self._deadlines.reply_s, "a barrier")
        try:
            await self._answer(discarded, self._deadlines.reply_s, "a discard")
        except OpenFlowError:
            return

    def forget_listing(self) -> None:
        """Count what was listed, and kept, as gone."""
        self._listings.release(self)

    def give_up(self, fault: str) -> None:
        """Drop the switch, and with it what it has listed."""
        self.connection.fault(fault)

    async def flows(
        self, take: Callable[[m.StatsEntry], None], table: int = 0xFF, *, keep: bool = False
    ) -> None:
        """Hand every flow of ours in *table* (255: in all) to *take*.

        With *keep* they count as held in memory until ``forget_listing``, else until all are here.

        Beside them the switch has one setting that flows rely on, how they see fragments. It is
        made good with every reading, before any flow is written.

        Raises:
            SwitchTimeout: no answer, or none for too long between two parts of it.
            OpenFlowError: the switch refuses.
            ConnectionError: the connection is gone.
        """

        def take_all(message: bytes) -> None:
            for entry in m.stats_entries(message):
                take(entry)

        async with self._reading:
            xid = self.connection.datapath.next_xid()
            told = m.match_fragments(self.connection.datapath.next_xid())
            request = told + m.flow_stats_request(xid, table)
            await self._list(request, xid, take_all, keep=keep)

    async def counts(
        self,
        cookie: int,
        mask: int,
        take: Callable[[m.StatsEntry, int, int], None],
        table: int = 0xFF,
    ) -> None:
        """Hand every flow with this cookie in *table* (255: in all) to *take*.

        With it go its packets and its bytes.

        It has to be waited for to its end: what comes of an answer that nobody waits for any more
        counts as a fault of the switch.

        Raises:
            SwitchTimeout: no answer, or none for too long between two parts of it.
            OpenFlowError: the switch refuses.
            ConnectionError: the connection is gone.
        """

        def take_all(message: bytes) -> None:
            for entry, packets, size in m.counted_entries(message):
                take(entry, packets, size)

        async with self._reading:
            xid = self.connection.datapath.next_xid()
            request = m.flow_stats_request(xid, table, cookie=cookie, mask=mask)
            await self._list(request, xid, take_all)

    async def know_meters(self) -> None:
        """Ask what the switch can do with meters; one that does not know of them has none.

        Raises:
            SwitchTimeout: no answer.
            ConnectionError: the connection is gone.
        """

        def take(message: bytes) -> None:
            self.meters.learn(meter_codec.features(message))

        async with self._reading:
            xid = self.connection.datapath.next_xid()
            request = meter_codec.features_request(xid)
            try:
                await self._list(request, xid, take, kind=m.MP_METER_FEATURES)
            except OpenFlowError:
                self.meters.learn(meter_codec.Features(0))

    async def list_meters(self) -> dict[int, Meter]:
        """Return the switch's meters by number; those of nobody we know, too.

        Raises:
            SwitchTimeout: no answer, or none for too long between two parts of it.
            OpenFlowError: the switch refuses.
            ConnectionError: the connection is gone.
        """
        found: dict[int, Meter] = {}

        def take(message: bytes) -> None:
            found.update((meter.id, meter) for meter in meter_codec.meters(message))

        if self.meters.most:
            async with self._reading:
                xid = self.connection.datapath.next_xid()
                request = meter_codec.config_request(xid)
                await self._list(request, xid, take, kind=m.MP_METER_CONFIG)
        return found

    def put_meters(self, meters: Iterable[Meter]) -> None:
        """Write *meters*, in front of the bundle whose flows name them.

        What the switch refuses is known when a bundle or a request after it is answered.

        Raises:
            ConnectionError: the connection is gone.
        """
        data = self.meters.writes(meters, self.connection.datapath.next_xid)
        if data:
            self.connection.write(data)

    async def confirm(self) -> None:
        """Wait until everything written has been taken, or refused.

        Raises:
            SwitchTimeout: no answer in time.
            ConnectionError: the connection is gone.
        """
        xid, passed = self._expect(m.BARRIER_REPLY)
        self.connection.write(m.barrier(xid))
        await self._answer(passed, self._deadlines.reply_s, "a barrier")

    def drop_meters(self, numbers: Iterable[int]) -> None:
        """Delete meters that no flow names any more: others would go along with them.

        Raises:
            ConnectionError: the connection is gone.
        """
        next_xid = self.connection.datapath.next_xid
        data = b"".join([meter_codec.delete_meter(number, next_xid()) for number in numbers])
        if data:
            self.connection.write(data)

    async def _list(
        self,
        request: bytes,
        xid: int,
        take: Callable[[bytes], None],
        *,
        kind: int = m.MP_FLOW,
        keep: bool = False,
    ) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._collect = (xid, take, done)
        self._listed = kind
        try:
            self.connection.write(request)
            await self._answer(done, self._deadlines.reply_s * 6, "a request for flows or meters")
        finally:
            self._collect = None
            if not keep:
                self.forget_listing()


class Bundle:
    """Messages on their way into one bundle.

    Attributes:
        is_whole: whether nothing of it has been written yet.
        messages: flow-mods in it.
    """

    _CHUNK = 16 * 1024

    def __init__(self, connection: Connection, opening: bytes) -> None:
        self._connection = connection
        self._parts: list[bytes] = [opening]
        self._size = len(opening)
        self.is_whole = True
        self.messages = 0

    def put(self, data: bytes, messages: int = 0) -> None:
        """Add bytes that hold this many messages; call ``flush`` when ``is_full``."""
        self._parts.append(data)
        self._size += len(data)
        self.messages += messages

    @property
    def is_full(self) -> bool:
        """Whether enough has gathered for one write."""
        return self._size >= self._CHUNK

    async def flush(self) -> None:
        """Write what has gathered, and wait for room.

        Raises:
            ConnectionError: the connection is gone.
        """
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self.is_whole = False
            self._connection.write(data)
        await self._connection.drained()
