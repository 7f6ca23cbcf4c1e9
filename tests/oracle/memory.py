"""A judge with a memory: who opened which connection is what each port has seen of it itself."""

from dataclasses import dataclass, field, replace

from tests.oracle.judge import (
    ERRORS,
    ICMP,
    ICMP6,
    ND_AND_MLD,
    Judge,
    Packet,
    Stage,
    Talk,
    is_followed,
    talk_of,
)
from vpcctl.model.port import Port
from vpcctl.model.security_group import Direction

OPPOSITE = {ICMP: {8: 0, 0: 8, 13: 14, 14: 13}, ICMP6: {128: 129, 129: 128}}
ANSWERS = {ICMP: {0, 14}, ICMP6: {129}}


def opposite(talk: Talk) -> Talk:
    """Return how the answer to *talk* would look as a first packet."""
    first, second = talk.second, talk.first
    if talk.protocol in OPPOSITE:
        first, second = OPPOSITE[talk.protocol].get(talk.first or 0), talk.second
    swapped = replace(talk, source=talk.target, target=talk.source)
    return replace(swapped, first=first, second=second)


@dataclass
class Memory:
    """What ports remember: for each its connections, and whether a group keeps them.

    Attributes:
        seen: the connections, by port's id.
        answered: those that somebody has answered: until then none is established.
    """

    seen: dict[str, dict[Talk, bool]] = field(default_factory=dict)
    answered: dict[str, set[Talk]] = field(default_factory=dict)

    def forget(self, port_id: str) -> None:
        """Forget what a port has seen."""
        self.seen.pop(port_id, None)
        self.answered.pop(port_id, None)

    def find(self, port: Port, talk: Talk) -> Stage | None:
        """Return where a packet that looks like *talk* is in a connection that *port* knows."""
        mine = self.seen.get(port.id, {})
        if talk in mine:
            return Stage(talk)
        back = opposite(talk)
        return Stage(back, answers=True) if back in mine else None


class Remembering(Judge):
    """Judges packets by what each port has seen before; what it lets through it remembers.

    Attributes:
        memory: outlives the world.
        about: what the packet at hand tells an error of, as that packet went; None: it is none.
        accepts: whether the packet at hand accepts a connection (SYN and ACK): then it opens none.
    """

    memory: Memory
    about: Talk | None = None
    accepts: bool = False

    def may(self, port: Port, direction: Direction, packet: Packet, stage: Stage | None) -> bool:
        if port.groups is None or packet.get("icmpv6_type") in ND_AND_MLD:
            return True
        alone = talk_of(packet)
        if not is_followed(alone) or not self.follows(port):
            return super().may(port, direction, packet, None)
        found = self._stage(port, alone)
        if found is None:
            return self._opens(port, direction, packet, alone)
        kept = self.memory.seen[port.id][found.talk]
        answered = self.memory.answered.setdefault(port.id, set())
        if found.answers and not found.is_error:
            answered.add(found.talk)
        established = found.is_error or found.talk in answered
        if kept and established and any(one.keep_established for one in self._of(port)):
            return True
        if not super().may(port, direction, packet, found):
            return False
        if not found.is_error:
            keeps = self._keeps(port, found.opened(direction), found.talk)
            self.memory.seen[port.id][found.talk] = kept or keeps
        return True

    def _keeps(self, port: Port, direction: Direction, talk: Talk) -> bool:
        keeping = [one for one in self._of(port) if one.keep_established]
        return any(self._allows(one, port, direction, talk) for one in keeping)

    def _stage(self, port: Port, alone: Talk) -> Stage | None:
        if self.about is None:
            return self.memory.find(port, alone)
        found = self.memory.find(port, self.about)
        # An error goes back to where what it is about came from.
        return None if found is None else replace(found, answers=not found.answers, is_error=True)

    def _opens(self, port: Port, direction: Direction, packet: Packet, alone: Talk) -> bool:
        if (
            self.accepts
            or self.about is not None
            or alone.first in ERRORS.get(alone.protocol, ())
            or alone.first in ANSWERS.get(alone.protocol, ())
        ):
            return self._passes_by_itself(port, direction, alone)
        if not super().may(port, direction, packet, Stage(alone, is_first=True)):
            return False
        kept = self._keeps(port, direction, alone)
        self.memory.seen.setdefault(port.id, {})[alone] = kept
        return True
