"""Table GuestAddress: guests' addresses, which overlap, and what stands for them at the sockets.

A question for the resolver or the metadata service leaves through br-int's end of a pair, whose
other end the agent's sockets listen at. There its source says which port asks, whatever the guest
wrote, and the answer's target says which port it is for (:mod:`vpcctl.model.names`).
"""

from collections.abc import Iterator
from ipaddress import ip_network

from vpcctl.flows import fields as f
from vpcctl.flows.actions import Action, Move, Output, SetField
from vpcctl.flows.flow import Flow, Match, match
from vpcctl.flows.reasons import Reason
from vpcctl.flows.tables import CLASSIFY, GUEST_ADDRESS, GUEST_SERVICES, NEIGHBOUR, OUTPUT, RESPOND
from vpcctl.model.addresses import GATEWAY_MAC
from vpcctl.model.host import Host
from vpcctl.model.names import (
    MAX_ADDRESSES,
    METADATA,
    NAMES_MAC,
    NAMES_OFPORT,
    PORTS,
    RESOLVERS,
    SERVERS4,
    SERVERS6,
    Service,
    client4,
    client6,
)
from vpcctl.pipeline import guest_services
from vpcctl.pipeline.facts import PortFacts
from vpcctl.pipeline.guest_services import Question
from vpcctl.pipeline.terms import (
    BASE,
    IS_IPV4,
    IS_IPV6,
    IS_UDP,
    TCP,
    drop,
    flag,
    mark,
    within,
)

_FROM_HERE = flag(f.FROM_TUNNEL, 0)
_WHOLE = (f.IP_FRAG, 0, None)
_IS_TCP = (f.IP_PROTO, TCP, None)
_HALF = 16
_ASKED = {"dns": RESOLVERS, "metadata": METADATA}
_SERVICES: tuple[Service, ...] = ("dns", "metadata")
_ALLOWED = {
    "dns": (Question.DNS, 1024, 2048),
    "metadata": (Question.METADATA, 500, 1000),
}
"""Packets a second and at once of one port that the sockets hear, with the kind of question."""


def _to_server(service: Service) -> tuple[tuple[Match, tuple[Action, ...]], ...]:
    """Return what finds a packet for a service, and what names the server, by family."""
    four, six = _ASKED[service]
    network = int(SERVERS4[service].network_address)
    return (
        (
            (IS_IPV4, _WHOLE, (f.IPV4_DST, int(four), None)),
            (
                SetField(f.IPV4_DST, network),
                Move(f.SOURCE_PORT, f.IPV4_DST, _HALF, src_offset=_HALF),
            ),
        ),
        (
            (IS_IPV6, _WHOLE, (f.IPV6_DST, int(six), None)),
            (SetField(f.IPV6_DST, int(SERVERS6[service])),),
        ),
    )


def _questions() -> Iterator[Flow]:
    """Yield the flows of GuestServices that send questions here."""
    for service in _SERVICES:
        for asked, actions in _to_server(service):
            port = PORTS[service]
            above: list[Match] = [(_IS_TCP, (f.TCP_DST, port, None))]
            if service == "dns":
                above.append((IS_UDP, (f.UDP_DST, port, None)))
            for terms in above:
                whole = match(_FROM_HERE, *asked, *terms)
                yield Flow(GUEST_SERVICES, 100, whole, actions, GUEST_ADDRESS, BASE)


def _neighbours() -> Iterator[Flow]:
    """Yield the flows of Neighbour that answer for the addresses in every subnet."""
    found = (SetField(f.FOUND_MAC, GATEWAY_MAC),)
    for address in (*RESOLVERS, *METADATA):
        field = f.LOOKUP_IPV4 if address.version == 4 else f.LOOKUP_IPV6
        is_asked = f.IS_ARP if address.version == 4 else f.IS_ND
        terms = (flag(is_asked), (field, int(address), None))
        yield Flow(NEIGHBOUR, 120, match(*terms), found, RESPOND, BASE)


STATIC: tuple[Flow, ...] = (
    *_questions(),
    *_neighbours(),
    drop(GUEST_ADDRESS, 0, (), Reason.GUEST_ADDRESS),
)


def _answers() -> Iterator[Flow]:
    """Yield the flows of Classify that know which port an answer is for."""
    came = ((f.IN_PORT, NAMES_OFPORT, None), _FROM_HERE)
    then = (SetField(f.ETH_SRC, GATEWAY_MAC), mark(f.FROM_TUNNEL))
    for service in _SERVICES:
        four, six = _ASKED[service]
        halves = (
            Move(f.IPV4_DST, f.DEST_PORT, _HALF),
            Move(f.IPV4_SRC, f.DEST_PORT, _HALF, dst_offset=_HALF),
            SetField(f.IPV4_SRC, int(four)),
        )
        terms = (*came, IS_IPV4, *within(f.IPV4_SRC, SERVERS4[service]))
        yield Flow(CLASSIFY, 190, terms, (*halves, *then), GUEST_ADDRESS, BASE)
        whole = (Move(f.IPV6_DST, f.DEST_PORT, 32), SetField(f.IPV6_SRC, int(six)))
        terms = (*came, IS_IPV6, (f.IPV6_SRC, int(SERVERS6[service]), None))
        yield Flow(CLASSIFY, 190, terms, (*whole, *then), GUEST_ADDRESS, BASE)


_ANSWERS = tuple(_answers())
_NOBODY = (drop(GUEST_ADDRESS, 200, (), Reason.GUEST_UNANSWERED),)


def base(host: Host) -> tuple[Flow, ...]:
    """Return the flows of what comes from *host*'s sockets, or that it has none."""
    return _ANSWERS if host.guest_services else _NOBODY


def edge(facts: PortFacts) -> Iterator[Flow]:
    """Yield the flows that turn a port's addresses into what stands for them, and back."""
    port = facts.port
    for version in (4, 6):
        own = [ip for ip in port.ips if ip.version == version][:MAX_ADDRESSES]
        source, target, family = (
            (f.IPV4_SRC, f.IPV4_DST, IS_IPV4) if version == 4 else (f.IPV6_SRC, f.IPV6_DST, IS_IPV6)
        )
        for place, ip in enumerate(own):
            name = (client4 if version == 4 else client6)(port.key, place)
            asks = ((f.SOURCE_PORT, port.key, None), family, (source, int(ip), None))
            out = (SetField(source, name), SetField(f.ETH_DST, NAMES_MAC), Output(NAMES_OFPORT))
            for service in _SERVICES:
                servers = SERVERS4[service] if version == 4 else ip_network(SERVERS6[service])
                whole = (*asks, *within(target, servers))
                meter = guest_services.meter(facts, *_ALLOWED[service])
                yield Flow(GUEST_ADDRESS, 100, whole, out, None, facts.edge_cookie, meter)
            told = ((f.DEST_PORT, port.key, None), family, (target, name, None))
            back = (SetField(target, int(ip)), SetField(f.ETH_DST, port.mac))
            yield Flow(GUEST_ADDRESS, 100, told, back, OUTPUT, facts.edge_cookie)
