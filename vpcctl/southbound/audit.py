"""Finds what changed on a switch behind our back, while changes of our own go on."""

from vpcctl.flows.cookie import OWNER_COOKIE, OWNER_MASK
from vpcctl.flows.tables import DROP, TABLES
from vpcctl.southbound.codec.messages import EncodeError, StatsEntry
from vpcctl.southbound.drops import DropTally
from vpcctl.southbound.encoded import Encoder, Work
from vpcctl.southbound.host import AuditMark, HostState
from vpcctl.southbound.metrics import Metrics
from vpcctl.southbound.program import Program
from vpcctl.southbound.recorder import Recorder
from vpcctl.southbound.resync import Actual, Comparer, Drift
from vpcctl.southbound.session import OpenFlowError, Session, SwitchTimeout
from vpcctl.southbound.shared import Shared

_TOLD = 16
"""So many flows get an event each; the others are counted."""


class Auditor:
    """Audits one host at a time: table by table, comparing in slices."""

    def __init__(
        self,
        program: Program,
        encoder: Encoder,
        recorder: Recorder,
        metrics: Metrics,
        drops: DropTally,
    ) -> None:
        self._program = program
        self._encoder = encoder
        self._recorder = recorder
        self._metrics = metrics
        self._drops = drops

    async def audit(self, host: HostState, refused: frozenset[bytes] = frozenset()) -> int:
        """Compare *host* and queue the repair; return how many flows were wrong, 0 if unknown.

        Flows that its switch has *refused*, by their keys, are left out.

        What we planned ourselves in the meantime is left to the next audit: a flow is only called
        wrong when nothing with its cookie was planned since before it was read.
        """
        if host.session is None or host.waiting or not host.is_idle:
            return 0
        mark = AuditMark()
        host.marks.append(mark)
        try:
            actual: Actual = {}
            for table in TABLES:
                if table is DROP:
                    await self._read_drops(host.id, host.session, actual)
                else:
                    await host.session.flows(
                        lambda entry: actual.__setitem__(*entry), table=table.number
                    )
                if host.session is None:
                    return 0
            return await self._compare(host, host.session, actual, mark, refused)
        except (SwitchTimeout, OpenFlowError, ConnectionError, EncodeError):
            return 0  # the worker finds out by itself
        finally:
            host.marks.remove(mark)

    async def _read_drops(self, host_id: str, session: Session, actual: Actual) -> None:
        """Read table Drop as other tables, with what its flows have counted."""
        counts: dict[bytes, int] = {}

        def take(entry: StatsEntry, packets: int, _size: int) -> None:
            actual[entry.key] = entry.value
            if packets:
                counts[entry.key] = packets

        await session.counts(OWNER_COOKIE, OWNER_MASK, take, table=DROP.number)
        if session.connection.close_reason is None:  # else the host may have been deleted
            self._drops.read(host_id, counts)

    async def _compare(
        self,
        host: HostState,
        session: Session,
        actual: Actual,
        mark: AuditMark,
        refused: frozenset[bytes],
    ) -> int:
        everything = 1 << 30
        fitted = session.meters.fitted
        comparer = Comparer(
            self._program, self._encoder, Shared(0), fitted, skip=refused, keep=everything
        )
        present = await session.list_meters()
        parts = [part async for part in comparer.messages(host.id, actual, present)]
        result = comparer.result
        self._metrics.resyncs.labels("audit").inc()
        if mark.everything or host.session is None or result.failed:
            return 0
        if host.problem is not None and not refused:
            return 0  # nobody knows what the switch refuses
        if not (parts or result.spare):
            host.flows = result.flows - result.skipped
            return 0
        real = [drift for drift in result.drift if not mark.covers(drift.cookie, drift.meter)]
        if len(real) != len(result.drift) or not host.is_idle:
            return 0  # ours and somebody else's are mixed: the next audit sees clearer
        repairs = tuple(self._encoder.raw(*part) for part in parts)
        host.enqueue(Work(self._program.revision, repairs, unmetered=result.spare))
        tell_drift(host.id, real, self._recorder, self._metrics)
        return len(real)


def tell_drift(host_id: str, drift: list[Drift], recorder: Recorder, metrics: Metrics) -> None:
    """Count what was found wrong on a switch, and say what it was."""
    for one in drift:
        metrics.drift.labels(one.kind).inc()
    for one in drift[:_TOLD]:
        recorder.event("host", host_id, f"{one.kind} {one.what} repaired: {one.text}")
    if len(drift) > _TOLD:
        recorder.event("host", host_id, f"{len(drift) - _TOLD} more flows repaired")
