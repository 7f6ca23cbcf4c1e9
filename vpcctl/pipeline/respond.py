"""Table Respond: what is done with the MAC that Neighbour found.

ARP requests are turned round and sent back. Solicitations for a gateway are too, where the
datapath can rewrite neighbour discovery's options; others go to the address's owner alone, who
answers for itself. Where the datapath cannot, the host's agent gets them, through an internal
port of br-int. Routed packets get their destination MAC.
"""

from vpcctl.flows import fields as f
from vpcctl.flows.actions import OFPP_IN_PORT, Move, Output, Resubmit, SetField
from vpcctl.flows.flow import Flow, Match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import RESPOND, SWITCH
from vpcctl.model.addresses import GATEWAY_MAC
from vpcctl.model.host import Host
from vpcctl.pipeline.guest_services import Question, ask
from vpcctl.pipeline.terms import (
    ARP_REPLY,
    ARP_REQUEST,
    BASE,
    IS_ADVERT,
    IS_ARP,
    IS_ICMP6,
    IS_IPV6,
    IS_SOLICIT,
    NEIGHBOUR_ADVERT,
    drop,
    flag,
)

_FOUND_TO_DST = Move(f.FOUND_MAC, f.ETH_DST, 48)
_ARP_ANSWER = (
    Move(f.ETH_SRC, f.ETH_DST, 48),
    Move(f.FOUND_MAC, f.ETH_SRC, 48),
    SetField(f.ARP_OP, ARP_REPLY),
    Move(f.ARP_SHA, f.ARP_THA, 48),
    Move(f.FOUND_MAC, f.ARP_SHA, 48),
    Move(f.ARP_SPA, f.ARP_TPA, 32),
    Move(f.LOOKUP_IPV4, f.ARP_SPA, 32),
    Output(OFPP_IN_PORT),
)
_ASKS_GATEWAY: Match = (flag(f.IS_ND), (f.FOUND_MAC, GATEWAY_MAC, None))

STATIC: tuple[Flow, ...] = (
    Flow(
        RESPOND,
        100,
        (flag(f.IS_ARP), IS_ARP, (f.ARP_OP, ARP_REQUEST, None)),
        _ARP_ANSWER,
        None,
        BASE,
    ),
    Flow(RESPOND, 100, (flag(f.IS_ND),), (_FOUND_TO_DST,), SWITCH, BASE),
    Flow(RESPOND, 100, (flag(f.ROUTED),), (_FOUND_TO_DST,), SWITCH, BASE),
    drop(RESPOND, 0, (), Reason.ARP_UNANSWERED),
)

_ROUTER_SOLICITED_OVERRIDE, _ROUTER_OVERRIDE = 0xE000_0000, 0xA000_0000
"""Flags R, S and O of a neighbour advertisement (RFC 4861, section 4.4)."""
_ALL_NODES, _ALL_NODES_MAC = 0xFF02 << 112 | 1, 0x3333_0000_0001
"""Who hears the answer to a guest that has no address yet (RFC 4861, section 7.2.4)."""
_SOURCE_LINK_LAYER, _TARGET_LINK_LAYER = 1, 2
"""Types of the link-layer address options (RFC 4861, section 4.6.1)."""

_ASK_AGENT: tuple[Flow, ...] = (
    Flow(
        RESPOND,
        120,
        (*_ASKS_GATEWAY, IS_IPV6, IS_ICMP6, *IS_SOLICIT),
        ask(Question.NEIGHBOUR),
        None,
        BASE,
    ),
)
"""The solicitation goes to the agent with the asking port's key in place of the group's MAC."""


def base(host: Host) -> tuple[Flow, ...]:
    """Return the flows that answer for gateways, or have *host*'s agent answer."""
    return _advertise() if host.nd_extensions else _ASK_AGENT


def _advertise() -> tuple[Flow, ...]:
    """Return the flows that turn a solicitation into the gateway's advertisement, in two steps.

    Open vSwitch writes ``nd_tll`` only where the match says that the packet is an advertisement,
    so the first step makes it one and the second, the same table again, fills it in. A
    solicitation without a link-layer option has no room for one: it gets an advertisement without,
    which RFC 4861 section 7.2.4 allows in answer to a unicast one.
    """
    head = (SetField(f.ETH_SRC, GATEWAY_MAC), Move(f.LOOKUP_IPV6, f.IPV6_SRC, 128))
    again = (SetField(f.ICMP6_TYPE, NEIGHBOUR_ADVERT), Resubmit(RESPOND))
    to_asker = (
        Move(f.ETH_SRC, f.ETH_DST, 48),
        Move(f.IPV6_SRC, f.IPV6_DST, 128),
        SetField(f.ND_RESERVED, _ROUTER_SOLICITED_OVERRIDE),
    )
    to_all = (
        SetField(f.ETH_DST, _ALL_NODES_MAC),
        SetField(f.IPV6_DST, _ALL_NODES),
        SetField(f.ND_RESERVED, _ROUTER_OVERRIDE),
    )
    fill_in = (SetField(f.ND_OPTIONS_TYPE, _TARGET_LINK_LAYER), SetField(f.ND_TLL, GATEWAY_MAC))
    back = Output(OFPP_IN_PORT)
    asked = (*_ASKS_GATEWAY, IS_IPV6, IS_ICMP6)
    detecting = (*_ASKS_GATEWAY, IS_IPV6, IS_ICMP6, (f.IPV6_SRC, 0, None))
    has_option = (f.ND_OPTIONS_TYPE, _SOURCE_LINK_LAYER, None)
    return (
        Flow(RESPOND, 140, (*detecting, *IS_SOLICIT), (*to_all, *head, *again), None, BASE),
        Flow(RESPOND, 130, (*asked, *IS_SOLICIT), (*to_asker, *head, *again), None, BASE),
        Flow(RESPOND, 130, (*asked, *IS_ADVERT, has_option), (*fill_in, back), None, BASE),
        Flow(RESPOND, 120, (*asked, *IS_ADVERT), (back,), None, BASE),
    )
