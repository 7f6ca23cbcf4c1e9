"""Watches other hosts by BFD, and tells them when not to rely on this one.

A host whose ovs-vswitchd has just started has BFD up within a second, but no flows yet. So its
BFD says "concatenated path down" (RFC 5880, section 6.8.17) until the flows are there: it lives,
and is not to be relied on. ovs-vswitchd finds that in OVSDB when it starts; it is written when
the last one ends. An agent that is started while the flows are there holds nothing.

Somebody else has taken over by then, so it goes on to say so while one lives that comes after it
in the order of a gateway: until the controller has put it behind that one, or nobody lives. And it
says so when it has lost its way to an external network, and is still to stand for it.
"""

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import Callable

from agent.bridges import Ovs
from agent.convergence import Convergence
from agent.decide import marks
from agent.decide import watch as decide
from agent.decide.bridge import BridgeSettings
from agent.decide.rows import InterfaceRow
from agent.host import Host
from agent.ofctl import OfctlError, Switch
from agent.settings import Settings
from agent.wire.report import ReportAnswer
from agent.wire.state import HostState, Watched

log = logging.getLogger(__name__)

_BEGIN_S = 3.0
_CUT_S = 0.3
"""How long the controller has to take a network from this host that it does not reach any more."""
_AGAIN_S = (1.0, 5.0)
"""Hosts that have all lost a network must not hold back together, nor take turns: one that finds
nobody else waits some time between these until it looks for somebody again."""
_ASK_S = (0.05, 0.1, 0.2, 0.5, 1.0)


class Watches:
    """The ports on which BFD runs.

    Args:
        settings: of the agent.
        ovs: OVSDB.
        host: knows the interfaces.
        changed: told when what is wrong has changed.
        looked: told when this host's flows, or another host, may count otherwise than before.

    Attributes:
        returns: host → how often it has begun to live, as BFD says.
    """

    def __init__(
        self,
        settings: Settings,
        ovs: Ovs,
        host: Host,
        changed: Callable[[], None],
        looked: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._ovs = ovs
        self._host = host
        self._changed = changed
        self._looked = looked
        self._living: set[str] = set()
        self._unsure: dict[str, float] = {}  # host → loop time until which it counts as living
        self.returns: Counter[str] = Counter()
        self._before: frozenset[str] | None = None  # gateway hosts before this one, once known
        self._seen: set[str] = set()  # hosts that BFD has seen since ovs-vswitchd was started
        self._stand_by_until = math.inf
        self._switch = Switch(settings.ovs_rundir / f"{settings.bridge}.mgmt")
        self._watched: tuple[Watched, ...] | None = None
        self._fresh: dict[str, int] = {}  # host → revision whose flows it is to wait for
        self._held: bool | None = None  # None: not known yet
        self._orders: decide.Orders | None = None
        self._returning: bool | None = None  # somebody else has taken over; None: not known yet
        self._holds_back = False  # for another reason than that flows are missing
        self._cut: frozenset[str] = frozenset()  # networks that this host has lost
        self._cut_at = 0.0  # loop time from which it holds back for that
        self._ask_timer: asyncio.TimerHandle | None = None
        self._met_by = 0.0  # loop time by which hosts that are met now are reported, met or not
        self._told: frozenset[str] = frozenset()  # who is told not to rely on this host
        self._convergence = Convergence(self._converge, self._tell)

    @property
    def is_held(self) -> bool:
        """Whether the flows of this host are not known to be there."""
        return self._held is not False

    def want(self, state: HostState) -> None:
        """Take in a new host state."""
        self._before = decide.before(state.outside_addresses, self._settings.host_id)
        self._orders = decide.orders(state.outside_addresses, self._settings.host_id)
        self._judge()
        before = {each.host_id for each in self._watched or ()}
        if state.watched == self._watched:
            return
        new = {each.host_id for each in state.watched} - before
        if self._watched is not None:
            self._fresh |= dict.fromkeys(new, state.revision)
        for host_id in new:
            self._unsure.pop(host_id, None)
        self._fresh = {
            each.host_id: self._fresh[each.host_id]
            for each in state.watched
            if each.host_id in self._fresh
        }
        self._watched = state.watched
        self.wake()
        self._ask(0)

    def _ask(self, asked: int) -> None:
        """Have reports sent soon whose answers may say that the switch has confirmed the flows."""
        if self._ask_timer is not None:
            self._ask_timer.cancel()
            self._ask_timer = None
        if self._fresh:
            delay = _ASK_S[min(asked, len(_ASK_S) - 1)]
            loop = asyncio.get_running_loop()
            self._ask_timer = loop.call_later(delay, self._ask_now, asked)

    def _ask_now(self, asked: int) -> None:
        self._ask_timer = None
        if self._fresh:
            self._changed()
            self._ask(asked + 1)

    def wake(self) -> None:
        """Look at everything again."""
        self._convergence.wake()

    async def run(self) -> None:
        """Work for ever; nothing is touched before the first host state."""
        await self._convergence.run()

    # --- when others may rely on this host --------------------------------------------------------

    async def vswitchd_started(self) -> None:
        """Find out, once, if an ovs-vswitchd that ran before this agent has flows of ours."""
        loop = asyncio.get_running_loop()
        self._stand_by_until = loop.time() + _BEGIN_S
        loop.call_later(_BEGIN_S, self._look)
        if self._held is not None:
            return
        there = await self._flows_are_there()
        if self._held is None:
            self._held = not there
            self._returning = True if self._held else self._returning
            self.wake()
            self._look()

    def vswitchd_ended(self) -> None:
        """Hold: the next ovs-vswitchd has no flows when it starts."""
        self._held = self._returning = True
        self._unsure.clear()
        self._seen.clear()
        self._stand_by_until = math.inf
        self.wake()
        self._look()

    async def flows_are_back(self) -> None:
        """Look if the flows are there; if so, others may rely on this host."""
        if self._held and await self._flows_are_there() and self._held:
            self._held = False
            self.wake()
            self._look()

    def cut_off(self, networks: frozenset[str]) -> None:
        """Take in which external networks have no way from this host any more."""
        news, self._cut = networks - self._cut, networks
        if news:
            loop = asyncio.get_running_loop()
            self._cut_at = loop.time() + _CUT_S
            loop.call_at(self._cut_at, self._look)
        self._look()

    def _look(self) -> None:
        self._judge()
        self._looked()

    def _judge(self) -> None:
        """Decide if others are not to rely on this host, flows or no flows."""
        holds_back = self._is_cut() or self._is_returning()
        if holds_back != self._holds_back:
            self._holds_back = holds_back
            self.wake()
            self._looked()

    def _is_cut(self) -> bool:
        """Tell whether this host is to stand for a network that it has lost and others have not."""
        owner = self._settings.host_id
        others = decide.instead(self._orders or frozenset(), self._cut, owner)
        if not others:
            return False
        loop = asyncio.get_running_loop()
        if loop.time() < self._cut_at:
            return False
        if others & self._living:
            self._returning = True
            return True
        if self._holds_back:
            self._cut_at = loop.time() + random.uniform(*_AGAIN_S)  # noqa: S311
            loop.call_at(self._cut_at, self._look)
        return False

    def _is_returning(self) -> bool:
        """Tell whether somebody lives who may have taken over from this host."""
        if self._returning and self._orders is not None and not self._held:
            later = decide.after(self._orders, self._settings.host_id)
            is_early = asyncio.get_running_loop().time() < self._stand_by_until
            self._returning = bool(later if is_early else later & self._living)
        return self._returning is True

    async def _flows_are_there(self) -> bool:
        try:
            return await self._switch.count() > 0
        except OfctlError as error:
            log.debug("flows cannot be counted now: %s", error)
            return False

    async def answered(self, answer: ReportAnswer) -> None:
        """Take in the answer to an accepted report: which flows the switch has confirmed."""
        reached = answer.reached_revision
        sure = [id for id, wanted in self._fresh.items() if reached is None or reached >= wanted]
        for host_id in sure:
            del self._fresh[host_id]
        if sure:
            self.wake()
        if self._held and answer.realised_revision is not None:
            await self.flows_are_back()

    # --- which others live ------------------------------------------------------------------------

    def row_changed(self, row: InterfaceRow) -> None:
        """An interface with our mark changed: if it is a watch, take in if the other host lives."""
        host_id = row.external_ids.get(marks.WATCH_KEY)
        if host_id is None:
            return
        if row.met and row.refuses:
            self.wake()  # the other side may be told something else from now on
        if row.alive == (host_id in self._living):
            return
        if row.alive:
            self._living.add(host_id)
            self._seen.add(host_id)
            self._unsure[host_id] = 0.0
            self.returns[host_id] += 1
        else:
            self._living.discard(host_id)
        self._meet()
        self._look()

    def _meet(self) -> None:
        """Report those who are met for the first time: all at once, when all are or time is up.

        One after the other would make flows send to a standby what is for the active one.
        """
        # A loop's timers may come a moment early.
        is_over = asyncio.get_running_loop().time() > self._met_by - 0.01
        if self._host.meeting and (is_over or self._host.meeting <= self._living):
            self._host.meeting = frozenset()
            self._changed()

    def row_gone(self, row: InterfaceRow) -> None:
        """An interface is gone: nobody is watched there."""
        host_id = row.external_ids.get(marks.WATCH_KEY)
        if host_id in self._living:
            self._living.discard(host_id)
            self._look()

    def may_stand(self) -> bool:
        """Tell whether flows may take this host for the active one of gateways.

        They do as long as no host before it lives as far as BFD says. Right after a start of
        ovs-vswitchd it has not said anything yet, and the standby would answer for the active one;
        and before the first host state nobody knows who comes before this one.
        """
        if self.must_not_stand():
            return False
        is_known = self._before is not None and self._before <= self._seen
        return is_known or asyncio.get_running_loop().time() >= self._stand_by_until

    def must_not_stand(self) -> bool:
        """Tell whether others are told not to rely on this host, and rely on somebody else."""
        return self._held is True or self._holds_back

    def lives(self, host_id: str) -> bool:
        """Tell whether another host lives, as far as BFD says.

        BFD takes a second or two to begin. Until it has spoken, a host counts as living: nobody
        takes over from somebody who has just not been heard yet.
        """
        if host_id in self._living:
            return True
        loop = asyncio.get_running_loop()
        if host_id not in self._unsure:
            self._unsure[host_id] = loop.time() + _BEGIN_S
            loop.call_later(_BEGIN_S, self._look)
        return loop.time() < self._unsure[host_id]

    # --- the ports --------------------------------------------------------------------------------

    def _tell(self, error: str | None) -> None:
        if self._host.error("watches", error):
            self._changed()

    async def _converge(self) -> None:
        bridge, owner, watched = self._settings.bridge, self._settings.host_id, self._watched
        if watched is None or not self._host.vtep_address:
            return
        if bridge not in self._ovs.bridges() or self._held is None:
            return
        ids = frozenset(each.host_id for each in watched)
        self._host.meeting &= ids
        if self._returning is None:
            self._returning = self._was_told(ids)
            self._look()
        rows = self._host.marked.values()
        unsure = self._fresh.keys() | decide.not_met(rows)
        held = ids if self.must_not_stand() else ids & unsure
        here = BridgeSettings(
            bridge,
            self._host.datapath_type,
            self._host.vtep_address,
            self._settings.vxlan_port,
        )
        if held != self._told:
            self._told = held
            log.info(
                "hosts that are not to rely on this one: %s", ", ".join(sorted(held)) or "none"
            )
        stale = decide.stale(rows, watched, bridge, owner)
        if stale and self._host.is_heard:
            await self._ovs.apply(stale)
        self._expect(ids - {row.external_ids.get(marks.WATCH_KEY) for row in rows})
        if watched:
            await self._ovs.apply(decide.wishes(watched, held, here, owner))

    def _expect(self, fresh: frozenset[str]) -> None:
        """Take in who is going to be watched and was not."""
        fresh -= {self._settings.host_id}
        if not fresh:
            return
        if not self._host.meeting:
            loop = asyncio.get_running_loop()
            self._met_by = loop.time() + _BEGIN_S
            loop.call_at(self._met_by, self._meet)
        self._host.meeting |= fresh

    def _was_told(self, ids: frozenset[str]) -> bool:
        """Tell whether the agent before this one has told all others not to rely on this host."""
        rows = self._host.marked.values()
        told = {row.external_ids.get(marks.WATCH_KEY) for row in rows if row.refuses}
        return bool(ids) and ids <= told
