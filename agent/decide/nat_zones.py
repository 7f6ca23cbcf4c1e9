"""NAT gateways' zones: which connections there nothing of today explains, and when to look.

Conntrack translates a connection that it knows as it did at its beginning, whatever has become of
the EIP or the port forward since then. So after a change of either, and when an agent starts, the
zone's connections are held against what there is now. That needs no memory, and heals whatever was
missed. One kind only looks like others: a connection by a forward of which the answer was heard
first, on a host that had just taken over. It is translated as what its guest began itself. Such
are known by the forwards that were there at the last look.
"""

import math
import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from agent.wire.report import ReportAnswer
from agent.wire.state import HostState, NatForward, NatGatewayState

AGAIN_S = 1.0
"""So long after a look is looked once more: the datapath may follow its old flows for half a second
after the switch has confirmed the new ones, and Open vSwitch before 3.1.1 may miss some entries."""
MOST = 20_000
"""So many connections are deleted one by one before it is looked again, so much is kept of them."""

_SEPARATOR = rb"\n"
"""Between connections, as it stands in JSON: a backslash and a letter."""
_ENDS = rb"src=([0-9.]+),dst=([0-9.]+)(?:,sport=(\d+),dport=(\d+))?[^)]*"
_CONNECTION = re.compile(
    rb"(?:^|\"|\\n)([a-z0-9]+),orig=\(" + _ENDS + rb"\),reply=\(" + _ENDS + rb"\)"
)
_PROTOCOLS = {b"tcp": 6, b"udp": 17}

Target = tuple[str, int]
"""An address and a port."""


class Ends(NamedTuple):
    """A connection as it was before translation: from whom to whom its first packet went."""

    protocol: int
    source: str
    source_port: int
    destination: str
    destination_port: int


class _Forwards:
    """Port forwards that do not overlap, to be asked often."""

    def __init__(self, forwards: Iterable[NatForward]) -> None:
        self._of: dict[tuple[int, str], list[NatForward]] = {}
        for one in sorted(forwards, key=lambda one: one.first):
            self._of.setdefault((one.protocol, one.address), []).append(one)

    def target(self, protocol: int, address: str, port: int) -> Target | None:
        """Return where a port of an EIP leads to; None: nowhere."""
        found = self._of.get((protocol, address), [])
        at = bisect_right(found, port, key=lambda one: one.first)
        if not at or found[at - 1].last < port:
            return None
        one = found[at - 1]
        return one.target, one.target_port + port - one.first


class Finder:
    """Finds connections of one zone that nothing explains, from a listing that comes in pieces.

    Args:
        gateway: as it is now.
        gone: forwards that it had before.

    Attributes:
        addresses: EIPs that are not the gateway's and that sources are translated to.
        others: other connections; at most ``MOST`` of them.
    """

    def __init__(self, gateway: NatGatewayState, gone: Iterable[NatForward] = ()) -> None:
        self._eips = {address.encode() for address in gateway.addresses}
        self._forwards = _Forwards(one for one in gateway.forwards if self._is_here(one))
        self._gone: dict[tuple[int, str, str], list[_Forwards]] = {}
        for one in gone:  # of several times, so they may overlap
            ends = one.protocol, one.address, one.target
            self._gone.setdefault(ends, []).append(_Forwards([one]))
        self._rest = b""
        self.addresses: set[str] = set()
        self.others: set[Ends] = set()

    def _is_here(self, one: NatForward) -> bool:
        return one.address.encode() in self._eips

    def take(self, piece: bytes) -> None:
        """Take in a piece of the listing, cut wherever it may be."""
        whole, _, self._rest = (self._rest + piece).rpartition(_SEPARATOR)
        for protocol, *ends in _CONNECTION.findall(whole):
            self._judge(protocol, ends[:4], ends[4:])

    def _judge(self, protocol: bytes, question: list[bytes], answer: list[bytes]) -> None:
        source, target, _, target_port = question
        speaker, back, _, back_port = answer
        if back != source:  # the source is translated
            if back not in self._eips:
                self.addresses.add(back.decode())
            elif self._gone and back_port:
                self._judge_heard_first(protocol, question, answer)
        elif speaker != target and target_port:
            known = _PROTOCOLS.get(protocol, 0), target.decode(), int(target_port)
            if self._forwards.target(*known) != (speaker.decode(), int(answer[2])):
                self._add(protocol, question)

    def _judge_heard_first(
        self, protocol: bytes, question: list[bytes], answer: list[bytes]
    ) -> None:
        """Judge what a guest seems to have begun: it may be what was forwarded to it."""
        guest = question[0].decode(), int(question[2])
        known = _PROTOCOLS.get(protocol, 0), answer[1].decode(), int(answer[3])
        before = self._gone.get((*known[:2], guest[0]), ())
        was_forwarded = any(one.target(*known) == guest for one in before)
        if was_forwarded and self._forwards.target(*known) != guest:
            self._add(protocol, question)

    def _add(self, protocol: bytes, question: list[bytes]) -> None:
        number = _PROTOCOLS.get(protocol)
        if number is not None and len(self.others) < MOST:
            source, target, source_port, target_port = question
            ends = source.decode(), int(source_port), target.decode(), int(target_port)
            self.others.add(Ends(number, *ends))

    def has_found(self) -> bool:
        """Tell whether any connection is to be deleted."""
        return bool(self.addresses or self.others)


@dataclass(frozen=True, slots=True)
class Look:
    """A zone that is to be looked at.

    Attributes:
        gateway: whose it is, as it is now.
        gone: forwards that it has no more.
        revision: that the switch has to confirm first.
        earliest: not before this moment, seconds.
        is_first: it is the first look since the change.
    """

    gateway: NatGatewayState
    gone: frozenset[NatForward]
    revision: int
    earliest: float = 0.0
    is_first: bool = True


class NatZones:
    """Which zones of NAT gateways are to be looked at, and when. Not frozen: memory.

    Flows first: while the switch may have flows that translate as before, they may put entries into
    the zone. An agent that is killed before it has looked does it at its next start.
    """

    def __init__(self) -> None:
        self._known: dict[int, NatGatewayState] = {}
        self._looks: dict[int, Look] = {}
        self._reached = -1

    def want(self, state: HostState) -> None:
        """Take in a host state."""
        before, self._known = self._known, {one.zone: one for one in state.nat_gateways}
        self._looks = {zone: look for zone, look in self._looks.items() if zone in self._known}
        for zone, gateway in self._known.items():
            known = before.get(zone)
            if known is None or _translates(known) != _translates(gateway):
                gone = set(known.forwards if known is not None else ())
                gone |= self._looks[zone].gone if zone in self._looks else set()
                left = frozenset(gone.difference(gateway.forwards))
                self._looks[zone] = Look(gateway, left, state.revision)

    def answered(self, answer: ReportAnswer) -> None:
        """Take in how far the switch is."""
        if answer.reached_revision is not None:
            self._reached = answer.reached_revision

    def is_waiting(self) -> bool:
        """Tell whether a zone is to be looked at once the switch has confirmed more."""
        return any(look.revision > self._reached for look in self._looks.values())

    def next_at(self) -> float:
        """Return when a zone may be looked at next, as far as is known; infinity: not at all."""
        return min((look.earliest for look in self._confirmed()), default=math.inf)

    def due(self, now: float) -> Look | None:
        """Return what is to be looked at now, what has changed last first; None: nothing."""
        found = [look for look in self._confirmed() if look.earliest <= now]
        return max(found, key=lambda look: (look.is_first, look.revision), default=None)

    def _confirmed(self) -> list[Look]:
        return [look for look in self._looks.values() if look.revision <= self._reached]

    def looked(self, look: Look, now: float, *, is_clean: bool) -> None:
        """Note that a zone was looked at, unless its gateway has changed again meanwhile.

        Args:
            look: what was done.
            now: when, seconds.
            is_clean: nothing had to be deleted.
        """
        zone = look.gateway.zone
        if self._looks.get(zone) != look:
            return
        if is_clean and not look.is_first:
            del self._looks[zone]
        else:
            later = now + AGAIN_S
            self._looks[zone] = Look(look.gateway, look.gone, look.revision, later, False)

    def failed(self, look: Look, now: float) -> None:
        """Note that a zone could not be looked at: it is tried again."""
        zone = look.gateway.zone
        if self._looks.get(zone) == look:
            later = now + AGAIN_S
            self._looks[zone] = Look(look.gateway, look.gone, look.revision, later, look.is_first)


def _translates(gateway: NatGatewayState) -> tuple[object, ...]:
    """Return what decides how a gateway's connections may be translated."""
    return gateway.gateway_id, gateway.addresses, gateway.forwards
