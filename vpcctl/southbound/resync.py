"""Read a switch's flows, compare them with what it should hold, and say what is wrong.

Only flows with our cookie mark are read at all (the switch filters), so no other is ever touched.
What the switch holds is read first and kept as bytes; the program is then compiled piece by piece
and compared, so an empty switch takes in the first flows while the last are still being compiled.
"""

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from vpcctl.flows.cookie import is_ours
from vpcctl.flows.flow import Flow
from vpcctl.flows.meter import Meter
from vpcctl.flows.text import format_flow
from vpcctl.pipeline.pieces import Piece
from vpcctl.southbound.codec import messages as m
from vpcctl.southbound.encoded import Encoded, Encoder, Fitting
from vpcctl.southbound.program import Program
from vpcctl.southbound.shared import Shared
from vpcctl.southbound.slicing import Slicer

_HOLD_S = 3.0
"""How long a switch may keep others from being compared."""

_GATHERED = 128
"""Flows that are looked at together: to hand on those of each piece alone takes as long as some."""

Actual = dict[bytes, bytes]
"""A switch's flows: key and value of each, see ``StatsEntry``."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One flow or meter that is not as it should be.

    Attributes:
        kind: ``missing``, ``changed`` or ``alien`` (ours by its mark, but not wanted).
        text: the flow or meter in ``ovs-ofctl``'s form.
        cookie: the flow's cookie; 0 of a meter.
        meter: the meter's number; None of a flow.
    """

    kind: str
    text: str
    cookie: int
    meter: int | None = None

    @property
    def what(self) -> str:
        """What it is."""
        return "flow" if self.meter is None else "meter"


class Sent:
    """Which messages were sent for which piece; small, because there are very many."""

    __slots__ = ("_firsts", "_order", "_pieces")

    def __init__(self) -> None:
        self._firsts = array("L")
        self._pieces: list[Piece] = []
        self._order: list[int] = []

    def add(self, first_xid: int, piece: Piece) -> None:
        """Note the transaction id of a piece's first message; its others follow."""
        self._firsts.append(first_xid)
        self._pieces.append(piece)

    def find(self, xid: int) -> tuple[Piece, int] | None:
        """Return the piece that a message may be of, and its place among the piece's messages."""
        if len(self._order) != len(self._firsts):
            self._order = sorted(range(len(self._firsts)), key=self._firsts.__getitem__)
        after = bisect_right(self._order, xid, key=self._firsts.__getitem__)
        if not after:
            return None
        index = self._order[after - 1]
        return self._pieces[index], xid - self._firsts[index]


@dataclass(slots=True)
class Comparison:
    """What comparing found, as messages to send.

    Attributes:
        flows: how many flows the program has.
        wrong: how many are missing or changed.
        aliens: how many are there and should not be.
        drift: the first few of them.
        sent: what the messages were for.
        skipped: flows left out, because the switch has refused them.
        meters: how many meters are missing or changed.
        spare: numbers of meters that are there and should not be; they go last.
        unmetered: flows that go without their meter, because the switch cannot have it.
        failed: what went wrong with pieces that could not be made into messages, by piece.
    """

    flows: int = 0
    wrong: int = 0
    aliens: int = 0
    drift: list[Drift] = field(default_factory=list)
    sent: Sent = field(default_factory=Sent)
    skipped: int = 0
    meters: int = 0
    spare: tuple[int, ...] = ()
    unmetered: int = 0
    failed: dict[Piece, Exception] = field(default_factory=dict[Piece, Exception])


class Repair(NamedTuple):
    """Messages that put a part of a switch right.

    Attributes:
        data: messages for a bundle.
        messages: how many.
        meters: what has to be written before.
    """

    data: bytes
    messages: int
    meters: tuple[Meter, ...] = ()


class Slots:
    """Limits how many switches are compared at once, to bound memory.

    A slot is given back after a while even if its switch is still not done: one that is stuck must
    not hold up the others.
    """

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it."""
        await self._free.acquire()
        timer = asyncio.get_running_loop().call_later(_HOLD_S, self._free.release)
        try:
            yield
        finally:
            if timer.when() > asyncio.get_running_loop().time():
                timer.cancel()
                self._free.release()


class Comparer:
    """Compares one switch's flows with one host's program.

    Args:
        skip: keys of flows to leave out.
        known: keys of flows that are known to be missing: no drift.
        keep: so much drift is kept.
    """

    def __init__(
        self,
        program: Program,
        encoder: Encoder,
        shared: Shared,
        fitted: Fitting,
        *,
        skip: frozenset[bytes],
        known: frozenset[bytes] = frozenset(),
        keep: int = 0,
    ) -> None:
        self._program = program
        self._encoder = encoder
        self._shared = shared
        self._fitted = fitted
        self._skip = skip
        self._known = known
        self._keep = keep
        self.result = Comparison()

    async def messages(
        self, host_id: str, actual: Actual, present: Mapping[int, Meter]
    ) -> AsyncIterator[Repair]:
        """Yield what turns *actual*, which is used up, and *present* meters into the program.

        What a piece that cannot be made into messages has on the switch stays: since nobody knows
        which flows those are, nothing is deleted then.
        """
        slicer, wanted = Slicer(), dict[int, Meter]()
        parts, meters, count, looked_at = list[bytes](), list[Meter](), 0, 0
        for piece in self._program.pieces(host_id):
            encoded = self._shared.get(piece) or self._try_encode(piece)
            if encoded is None:
                continue
            self.result.flows += encoded.messages
            if encoded.meters:
                meters.extend(self._meters(encoded.meters, present, wanted))
            data, messages = self._piece(piece, encoded, actual)
            parts.append(data)
            count += messages
            looked_at += 1 + encoded.messages
            if looked_at >= _GATHERED:
                if count or meters:
                    yield Repair(b"".join(parts), count, tuple(meters))
                parts, meters, count, looked_at = [], [], 0, 0
                await slicer.breathe()
        if count or meters:
            yield Repair(b"".join(parts), count, tuple(meters))
        if self.result.failed:
            return
        self._surplus(present, wanted)
        for key, value in actual.items():
            entry = m.StatsEntry(key, value)
            if not is_ours(m.cookie_of(entry)):
                continue
            self.result.aliens += 1
            self._note("alien", entry)
            yield Repair(m.delete_entry(entry, self._encoder.next_xid()), 1)
            await slicer.breathe()

    def _try_encode(self, piece: Piece) -> Encoded | None:
        """Return a piece's messages, None when it fails: all others are put right."""
        try:
            return self._encode(piece)
        except Exception as error:
            self.result.failed[piece] = error
            return None

    def _encode(self, piece: Piece) -> Encoded:
        flows = self._program.flows(piece)
        fitted = self._fitted(flows)
        encoded = self._encoder.add(fitted)
        if fitted is flows:
            self._shared.put(piece, encoded)
        else:  # made for this switch alone
            self.result.unmetered += sum(map(_lacks_meter, flows, fitted))
        return encoded

    def _meters(
        self, needed: Iterable[Meter], present: Mapping[int, Meter], wanted: dict[int, Meter]
    ) -> Iterator[Meter]:
        """Yield the meters that are *needed*, missing or changed, and not *wanted* yet."""
        for meter in needed:
            if wanted.setdefault(meter.id, meter) is not meter:
                continue
            found = present.get(meter.id)
            if found != meter:
                self.result.meters += 1
                self._note_meter("missing" if found is None else "changed", meter)
                yield meter

    def _surplus(self, present: Mapping[int, Meter], wanted: Mapping[int, Meter]) -> None:
        surplus = [one for one in present.values() if one.is_ours and one.id not in wanted]
        for meter in surplus:
            self._note_meter("alien", meter)
        self.result.spare = tuple(meter.id for meter in surplus)

    def _note_meter(self, kind: str, meter: Meter) -> None:
        if len(self.result.drift) < self._keep:
            self.result.drift.append(Drift(kind, str(meter), 0, meter.id))

    def _piece(self, piece: Piece, encoded: Encoded, actual: Actual) -> tuple[bytes, int]:
        if not actual and not self._skip and not self._keep:
            if encoded.messages:
                self.result.sent.add(encoded.first_xid, piece)
                self.result.wrong += encoded.messages
            return encoded.data, encoded.messages
        parts: list[bytes] = []
        wrong, position, data = 0, 0, encoded.data
        for index in range(encoded.messages):
            length = data[position + 2] << 8 | data[position + 3]
            message = data[position : position + length]
            position += length
            entry = m.entry_of(message)
            found = actual.pop(entry.key, None)
            if found == entry.value:
                continue
            if entry.key in self._skip:
                self.result.skipped += 1
                continue
            if entry.key not in self._known:
                self._note("missing" if found is None else "changed", entry, piece, index)
            parts.extend(self._others(entry, found))
            parts.append(message)
            wrong += 1
        if parts:
            self.result.sent.add(encoded.first_xid, piece)
            self.result.wrong += wrong
        return b"".join(parts), len(parts)

    def _others(self, entry: m.StatsEntry, found: bytes | None) -> Iterator[bytes]:
        """Yield what deletes a flow of ours that *entry* would inherit another object's counts of.

        See ``difference``.
        """
        there = None if found is None else m.StatsEntry(entry.key, found)
        if there is not None and m.cookie_of(there) != m.cookie_of(entry):
            yield m.delete_entry(there, self._encoder.next_xid())

    def _note(
        self, kind: str, entry: m.StatsEntry, piece: Piece | None = None, index: int = 0
    ) -> None:
        if len(self.result.drift) < self._keep:
            if piece is None:
                text = describe(entry)
            else:
                text = format_flow(self._fitted(self._program.flows(piece))[index])
            self.result.drift.append(Drift(kind, text, m.cookie_of(entry)))

    def flow_of(self, xid: int) -> Flow | None:
        """Return the flow whose message had *xid*, if its piece is still what it was."""
        found = self.result.sent.find(xid)
        if found is None:
            return None
        piece, place = found
        flows = self._program.flows(piece)
        return flows[place] if place < len(flows) else None


def _lacks_meter(wanted: Flow, fitted: Flow) -> bool:
    return wanted.meter is not None and fitted.meter is None


def describe(entry: m.StatsEntry) -> str:
    """Return a listed flow as text, even when it holds what no flow of ours could hold."""
    try:
        return format_flow(m.decode_entry(entry))
    except ValueError as error:
        return (
            f"cookie={m.cookie_of(entry):#x}, table={entry.key[0]}, "
            f"priority={int.from_bytes(entry.key[1:3], 'big')}, undecoded ({error})"
        )
