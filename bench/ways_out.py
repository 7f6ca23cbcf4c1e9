"""What the cases about external networks share: who stands for whom, and networks led outside."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.external.base import External
from bench.outside import FAR_EIP, OWN_EIP, ROUTER, Eip, outbound
from bench.probe import Prober, new_identifier
from bench.rig import ANSWER_TIMEOUT_S, Rig
from bench.session import Session
from bench.waiting import TooLongError
from bench.world import Guest


@dataclass(frozen=True, slots=True)
class Way:
    """How packets for an EIP come to its port.

    Attributes:
        label: for the results.
        eip: the EIP.
    """

    label: str
    eip: Eip


DISTRIBUTED = Way("distributed", OWN_EIP)
"""The port's host reaches the external network."""
CENTRAL = Way("through a gateway host", FAR_EIP)
"""It does not."""


def guest_of(rig: Rig, way: Way) -> Guest:
    """Return the guest that gets the EIP of *way*; neither is in the NAT gateway's subnet."""
    return rig.resident if way == DISTRIBUTED else rig.routed_source


@contextmanager
def led_outside(rig: Rig) -> Iterator[External]:
    """Lead a system's network outside; take it back afterwards."""
    try:
        rig.external.open()
        rig.settle()
        yield rig.external
    finally:
        rig.external.close()
        rig.settle()


def lead_outside(session: Session, stack: ExitStack, size: int) -> tuple[Rig, ...]:
    """Lead all systems' networks outside; return those with which that went well."""
    led: list[Rig] = []
    for rig in session.rigs:
        with session.part(f"leading outside at {size} ports, {rig.name}"):
            stack.enter_context(led_outside(rig))
            led.append(rig)
    return tuple(led)


def probe_outside(rig: Rig, *, until_first: bool) -> Prober:
    """Start probing the router from the guest whose subnet has the NAT gateway."""
    prober = rig.world.prober(rig.source)
    train = outbound(rig.source.spec, new_identifier())
    prober.start(train, until_first=until_first, timeout=ANSWER_TIMEOUT_S)
    return prober


def await_outside(rig: Rig) -> None:
    """Probe the router through the NAT gateway until the first answer.

    Raises:
        TooLongError: none came.
    """
    if probe_outside(rig, until_first=True).result().first_after(0.0) is None:
        raise TooLongError(f"{rig.name}: {ROUTER} does not answer through the NAT gateway")
