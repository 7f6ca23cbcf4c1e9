"""``eip_dataplane``: what flows between the outside and a VM, by an EIP or a NAT gateway.

For an EIP the outside asks; to a NAT gateway the VM does, whose host does not reach the network.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from bench.cases.dataplane import ASKING_SHARE, Line, icmp, streams
from bench.outside import ROUTER, inbound, outbound
from bench.probe import new_identifier
from bench.rig import Rig
from bench.session import Session, Value
from bench.ways_out import CENTRAL, DISTRIBUTED, Way, await_outside, guest_of, lead_outside

KEY = "eip_dataplane"
NAT = "NAT gateway"


def run(session: Session, size: int) -> None:
    """Measure every way on every system in turn."""
    ways = (DISTRIBUTED, CENTRAL) if session.plan.one_host else (DISTRIBUTED,)
    with ExitStack() as stack:
        led = lead_outside(session, stack, size)
        for way in ways:
            _measure_eip(session, size, led, way)
        _measure(session, size, led, NAT, _nat_line)


def _measure_eip(session: Session, size: int, rigs: Sequence[Rig], way: Way) -> None:
    for rig in rigs:
        with session.part(f"an EIP, {way.label}, at {size} ports, {rig.name}"):
            rig.external.associate(way.eip, guest_of(rig, way))
    _measure(session, size, rigs, f"EIP, {way.label}", lambda rig: _eip_line(rig, way))
    for rig in rigs:
        with session.part(f"taking back an EIP, {way.label}, at {size} ports, {rig.name}"):
            rig.external.disassociate(way.eip)
            rig.settle()


def _measure(
    session: Session, size: int, rigs: Sequence[Rig], path: str, line_of: Callable[[Rig], Line]
) -> None:
    seconds = session.plan.dataplane_seconds

    def attempt(rig: Rig) -> list[Value]:
        rig.reseat()
        line = line_of(rig)
        values = [icmp(line, seconds * ASKING_SHARE), *streams(line, seconds)]
        return [Value(KEY, f"{name}, {path}", value, unit) for name, value, unit in values]

    count = session.plan.dataplane_rounds
    session.interleave(f"dataplane, {path}", size, attempt, count=count, rigs=rigs, whole=True)


def _eip_line(rig: Rig, way: Way) -> Line:
    outside, address = rig.world.outside, way.eip.address
    train = inbound(address, outside.await_mac(address), new_identifier())
    server = guest_of(rig, way).netns
    return Line(outside.netns, server, address, rig.world.hosts, outside.prober, train)


def _nat_line(rig: Rig) -> Line:
    source, outside = rig.source, rig.world.outside
    # Whoever was just plugged anew, nobody outside may know the way back to.
    outside.announce()
    await_outside(rig)
    train = outbound(source.spec, new_identifier())
    prober = rig.world.prober(source)
    return Line(source.netns, outside.netns, ROUTER, rig.world.hosts, prober, train)
