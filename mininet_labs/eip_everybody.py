"""Everybody calls everybody by EIPs and by forwarded ports: TCP, UDP and ICMP, a full matrix."""

from dataclasses import dataclass

from mininet_labs.common import internet
from mininet_labs.common.internet import PORT
from mininet_labs.common.processes import within
from mininet_labs.common.report import Checks, say
from mininet_labs.common.site import PATIENCE_S
from mininet_labs.eip_plan import BLUE, RED, Stage

FORWARDED = 8081
KINDS = ("tcp", "udp", "ping")
_LED_TO = {BLUE: "blue-2", RED: "red-5"}
"""Tenant → to whom a port of its NAT gateway leads."""


@dataclass(frozen=True)
class Callee:
    """Who may be called from anywhere.

    Attributes:
        name: the workload.
        address: of an EIP.
        port: there.
    """

    name: str
    address: str
    port: int = PORT

    @property
    def forwarded(self) -> bool:
        """Whether a NAT gateway's port leads there, where it is not pinged."""
        return self.port != PORT


def give_everybody(stage: Stage) -> tuple[dict[str, str], list[Callee]]:
    """Give each workload an EIP, or a NAT gateway where its subnet has one.

    Returns by name as whom each is seen outside, and who can be called.
    """
    blue = stage.tenants[BLUE]
    internet.close_way(blue)
    internet.open_way(blue)
    own = {"red-2": stage.address(RED)}
    for one in stage.site.workloads:
        if one.name not in own and not one.subnet.endswith("-nat"):
            eip = internet.create_eip(stage.tenants[one.tenant], one.name)
            internet.give(stage.tenants[one.tenant], eip, one.port_id)
            own[one.name] = eip["address"]
    callees = [Callee(name, address) for name, address in own.items()]
    internet.create_nat(stage.tenants[RED], "red-out")
    for tenant, name in _LED_TO.items():
        api, target = stage.tenants[tenant], stage.workload(name)
        internet.lead_by_nat(api, target.subnet)
        address = internet.lead_in(api, FORWARDED, target.addresses[4])
        callees.append(Callee(name, address, FORWARDED))
        others = (one for one in stage.site.workloads if one.subnet == target.subnet)
        own |= {one.name: address for one in others}
    return own, callees


def call_everybody(stage: Stage, checks: Checks) -> None:
    """Let everybody call everybody, themselves too."""
    say("\n11. Everybody has an EIP or a NAT gateway, and calls everybody: who answers?")
    seen_as, callees = give_everybody(stage)
    count = dict.fromkeys(KINDS, 0)
    for name, own in seen_as.items():
        for callee in callees:
            kinds = KINDS[:2] if callee.forwarded else KINDS
            for kind in kinds:
                found = _call(stage, name, callee, kind)
                told = f"{name} reaches {callee.name} at {callee.address}:{callee.port} by {kind}"
                checks.expect(found == (callee.name, own), f"{told}, seen as {own}: {found}")
                count[kind] += 1
        host = stage.workload(name).host.label
        say(f"  {name} ({own}, {host}) has called everybody, itself too")
    ports = sum(callee.forwarded for callee in callees)
    pairs = ", ".join(f"{number} by {kind}" for kind, number in count.items())
    say(f"  pairs: {pairs}; {len(callees) - ports} EIPs and {ports} forwarded ports were called")


def _call(stage: Stage, name: str, callee: Callee, kind: str) -> tuple[str | None, str | None]:
    """Return who answers, and as whom the caller is seen there."""
    if kind != "ping":
        return stage.visitors[name].call(callee.address, callee.port, PATIENCE_S, kind)
    words = f"{name} to {callee.address}"
    if not stage.pingers[name].ping(callee.address, words, PATIENCE_S):
        return None, None
    heard: dict[str, str] = {}

    def arrived() -> bool:
        # The system answers by itself, maybe before who counts has been told.
        for other, pinger in stage.pingers.items():
            if (source := pinger.pinged().get(words)) is not None:
                heard[other] = source
        return bool(heard)

    within(arrived, seconds=PATIENCE_S)
    return next(iter(heard.items()), (None, None))
