"""Encoded pieces: bytes that are made once and go to every host that needs them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import structlog

from vpcctl.compile.transition import FlowTuple, HostChange
from vpcctl.flows.actions import Conjunction
from vpcctl.flows.flow import Flow, meters_of
from vpcctl.flows.meter import Meter
from vpcctl.flows.text import format_term
from vpcctl.model.relay import Relay
from vpcctl.pipeline.service import MOST_CONJUNCTIONS
from vpcctl.southbound.codec.messages import (
    add_flow,
    decode_entry,
    delete_cookie,
    delete_flow,
    entry_of,
)

log = structlog.get_logger(__name__)

_XIDS = 0x7FFF_FFFF

Fitting = Callable[[FlowTuple], FlowTuple]


def _as_it_is(flows: FlowTuple) -> FlowTuple:
    return flows


@dataclass(frozen=True, slots=True)
class Encoded:
    """Some flow-mods as bytes, each within its bundle-add message.

    Bytes alone: the flows that they were made of weigh ten times as much, and what waits for slow
    hosts may be all of a network.

    Attributes:
        data: the messages, one after the other.
        messages: how many.
        first_xid: transaction id of the first; the others follow.
        meters: what the flows need; bundles take none, so they are not in ``data``.
    """

    data: bytes
    messages: int
    first_xid: int
    meters: tuple[Meter, ...] = ()

    def flow_of(self, xid: int) -> Flow | None:
        """Return the flow of the message with this transaction id; None if it is of no one flow."""
        wanted, position = xid.to_bytes(4, "big"), 0
        while position < len(self.data):
            end = position + (self.data[position + 2] << 8 | self.data[position + 3])
            if self.data[position + 4 : position + 8] == wanted:
                return _flow_of(self.data[position:end])
            position = end
        return None


def _flow_of(message: bytes) -> Flow | None:
    try:
        return decode_entry(entry_of(message))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Work:
    """One host's part of a transition, ready to be sent.

    Attributes:
        revision: where the network stands when this is done.
        parts: what to send first, as one bundle.
        rest: the program of VPCs that are new on the host, read lazily.
        has_program: whether ``rest`` may have anything.
        added: flows that the parts add, minus those that they delete.
        departs: whether a VPC leaves the host.
        unmetered: numbers of meters to delete when this is confirmed.
        relays: relays that wait for this to be confirmed.
    """

    revision: int
    parts: tuple[Encoded, ...]
    rest: Iterator[FlowTuple] = field(default_factory=lambda: iter(()))
    has_program: bool = False
    added: int = 0
    departs: bool = False
    unmetered: tuple[int, ...] = ()
    relays: tuple[Relay, ...] = ()

    @property
    def may_overtake(self) -> bool:
        """Whether it may be sent while an earlier program is still being read.

        Flows of what has not been read yet are made of the network as it is then, so a difference
        does no harm; but a VPC may not be taken away before it has come.
        """
        return not (self.has_program or self.departs or self.relays)

    @property
    def size(self) -> int:
        """Bytes of ``parts``."""
        return sum(len(part.data) for part in self.parts)


def _add(flow: Flow, xid: int) -> bytes:
    if len(flow.actions) >= MOST_CONJUNCTIONS and isinstance(flow.actions[0], Conjunction):
        log.warning(
            "a flow has as many conjunctions as it takes: groups beyond these let nobody in",
            table=flow.table.name,
            match=",".join(map(format_term, flow.match)),
        )
    return add_flow(flow, xid)


class Encoder:
    """Encodes tuples of flows, each once per round."""

    def __init__(self) -> None:
        self._xid = 0
        self._round: dict[tuple[str, int], tuple[FlowTuple, Encoded]] = {}

    def new_round(self) -> None:
        """Forget what was encoded for the hosts of the last round."""
        self._round.clear()

    def _take_xids(self, count: int) -> int:
        if self._xid + count > _XIDS:
            self._xid = 0
        first = self._xid + 1
        self._xid += count
        return first

    def add(self, flows: FlowTuple) -> Encoded:
        """Return the messages that add *flows*.

        Raises:
            EncodeError: a flow is too long for one message.
        """
        first = self._take_xids(len(flows))
        data = b"".join([_add(flow, xid) for xid, flow in enumerate(flows, first)])
        return Encoded(data, len(flows), first, meters_of(flows))

    def delete(self, flows: FlowTuple) -> Encoded:
        """Return the messages that delete exactly *flows*."""
        first = self._take_xids(len(flows))
        data = b"".join([delete_flow(flow, xid) for xid, flow in enumerate(flows, first)])
        return Encoded(data, len(flows), first)

    def delete_cookies(self, cookies: Iterable[int]) -> Encoded:
        """Return the messages that delete every flow with one of *cookies*."""
        all_cookies = tuple(cookies)
        first = self._take_xids(len(all_cookies))
        data = b"".join([delete_cookie(c, first + i) for i, c in enumerate(all_cookies)])
        return Encoded(data, len(all_cookies), first)

    def raw(self, data: bytes, messages: int, meters: tuple[Meter, ...] = ()) -> Encoded:
        """Wrap messages that were encoded elsewhere, with the meters that they need."""
        return Encoded(data, messages, 0, meters)

    def next_xid(self) -> int:
        """Return a transaction id for one message."""
        return self._take_xids(1)

    def one(self, flow: Flow) -> bytes:
        """Return the message that adds *flow*."""
        return _add(flow, self._take_xids(1))

    def work(self, change: HostChange, revision: int, fitted: Fitting = _as_it_is) -> Work:
        """Return *change* ready to be sent; what hosts share is encoded once per round.

        Args:
            change: of one host.
            revision: that it leads to.
            fitted: takes from flows what the host's switch cannot do; most often nothing.
        """
        parts: list[Encoded] = []
        if change.departed:
            parts.append(self.delete_cookies(change.departed))
        parts.extend(self._once("delete", flows) for flows in change.removed if flows)
        parts.extend(self._once("add", fitted(flows)) for flows in change.written if flows)
        added = sum(map(len, change.written)) - sum(map(len, change.removed))
        return Work(
            revision,
            tuple(parts),
            change.program(),
            has_program=change.has_program,
            added=added,
            departs=bool(change.departed),
            unmetered=change.unmetered,
            relays=change.relays,
        )

    def _once(self, verb: str, flows: FlowTuple) -> Encoded:
        key = (verb, id(flows))
        found = self._round.get(key)
        if found is None:  # the tuple is kept too, so that nobody else gets its identity
            encoded = self.add(flows) if verb == "add" else self.delete(flows)
            found = self._round[key] = (flows, encoded)
        return found[1]
