"""Which flows count what: from counted flows of a port's host to the port's counters.

No flow is there for counting alone but those of table Drop. What reaches a filter is counted by the
flow that knows the port, what the filter drops by the port's own flows in Drop; the rest passed.
Rules are counted where they allow. The spoof guard has no counters by port: it drops what no flow
of the port lets through, and a flow by port and reason would be thirty more for each port.
"""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from vpcctl.flows import fields as f
from vpcctl.flows.actions import SetField
from vpcctl.flows.cookie import Feature, cookie, split
from vpcctl.flows.flow import Flow, Match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import DROP, EGRESS_ACL, INGRESS_ACL
from vpcctl.model.counters import Count, PortCounters, RuleCount, Side
from vpcctl.model.network import Network
from vpcctl.model.security_group import Rule

FILTERS: frozenset[Reason] = frozenset(
    {
        Reason.EGRESS_DENIED,
        Reason.EGRESS_INVALID,
        Reason.INGRESS_DENIED,
        Reason.INGRESS_INVALID,
    }
)
"""Why the port's own filters drop what they have counted."""

_Way = Literal["egress", "ingress"]
_ONE_BY_ONE = 16
"""Up to so many rules are asked for one by one; of more, all rules of the host are read."""


class CountedFlow(NamedTuple):
    """A flow as the switch has it, with its counts."""

    flow: Flow
    seen: Count


class Subject(NamedTuple):
    """A port whose counters are asked for.

    Attributes:
        host_id: where it is.
        key: number of the port.
        rules: (group id, rule) of its groups, in order.
    """

    host_id: str
    key: int
    rules: tuple[tuple[str, Rule], ...]

    def cookies(self) -> Iterator[tuple[int, int]]:
        """Yield (cookie, mask) of flows that have to be read."""
        exactly = (1 << 64) - 1
        yield cookie(Feature.EDGE, self.key), exactly
        if len(self.rules) > _ONE_BY_ONE:
            yield cookie(Feature.RULE), exactly ^ 0xFFFF_FFFF
            return
        for _, rule in self.rules:
            yield cookie(Feature.RULE, rule.key), exactly

    def wanted(self) -> frozenset[int]:
        """Return the cookies of the flows that are counted."""
        rules = (cookie(Feature.RULE, rule.key) for _, rule in self.rules)
        return frozenset((cookie(Feature.EDGE, self.key), *rules))


def subject(net: Network, port_id: str) -> Subject | None:
    """Return what is to be read for a port; None when it is nowhere."""
    port, location = net.ports.get(port_id), net.locations.get(port_id)
    subnet = net.subnets.get(port.subnet_id) if port is not None else None
    if port is None or location is None or subnet is None:
        return None
    named = (net.live_group(group_id, subnet.vpc_id) for group_id in port.groups or ())
    rules = ((group.id, rule) for group in named if group is not None for rule in group.rules)
    return Subject(location.host_id, port.key, tuple(rules))


def counters(of: Subject, flows: Iterable[CountedFlow]) -> PortCounters:
    """Return a port's counters, from flows of its host that carry its cookies."""
    seen: dict[_Way, Count] = {"egress": Count(), "ingress": Count()}
    dropped: dict[_Way, dict[Reason, Count]] = {"egress": {}, "ingress": {}}
    by_rule: dict[int, Count] = {}
    for flow, count in flows:
        parts = split(flow.cookie)
        if parts.feature == Feature.RULE:
            by_rule[parts.key] = by_rule.get(parts.key, Count()).plus(count)
        elif (way := _filtered(flow)) is not None:
            seen[way] = seen[way].plus(count)
        elif (drop := _drop(flow)) is not None:
            reasons = dropped[drop[0]]
            reasons[drop[1]] = reasons.get(drop[1], Count()).plus(count)
    return PortCounters(
        _side(seen["egress"], dropped["egress"]),
        _side(seen["ingress"], dropped["ingress"]),
        tuple(
            RuleCount(rule.id, group_id, by_rule.get(rule.key, Count()))
            for group_id, rule in of.rules
        ),
    )


def reason_of(match: Match) -> str:
    """Return why a flow of table Drop drops what it matches; ``unknown`` if it does not say."""
    number = next((term[1] for term in match if term[0] is f.REASON), None)
    return next((reason.text for reason in Reason if reason == number), "unknown")


def _side(seen: Count, dropped: dict[Reason, Count]) -> Side:
    allowed = seen
    for reason in FILTERS & dropped.keys():
        allowed = allowed.less(dropped[reason])
    return Side(allowed, {reason.text: dropped[reason] for reason in sorted(dropped)})


def _filtered(flow: Flow) -> _Way | None:
    """Return which filter of its port a flow leads into, None for another flow."""
    fields = {term[0] for term in flow.match}
    if flow.table is EGRESS_ACL and fields == {f.SOURCE_PORT}:
        return "egress"
    if flow.table is INGRESS_ACL and fields == {f.DEST_PORT}:
        return "ingress"
    return None


def _drop(flow: Flow) -> tuple[_Way, Reason] | None:
    """Return what a flow of a port says about a drop: in table Drop, or on the way there.

    On the way there are only flows that drop by themselves what nothing else counts by port.
    """
    terms = {term[0]: term[1] for term in flow.match}
    if flow.table is DROP and f.REASON in terms:
        is_for_it = f.DEST_PORT in terms or f.JUDGED in terms
        return _known("ingress" if is_for_it else "egress", terms[f.REASON])
    if flow.goto is not DROP:
        return None
    for action in flow.actions:
        if isinstance(action, SetField) and action.field is f.REASON:
            return _known("egress", action.value)
    return None


def _known(way: _Way, number: int) -> tuple[_Way, Reason] | None:
    """Return a drop by its reason's number; None for one that only another version knows."""
    return next(((way, reason) for reason in Reason if reason == number), None)
