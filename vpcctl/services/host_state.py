"""Host state: everything one host has to do, composed from the database."""

from ipaddress import ip_address, ip_network
from typing import Any

from vpcctl.model.addresses import format_mac
from vpcctl.services import handovers, outside_state
from vpcctl.services.guests import guest_subnets, guests
from vpcctl.services.settings import ServiceSettings
from vpcctl.store import hosts, locations, models, ports
from vpcctl.store.ports import Attached
from vpcctl.store.tables import HostRow
from vpcctl.wire.state import Attachment, HostState, InterfaceAddress, Peer, Settings


def compose(connection: Any, row: HostRow, settings: ServiceSettings) -> HostState:
    """Return the state of the host of *row*: a few statements, however many ports it has."""
    wanted = [one for one in ports.attached(connection, row.id) if one.interface is not None]
    found = ports.guests(connection, row.id)
    addresses = ports.ADDRESSES.of(connection, [one.id for one in found])
    underlays = hosts.underlays(connection)
    size = min((one.inner_mtu for one in underlays if one.inner_mtu), default=hosts.DEFAULT_MTU)
    return HostState(
        revision=row.state_revision,
        host_id=row.id,
        name=row.name,
        dpid=models.dpid(row.key),
        openflow_targets=settings.openflow_targets,
        settings=Settings(
            report_interval_s=settings.report_interval_s, dns_forwarders=settings.dns_forwarders
        ),
        availability_zone=row.availability_zone,
        attachments=tuple(_attachment(one, addresses.get(one.id, []), size) for one in wanted),
        peers=tuple(
            Peer(host_id=one.host_id, vtep_address=one.vtep)
            for one in underlays
            if one.vtep is not None and one.host_id != row.id
        ),
        guests=guests(connection, found, addresses),
        guest_subnets=guest_subnets(connection, {one.subnet_id for one in found}, size),
        released=tuple(locations.released(connection, row.id)),
        handed_over=handovers.of_host(connection, row.id),
        external_networks=outside_state.networks(connection, size),
        outside_addresses=outside_state.addresses(connection, row),
        watched=outside_state.watched(connection, row),
        nat_gateways=outside_state.nat_gateways(connection, row),
    )


def _attachment(one: Attached, addresses: list[str], size: int) -> Attachment:
    namespace = one.kind == "namespace"
    return Attachment(
        port_id=one.id,
        kind="namespace" if namespace else "interface",
        interface=one.interface or "",
        netns=one.netns if namespace else None,
        mac=format_mac(one.mac),
        addresses=tuple(_address(one, text) for text in addresses),
        mtu=size,
        admin_up=one.admin_up,
    )


def _address(one: Attached, text: str) -> InterfaceAddress:
    four = ip_address(text).version == 4
    block = one.cidr if four else (one.ipv6_cidr or f"{text}/128")
    gateway = one.gateway if four else one.ipv6_gateway
    return InterfaceAddress(
        address=text, prefix_length=ip_network(block).prefixlen, gateway=gateway
    )
