"""``cold_start``: loading the network onto a host that has no flows.

Two ways to come to have none: the host's first port of the VPC is plugged, and ovs-vswitchd has
died and come back. For ours the second is held against ``ovs-ofctl --bundle add-flows`` with the
same flows on the same switch: nothing can load them faster.
"""

import re
import tempfile
import time

from bench.cases.restart import await_flows
from bench.host import Host
from bench.ovsdb import insert, ovs_set, where
from bench.processes import run as command
from bench.rig import Rig, Spent
from bench.session import Session, Value
from bench.systems.ours import Ours
from bench.targets import LIMIT, LOADED
from bench.waiting import wait_for
from vpcctl.flows.cookie import OWNER_COOKIE, OWNER_MASK

KEY = "cold_start"
_SCRATCH = "br-limit"
_POLL_S = 0.01
_GIVEN = f"{OWNER_COOKIE:#x}/{OWNER_MASK:#x}"
_METER = re.compile(r"\bmeter:\d+,")


def run(session: Session, size: int) -> None:
    """Measure both ways, then the limit."""
    count = session.plan.cold_start_samples
    session.interleave("cold start, first port", size, _first_port, count=count)
    session.interleave("cold start, switch", size, _switch_restarted, count=count)
    # OVN's flows need a tunnel option table that only its own bridge has: no limit for them.
    ours = [rig for rig in session.rigs if rig.name == "ours"]
    if ours:
        session.interleave("cold start, reconnect", size, _reconnected, count=count, rigs=ours)
        session.interleave("cold start, limit", size, _limit, count=count, rigs=ours)


def _first_port(rig: Rig) -> list[Value]:
    guest = rig.far_resident
    complete = guest.host.flow_count()
    rig.empty_far_host()
    before, start = rig.spent(), time.monotonic()
    rig.system.plug(guest)
    return _until_loaded(rig, guest.host, complete, "first port of the VPC", (start, before))


def _switch_restarted(rig: Rig) -> list[Value]:
    host = rig.far_resident.host
    complete = host.flow_count()
    rig.system.rest(host)
    before = rig.spent()
    start = host.restart_vswitchd()
    values = _until_loaded(rig, host, complete, "switch restarted", (start, before))
    rig.await_answer(rig.routed_source, rig.far_resident)
    return values


def _until_loaded(
    rig: Rig, host: Host, flows: int, variant: str, begin: tuple[float, Spent]
) -> list[Value]:
    start, before = begin
    loaded = await_flows(host, flows, lambda: rig.system.converge(120), every=_POLL_S)
    rig.quiet()
    used = rig.spent() - before
    detail = {"flows": flows}
    return [
        Value(KEY, f"{variant}, wall", _elapsed_ms(start, loaded), "ms", detail),
        Value(KEY, f"{variant}, CPU of the control plane", used.control * 1000, "ms", detail),
    ]


def _elapsed_ms(start: float, end: float | None) -> float:
    """Return milliseconds; what was never missing took no time."""
    return 0.0 if end is None else (end - start) * 1000


def _reconnected(rig: Rig) -> list[Value]:
    ours = rig.system
    assert isinstance(ours, Ours)
    host = rig.resident.host
    complete = host.flow_count()
    ours.rest(host)
    controller = ours.disconnect(host)
    try:
        host.ofctl("del-flows")
        rig.quiet()
        start = time.monotonic()
        ours.reconnect(host, controller)
        loaded = await_flows(host, complete, lambda: None, every=_POLL_S)
    finally:
        ours.resume(host)
    rig.settle()
    detail = {"flows": complete}
    return [Value(KEY, LOADED, _elapsed_ms(start, loaded), "ms", detail)]


def _limit(rig: Rig) -> list[Value]:
    host = rig.resident.host
    text = host.ofctl("dump-flows", "--no-stats", "--no-names", "cookie=" + _GIVEN)
    lines = [
        _METER.sub("", line.strip())  # a bundle takes no meters, and the bridge has none
        for line in text.splitlines()
        if "actions=" in line
    ]
    add_scratch(host)
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".flows") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            target = f"unix:{host.directory}/{_SCRATCH}.mgmt"
            start = time.monotonic()
            command("ovs-ofctl", "-O", "OpenFlow14", "--bundle", "add-flows", target, file.name)
            took = time.monotonic() - start
    finally:
        remove_scratch(host)
    rig.quiet()
    return [Value(KEY, LIMIT, took * 1000, "ms", {"flows": len(lines)})]


def add_scratch(host: Host) -> None:
    """Make a bridge in the same ovs-vswitchd that no control plane looks after."""
    row = {"name": _SCRATCH, "datapath_type": "netdev", "fail_mode": "secure"}
    host.ovsdb.transact(
        insert("Bridge", row, "bridge"),
        {
            "op": "mutate",
            "table": "Open_vSwitch",
            "where": [],
            "mutations": [["bridges", "insert", ["named-uuid", "bridge"]]],
        },
    )
    _await_scratch(host)


def _await_scratch(host: Host) -> None:
    socket = host.directory / f"{_SCRATCH}.mgmt"
    wait_for("the scratch bridge", socket.exists, timeout=10)


def remove_scratch(host: Host) -> None:
    """Remove that bridge."""
    rows = host.ovsdb.select("Bridge", where("name", _SCRATCH), ["_uuid"])
    gone = ovs_set([row["_uuid"] for row in rows])
    mutation = [["bridges", "delete", gone]]
    host.ovsdb.transact(
        {"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": mutation}
    )
