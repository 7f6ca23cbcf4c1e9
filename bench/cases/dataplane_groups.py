"""``dataplane_groups``: forwarding between ports in stateful groups, whose packets are tracked.

Ours is measured in groups that allow everything as well, in the same turns: what tracking costs.
"""

from dataclasses import replace

from bench.cases import dataplane
from bench.policies.base import Rule
from bench.rig import Rig
from bench.session import Session, Value
from bench.stage import CLIENTS, ECHO_PORT, serving

KEY = "dataplane_groups"
WITHOUT = "dataplane_groups_without"
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
    for path in PATHS:

        def attempt(rig: Rig, path: str = path) -> list[Value]:
            return _with_and_without(rig, path, plan.dataplane_seconds)

        count = plan.dataplane_rounds
        session.interleave(f"groups, {path}", size, attempt, count=count, whole=True)


def _with_and_without(rig: Rig, path: str, seconds: float) -> list[Value]:
    with serving(rig, RULES, [rig.source, rig.routed_source]):
        found = [replace(one, key=KEY) for one in dataplane.measure(rig, path, seconds)]
    if rig.name == "ours":
        without = dataplane.measure(rig, path, seconds)
        found += [replace(one, key=WITHOUT) for one in without]
    return found
