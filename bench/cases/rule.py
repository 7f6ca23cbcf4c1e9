"""``rule_ms``: a rule is added → the first probe passes; it is removed → a connection stops.

The rule is one of the group that the server is in, which is on another host than the client.
"""

from contextlib import ExitStack

from bench.policies.base import Rule
from bench.rig import Rig
from bench.session import FAULTS, Session, Value
from bench.stage import CROWD, ECHO_PORT, KNOWN, SERVERS, Conversation, conversing, gather, serving

KEY = "rule_ms"
BLOCK, GROUP = "of a block", "of a group"


def run(session: Session, size: int) -> None:
    """Measure rules whose remote side is a block, and a group that other rules name too."""
    members = min(size, session.plan.group_members)
    with ExitStack() as stack:
        conversations: dict[str, Conversation] = {}
        for rig in session.rigs:
            gather(rig, members)
            stack.enter_context(serving(rig, [KNOWN], [rig.routed_source]))
            stack.enter_context(_in_crowd(rig))
            conversations[rig.name] = stack.enter_context(conversing(rig))
        for variant in (BLOCK, GROUP):

            def attempt(rig: Rig, variant: str = variant) -> list[Value]:
                return _once(rig, conversations[rig.name], variant)

            session.interleave(f"rule, {variant}", size, attempt, count=session.plan.samples)


def _in_crowd(rig: Rig) -> ExitStack:
    client = [rig.routed_source.spec]
    rig.policies.join(CROWD, client)
    rig.settle()
    stack = ExitStack()
    stack.callback(rig.policies.leave, CROWD, client)
    return stack


def _once(rig: Rig, conversation: Conversation, variant: str) -> list[Value]:
    rule = rule_of(rig, variant)
    policies = rig.policies
    try:
        added, added_api = conversation.starts(lambda: policies.add_rules(SERVERS, [rule]))
        rig.settle()
        removed, removed_api = conversation.stops(lambda: policies.remove_rules(SERVERS, [rule]))
    except FAULTS:
        policies.remove_rules(SERVERS, [rule])
        raise
    finally:
        rig.settle()
    return [
        Value(KEY, f"added, {variant}", added, "ms", {"api_ms": added_api}),
        Value(KEY, f"removed, {variant}", removed, "ms", {"api_ms": removed_api}),
    ]


def rule_of(rig: Rig, variant: str) -> Rule:
    """Return the rule that lets the client in."""
    if variant == GROUP:
        return Rule("ingress", "udp", ECHO_PORT, group=CROWD)
    return Rule("ingress", "udp", ECHO_PORT, cidr=f"{rig.routed_source.spec.address}/32")
