"""``member_ms``: a port joins a large group → it may talk; it leaves → its connection stops.

To whom it talks is in another group, one of whose rules names the large one.
"""

from contextlib import ExitStack

from bench.policies.base import Rule
from bench.rig import Rig
from bench.session import FAULTS, Session, Value
from bench.stage import CROWD, ECHO_PORT, Conversation, conversing, gather, serving

KEY = "member_ms"


def run(session: Session, size: int) -> None:
    """Measure with a group of the plan's number of members."""
    members = session.plan.group_members
    rules = [Rule("ingress", "udp", ECHO_PORT, group=CROWD)]
    with ExitStack() as stack:
        conversations: dict[str, Conversation] = {}
        for rig in session.rigs:
            gather(rig, members)
            stack.enter_context(serving(rig, rules, [rig.routed_source]))
            conversations[rig.name] = stack.enter_context(conversing(rig))

        def attempt(rig: Rig) -> list[Value]:
            return _once(rig, conversations[rig.name], members)

        session.interleave("member", size, attempt, count=session.plan.samples)


def _once(rig: Rig, conversation: Conversation, members: int) -> list[Value]:
    client, policies = [rig.routed_source.spec], rig.policies
    try:
        joined, joined_api = conversation.starts(lambda: policies.join(CROWD, client))
        rig.settle()
        left, left_api = conversation.stops(lambda: policies.leave(CROWD, client))
    except FAULTS:
        policies.leave(CROWD, client)
        raise
    finally:
        rig.settle()
    group = f"a group of {members:,}"
    return [
        Value(KEY, f"joins {group}", joined, "ms", {"api_ms": joined_api}),
        Value(KEY, f"leaves {group}", left, "ms", {"api_ms": left_api}),
    ]
