"""Tables EgressState, EgressVerdict and their ingress twins: a packet's connection and its fate.

Rules judge the first packet of a connection, whatever packet of it is at hand: what answers is
held against rules of the other direction. So a rule that goes takes both directions with it.
Only connections that are allowed are kept in conntrack.

What no rule allows as part of its connection, stateless groups may allow by itself: they are asked
about the packet at hand, also when conntrack calls it invalid.

The userspace datapath does not say which ports a later fragment's connection has. Such a fragment
is let through on condition: conntrack holds every fragment a second time, until all of its packet
have been let through, and that needs the first, which is judged by its ports. The kernel's has put
the packet together before.
"""

from collections.abc import Iterator
from typing import NamedTuple

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, ClearTracking, Commit, Load, Move, Resubmit, Track
from vpcctl.flows.flow import Flow, Match, Term, match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import (
    EGRESS_STATE,
    EGRESS_VERDICT,
    GROUPS,
    INGRESS_STATE,
    INGRESS_VERDICT,
    OUTPUT,
    ROUTE,
    Table,
)
from vpcctl.model.membership import FAMILIES
from vpcctl.model.security_group import Family
from vpcctl.pipeline.cells import PLAIN_PROTOCOLS, TRACKED_TYPES
from vpcctl.pipeline.terms import (
    BASE,
    ICMP,
    ICMP6,
    LATER_FRAGMENT,
    TRACKED,
    drop,
    family,
    flag,
    mark,
    with_flag,
)

_ASKED = f.Bits("asked", f.JUDGED, 16, 3)
"""``EGRESS_RULES``, ``PLAIN`` and ``STATELESS`` at once."""
_EGRESS_RULES, _PLAIN, _STATELESS = 1, 2, 4
_CLEAR = (ClearTracking(),)
_UNTRACKED: Term = (f.CT_STATE, 0, f.CT_TRK)
_INVALID: Term = (f.CT_STATE, f.CT_TRK | f.CT_INV, f.CT_TRK | f.CT_INV)
_OLD: Term = (f.CT_STATE, f.CT_TRK, f.CT_TRK | f.CT_INV | f.CT_NEW)
_OWN: Term = (f.CT_STATE, f.CT_TRK, f.CT_TRK | f.CT_INV | f.CT_REL)
"""It belongs to a connection, and is not just about one."""
_NOT_KEPT: Term = (f.CT_MARK, f.KNOWN_MARK.mask, f.KNOWN_MARK.mask | f.KEPT_MARK.mask)
"""It was committed when no group kept it."""
_FRAGMENT: Term = (f.IP_FRAG, 1, 1)


class _Side(NamedTuple):
    """One of the two filters: its tables, and the direction of its rules."""

    state: Table
    verdict: Table
    after: Table
    rules: int
    invalid: Reason
    denied: Reason


_SIDES = (
    _Side(
        *(EGRESS_STATE, EGRESS_VERDICT, ROUTE, _EGRESS_RULES),
        *(Reason.EGRESS_INVALID, Reason.EGRESS_DENIED),
    ),
    _Side(
        *(INGRESS_STATE, INGRESS_VERDICT, OUTPUT, 0),
        *(Reason.INGRESS_INVALID, Reason.INGRESS_DENIED),
    ),
)


def _states(side: _Side) -> Iterator[Flow]:
    """Yield the flows that track packets, and say which rules to ask about them.

    Of fragments that conntrack calls invalid no rule is asked: they may be any port's.
    """
    state, verdict = side.state, side.verdict
    yield Flow(state, 250, (_INVALID,), _by_itself(side), verdict, BASE)
    kept = match(_OLD, flag(f.KEPT_MARK), flag(f.HONOUR_MARK))
    yield Flow(state, 240, kept, (mark(f.ALLOWED),), verdict, BASE)
    for reply, rules in ((0, side.rules), (f.CT_RPL, side.rules ^ _EGRESS_RULES)):
        known = ((f.CT_STATE, f.CT_TRK | reply, f.CT_TRK | f.CT_INV | f.CT_RPL),)
        yield _asking(side, 220, known, rules)
    for version in FAMILIES:
        yield drop(state, 255, match(_INVALID, family(version), _FRAGMENT), side.invalid)
        yield _about_answer(side, version)
        later = match(TRACKED, family(version), LATER_FRAGMENT)
        yield Flow(state, 230, later, (mark(f.ALLOWED),), verdict, BASE)
        track = (Track(f.JUDGED_ZONE, state),)
        for terms in _followed(version):
            whole = match(_UNTRACKED, family(version), *terms)
            yield Flow(state, 200, whole, track, None, BASE)
        for protocol in (*sorted(PLAIN_PROTOCOLS[version]), ICMP if version == 4 else ICMP6):
            plain = match(_UNTRACKED, family(version), (f.IP_PROTO, protocol))
            yield _asking(side, 190, plain, side.rules | _PLAIN)
        yield Flow(state, 100, match(_UNTRACKED, family(version)), track, None, BASE)
    yield drop(state, 0, (), side.denied)


def _about_answer(side: _Side, version: Family) -> Flow:
    """Return the flow that asks about an error that tells of an answer.

    Open vSwitch copies a connection's addresses only of packets that are new, established or
    answers (``is_ct_valid``), which such an error is not. The copy that is made for it later leaves
    in place what is copied here: its own addresses. It goes where the connection's first packet
    went; whoever it comes from, a router on the way too, speaks for who opened the connection.
    """
    egress = side.rules == _EGRESS_RULES
    fields = (f.IPV4_SRC, f.IPV4_DST) if version == 4 else (f.IPV6_SRC, f.IPV6_DST)
    register = f.LOOKUP_IPV4 if version == 4 else f.LOOKUP_IPV6
    wanted = f.CT_TRK | f.CT_REL
    state: Term = (f.CT_STATE, wanted, wanted | f.CT_INV | f.CT_RPL | f.CT_NEW | f.CT_EST)
    asking = _asking(side, 225, match(state, family(version)), side.rules)
    copy = Move(fields[egress], register, register.bits)
    return asking._replace(actions=(copy, *asking.actions))


def _followed(version: int) -> Iterator[Match]:
    """Yield the terms of ICMP messages that conntrack follows."""
    icmp: Term = (f.IP_PROTO, ICMP if version == 4 else ICMP6, None)
    field = f.ICMP_TYPE if version == 4 else f.ICMP6_TYPE
    yield (icmp, LATER_FRAGMENT)
    for kind in sorted(TRACKED_TYPES[4 if version == 4 else 6]):
        yield (icmp, (field, kind, None))


def _asking(side: _Side, priority: int, terms: Match, rules: int) -> Flow:
    actions = (Load(_ASKED, rules), Resubmit(GROUPS))
    further = () if rules & _PLAIN else _by_itself(side)
    return Flow(side.state, priority, terms, (*actions, *further), side.verdict, BASE)


def _by_itself(side: _Side) -> tuple[Action, ...]:
    """Return the actions that ask stateless groups about the packet at hand."""
    return (Load(_ASKED, side.rules | _PLAIN | _STATELESS), Resubmit(GROUPS))


def _verdicts(side: _Side) -> Iterator[Flow]:
    """Yield the flows that let through what is allowed.

    Whatever is held in conntrack for a while goes through here once more, because the userspace
    datapath sends fragments on with any other packet, of whatever port: those that it has waited
    for in vain, as invalid ones, and those of more than 32, as ones of their own zone (``ipf.c``).
    """
    table, allowed, hold = side.verdict, flag(f.ALLOWED), mark(f.HELD)
    by_itself = match(_INVALID, with_flag((allowed,), f.HELD, 0)[0])
    yield Flow(table, 310, by_itself, _CLEAR, side.after, BASE)
    yield drop(table, 300, (_INVALID,), side.invalid)
    yield Flow(table, 240, match(TRACKED, flag(f.HELD)), _CLEAR, side.after, BASE)
    for version in FAMILIES:
        yield drop(table, 250, match(family(version), _FRAGMENT, flag(f.HELD)), side.invalid)
        wait = match(TRACKED, family(version), _FRAGMENT, allowed)
        yield Flow(table, 220, wait, (hold, Commit(f.JUDGED_ZONE, table)), None, BASE)
        for kept in (0, 1):
            new = match(_OWN, family(version), flag(f.KNOWN_MARK, 0), _answer(kept))
            commit = Commit(f.JUDGED_ZONE, table, f.KNOWN_MARK.mask | kept)
            yield Flow(table, 200, new, (hold, commit), None, BASE)
        both = f.KNOWN_MARK.mask | f.KEPT_MARK.mask
        open_already = match(_OWN, family(version), _NOT_KEPT, _answer(1))
        keep = Commit(f.JUDGED_ZONE, table, both)
        yield Flow(table, 200, open_already, (hold, keep), None, BASE)
    yield Flow(table, 110, match(TRACKED, allowed), _CLEAR, side.after, BASE)
    yield Flow(table, 100, (allowed,), (), side.after, BASE)
    yield drop(table, 0, (), side.denied)


def own_fragments(zone: int, owner: int) -> Iterator[Flow]:
    """Yield the flows that let fragments through that conntrack has held for the port of *zone*."""
    held = (f.JUDGED, zone | f.HELD.mask, f.JUDGED_ZONE.mask | f.HELD.mask)
    for side in _SIDES:
        terms = match(held, TRACKED, (f.CT_ZONE, zone))
        yield Flow(side.verdict, 260, terms, _CLEAR, side.after, owner)


def _answer(kept: int) -> Term:
    value = f.ALLOWED.mask | (f.KEPT.mask if kept else 0)
    return (f.JUDGED, value, f.ALLOWED.mask | f.KEPT.mask)


STATIC: tuple[Flow, ...] = tuple(
    flow for side in _SIDES for make in (_states, _verdicts) for flow in make(side)
)
