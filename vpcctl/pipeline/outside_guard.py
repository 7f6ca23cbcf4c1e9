"""Table OutsideGuard: what comes from outside is from nobody within.

Rules of groups know remote sides by their addresses alone. So nobody outside may send from one
that means somebody of the VPC that is sent to: from its blocks, from a single address that ports
of it may use beside their own, or from one that means something on a link only. All that enters a
VPC passes here, once it is known which VPC that is. What guests send to addresses of their own
VPC outside has been translated by then.
"""

from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import OUTSIDE_GUARD, ROUTE, SUBNET_IN
from vpcctl.model.addresses import IPAddress, IPNetwork, block_of
from vpcctl.model.membership import is_on_link
from vpcctl.model.network import Network
from vpcctl.model.vpc import Vpc
from vpcctl.pipeline.route import ON_LINK
from vpcctl.pipeline.terms import BASE, IS_IPV6, drop, family, within

STATIC: tuple[Flow, ...] = (
    *(
        drop(OUTSIDE_GUARD, 100, (IS_IPV6, *within(f.IPV6_SRC, block)), Reason.UNROUTABLE_SOURCE)
        for block in ON_LINK
    ),
    # What a NAT gateway has translated is not in a subnet yet.
    Flow(OUTSIDE_GUARD, 50, ((f.VNI, 0, None),), (), ROUTE, BASE),
    Flow(OUTSIDE_GUARD, 0, (), (), SUBNET_IN, BASE),
)


def vpc(vpc: Vpc) -> Iterator[Flow]:
    """Yield the flows that let nobody outside pass as an address of a VPC's blocks."""
    for block in dict.fromkeys(vpc.cidrs):
        yield _from(vpc, block)


def pair(net: Network, vpc_id: str, ip: IPAddress) -> Iterator[Flow]:
    """Yield the flow of a single allowed pair of a VPC's ports, where no block of it has that."""
    vpc = net.vpcs.get(vpc_id)
    if vpc is None or net.vpc_keys.owner(vpc.key) is None:
        return
    if is_on_link(ip) or any(ip in block for block in vpc.cidrs):
        return
    segments = (net.segments.get(one) for one in net.subnets_of.get(vpc_id, ()))
    if any(one is not None and ip in one.pairs for one in segments):
        yield _from(vpc, block_of(ip))


def _from(vpc: Vpc, block: IPNetwork) -> Flow:
    source = f.IPV4_SRC if block.version == 4 else f.IPV6_SRC
    terms = match((f.VPC, vpc.key), family(block.version), *within(source, block))
    return drop(OUTSIDE_GUARD, 100, terms, Reason.OUTSIDE_SOURCE, cookie(Feature.VPC, vpc.key))
