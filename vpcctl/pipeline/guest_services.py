"""Table GuestServices: what a guest asks of its network goes to the agent of its host.

The agent hears it through an internal port of br-int, with the asking port's key in place of the
destination MAC; Classify gives its answer to that port and no other. Where the host's agent has no
such port, questions are dropped, each kind with a reason of its own. What comes through a tunnel
is nobody's question here.

A question goes through the table twice: its kind is found first, the same for all ports, then the
port that asks, which has a meter for each kind. So a guest that floods drowns out no other, and no
question of another kind of its own.
"""

import enum
from collections.abc import Iterator

from vpcctl.flows import fields as f
from vpcctl.flows.actions import OFPP_MAX, Action, Move, Output, Resubmit, SetField
from vpcctl.flows.flow import Flow, Match, match
from vpcctl.flows.meter import GUESTS, Meter
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import GUEST_SERVICES, SUBNET_OUT
from vpcctl.model.addresses import GATEWAY_MAC
from vpcctl.model.host import (
    GUEST_SERVICE_MAC,
    GUEST_SERVICE_OFPORT,
    QUESTION_BURST,
    QUESTION_RATE,
    Host,
)
from vpcctl.model.network import Network
from vpcctl.pipeline.facts import PortFacts
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

_OFPORTS = len(GUESTS) // 4


class Question(enum.IntEnum):
    """A kind of question; the register's value, and one more than its meter's place."""

    DHCP = 1
    """DHCP and DHCPv6."""
    NEIGHBOUR = 2
    """Router solicitations, neighbour solicitations that flows cannot answer, and packets that are
    too large for an external network."""
    DNS = 3
    """Names: metered in GuestAddress, as the next one."""
    METADATA = 4


_UNHEARD = {
    Question.DHCP: Reason.DHCP_UNANSWERED,
    Question.NEIGHBOUR: Reason.ND_UNANSWERED,
}
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

FROM_ANYWHERE: tuple[tuple[Match, Match], ...] = (
    ((), match(*_DHCP, (f.UDP_SRC, 68))),
    ((_TO_GATEWAY,), _UNICAST_DHCP[1:]),
)
"""What a DHCP client may say from any IPv4 address: the MAC it is for, and all above that. Whatever
flow of this table such a packet comes to hands it to the agent or drops it: nobody else may hear
who has not shown who it is."""

STATIC: tuple[Flow, ...] = (
    drop(GUEST_SERVICES, 90, _SOLICIT, Reason.ROUTER_SOLICITATION),
    *(
        drop(GUEST_SERVICES, 90, terms, Reason.DHCP_UNANSWERED)
        for terms in (_DHCP, _UNICAST_DHCP, _DHCP6)
    ),
    *(
        drop(GUEST_SERVICES, 120, ((f.QUESTION, int(one), None),), reason)
        for one, reason in _UNHEARD.items()
    ),
    Flow(GUEST_SERVICES, 0, (), (), SUBNET_OUT, BASE),
)


def ask(question: Question) -> tuple[Action, ...]:
    """Return the actions that have the agent asked, as far as the asking port's meter lets pass."""
    return (SetField(f.QUESTION, int(question)), Resubmit(GUEST_SERVICES))


_ASKED: tuple[Flow, ...] = (
    *(
        Flow(GUEST_SERVICES, 100, (_FROM_HERE, *terms), ask(Question.DHCP), None, BASE)
        for terms in (_DHCP, _UNICAST_DHCP, _DHCP6)
    ),
    Flow(GUEST_SERVICES, 100, (_FROM_HERE, *_SOLICIT), ask(Question.NEIGHBOUR), None, BASE),
)


def base(host: Host) -> tuple[Flow, ...]:
    """Return the flows that hand questions to *host*'s agent, where it answers them."""
    return _ASKED if host.guest_services else ()


def edge(facts: PortFacts) -> Iterator[Flow]:
    """Yield the flows that hand a port's questions over, a meter for each kind."""
    for question in _UNHEARD:
        asks = ((f.SOURCE_PORT, facts.port.key, None), (f.QUESTION, int(question), None))
        limit = meter(facts, question, QUESTION_RATE, QUESTION_BURST)
        yield Flow(GUEST_SERVICES, 150, asks, TO_AGENT, None, facts.edge_cookie, limit)


def meter(facts: PortFacts, question: Question, rate: int, burst: int) -> Meter:
    """Return the meter of a port's questions of one kind: packets a second, and at once."""
    return Meter(_number(facts.location.ofport, question), "pktps", rate, burst)


def _number(ofport: int, question: Question) -> int:
    """Return a meter's number: there are fewer than OpenFlow has ports, so up to four may share."""
    return GUESTS.start + 4 * (ofport % _OFPORTS) + question - 1


def metered_ports(net: Network, host_id: str, number: int) -> Iterator[str]:
    """Yield the ports of a host that a guest's meter of this number is for: up to four."""
    if number not in GUESTS or host_id not in net.ofports:
        return
    for ofport in range((number - GUESTS.start) // 4, OFPP_MAX, _OFPORTS):
        port_id = net.ofports[host_id].owner(ofport)
        if port_id is not None:
            yield port_id
