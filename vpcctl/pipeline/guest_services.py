"""Table GuestServices: what a guest asks of its network goes to the agent of its host.

The agent hears it through an internal port of br-int, with the asking port's key in place of the
destination MAC; Classify gives its answer to that port and no other. Where the host's agent has no
such port, questions are dropped, each kind with a reason of its own. What comes through a tunnel
is nobody's question here.
"""

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, Move, Output, SetField
from vpcctl.flows.flow import Flow, Match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import GUEST_SERVICES, SUBNET_OUT
from vpcctl.model.addresses import GATEWAY_MAC
from vpcctl.model.host import GUEST_SERVICE_MAC, GUEST_SERVICE_OFPORT, Host
from vpcctl.pipeline.terms import (
    BASE,
    IS_ICMP6,
    IS_IPV4,
    IS_IPV6,
    IS_UDP,
    ROUTER_SOLICIT,
    drop,
    flag,
)

TO_AGENT: tuple[Action, ...] = (
    SetField(f.ETH_DST, GUEST_SERVICE_MAC),
    Move(f.SOURCE_PORT, f.ETH_DST, 32),
    Output(GUEST_SERVICE_OFPORT),
)
"""The packet goes to the agent with the asking port's key in place of the destination MAC."""

_FROM_HERE = flag(f.FROM_TUNNEL, 0)
_TO_GATEWAY = (f.ETH_DST, GATEWAY_MAC, None)
_ALL_DHCP_SERVERS = 0xFF02_0000_0000_0000_0000_0000_0001_0002
"""ff02::1:2 (RFC 8415, section 7.1)."""

_DHCP: Match = (IS_IPV4, IS_UDP, (f.IPV4_DST, 0xFFFF_FFFF, None), (f.UDP_DST, 67, None))
_DHCP6: Match = (IS_IPV6, IS_UDP, (f.IPV6_DST, _ALL_DHCP_SERVERS, None), (f.UDP_DST, 547, None))
_SOLICIT: Match = (IS_IPV6, IS_ICMP6, (f.ICMP6_TYPE, ROUTER_SOLICIT, None))
_UNICAST_DHCP: Match = (
    *(_TO_GATEWAY, IS_IPV4, IS_UDP),
    *((f.UDP_SRC, 68, None), (f.UDP_DST, 67, None)),
)
"""A client that renews or releases its lease speaks to its server, the gateway, alone."""

STATIC: tuple[Flow, ...] = (
    drop(GUEST_SERVICES, 90, _SOLICIT, Reason.ROUTER_SOLICITATION),
    drop(GUEST_SERVICES, 90, _DHCP, Reason.DHCP_UNANSWERED),
    drop(GUEST_SERVICES, 90, _DHCP6, Reason.DHCP_UNANSWERED),
    Flow(GUEST_SERVICES, 0, (), (), SUBNET_OUT, BASE),
)

_ASKED: tuple[Flow, ...] = tuple(
    Flow(GUEST_SERVICES, 100, (_FROM_HERE, *question), TO_AGENT, None, BASE)
    for question in (_DHCP, _UNICAST_DHCP, _DHCP6, _SOLICIT)
)


def base(host: Host) -> tuple[Flow, ...]:
    """Return the flows that hand questions to *host*'s agent, where it answers them."""
    return _ASKED if host.guest_services else ()
