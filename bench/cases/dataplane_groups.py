"""``dataplane_groups``: forwarding between ports in stateful groups, whose packets are tracked.

Beside the ``dataplane`` of the same run, where nothing is, it says what tracking costs.
"""

from contextlib import ExitStack
from dataclasses import replace

from bench.cases import dataplane
from bench.policies.base import Rule
from bench.rig import Rig
from bench.session import Session, Value
from bench.stage import CLIENTS, ECHO_PORT, serving

KEY = "dataplane_groups"
PATHS = ("same subnet, across hosts", "routed, across hosts")
RULES = (
    Rule("ingress", "tcp", dataplane.PORT, group=CLIENTS),
    Rule("ingress", "udp", dataplane.PORT, group=CLIENTS),
    Rule("ingress", "udp", ECHO_PORT, group=CLIENTS),
    Rule("ingress", "icmp", group=CLIENTS),
)


def run(session: Session, size: int) -> None:
    """Measure both paths between hosts on every system in turn."""
    plan = session.plan
    with ExitStack() as stack:
        for rig in session.rigs:
            stack.enter_context(serving(rig, RULES, [rig.source, rig.routed_source]))
        for path in PATHS:

            def attempt(rig: Rig, path: str = path) -> list[Value]:
                values = dataplane.measure(rig, path, plan.dataplane_seconds)
                return [replace(value, key=KEY) for value in values]

            session.interleave(f"dataplane, {path}", size, attempt, count=plan.dataplane_rounds)
