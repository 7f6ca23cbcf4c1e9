"""Addresses that changed hands: in which zones connections of those before are to be forgotten.

A port's own zone is emptied when the port goes. Its peers' zones hold its connections, too, by its
address; who has that address next could answer in them, or go on with them. So do zones of NAT
gateways: by them outsiders would reach it.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.decide.zones import Use
from agent.wire.report import ReportAnswer
from agent.wire.state import Guest, HandedOver, HostState
from vpcctl.model.addresses import link_local, parse_mac

_SEPARATOR = rb"\n"
"""Between connections, as it stands in JSON: a backslash and a letter."""
_END = re.compile(rb"(?:src|dst)=([0-9a-f.:]+)")


@dataclass(frozen=True, slots=True)
class Search:
    """Connections that are to be forgotten.

    Attributes:
        revision: after this everything is done that changed hands up to it.
        zones: zone → addresses whose connections it is to hold no more.
    """

    revision: int
    zones: Mapping[int, frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Local:
    """A port of this host, or a NAT gateway: its VPC, and what it speaks from itself.

    No VPC: any, for it is not told.
    """

    vpc_id: str | None
    addresses: frozenset[str]


_RELEASED = _Local(None, frozenset())
"""A port that is elsewhere. Its zone is to be emptied, but it may come back before that is done."""


class Handovers:
    """What is still to be forgotten, and what is done.

    Nothing is done twice: entries that the new port has made meanwhile would go, too.

    Attributes:
        done: revision up to which everything is done. None: there is no record of it; then what
            the first state tells of counts as done. If links changed while nobody kept the record,
            all zones are emptied anyway (:mod:`agent.decide.zones`).
    """

    def __init__(self, done: int | None = None) -> None:
        self.done = done
        self._told: tuple[HandedOver, ...] = ()
        self._locals: dict[str, _Local] = {}  # by port
        self._nat: dict[int, str] = {}  # zone of a NAT gateway → its VPC
        self._partly: dict[int, int] = {}  # zone → up to which revision it is done already
        self._revision: int | None = None
        self._reached = -1

    def want(self, state: HostState) -> None:
        """Take in a host state."""
        if self.done is None:
            self.done = state.revision
        elif self._revision is not None and state.revision < self._revision:
            self.done = min(self.done, state.revision)  # the controller was restored from a copy
        self._revision = state.revision
        self._told = state.handed_over
        vpcs = {one.subnet_id: one.vpc_id for one in state.guest_subnets}
        self._nat = {one.zone: one.vpc_id for one in state.nat_gateways}
        self._locals = dict.fromkeys(state.released, _RELEASED) | {
            one.port_id: _Local(vpcs[one.subnet_id], _own(one))
            for one in (state.guests if self._told else ())
            if one.subnet_id in vpcs
        }

    def answered(self, answer: ReportAnswer) -> None:
        """Take in how far the switch is."""
        if answer.reached_revision is not None:
            self._reached = answer.reached_revision

    def is_pending(self) -> bool:
        """Tell whether anything is still to be done."""
        return bool(self._waiting())

    def due(self, uses: Mapping[int, Use | None]) -> Search | None:
        """Return what may be done now; None: nothing.

        Flows first: while the switch may have flows for the port before, they may put entries into
        zones. What changed hands later waits for what did so earlier.

        Args:
            uses: zone → whose entries it holds.
        """
        waiting = self._waiting()
        not_yet = (one.revision for one in waiting if one.freed > self._reached)
        end = min(not_yet, default=math.inf)
        ready = [one for one in waiting if one.revision < end]
        if not ready:
            return None
        places = {zone: _Local(vpc_id, frozenset()) for zone, vpc_id in self._nat.items()}
        for zone, use in uses.items():
            if use is not None and use.port_id in self._locals:
                places[zone] = self._locals[use.port_id]
        zones = {zone: self._gone_for(zone, place, ready) for zone, place in places.items()}
        revision = max(one.revision for one in ready)
        return Search(revision, {zone: found for zone, found in zones.items() if found})

    def looked(self, search: Search, zone: int) -> None:
        """Note that a zone is done, whatever becomes of the others."""
        self._partly[zone] = search.revision

    def finished(self, search: Search) -> None:
        """Note that a search is done."""
        self.done = max(self.done or 0, search.revision)
        self._partly.clear()

    def _waiting(self) -> list[HandedOver]:
        done = self.done or 0
        return [one for one in self._told if one.revision > done]

    def _gone_for(self, zone: int, place: _Local, ready: list[HandedOver]) -> frozenset[str]:
        """Return which addresses a zone is to know no more: its own port may have got one."""
        done = self._partly.get(zone, 0)
        ours = [one for one in ready if place.vpc_id in (one.vpc_id, None)]
        gone = {one.address for one in ours if one.revision > done}
        return frozenset(gone - place.addresses)


def _own(guest: Guest) -> frozenset[str]:
    return frozenset({*guest.addresses, str(link_local(parse_mac(guest.mac)))})


class Finder:
    """Finds which of some addresses a zone's connections have, from a listing in pieces.

    Args:
        addresses: those that are looked for.

    Attributes:
        found: those of them that are ends of connections.
    """

    def __init__(self, addresses: Iterable[str]) -> None:
        self._wanted = {address.encode(): address for address in addresses}
        self._rest = b""
        self.found: set[str] = set()

    def take(self, piece: bytes) -> None:
        """Take in a piece of the listing, cut wherever it may be."""
        whole, _, self._rest = (self._rest + piece).rpartition(_SEPARATOR)
        ends = self._wanted.keys() & set(_END.findall(whole))
        self.found.update(self._wanted[end] for end in ends)
