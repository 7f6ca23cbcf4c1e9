"""Next hops on external networks: who is asked for when, and what waits for the answer.

Flows learn a neighbour's MAC by themselves when it answers. Here is what starts that: a packet
whose next hop nobody knows waits while one of our addresses asks; and each network's gateway is
asked for again before flows forget it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.decide.guest.frames import Refused
from agent.decide.world.book import Address, Network
from agent.decide.world.frames import question_about

TRIES = 3
PAUSE_S = 1.0
"""A neighbour is asked for so often, so many seconds apart; then what waits is dropped."""
MOST_WAITING = 256
"""Neighbours that are asked for at the same time."""
MOST_FOR_ONE = 16
"""Packets that wait for one of them, the newest: a host that takes a gateway over meets all of its
conversations at once."""
MOST_IN_ALL = 512
"""Packets that wait; beyond that each neighbour has the newest one alone."""
MOST_OF_ONE = 32
"""The same of one address: who scans a network leaves places for others."""
REMEMBER_S = 3.0
"""An answer is remembered for packets that were under way to us when flows learned from it."""
MOST_REMEMBERED = 1024
FRESH_S = 200.0
"""A gateway is asked for again after so many seconds: flows forget after 300 s without packets."""
SILENT_S = 15.0
"""A gateway that does not answer is asked for again after so many seconds."""

Key = tuple[int, bytes]
"""A network's key and the address of a neighbour in it."""


@dataclass(slots=True)
class _Wait:
    frames: list[bytes]
    address: Address
    due: float
    asked: int = 1


@dataclass(slots=True)
class _Gateway:
    due: float
    asked: int = 0


class Neighbours:
    """What waits, what was heard of late, and when gateways are asked for."""

    def __init__(self) -> None:
        self._waiting: dict[Key, _Wait] = {}
        self._known: dict[Key, tuple[bytes, float]] = {}
        self._gateways: dict[Key, _Gateway] = {}
        self._askers: dict[Key, Address] = {}

    def __len__(self) -> int:
        """Return how many packets wait."""
        return sum(len(each.frames) for each in self._waiting.values())

    def ask(self, network: Network, frame: bytes, address: Address, now: float) -> list[bytes]:
        """Return what to send for a packet whose next hop has no known MAC.

        Args:
            network: that it is on its way to.
            frame: with the packet.
            address: of ours that it is from.
            now: the time.

        Raises:
            Refused: it has no next hop, or too many wait.
        """
        hop = network.next_hop(_target(frame, len(address.ip)))
        if hop is None:
            raise Refused("no-next-hop")
        key = network.key, hop
        mac, at = self._known.get(key, (b"", 0.0))
        if mac and now - at < REMEMBER_S:
            return [_sent_to(mac, frame)]
        waiting = self._waiting.get(key)
        if waiting is not None:
            kept = MOST_FOR_ONE - 1 if len(self) < MOST_IN_ALL else 0
            waiting.frames = [*waiting.frames[max(0, len(waiting.frames) - kept) :], frame]
            return []
        mine = sum(each.address.mac == address.mac for each in self._waiting.values())
        if mine >= MOST_OF_ONE or len(self._waiting) >= MOST_WAITING:
            raise Refused("too-many-waiting")
        self._waiting[key] = _Wait([frame], address, now + PAUSE_S)
        return [question_about(hop, address)]

    def heard(self, network_key: int, ip: bytes, mac: bytes, now: float) -> list[bytes]:
        """Take in a neighbour's answer; return the packets that have waited for it."""
        key = network_key, ip
        self._known.pop(key, None)
        if len(self._known) >= MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[key] = mac, now
        gateway = self._gateways.get(key)
        if gateway is not None:
            gateway.due, gateway.asked = now + FRESH_S, 0
        waiting = self._waiting.pop(key, None)
        return [] if waiting is None else [_sent_to(mac, frame) for frame in waiting.frames]

    def keep_fresh(self, here: Iterable[Address], when: float) -> None:
        """Take in the addresses that this host answers for, which ask for their gateways.

        Args:
            here: the addresses.
            when: to ask for gateways that are new.
        """
        askers: dict[Key, Address] = {}
        for address in here:
            hop = address.network.gateways.get(len(address.ip))
            if hop is not None:
                askers.setdefault((address.network.key, hop), address)
        self._askers = askers
        self._gateways = {key: self._gateways.get(key, _Gateway(when)) for key in askers}

    def refresh(self, when: float) -> None:
        """Ask for all gateways anew: flows may have forgotten what they have learned."""
        for gateway in self._gateways.values():
            gateway.due, gateway.asked = when, 0

    def due(self, now: float) -> list[bytes]:
        """Return the questions that are to be asked now, again or anew; forget what is over."""
        frames = [self._again(key) for key in list(self._waiting) if self._is_due(key, now)]
        for key, gateway in self._gateways.items():
            if gateway.due <= now:
                gateway.asked += 1
                gateway.due = now + (PAUSE_S if gateway.asked < TRIES else SILENT_S)
                frames.append(question_about(key[1], self._askers[key]))
        return frames

    def _is_due(self, key: Key, now: float) -> bool:
        """Tell whether a neighbour is to be asked for again; give up those that never answer."""
        waiting = self._waiting[key]
        if waiting.due > now:
            return False
        if waiting.asked >= TRIES:
            del self._waiting[key]
            return False
        waiting.asked += 1
        waiting.due = now + PAUSE_S
        return True

    def _again(self, key: Key) -> bytes:
        return question_about(key[1], self._waiting[key].address)

    def next(self) -> float | None:
        """Return when :meth:`due` has something to say; None: never."""
        times = [each.due for each in self._waiting.values()]
        times += [each.due for each in self._gateways.values()]
        return min(times, default=None)


def _target(frame: bytes, length: int) -> bytes:
    """Return the destination of the packet in a frame.

    Raises:
        Refused: it is of another version, or too short.
    """
    at, kind = (30, b"\x08\x00") if length == 4 else (38, b"\x86\xdd")
    target = frame[at : at + length]
    if frame[12:14] != kind or len(target) < length:
        raise Refused("packet-malformed")
    return target


def _sent_to(mac: bytes, frame: bytes) -> bytes:
    return mac + frame[6:]
