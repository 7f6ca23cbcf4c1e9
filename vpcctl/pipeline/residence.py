"""Who does what for addresses of external networks, gathered once per piece.

An EIP is resident on its port's host, if that reaches the network, else on the gateway hosts of its
VPC; a NAT gateway's EIP is on those of the gateway. Of several hosts the first that lives is the
active one, and each sees for itself which that is: a host asks Open vSwitch which of the ports on
which it watches the hosts before it is up, and at last if the port is that stands for itself: its
agent takes that down while the host is not to be relied on.
"""

from collections.abc import Iterator
from typing import NamedTuple

from vpcctl.flows import fields as f
from vpcctl.flows.actions import BundleLoad, Resubmit
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow, match
from vpcctl.model.addresses import IPAddress
from vpcctl.model.eip import Eip, outside_mac
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import InternetGateway, NatGateway
from vpcctl.model.host import STAND_OFPORT, Host, outside_ofport
from vpcctl.model.network import Network
from vpcctl.model.outside import global_addresses
from vpcctl.model.route_table import RouteTable
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc
from vpcctl.pipeline.facts import PortFacts, is_gateway, port_facts
from vpcctl.pipeline.terms import mark, with_flag


class GatewayFacts(NamedTuple):
    """A gateway of a VPC to an external network, both of which are there.

    Attributes:
        gateway: the gateway.
        network: the external network.
        vpc: the VPC.
        hosts: gateway hosts that reach the network, in order of preference.
    """

    gateway: InternetGateway | NatGateway
    network: ExternalNetwork
    vpc: Vpc
    hosts: tuple[Host, ...]

    @property
    def cookie(self) -> int:
        """Cookie of the gateway's flows."""
        return cookie(Feature.GATEWAY, self.gateway.vni)


class EipFacts(NamedTuple):
    """An EIP on a host where it is resident.

    Attributes:
        host: the host.
        eip: the EIP.
        via: the gateway by which its VPC reaches its network.
        ofport: of the host's port to the network.
        members: ports to ask whether the host is the active one; none: it always is.
        admits: likewise whether it lets in what comes; none: it always does.
        port: the port that it stands for; None: it is the gateway's own.
        partner: VTEP of who knows the connections of a NAT gateway that the host does not, while
            one of both is leaving; None: nobody does.
    """

    host: Host
    eip: Eip
    via: GatewayFacts
    ofport: int
    members: tuple[int, ...]
    admits: tuple[int, ...]
    port: PortFacts | None
    partner: IPAddress | None = None

    @property
    def spoils_fragments(self) -> bool:
        """Whether the datapath takes data of later fragments for a checksum to be kept right.

        Open vSwitch's userspace datapath does, of TCP and UDP (``packet_set_ipv4_addr``).
        """
        return self.host.nd_extensions

    @property
    def cookie(self) -> int:
        """Cookie of the EIP's flows."""
        return cookie(Feature.EIP, self.eip.key)


class GlobalFacts(NamedTuple):
    """A port's global IPv6 addresses on a host where they are resident.

    Attributes:
        ips: the addresses.
        via: the internet gateway that the port's route table leads to.
        ofport: of the host's port to the gateway's network.
        members: ports to ask whether the host is the active one; none: it always is.
        admits: likewise whether it lets in what comes; none: it always does.
        port: the port.
    """

    ips: tuple[IPAddress, ...]
    via: GatewayFacts
    ofport: int
    members: tuple[int, ...]
    admits: tuple[int, ...]
    port: PortFacts

    @property
    def cookie(self) -> int:
        """Cookie of the addresses' flows."""
        return cookie(Feature.GLOBAL, self.port.port.key)

    @property
    def mac(self) -> int:
        """MAC that answers for the addresses outside."""
        return outside_mac(self.port.port.key)


def gateway_facts(net: Network, gateway_id: str) -> GatewayFacts | None:
    """Return a gateway's facts, or None unless all that it needs is there and its VNI its own."""
    gateway = net.outside.gateway(gateway_id)
    if gateway is None or net.outside.vnis.owner(gateway.vni) is None or net.vnis.of(gateway.vni):
        return None
    network, vpc = (
        net.outside.live_network(gateway.external_network_id),
        net.vpcs.get(gateway.vpc_id),
    )
    if network is None or vpc is None or net.vpc_keys.owner(vpc.key) is None:
        return None
    if isinstance(gateway, NatGateway) and net.outside.zones.owner(gateway.key) is None:
        return None
    named = (net.hosts.get(host_id) for host_id in dict.fromkeys(gateway.hosts))
    hosts = (one for one in named if one is not None and outside_ofport(one, network.id))
    return GatewayFacts(gateway, network, vpc, tuple(hosts))


def internet_of(net: Network, vpc_id: str, network_id: str) -> str | None:
    """Return the id of the internet gateway by which a VPC reaches an external network."""
    ids = sorted(net.outside.internet_of.get(vpc_id, ()))
    fit = (one for one in ids if net.outside.internet[one].external_network_id == network_id)
    return next(fit, None)


def watch_ofport(host: Host, other: Host) -> int | None:
    """Return the ofport on which *host* watches *other*, once it does."""
    return next((one.ofport for one in host.watches if one.host_id == other.id), None)


def standing(facts: GatewayFacts, host: Host) -> tuple[int, ...] | None:
    """Return whom to ask whether *host* is the active one of its gateway.

    Nobody, when there is no other. None when it cannot be: it is no gateway host, or does not watch
    all that come before it yet.
    """
    if host not in facts.hosts:
        return None
    before = [watch_ofport(host, one) for one in facts.hosts[: facts.hosts.index(host)]]
    members = tuple(ofport for ofport in before if ofport is not None)
    if len(members) != len(before):
        return None
    return (*members, STAND_OFPORT) if len(facts.hosts) > 1 else ()


def admitting(facts: GatewayFacts, host: Host, members: tuple[int, ...]) -> tuple[int, ...]:
    """Return whom to ask whether *host* lets in what comes from outside: *members*, or nobody.

    Hosts are told of a move one after the other, and the provider's network learns of it from what
    they send. Until the last one has heard, packets come to who is leaving and to who follows: both
    let them in.
    """
    leaving = facts.gateway.leaving
    if not members or not leaving:
        return members
    return () if host.id in leaving or host == _follower(facts) else members


def _follower(facts: GatewayFacts) -> Host | None:
    """Return the host that is to be active once those that are leaving have left."""
    return next((one for one in facts.hosts if one.id not in facts.gateway.leaving), None)


def partner(net: Network, facts: GatewayFacts, host: Host) -> IPAddress | None:
    """Return the VTEP of who may know a gateway's connections that *host* does not, or None.

    While hosts are leaving, that is who follows, and to that one the first of those that leave: of
    them it was the active one.
    """
    follower, leaving = _follower(facts), facts.gateway.leaving
    if follower is not None and host.id in leaving:
        return net.vtep_of(follower.id)
    if host != follower:
        return None
    left = (net.vtep_of(one.id) for one in facts.hosts if one.id in leaving)
    return next(left, None)


def eip_facts(net: Network, host_id: str, eip_id: str) -> EipFacts | None:
    """Return the facts of an EIP that is resident on a host, or None."""
    host, eip = net.hosts.get(host_id), net.outside.live_eip(eip_id)
    if host is None or eip is None or eip.address.version != 4:
        return None
    ofport = outside_ofport(host, eip.external_network_id)
    if ofport is None:
        return None
    if eip.nat_gateway_id is not None:
        via = gateway_facts(net, eip.nat_gateway_id)
        if via is None or via.network.id != eip.external_network_id:
            return None
        members = standing(via, host)
        if members is None:
            return None
        admits, knows = admitting(via, host, members), partner(net, via, host)
        return EipFacts(host, eip, via, ofport, members, admits, None, knows)
    return _of_port(net, host, eip, ofport)


def _of_port(net: Network, host: Host, eip: Eip, ofport: int) -> EipFacts | None:
    """Return the facts of an EIP that stands for a port."""
    if eip.port_id is None or eip.fixed_ip is None:
        return None
    port = port_facts(net, eip.port_id)
    if port is None or not _is_its_own(net, eip, port, eip.fixed_ip):
        return None
    gateway_id = internet_of(net, port.vpc.id, eip.external_network_id)
    via = None if gateway_id is None else gateway_facts(net, gateway_id)
    if via is None:
        return None
    members = at_home(via, host, port)
    if members is None:
        return None
    return EipFacts(host, eip, via, ofport, members, admitting(via, host, members), port)


def at_home(via: GatewayFacts, host: Host, port: PortFacts) -> tuple[int, ...] | None:
    """Return whom to ask whether *host* answers for a port outside; None when it never does."""
    if outside_ofport(port.host, via.network.id) is not None:
        return () if host.id == port.host.id else None
    return standing(via, host)


def _is_its_own(net: Network, eip: Eip, port: PortFacts, fixed_ip: IPAddress) -> bool:
    """Tell whether the EIP alone has the address, the port alone too, and no other subnet."""
    if fixed_ip.version != 4 or fixed_ip not in port.port.ips:
        return False
    if net.outside.fixed.owner((port.port.id, fixed_ip)) != eip.id:
        return False
    if net.segment(port.subnet.id).fixed(fixed_ip).owner(int(fixed_ip)) is None:
        return False
    others = (net.subnets[one] for one in net.subnets_of.get(port.vpc.id, ()))
    return all(one.id == port.subnet.id or fixed_ip not in one.cidr for one in others)


def global_facts(net: Network, host_id: str, port_id: str) -> GlobalFacts | None:
    """Return the facts of a port's global addresses that are resident on a host, or None."""
    host, port = net.hosts.get(host_id), port_facts(net, port_id)
    if host is None or port is None:
        return None
    claims, fixed = net.outside.global_ips, net.segment(port.subnet.id).ipv6
    ips = tuple(
        ip
        for ip in global_addresses(port.port)
        if claims.owner(ip) is not None and fixed.owner(int(ip)) and not is_gateway(port.subnet, ip)
    )
    via = _way_out(net, port) if ips else None
    ofport = None if via is None else outside_ofport(host, via.network.id)
    if via is None or ofport is None:
        return None
    members = at_home(via, host, port)
    if members is None:
        return None
    return GlobalFacts(ips, via, ofport, members, admitting(via, host, members), port)


def _way_out(net: Network, port: PortFacts) -> GatewayFacts | None:
    """Return the internet gateway with IPv6 that a port's route table leads to first."""
    table = table_of(net, port.subnet)
    for gateway_id in () if table is None else internet_targets(table):
        facts = gateway_facts(net, gateway_id) if gateway_id in net.outside.internet else None
        if facts is None or facts.vpc.id != port.vpc.id:
            continue
        if facts.network.ipv6_cidr is not None:
            return facts
    return None


def internet_targets(table: RouteTable) -> tuple[str, ...]:
    """Return the ids of the internet gateways that a table's IPv6 routes lead to, in order."""
    routes = (route for route in table.routes if route.destination.version == 6)
    targets = (one for route in routes for one in route.targets if one.kind == "internet")
    return tuple(dict.fromkeys(one.id for one in targets))


def table_of(net: Network, subnet: Subnet) -> RouteTable | None:
    """Return a subnet's route table, its VPC's main one if it names none; None leads nowhere."""
    if subnet.route_table_id is None:
        return net.outside.main_table(subnet.vpc_id)
    return net.outside.live_table(subnet.route_table_id, subnet.vpc_id)


def live_eips(net: Network, facts: GatewayFacts) -> list[Eip]:
    """Return the EIPs of a NAT gateway, in the order in which they are counted."""
    named = map(net.outside.live_eip, net.outside.eips_of_nat.get(facts.gateway.id, ()))
    found = [
        eip
        for eip in named
        if eip is not None
        and eip.address.version == 4
        and eip.external_network_id == facts.network.id
    ]
    return sorted(found, key=lambda eip: eip.key)


def if_active(flow: Flow, members: tuple[int, ...]) -> Iterator[Flow]:
    """Yield *flow* as it is, or, where *members* are to be asked first, with that question.

    On a host that is not the active one, packets go on to what else the table has for them.
    """
    if not members:
        yield flow
        return
    ask = (BundleLoad(members, f.CHOICE), mark(f.PICKED), Resubmit(flow.table))
    asked = with_flag(flow.match, f.PICKED, 0)
    yield flow._replace(match=asked, actions=ask, goto=None, meter=None)
    itself = (f.CHOICE.field, STAND_OFPORT, f.CHOICE.mask)
    active = match(*with_flag(flow.match, f.PICKED), itself)
    yield flow._replace(match=active, actions=(mark(f.PICKED, 0), *flow.actions))
