"""Global IPv6 addresses on real traffic, and the errors that routers on the way tell."""

import errno

from mininet_labs.common import internet
from mininet_labs.common.internet import PORT
from mininet_labs.common.outside import FAR, ROUTER, ROUTER6, TENANTS6, Hop
from mininet_labs.common.report import Checks, say
from mininet_labs.common.site import PATIENCE_S
from mininet_labs.eip_plan import BLUE, RED, Stage

_CLOSED = 33434
"""A UDP port at which nobody listens; traceroute's first."""
_HOPS = 4
_SILENT_S = 0.4
_EXCEEDED, _NO_PORT = (11, 0), (3, 3)


def reach_by_ipv6(stage: Stage, checks: Checks) -> None:
    """Let two guests, one of them on a host without a way out, talk to outside by IPv6."""
    say("\n4. IPv6: red's addresses are global, and are not translated")
    internet.open_way6(stage.tenants[RED])
    say(f"  ::/0 leads out; the provider's router takes {TENANTS6} to be on its link")
    for name in ("red-1", "red-2"):
        expect_global(stage, name, checks)
    who, _ = stage.visitors["red-4"].call(ROUTER6, PORT, _SILENT_S)
    checks.expect(who is None, "red-4, whose address is private, reaches nobody outside by IPv6")


def expect_global(stage: Stage, name: str, checks: Checks) -> None:
    """Let outside call a guest at its IPv6 address, and it call outside: TCP, UDP and ping."""
    own, host = stage.workload(name).addresses[6], stage.workload(name).host.label
    ways = {("outside", name): (own, ROUTER6), (name, "outside"): (ROUTER6, own)}
    for (caller, callee), (address, seen_as) in ways.items():
        for kind in ("tcp", "udp"):
            found = stage.visitors[caller].call(address, PORT, PATIENCE_S, kind)
            told = f"{caller} reaches {callee} at {address} by {kind}, seen as {seen_as}"
            checks.expect(found == (callee, seen_as), f"{told}: {found}")
        answered = stage.pingers[caller].ping(address, f"{caller} to {address}", PATIENCE_S)
        checks.expect(answered, f"{callee} answers pings of {caller} at {address}")
    say(f"  outside and {name} ({own}, {host}) have called each other by TCP, UDP and ping")


def trace(stage: Stage, checks: Checks) -> None:
    """Send datagrams a hop farther each time; every router's error must come back whole."""
    say(f"\n5. Traceroute: to {FAR}, behind outside, which is a router; and in")
    for name in ("red-2", "blue-1"):
        hops = []
        while len(hops) < _HOPS and not (hops and hops[-1].told == errno.ECONNREFUSED):
            patience_s = PATIENCE_S if hops else _SILENT_S  # the VPC's own router says nothing
            hops.append(stage.pingers[name].probe(FAR, _CLOSED, len(hops) + 1, patience_s))
        said = ", ".join(f"{number} {hop.by or '*'}" for number, hop in enumerate(hops, 1))
        say(f"  {name} ({stage.workload(name).addresses[4]}): {said}")
        checks.expect([hop.by for hop in hops[1:]] == [ROUTER, FAR], f"{name} sees each hop")
        kinds = [hop.kind for hop in hops[1:]]
        checks.expect(kinds == [_EXCEEDED, _NO_PORT], f"{name} is told what happened: {kinds}")
        for hop in hops[1:]:
            own = hop.own[0] == stage.workload(name).addresses[4]
            checks.expect(own and hop.quoted == hop.own, f"{name} finds its own packet: {hop}")
        refused = hops[-1].told == errno.ECONNREFUSED
        checks.expect(refused, f"{name} is refused by a port where nobody listens")
    _trace_inwards(stage, checks)


def _trace_inwards(stage: Stage, checks: Checks) -> None:
    """Let outside send to a port of an EIP where nobody listens."""
    address = stage.address(RED)
    hop: Hop = stage.pingers["outside"].probe(address, _CLOSED, 64, PATIENCE_S)
    say(f"  outside, to a closed port of {address}: {hop.by or '*'} refuses it")
    told = (hop.by, hop.kind, hop.told)
    refused = told == (address, _NO_PORT, errno.ECONNREFUSED) and hop.quoted == hop.own
    checks.expect(refused, f"outside is refused by the EIP itself: {hop}")
    hop = stage.pingers["outside"].probe(stage.address(BLUE), _CLOSED, 64, _SILENT_S)
    checks.expect(not hop.by, "a NAT gateway says nothing of ports that lead nowhere")
