"""The flows of a piece: a pure function of the network as it is now."""

from collections.abc import Callable

from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow
from vpcctl.model.gateway import NatGateway
from vpcctl.model.host import outside_ofport
from vpcctl.model.network import Network
from vpcctl.model.relay import relay_id
from vpcctl.pipeline import (
    arp_nd,
    classify,
    connection,
    drop_reasons,
    flood,
    gateway,
    guest_address,
    guest_services,
    handing_on,
    members,
    nat_in,
    nat_out,
    nd_guard,
    neighbour,
    output,
    outside,
    outside_guard,
    outside_in,
    pairs,
    port_acl,
    relay,
    respond,
    route,
    routes,
    service,
    sizes,
    spoof_guard,
    subnet_acl,
    switch,
    tunnel_in,
)
from vpcctl.pipeline.facts import port_facts
from vpcctl.pipeline.pieces import (
    AclPiece,
    AdmitPiece,
    BasePiece,
    EdgePiece,
    EipPiece,
    GatewayPiece,
    GlobalPiece,
    GroupPiece,
    LocalFloodPiece,
    MemberPiece,
    OnLinkMemberPiece,
    OutsidePiece,
    PairMacPiece,
    PairPiece,
    PeerPiece,
    Piece,
    PortPiece,
    RelayPiece,
    RemoteFloodPiece,
    RouteTablePiece,
    StaticPiece,
    SubnetPiece,
    VpcPairPiece,
    VpcPiece,
)
from vpcctl.pipeline.residence import eip_facts, gateway_facts, global_facts

STATIC: tuple[Flow, ...] = (
    *(*classify.STATIC, *tunnel_in.STATIC, *spoof_guard.STATIC, *nd_guard.STATIC),
    *(*arp_nd.STATIC, *guest_services.STATIC, *route.STATIC, *neighbour.STATIC, *respond.STATIC),
    *guest_address.STATIC,
    *(*switch.STATIC, *flood.STATIC, *output.STATIC, *drop_reasons.STATIC),
    *(*outside_in.STATIC, *nat_in.STATIC, *outside_guard.STATIC, *routes.STATIC),
    *(
        *gateway.STATIC,
        *nat_out.STATIC,
        *outside.STATIC,
        *subnet_acl.STATIC,
        *port_acl.STATIC,
        *connection.STATIC,
    ),
    *service.STATIC,
)
"""What every host has, whatever the network is."""


def compile_piece(net: Network, piece: Piece) -> tuple[Flow, ...]:
    """Return the flows of *piece*; none when what it is about is not there or not in service."""
    return _COMPILERS[type(piece)](net, piece)


def _static(net: Network, piece: StaticPiece) -> tuple[Flow, ...]:
    del net, piece
    return STATIC


def _base(net: Network, piece: BasePiece) -> tuple[Flow, ...]:
    host = net.hosts.get(piece.host_id)
    if host is None:
        return ()
    return (
        *classify.base(host),
        *guest_services.base(host),
        *guest_address.base(host),
        *respond.base(host),
        *output.base(host),
    )


def _peer(net: Network, piece: PeerPiece) -> tuple[Flow, ...]:
    host = net.hosts.get(piece.host_id)
    if host is None or host.vtep is None or net.vteps.owner(host.vtep) is None:
        return ()
    return classify.peer(host)


def _subnet(net: Network, piece: SubnetPiece) -> tuple[Flow, ...]:
    live = net.live_subnet(piece.subnet_id)
    if live is None:
        return ()
    subnet, vpc = live
    return (
        *tunnel_in.subnet(subnet, vpc),
        *route.subnet(net, subnet, vpc),
        *neighbour.subnet(subnet),
        *flood.subnet(subnet),
        *subnet_acl.subnet(net, subnet, vpc),
    )


def _port(net: Network, piece: PortPiece) -> tuple[Flow, ...]:
    facts = port_facts(net, piece.port_id)
    if facts is None:
        return ()
    return (*switch.port(net, facts), *neighbour.port(net, facts))


def _pair(net: Network, piece: PairPiece) -> tuple[Flow, ...]:
    return tuple(pairs.address(net, piece.subnet_id, piece.ip))


def _pair_mac(net: Network, piece: PairMacPiece) -> tuple[Flow, ...]:
    return tuple(pairs.mac(net, piece.subnet_id, piece.mac))


def _remote_flood(net: Network, piece: RemoteFloodPiece) -> tuple[Flow, ...]:
    live = net.live_subnet(piece.subnet_id)
    if live is None:
        return ()
    vteps = [
        host.vtep
        for host_id, port_ids in net.segment(piece.subnet_id).placed.items()
        if (host := net.hosts.get(host_id)) is not None
        and host.vtep is not None
        and flood.shard_of(host.key) == piece.shard
        and any(net.located(port_id) is not None for port_id in port_ids)
    ]
    return tuple(flood.remote(live[0], piece.shard, vteps))


def _local_flood(net: Network, piece: LocalFloodPiece) -> tuple[Flow, ...]:
    live = net.live_subnet(piece.subnet_id)
    if live is None:
        return ()
    here = net.segment(piece.subnet_id).placed.get(piece.host_id)
    if here is None:
        return ()
    if piece.level:
        numbers = here.below(piece.level, piece.number)
        return tuple(flood.branch(live[0], piece.level, piece.number, numbers))
    served = [one for one in here.leaf(piece.number) if net.located(one) is not None]
    keys = [net.ports[port_id].key for port_id in served]
    return tuple(flood.local(live[0], piece.number, keys))


def _edge(net: Network, piece: EdgePiece) -> tuple[Flow, ...]:
    location = net.locations.get(piece.port_id)
    if location is None or location.host_id != piece.host_id:
        return ()
    facts = port_facts(net, piece.port_id)
    if facts is None:
        return _cut_off(net, piece)
    return (
        *classify.edge(facts),
        *spoof_guard.edge(facts),
        *nd_guard.edge(facts),
        *arp_nd.edge(facts),
        *guest_address.edge(facts),
        *guest_services.edge(facts),
        *output.edge(facts),
        *port_acl.edge(net, facts),
    )


def _cut_off(net: Network, piece: EdgePiece) -> tuple[Flow, ...]:
    """Return the flow that counts what a port sends that is administratively down."""
    port, location = net.ports.get(piece.port_id), net.locations[piece.port_id]
    if port is None or port.admin_up:
        return ()
    if net.ofports[location.host_id].owner(location.ofport) is None:
        return ()
    return (classify.cut_off(location.ofport, cookie(Feature.EDGE, port.key)),)


def _group(net: Network, piece: GroupPiece) -> tuple[Flow, ...]:
    there = net.groups.get(piece.group_id)
    found = None if there is None else net.live_group(there.id, there.vpc_id)
    return () if found is None else tuple(service.group(net, found))


def _member(net: Network, piece: MemberPiece) -> tuple[Flow, ...]:
    return tuple(members.block(net, piece.vpc_id, piece.block))


def _on_link_member(net: Network, piece: OnLinkMemberPiece) -> tuple[Flow, ...]:
    return tuple(members.on_link(net, piece.subnet_id, piece.ip))


def _acl(net: Network, piece: AclPiece) -> tuple[Flow, ...]:
    there = net.acls.get(piece.acl_id)
    found = None if there is None else net.live_acl(there.id, there.vpc_id)
    return () if found is None else tuple(subnet_acl.acl(found))


def _vpc(net: Network, piece: VpcPiece) -> tuple[Flow, ...]:
    found = net.vpcs.get(piece.vpc_id)
    if found is None or net.vpc_keys.owner(found.key) is None:
        return ()
    return (*route.vpc(found), *outside_guard.vpc(found))


def _vpc_pair(net: Network, piece: VpcPairPiece) -> tuple[Flow, ...]:
    return tuple(outside_guard.pair(net, piece.vpc_id, piece.ip))


def _route_table(net: Network, piece: RouteTablePiece) -> tuple[Flow, ...]:
    there = net.outside.tables.get(piece.table_id)
    found = None if there is None else net.outside.live_table(there.id, there.vpc_id)
    return () if found is None else tuple(routes.table(net, found))


def _gateway(net: Network, piece: GatewayPiece) -> tuple[Flow, ...]:
    host, facts = net.hosts.get(piece.host_id), gateway_facts(net, piece.gateway_id)
    if host is None or facts is None:
        return ()
    flows = (*gateway.gateway(net, facts, host), *sizes.gateway(facts, host))
    if isinstance(facts.gateway, NatGateway) and host in facts.hosts:
        inwards, outwards = nat_in.gateway(facts, facts.gateway), nat_out.gateway
        shared = handing_on.gateway(net, facts, facts.gateway, host)
        return (*flows, *inwards, *outwards(net, facts, facts.gateway), *shared)
    return flows


def _eip(net: Network, piece: EipPiece) -> tuple[Flow, ...]:
    facts = eip_facts(net, piece.host_id, piece.eip_id)
    if facts is None:
        return ()
    modules = (classify, outside_in, sizes, gateway, nat_out, outside, handing_on)
    return tuple(flow for module in modules for flow in module.eip(facts))


def _global(net: Network, piece: GlobalPiece) -> tuple[Flow, ...]:
    facts = global_facts(net, piece.host_id, piece.port_id)
    if facts is None:
        return ()
    modules = (classify, outside_in, sizes, gateway, outside)
    return tuple(flow for module in modules for flow in module.global_ips(facts))


def _outside(net: Network, piece: OutsidePiece) -> tuple[Flow, ...]:
    host, network = net.hosts.get(piece.host_id), net.outside.live_network(piece.network_id)
    ofport = None if host is None else outside_ofport(host, piece.network_id)
    if network is None or ofport is None:
        return ()
    shared = (*outside_in.network(network), *sizes.network(network), *outside.network(network))
    return (classify.outside(network, ofport), *shared)


def _relay(net: Network, piece: RelayPiece) -> tuple[Flow, ...]:
    vpc, one = net.vpcs.get(piece.vpc_id), net.relays.get(relay_id(piece.host_id, piece.vpc_id))
    if vpc is None or one is None or one.closing or net.vpc_keys.owner(vpc.key) is None:
        return ()
    vtep = net.vtep_of(one.via_id)
    return () if vtep is None else relay.hand_over(vpc, vtep)


def _admit(net: Network, piece: AdmitPiece) -> tuple[Flow, ...]:
    one = net.relays.get(relay_id(piece.host_id, piece.vpc_id))
    vtep = net.vtep_of(piece.host_id)
    if one is None or one.via_id != piece.via_id or vtep is None:
        return ()
    live = [net.live_subnet(subnet_id) for subnet_id in net.subnets_of.get(piece.vpc_id, ())]
    return tuple(relay.take_over(*pair, vtep) for pair in live if pair is not None)


_COMPILERS: dict[type, Callable[[Network, Piece], tuple[Flow, ...]]] = {
    StaticPiece: _static,  # type: ignore[dict-item]
    BasePiece: _base,
    PeerPiece: _peer,
    SubnetPiece: _subnet,
    PortPiece: _port,
    PairPiece: _pair,
    PairMacPiece: _pair_mac,
    RemoteFloodPiece: _remote_flood,
    LocalFloodPiece: _local_flood,
    EdgePiece: _edge,
    GroupPiece: _group,
    MemberPiece: _member,
    OnLinkMemberPiece: _on_link_member,
    AclPiece: _acl,
    VpcPiece: _vpc,
    VpcPairPiece: _vpc_pair,
    RouteTablePiece: _route_table,
    GatewayPiece: _gateway,
    EipPiece: _eip,
    GlobalPiece: _global,
    OutsidePiece: _outside,
    RelayPiece: _relay,
    AdmitPiece: _admit,
}
