"""What a host's agent needs to know of the world outside, composed from the database."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, cast

from vpcctl.flows.cookie import Feature, cookie
from vpcctl.model.addresses import format_mac
from vpcctl.model.eip import outside_mac
from vpcctl.model.gateway import NAT_ZONES
from vpcctl.store import eips, gateways, hosts, locations, outside_models, routed
from vpcctl.store import nat_gateways as nat_store
from vpcctl.store.external_networks import EXTERNAL_NETWORKS
from vpcctl.store.gateways import GatewayOf
from vpcctl.store.nat_gateways import StoredForward
from vpcctl.store.routed import RoutedAddress
from vpcctl.store.tables import HostRow
from vpcctl.wire.state import (
    ExternalNetworkState,
    NatForward,
    NatGatewayState,
    OutsideAddress,
    Watched,
)


def networks(connection: Any, size: int) -> tuple[ExternalNetworkState, ...]:
    """Return all external networks; *size* is the MTU of ports."""
    rows = sorted(EXTERNAL_NETWORKS.all(connection), key=lambda row: row.id)
    return tuple(
        ExternalNetworkState(
            network_id=row.id,
            key=row.key,
            provider=row.provider,
            vlan=row.vlan or None,
            cidr=row.cidr,
            gateway=row.gateway,
            ipv6_cidr=row.ipv6_cidr,
            ipv6_gateway=row.ipv6_gateway,
            mtu=row.mtu,
            port_mtu=size,
        )
        for row in rows
    )


def addresses(connection: Any, row: HostRow) -> tuple[OutsideAddress, ...]:
    """Return the addresses that a host answers for, or may have to."""
    mine = frozenset(one[0] for one in hosts.accepted(row.outside))
    if not mine:
        return ()
    found = [*_resident(connection, row.id, mine), *_carried(connection, row.id, mine)]
    return tuple(sorted(found, key=lambda one: (one.network_id, one.address)))


def _resident(connection: Any, host_id: str, mine: frozenset[str]) -> Iterable[OutsideAddress]:
    """Yield the addresses of ports on a host that reaches their external networks itself."""
    for one in eips.on_host(connection, host_id):
        if one.external_network_id in mine:
            yield _of_eip(one, max(one.revision, one.placed))
    for one in routed.on_host(connection, host_id):
        if one.network_id in mine:
            yield _of_port(one)


def _carried(connection: Any, host_id: str, mine: frozenset[str]) -> Iterable[OutsideAddress]:
    """Yield the addresses that a host answers for as a gateway host."""
    carried = [
        one
        for one in gateways.with_ids(connection, gateways.ids_on_host(connection, host_id))
        if one.network_id in mine
    ]
    if not carried:
        return
    standing = gateways.HOST_IDS.of(connection, [one.id for one in carried])
    reach = hosts.reach(connection)
    for gateway in carried:
        order = tuple(standing[gateway.id])
        if gateway.kind == "nat":
            for eip in eips.of_nat_gateways(connection, [gateway.id]):
                yield _of_eip(eip, max(eip.revision, gateway.revision), order)
            continue
        for one in eips.placed_in(connection, gateway.vpc_id, gateway.network_id):
            if gateway.network_id not in reach.get(one.host_id, ()):
                yield _of_eip(one, max(one.revision, one.placed), order)
        for six in routed.in_vpc(connection, gateway.vpc_id):
            elsewhere = gateway.network_id not in reach.get(six.host_id, ())
            if six.gateway_id == gateway.id and elsewhere:
                yield _of_port(six, order)


def _of_eip(row: Any, seed: int, order: Sequence[str] = ()) -> OutsideAddress:
    eip = outside_models.eip(row)
    return OutsideAddress(
        address=str(eip.address),
        mac=format_mac(eip.mac),
        network_id=eip.external_network_id,
        fixed_address=None if eip.fixed_ip is None else str(eip.fixed_ip),
        port_key=None if row.port_id is None else row.port_key,
        hosts=tuple(order),
        seed=seed,
    )


def _of_port(one: RoutedAddress, order: Sequence[str] = ()) -> OutsideAddress:
    return OutsideAddress(
        address=one.address,
        mac=format_mac(outside_mac(one.port_key)),
        network_id=one.network_id,
        port_key=one.port_key,
        hosts=tuple(order),
        seed=one.placed,
    )


def nat_gateways(connection: Any, row: HostRow) -> tuple[NatGatewayState, ...]:
    """Return the NAT gateways that a host stands for."""
    ids = gateways.ids_on_host(connection, row.id)
    if not ids:
        return ()
    standing = gateways.HOST_IDS.of(connection, ids)
    eips_of = nat_store.EIPS.of(connection, ids)
    forwards_of = nat_store.FORWARDS.of(connection, ids)
    found = gateways.NAT_GATEWAYS.get_many(connection, ids)
    return tuple(
        NatGatewayState(
            gateway_id=id,
            vpc_id=found[id].vpc_id,
            zone=NAT_ZONES | found[id].key,
            addresses=tuple(eip.address for eip in eips_of.get(id, ())),
            forwards=_forwards(forwards_of.get(id, ())),
            hosts=tuple(standing[id]),
            exhausted_cookie=cookie(Feature.EXHAUSTED, found[id].vni),
        )
        for id in sorted(found)
    )


def _forwards(rows: Iterable[StoredForward]) -> tuple[NatForward, ...]:
    found = [
        NatForward(
            address=one.eip_address,
            protocol=cast(Literal[6, 17], one.protocol),
            first=one.port_first,
            last=one.port_last,
            target=one.target,
            target_port=one.target_port,
        )
        for one in rows
    ]
    return tuple(sorted(found, key=lambda one: (one.address, one.protocol, one.first)))


def watched(connection: Any, row: HostRow) -> tuple[Watched, ...]:
    """Return the hosts that a host watches: its VPCs' gateway hosts, and for whom it is one."""
    found = {one.id: one for one in gateways.around(connection, row.id)}
    if not found:
        return ()
    standing = gateways.HOST_IDS.of(connection, found)
    reach = hosts.reach(connection)
    wanted: set[str] = set()
    for gateway in found.values():
        wanted |= _watched_for(connection, gateway, standing.get(gateway.id, ()), row.id, reach)
    return tuple(
        Watched(host_id=id, vtep_address=vtep)
        for id, vtep in hosts.vteps(connection)
        if id in wanted and id != row.id
    )


def _watched_for(
    connection: Any,
    gateway: GatewayOf,
    order: Sequence[str],
    host_id: str,
    reach: dict[str, frozenset[str]],
) -> set[str]:
    """Return whom a host watches for one gateway.

    Whoever reaches the external network of an internet gateway itself has no need of its hosts.
    """

    def needs(id: str) -> bool:
        return gateway.kind == "nat" or gateway.network_id not in reach.get(id, ())

    if host_id not in order:
        return set(order) if needs(host_id) else set()
    users = {id for id in locations.hosts_of_vpc(connection, gateway.vpc_id) if needs(id)}
    return {*order, *users}
