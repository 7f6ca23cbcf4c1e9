"""``group_scale``: what a large group with many rules costs in flows and in control-plane CPU."""

import time
from collections.abc import Callable
from dataclasses import replace

from bench.addressing import mass_port
from bench.policies.base import ANYTHING_OUT, Rule
from bench.rig import Rig, Spent
from bench.session import Session, Value
from bench.stage import CROWD, gather

KEY = "group_scale"
_FIRST_PORT = 3000
_IDLE_S = 1.0


def run(session: Session, size: int) -> None:
    """Measure with a group of the plan's number of members, five of them on the real hosts."""
    members = session.plan.group_members
    for rig in session.rigs:
        gather(rig, members)
    count = session.plan.group_scale_samples
    session.interleave("group scale", size, lambda rig: _once(rig, members), count=count)


def rules_of(blocks: int, groups: int) -> list[Rule]:
    """Return rules with a block as the remote side, and rules that name the group itself."""
    numbers = range(blocks)
    found = [Rule("ingress", "tcp", _FIRST_PORT + n, cidr=f"10.{n % 8}.0.0/16") for n in numbers]
    return found + [
        Rule("ingress", "tcp", _FIRST_PORT + blocks + number, group=CROWD)
        for number in range(groups)
    ]


def _once(rig: Rig, members: int) -> list[Value]:
    policies = rig.policies
    residents = [guest.spec for guest in rig.residents()]
    rules = [ANYTHING_OUT, *rules_of(9, 10)]
    idle = rig.idle_rate(_IDLE_S)
    policies.join(CROWD, residents)
    try:
        rig.settle()
        values = _cost(rig, rules, idle)
        values.append(_rejoin(rig, idle))
        policies.remove_rules(CROWD, rules)
        rig.settle()
        values.append(_wall(rig, rules))
    finally:
        policies.remove_rules(CROWD, rules)
        policies.leave(CROWD, residents)
        rig.settle()
    group = f"{members:,} members, {len(rules)} rules"
    return [replace(value, variant=f"{group}: {value.variant}") for value in values]


def _cost(rig: Rig, rules: list[Rule], idle: Spent) -> list[Value]:
    """Add the rules; return the flows and the CPU that they cost."""
    host = rig.resident.host
    flows = host.flow_count()
    # Nothing is asked meanwhile: whoever answers would be charged for the questions.
    used = _spent_on(rig, idle, lambda: rig.policies.add_rules(CROWD, rules))
    return [
        Value(KEY, "flows of a host", host.flow_count() - flows, "flows"),
        Value(KEY, "CPU of the control plane", used.control * 1000, "ms"),
        Value(KEY, "CPU of the switches", used.switch * 1000, "ms"),
    ]


def _rejoin(rig: Rig, idle: Spent) -> Value:
    """Return the control plane's CPU for a member that comes back."""
    member = [mass_port(0)]
    rig.policies.leave(CROWD, member)
    rig.settle()
    used = _spent_on(rig, idle, lambda: rig.policies.join(CROWD, member))
    return Value(KEY, "CPU of the control plane, one more member", used.control * 1000, "ms")


def _wall(rig: Rig, rules: list[Rule]) -> Value:
    """Return how long it takes until the hosts have acknowledged the rules."""
    start = time.monotonic()
    rig.policies.add_rules(CROWD, rules)
    called = time.monotonic()
    rig.system.converge(120)
    wall = (time.monotonic() - start) * 1000
    return Value(KEY, "until acknowledged", wall, "ms", {"api_ms": (called - start) * 1000})


def _spent_on(rig: Rig, idle: Spent, change: Callable[[], None]) -> Spent:
    """Return the CPU that a change costs until all is quiet, less what idling would."""
    before, start = rig.spent(), time.monotonic()
    change()
    rig.quiet()
    used, took = rig.spent() - before, time.monotonic() - start
    control = max(0.0, used.control - idle.control * took)
    return Spent(control, max(0.0, used.switch - idle.switch * took))
