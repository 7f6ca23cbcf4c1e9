"""``eip_ms``: an EIP is associated → the first answer seen outside; disassociated → silence.

Who asks is the provider's router, an ICMP echo a millisecond.
"""

from contextlib import ExitStack

from bench.outside import inbound
from bench.probe import new_identifier
from bench.rig import Rig
from bench.session import FAULTS, Session, Value
from bench.stage import Conversation
from bench.ways_out import CENTRAL, DISTRIBUTED, Way, guest_of, lead_outside

KEY = "eip_ms"


def run(session: Session, size: int) -> None:
    """Measure EIPs that the port's own host answers for, and a gateway host."""
    with ExitStack() as stack:
        led = lead_outside(session, stack, size)
        for way in (DISTRIBUTED, CENTRAL):
            talks: dict[str, Conversation] = {}
            for rig in led:
                with session.part(f"the first EIP, {way.label}, at {size} ports, {rig.name}"):
                    talks[rig.name] = _acquaint(rig, way)

            def attempt(
                rig: Rig, way: Way = way, talks: dict[str, Conversation] = talks
            ) -> list[Value]:
                return _once(rig, talks[rig.name], way)

            session.interleave(
                f"eip, {way.label}",
                size,
                attempt,
                count=session.plan.samples,
                rigs=[rig for rig in led if rig.name in talks],
            )


def _acquaint(rig: Rig, way: Way) -> Conversation:
    """Associate an EIP once, so that the router and the hosts know each other's MACs."""
    outside, external = rig.world.outside, rig.external
    external.associate(way.eip, guest_of(rig, way))
    try:
        mac = outside.await_mac(way.eip.address)
    finally:
        external.disassociate(way.eip)
        rig.settle()
    address = way.eip.address
    return Conversation(outside.prober, lambda: inbound(address, mac, new_identifier()))


def _once(rig: Rig, talk: Conversation, way: Way) -> list[Value]:
    external, guest = rig.external, guest_of(rig, way)
    rig.world.outside.announce()
    try:
        up, up_api = talk.starts(lambda: external.associate(way.eip, guest))
        rig.settle()
        down, down_api = talk.stops(lambda: external.disassociate(way.eip))
    except FAULTS:
        external.disassociate(way.eip)
        raise
    finally:
        rig.settle()
    return [
        Value(KEY, f"associated, {way.label}", up, "ms", {"api_ms": up_api}),
        Value(KEY, f"disassociated, {way.label}", down, "ms", {"api_ms": down_api}),
    ]
