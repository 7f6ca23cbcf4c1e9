"""Tables EgressAcl, IngressAcl and Groups: whether a port is filtered, by what, and in which order.

A port on its own host is filtered when it has groups. With a stateful one among them it is tracked:
all its groups are asked about connections, and its stateless ones about packets by themselves too.
With stateless ones alone it needs no conntrack, and when these let in everything, nothing at all.
Stateful groups that let in everything are tracked even so: once a rule goes, it must be known who
opened what.
"""

from collections.abc import Iterator
from typing import NamedTuple

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Resubmit, SetField
from vpcctl.flows.flow import Flow, Term
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import (
    DROP,
    EGRESS_ACL,
    EGRESS_STATE,
    EGRESS_VERDICT,
    GROUPS,
    INGRESS_ACL,
    INGRESS_STATE,
    INGRESS_VERDICT,
    OUTPUT,
    ROUTE,
    SERVICE,
    Table,
)
from vpcctl.model.addresses import IPNetwork
from vpcctl.model.membership import FAMILIES
from vpcctl.model.network import Network
from vpcctl.model.security_group import AnyRemote, Direction, Family, SecurityGroup
from vpcctl.pipeline.connection import own_fragments
from vpcctl.pipeline.facts import PortFacts
from vpcctl.pipeline.terms import BASE, IS_ARP, drop, flag, on_link


class _Side(NamedTuple):
    """One of the two filters of a port.

    Attributes:
        table: where a port is known.
        port: register of the port's key.
        state: where packets are tracked.
        verdict: where it is decided.
        after: where what is allowed goes on.
        egress: whether plain packets are asked about by egress rules.
        denied: why a packet is dropped that nothing allows.
        invalid: why a packet is dropped that no connection is found for.
        acls: why ACLs drop what the port sends.
    """

    table: Table
    port: f.Field
    state: Table
    verdict: Table
    after: Table
    egress: bool
    denied: Reason
    invalid: Reason
    acls: tuple[Reason, ...] = ()


_EGRESS = _Side(
    *(EGRESS_ACL, f.SOURCE_PORT, EGRESS_STATE, EGRESS_VERDICT, ROUTE),
    egress=True,
    denied=Reason.EGRESS_DENIED,
    invalid=Reason.EGRESS_INVALID,
    acls=(Reason.ACL_OUT_DENIED, Reason.ACL_IN_DENIED),
)
_INGRESS = _Side(
    *(INGRESS_ACL, f.DEST_PORT, INGRESS_STATE, INGRESS_VERDICT, OUTPUT),
    egress=False,
    denied=Reason.INGRESS_DENIED,
    invalid=Reason.INGRESS_INVALID,
)


def _static(side: _Side, *scope: Term) -> Iterator[Flow]:
    for terms in on_link(*scope):
        yield Flow(side.table, 200, terms, (), side.after, BASE)
    yield Flow(side.table, 0, (), (), side.after, BASE)


STATIC: tuple[Flow, ...] = (
    *_static(_EGRESS),
    Flow(INGRESS_ACL, 200, (IS_ARP,), (), OUTPUT, BASE),
    # Route and OutsideIn drop what must not be routed; what slipped through, groups judge.
    *_static(_INGRESS, flag(f.ROUTED, 0)),
)


def edge(net: Network, facts: PortFacts) -> Iterator[Flow]:
    """Yield the filters of a port on its own host, and its counters of what they drop.

    It has the counters without groups too: what they have counted is in the filter's own count,
    which Open vSwitch keeps when the port's security is turned off, and would be told as allowed.
    What a port sends to itself does not come back: hosts deliver to their own addresses without a
    wire. It is a drop like others, but for the port's own copy of what it floods.
    """
    port, owner = facts.port, facts.edge_cookie
    to_itself = ((f.SOURCE_PORT, port.key, None), (f.DEST_PORT, port.key, None))
    yield Flow(INGRESS_ACL, 300, to_itself, (), None, owner)
    alone = (*to_itself, flag(f.FLOOD_STAGE, 0))
    yield drop(INGRESS_ACL, 310, alone, Reason.OWN_ADDRESS, owner)
    groups = None if port.groups is None else port_groups(net, facts)
    for side in (_EGRESS, _INGRESS):
        yield _filter(facts, side, groups)
        for reason in (side.denied, side.invalid, *side.acls):
            counted = ((side.port, port.key, None), (f.REASON, int(reason), None))
            yield Flow(DROP, 110, counted, (), None, owner)
    if facts.host.outside:
        yield _kept_out(facts)
    if groups is not None:
        yield from _ask(facts, groups)


def _kept_out(facts: PortFacts) -> Flow:
    """Return the flow that counts what the ACL of a port's subnet drops from outside.

    Its own filter has not been asked yet, so the port is known by whom the ACL was asked for. What
    a port sends has its sender's key, and is counted for that.
    """
    kept_out = (
        (f.SOURCE_PORT, 0, None),
        (f.REASON, int(Reason.ACL_IN_DENIED), None),
        (f.JUDGED, facts.location.ofport, f.JUDGED_ZONE.mask),
    )
    return Flow(DROP, 110, kept_out, (), None, facts.edge_cookie)


def port_groups(net: Network, facts: PortFacts) -> list[SecurityGroup]:
    """Return a port's groups that are there, in the order in which they are asked.

    Those that keep established connections come first: what any of them lets in is kept.
    """
    named = (net.live_group(group_id, facts.vpc.id) for group_id in facts.port.groups or ())
    found = [group for group in named if group is not None]
    return sorted(found, key=lambda group: (not group.keep_established, group.key))


def lets_all_in(groups: list[SecurityGroup]) -> bool:
    """Tell whether *groups* are all stateless, and together let everything in and out."""
    if any(group.stateful for group in groups):
        return False
    found = {opening for group in groups for opening in openings(group)}
    return len(found) == len(FAMILIES) * 2


def openings(group: SecurityGroup) -> frozenset[tuple[Direction, Family]]:
    """Return the directions and families in which a group lets everything pass."""
    return frozenset(
        (rule.direction, rule.family)
        for rule in group.rules
        if rule.protocol is None
        and rule.ports is None
        and rule.icmp_type is None
        and _is_anybody(rule.remote, rule.family)
    )


def _is_anybody(remote: object, family: Family) -> bool:
    match remote:
        case AnyRemote():
            return True
        case _:
            block = isinstance(remote, IPNetwork)
            return block and remote.version == family and not remote.prefixlen


def _filter(facts: PortFacts, side: _Side, groups: list[SecurityGroup] | None) -> Flow:
    """Return the flow that knows a port by its key, and how it is filtered."""
    match, owner = ((side.port, facts.port.key, None),), facts.edge_cookie
    if groups is None or lets_all_in(groups):
        return Flow(side.table, 100, match, (), side.after, owner)
    if not groups:
        return drop(side.table, 100, match, side.denied, owner)
    judged = facts.location.ofport
    if any(group.stateful for group in groups):
        keeps = any(group.keep_established and group.stateful for group in groups)
        honour = f.HONOUR_MARK.mask if keeps else 0
        track = (SetField(f.JUDGED, judged | honour),)
        return Flow(side.table, 100, match, track, side.state, owner)
    judged |= f.STATELESS.mask | f.PLAIN.mask | (f.EGRESS_RULES.mask if side.egress else 0)
    ask = (SetField(f.JUDGED, judged), Resubmit(GROUPS))
    return Flow(side.table, 100, match, ask, side.verdict, owner)


def _ask(facts: PortFacts, groups: list[SecurityGroup]) -> Iterator[Flow]:
    """Yield the lists of a port's groups, and what is its own in conntrack.

    Stateless ones have a list also where they let in everything, which asks nobody: packets that
    were tracked when the port had others come to it, and those that are only counted late.
    """
    zone, which = facts.location.ofport, f.JUDGED_ZONE.mask | f.STATELESS.mask
    stateless = [group for group in groups if not group.stateful]
    tracked = groups if len(stateless) < len(groups) else []
    if tracked:
        yield from own_fragments(zone, facts.edge_cookie)
    for bit, asked in ((0, tracked), (f.STATELESS.mask, stateless)):
        if asked:
            actions = (each for one in asked for each in (SetField(f.GROUP, one.key), _TO_SERVICE))
            match = ((f.JUDGED, zone | bit, which),)
            yield Flow(GROUPS, 100, match, tuple(actions), None, facts.edge_cookie)


_TO_SERVICE = Resubmit(SERVICE)
