"""Table Output: a port key becomes an interface of this host, or the packet goes to another.

What came from a tunnel goes into one again only for a host that is still loading its VPC.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import OFPP_IN_PORT, Move, Output, Resubmit
from vpcctl.flows.flow import Flow
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import OUTPUT
from vpcctl.model.host import Host
from vpcctl.pipeline import limits
from vpcctl.pipeline.facts import PortFacts
from vpcctl.pipeline.terms import BASE, drop, flag, mark

_FROM_HERE = flag(f.FROM_TUNNEL, 0)
_RELAYED = flag(f.RELAYED)

STATIC: tuple[Flow, ...] = (
    drop(
        OUTPUT,
        52,
        ((f.TUN_DST, 0, None), (f.TUN_IPV6_DST, 0, None), _FROM_HERE),
        Reason.NO_OUTPUT,
    ),
    drop(
        OUTPUT,
        52,
        ((f.TUN_DST, 0, None), (f.TUN_IPV6_DST, 0, None), _RELAYED),
        Reason.NO_OUTPUT,
    ),
    drop(OUTPUT, 0, (), Reason.NO_OUTPUT),
)


def base(host: Host) -> tuple[Flow, ...]:
    """Return the flows that send packets to other hosts, and none to *host* itself."""
    if host.tunnel_ofport is None or host.vtep is None:
        return ()
    own = (f.TUN_DST if host.vtep.version == 4 else f.TUN_IPV6_DST, int(host.vtep), None)
    to = Move(f.VNI, f.TUN_ID, 32)
    return (
        Flow(OUTPUT, 60, (own, (f.DEST_PORT, 0, None)), (), None, BASE),
        drop(OUTPUT, 55, (own,), Reason.NO_OUTPUT),
        Flow(OUTPUT, 50, (_FROM_HERE,), (to, Output(host.tunnel_ofport)), None, BASE),
        Flow(OUTPUT, 50, (_RELAYED,), (to, Output(OFPP_IN_PORT)), None, BASE),
    )


def edge(facts: PortFacts) -> Iterator[Flow]:
    """Yield the flow that knows a port's interface by its key, and those that limit what it gets.

    A meter drops a packet with all that was still to be done with it, so copies for members of a
    subnet are not metered: the other members would lose theirs.
    """
    key, owner = (f.DEST_PORT, facts.port.key, None), facts.edge_cookie
    out = (Output(facts.location.ofport),)
    yield Flow(OUTPUT, 100, (key,), out, None, owner)
    first, second = limits.ingress(facts.port.limits)
    alone = (key, flag(f.FLOOD_STAGE, 0))
    if second is not None:
        again = (mark(f.METERED), Resubmit(OUTPUT))
        yield Flow(OUTPUT, 110, alone, again, None, owner, first)
        yield Flow(OUTPUT, 120, (key, flag(f.METERED)), out, None, owner, second)
    elif first is not None:
        yield Flow(OUTPUT, 110, alone, out, None, owner, first)
