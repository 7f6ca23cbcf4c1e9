"""A stateful firewall in as few flows as one can be written: conntrack's own limit.

Every packet is tracked where it leaves a port and where it gets to one, each in the port's own
zone, as in any stateful firewall whose ends may be on different hosts. Everything is allowed.
"""

import re

LEAVES, SENT, ARRIVES = 1, 2, 3
"""Tables: tracked on leaving its port; the forwarding; tracked on arriving at one."""

_LOCAL = re.compile(r"output:(\d+)$")


def tracked(flows: list[str]) -> list[str]:
    """Return the pipeline of *flows*, in which each port leads either into the tunnel or to a port.

    Args:
        flows: forwarding in one table; those that end in a tunnel set ``tun_dst`` before.
    """
    ports = {int(found[1]) for flow in flows if (found := _local(flow))}
    found = [
        f"table=0,priority=10,in_port={port},ip,"
        f"actions=set_field:{port}->reg1,ct(table={LEAVES},zone=NXM_NX_REG1[0..15])"
        for port in sorted(ports)
    ]
    found.append(f"table=0,priority=1,actions=resubmit(,{SENT})")
    found += _verdicts(LEAVES, f"resubmit(,{SENT})")
    found += [_arriving(flow) for flow in flows]
    return found + _verdicts(ARRIVES, "output:NXM_NX_REG0[]")


def _verdicts(table: int, onward: str) -> list[str]:
    commit = "ct(commit,zone=NXM_NX_REG1[0..15])"
    return [
        f"table={table},ct_state=+trk+new,ip,actions={commit},{onward}",
        f"table={table},ct_state=+trk+est,ip,actions={onward}",
    ]


def _arriving(flow: str) -> str:
    """Return a forwarding flow that tracks what goes to a port of this host."""
    if not _local(flow):
        return f"table={SENT},{flow}"
    track = rf"set_field:\1->reg0,set_field:\1->reg1,ct(table={ARRIVES},zone=NXM_NX_REG1[0..15])"
    # Nothing but IP can be tracked; the bench's guests know each other without ARP.
    kind = "" if ",ip," in flow else "ip,"
    return f"table={SENT},{kind}{_LOCAL.sub(track, flow)}"


def _local(flow: str) -> re.Match[str] | None:
    return None if "tun_dst" in flow else _LOCAL.search(flow)
