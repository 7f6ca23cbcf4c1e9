"""Brings one connected host to where it should be and keeps it there; one task per connection."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import structlog

from vpcctl.compile.transition import FlowTuple
from vpcctl.flows.flow import Flow
from vpcctl.flows.meter import Meter
from vpcctl.flows.text import format_flow
from vpcctl.model.relay import Relay
from vpcctl.pipeline.pieces import Piece
from vpcctl.southbound.audit import tell_drift
from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.encoded import Encoded, Encoder, Work
from vpcctl.southbound.host import HostState
from vpcctl.southbound.metrics import Metrics
from vpcctl.southbound.program import Program
from vpcctl.southbound.recorder import Recorder
from vpcctl.southbound.resync import Actual, Comparer, Slots
from vpcctl.southbound.session import (
    MAX_REFUSALS,
    BundleRefused,
    OpenFlowError,
    Session,
    SwitchTimeout,
)
from vpcctl.southbound.shared import Shared
from vpcctl.southbound.slicing import Slicer

log = structlog.get_logger(__name__)

_BUNDLE = 4_096
"""Flows of one bundle of an arriving VPC."""
_MAX_REFUSED = 4_096
"""Flows that are left out because the switch refuses them; with more, it gets none."""
_EVERYTHING = 1 << 30
_TOLD = 16
"""So many of them get an event each; the others are counted."""
_RETRY_S = (1.0, 2.0, 5.0, 15.0, 60.0)


@dataclass(frozen=True, slots=True)
class Tools:
    """What all workers share.

    Attributes:
        comparing: how many switches may be compared at the same time.
        shared: what these have in common.
        advance: to be told of the relays that a host has confirmed its part of.
    """

    program: Program
    encoder: Encoder
    recorder: Recorder
    metrics: Metrics
    comparing: Slots
    shared: Shared
    advance: Callable[[tuple[Relay, ...]], None]


def by_number(meters: Iterable[Meter]) -> tuple[Meter, ...]:
    """Return the last of *meters* of each number."""
    return tuple({meter.id: meter for meter in meters}.values())


def unmetered(works: Iterable[Work]) -> tuple[int, ...]:
    """Return the numbers of meters that *works*, one after the other, leave without a flow."""
    gone: set[int] = set()
    for work in works:
        gone.difference_update(meter.id for part in work.parts for meter in part.meters)
        gone.update(work.unmetered)
    return tuple(sorted(gone))


class Worker:
    """Serves one host over one connection."""

    def __init__(self, host: HostState, session: Session, tools: Tools) -> None:
        self._host = host
        self._session = session
        self._tools = tools
        self._wake = asyncio.Event()
        self._refused: dict[bytes, str] = {}
        self._is_trial = True
        self._is_settled = False
        self._retries = 0
        self._retry: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._must_compare = True

    def start(self, pause: float) -> None:
        """Begin, after *pause* seconds."""
        self._task = asyncio.create_task(self._run(pause))

    def stop(self) -> None:
        """End; the connection is gone or about to go."""
        if self._task is not None:
            self._task.cancel()
        if self._retry is not None:
            self._retry.cancel()

    def wake(self) -> None:
        """Look at the queue."""
        self._wake.set()

    def compare(self) -> None:
        """Compare the whole switch, and try again what it refused before."""
        self._is_settled = False
        self._try_again()

    @property
    def refused(self) -> frozenset[bytes]:
        """Keys of the flows that the switch has refused."""
        return frozenset(self._refused)

    def _try_again(self) -> None:
        self._is_trial = True
        if self._session.meters.refused:
            self._is_settled = False  # flows go without these meters until now
        self._session.meters.forgive()
        self._must_compare = True
        self._wake.set()

    async def _run(self, pause: float) -> None:
        try:
            await asyncio.sleep(pause)
            await self._serve()
        except SwitchTimeout as error:
            self._fail(str(error))
        except ConnectionError:
            return
        except OpenFlowError as error:
            self._fail(f"the switch refuses a request: {error}")
        except Exception as error:
            log.exception("host worker failed", host=self._host.id)
            self._fail(f"internal error: {error}")
        self._session.connection.drop(self._host.problem or "given up")

    def _fail(self, problem: str) -> None:
        self._host.degrade(problem)
        self._tools.recorder.event("host", self._host.id, problem)
        self._tools.recorder.host(self._host.id)

    async def _serve(self) -> None:
        host = self._host
        while True:
            if self._must_compare or host.overflowed:
                await self._resync()
            while host.queue and not self._must_compare:
                await self._send_queue()
            if not (self._must_compare or host.overflowed):
                await self._wake.wait()
                self._wake.clear()

    # --- changes --------------------------------------------------------------------------------

    async def _send_queue(self) -> None:
        host = self._host
        host.busy = True
        works = host.take()
        host.loading = works[-1].has_program
        try:
            revision = await self._send(works)
        except BundleRefused:
            self._must_compare, self._is_settled = True, False
            return
        finally:
            host.busy = False
        host.loading = False
        host.flows += sum(work.added for work in works)
        self._acknowledge(revision)
        for work in works:
            if work.relays:
                self._tools.advance(work.relays)

    async def _send(self, works: list[Work]) -> int:
        """Send works as one bundle and then the last one's program; return the revision reached."""
        parts = [part for work in works for part in work.parts]
        await self._bundle(parts, works[-1].revision, time.perf_counter())
        self._session.drop_meters(unmetered(works))
        return await self._send_program(works[-1]) if works[-1].has_program else works[-1].revision

    async def _send_program(self, work: Work) -> int:
        """Send a program; what is planned meanwhile need not wait for its end."""
        revision, slicer = work.revision, Slicer()
        while True:
            await slicer.breathe()
            started = time.perf_counter()
            overtaking = self._host.take_overtaking()
            parts = [part for one in overtaking for part in one.parts]
            chunk = await self._chunk(work.rest, slicer)
            await self._bundle([*parts, *chunk], work.revision, started)
            self._session.drop_meters(unmetered(overtaking))
            self._host.flows += sum(one.added for one in overtaking)
            revision = overtaking[-1].revision if overtaking else revision
            if not chunk:
                return revision
            self._host.flows += sum(part.messages for part in chunk)

    async def _chunk(self, rest: Iterator[FlowTuple], slicer: Slicer) -> list[Encoded]:
        chunk: list[Encoded] = []
        count = 0
        for flows in rest:
            chunk.append(self._tools.encoder.add(self._host.fitted(flows)))
            count += len(flows)
            if count >= _BUNDLE:
                break
            await slicer.breathe()
        return chunk

    async def _bundle(self, parts: list[Encoded], revision: int, started: float) -> None:
        if not parts:
            return
        self._session.meters.settle()
        self._session.put_meters(by_number(meter for part in parts for meter in part.meters))
        metrics, messages = self._tools.metrics, sum(part.messages for part in parts)
        try:
            async with self._session.bundle() as bundle:
                for part in parts:
                    bundle.put(part.data, part.messages)
                    if bundle.is_full:
                        await bundle.flush()
                sent = time.perf_counter()
        except BundleRefused as refused:
            if not self._refused_meters():
                self._refusal(refused, parts)
            raise
        if not messages:
            await self._session.confirm()
        if self._refused_meters():
            self._must_compare = True
        metrics.bundles.labels("confirmed").inc()
        metrics.flow_mods.inc(messages)
        metrics.time(revision, "send", sent - started, self._host.id)
        metrics.time(revision, "confirm", time.perf_counter() - sent, self._host.id)

    def _acknowledge(self, revision: int) -> None:
        self._host.acknowledge(revision)
        self._tools.recorder.host(self._host.id, settled=self._host.state != "pending")

    # --- refusals -------------------------------------------------------------------------------

    def _refusal(self, refused: BundleRefused, parts: list[Encoded]) -> None:
        """Note which flows a switch refuses; the next comparison leaves them out and finds more."""
        named: list[tuple[Flow, str]] = []
        for refusal in refused.refusals[:_TOLD]:
            flow = next((f for part in parts if (f := part.flow_of(refusal.xid))), None)
            if flow is not None:
                named.append((flow, refusal.error))
        self._note_refused(named, refused)

    def _note_refused(self, named: list[tuple[Flow, str]], refused: BundleRefused) -> None:
        self._tools.metrics.bundles.labels("refused").inc()
        news = 0
        for flow, error in named:
            key = m.entry_of(self._tools.encoder.one(flow)).key
            if key in self._refused:
                continue
            news += 1
            self._refused[key] = error
            if news <= _TOLD:
                self._refused[key] = f"the switch refuses a flow: {error}: {format_flow(flow)}"
                self._tools.recorder.event("host", self._host.id, self._refused[key])
                log.warning("flow refused", host=self._host.id, error=error)
        if news > _TOLD:
            detail = f"the switch refuses {news - _TOLD} more flows"
            self._tools.recorder.event("host", self._host.id, detail)
        if not named:
            problem = f"the switch refuses a bundle: {refused}"
            self._tools.recorder.event("host", self._host.id, problem)
        else:
            problem = next(iter(self._refused.values()))
        self._host.degrade(problem)
        self._tools.recorder.host(self._host.id)

    def _refused_meters(self) -> bool:
        """Tell of meters that the switch has refused; what names them goes on without."""
        meters = self._session.meters
        if not meters.news:
            return False
        meters.news = False
        number, error = next(reversed(meters.refused.items()))
        detail = f"the switch refuses {len(meters.refused)} meters, such as {number}: {error}"
        self._tools.recorder.event("host", self._host.id, detail)
        log.warning("meters refused", host=self._host.id, error=error)
        return True

    def _retry_later(self) -> None:
        """Try again with everything, later and later as long as it fails."""
        delay = _RETRY_S[min(self._retries, len(_RETRY_S) - 1)]
        self._retries += 1
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(delay, self._try_again)

    # --- comparing ------------------------------------------------------------------------------

    async def _resync(self) -> None:
        """Put the whole switch right; flows that it refuses are left out and tried again later."""
        host = self._host
        quiet = self._is_settled and not (host.queue or host.overflowed)
        self._is_settled, planned = False, self._tools.program.revision if quiet else None
        host.busy, host.overflowed, self._must_compare = True, False, False
        host.loading = True
        host.forget()
        host.disturb_audits()
        revision, relays = self._tools.program.revision, self._tools.program.relays(host.id)
        is_trial, self._is_trial = self._is_trial, False
        skip = frozenset(() if is_trial else self._refused)
        actual = Actual()
        tools = self._tools
        comparer = Comparer(
            *(tools.program, tools.encoder, tools.shared, host.fitted),
            skip=skip,
            known=self.refused,
            keep=_EVERYTHING if quiet else 0,
        )
        try:
            host.waiting = True
            async with tools.comparing.hold():
                await self._session.know_meters()
                host.waiting = False
                host.forget()
                revision, relays = tools.program.revision, tools.program.relays(host.id)
                await self._compare(comparer, actual)
        except BundleRefused as refused:
            if self._refused_meters():
                self._must_compare = True
                return
            self._tell_drift(comparer, planned)
            await self._leave_out(comparer, refused, is_trial=is_trial)
            return
        finally:
            host.busy = host.waiting = False
            actual.clear()  # an exception's traceback would keep it
            self._session.forget_listing()
        self._tell_drift(comparer, planned)
        host.flows = comparer.result.flows - comparer.result.skipped
        self._tell_unmetered(comparer.result.unmetered)
        if self._refused_meters():
            self._must_compare = True
        failed = comparer.result.failed
        self._is_settled = not failed
        if comparer.result.skipped or self._session.meters.refused or failed:
            self._retry_later()
        else:
            self._retries = 0
        if not comparer.result.skipped:
            self._refused.clear()
            host.degrade(None)
        if failed:
            self._tell_failed(failed)
        host.loading = False
        self._acknowledge(revision)
        if relays:
            self._tools.advance(relays)

    def _tell_drift(self, comparer: Comparer, planned: int | None) -> None:
        """Tell what a retry found, unless it may be our own: changes planned since or before."""
        if planned == self._tools.program.revision:
            tools = self._tools
            tell_drift(self._host.id, comparer.result.drift, tools.recorder, tools.metrics)

    async def _leave_out(
        self, comparer: Comparer, refused: BundleRefused, *, is_trial: bool
    ) -> None:
        """Compare again without what the switch refuses, or later if nobody knows what that is.

        A trial was of everything, so what it did not name is refused no more.
        """
        named, slicer = list[tuple[Flow, str]](), Slicer()
        for one in refused.refusals:
            flow = comparer.flow_of(one.xid)
            if flow is not None:
                named.append((flow, one.error))
            await slicer.breathe()
        known = len(self._refused)
        self._note_refused(named, refused)
        if is_trial and len(refused.refusals) < MAX_REFUSALS:
            keys = {m.entry_of(self._tools.encoder.one(flow)).key for flow, _ in named}
            self._refused = {key: why for key, why in self._refused.items() if key in keys}
        is_new = is_trial or len(self._refused) > known
        if named and is_new and len(self._refused) <= _MAX_REFUSED:
            self._must_compare = True
        else:
            self._retry_later()

    def _tell_unmetered(self, flows: int) -> None:
        """Tell that flows go without their meters."""
        most = self._session.meters.most
        if flows and not self._session.meters.refused:
            detail = f"{flows} flows are not metered: the datapath takes meters up to number {most}"
            self._tools.recorder.event("host", self._host.id, detail)

    def _tell_failed(self, failed: dict[Piece, Exception]) -> None:
        """Tell of pieces that cannot be compiled: what the switch has of them stays as it is."""
        piece, error = next(iter(failed.items()))
        problem = f"{len(failed)} parts cannot be compiled, such as {piece}: {error!r}"
        log.error("parts cannot be compiled", host=self._host.id, problem=problem)
        self._host.degrade(problem)
        self._tools.recorder.event("host", self._host.id, problem)

    async def _compare(self, comparer: Comparer, actual: Actual) -> None:
        present = await self._session.list_meters()
        self._session.meters.settle()
        await self._session.flows(lambda entry: actual.__setitem__(*entry), keep=True)
        started = time.perf_counter()
        async with self._session.bundle() as bundle:
            async for repair in comparer.messages(self._host.id, actual, present):
                self._session.put_meters(repair.meters)
                bundle.put(repair.data, repair.messages)
                if bundle.is_full:
                    await bundle.flush()
        result = comparer.result
        if result.meters and not result.wrong + result.aliens:
            await self._session.confirm()
        self._session.drop_meters(result.spare)
        metrics = self._tools.metrics
        metrics.resyncs.labels("connect").inc()
        metrics.flow_mods.inc(result.wrong + result.aliens)
        seconds = round(time.perf_counter() - started, 4)
        log.info(
            "host compared",
            host=self._host.id,
            flows=result.flows,
            written=result.wrong,
            deleted=result.aliens,
            seconds=seconds,
        )
