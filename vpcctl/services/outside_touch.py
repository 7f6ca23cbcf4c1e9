"""Whose state changes when ports move that the outside reaches, or that gateways carry."""

from collections.abc import Collection, Mapping
from typing import Any

from vpcctl.services import eip_hosts
from vpcctl.services.attachments import touch_hosts, touch_hosts_with
from vpcctl.store import eips, gateways, hosts, ports
from vpcctl.store.gateways import GatewayOf
from vpcctl.store.locations import Place
from vpcctl.store.tables import LocationRow
from vpcctl.store.units import Unit


def moved(
    unit: Unit,
    ports_by_id: Mapping[str, Any],
    before: Mapping[str, Place | LocationRow],
    after: Mapping[str, Place | None],
    toggled: Collection[tuple[str, str]],
) -> None:
    """Tell the hosts that answer for moved ports, and those that are watched or watch anew.

    Args:
        unit: the transaction.
        ports_by_id: rows of the ports that moved, by id.
        before: where they were.
        after: where they are now.
        toggled: VPC and host of each host that a VPC came to or left.
    """
    found = gateways.of_vpcs(unit.connection, {ports_by_id[id].vpc_id for id in after})
    if not found:
        return
    standing = gateways.HOST_IDS.of(unit.connection, [one.id for one in found])
    vpcs = {one.vpc_id for one in found}
    concerned = {host for vpc_id, host in toggled if vpc_id in vpcs}
    for vpc_id in {vpc_id for vpc_id, _ in toggled}:
        concerned |= _hosts(found, standing, vpc_id)
    for id in _exposed(unit, after):
        vpc_id = ports_by_id[id].vpc_id
        internet = [one for one in found if one.kind == "igw"]
        concerned |= _hosts(internet, standing, vpc_id)
        concerned |= {one.host_id for one in (before.get(id), after[id]) if one is not None}
    _remember(unit, before, after)
    touch_hosts(unit, *sorted(concerned), soon=True)


def _hosts(
    found: Collection[GatewayOf], standing: Mapping[str, Collection[str]], vpc_id: str
) -> set[str]:
    """Return the hosts of a VPC's gateways."""
    return {host for one in found if one.vpc_id == vpc_id for host in standing.get(one.id, ())}


def _exposed(unit: Unit, port_ids: Collection[str]) -> set[str]:
    """Return those of the ports that the outside may reach: by an EIP or an IPv6 address."""
    found = {one.port_id for one in eips.of_ports(unit.connection, port_ids) if one.port_id}
    for id, addresses in ports.ADDRESSES.of(unit.connection, port_ids).items():
        if any(":" in address for address in addresses):
            found.add(id)
    return found


def _remember(
    unit: Unit, before: Mapping[str, Place | LocationRow], after: Mapping[str, Place | None]
) -> None:
    """Remember where EIPs were answered for."""
    for row in eips.of_ports(unit.connection, after):
        old, new = before.get(row.port_id or ""), after[row.port_id or ""]
        if old is not None and (new is None or new.host_id != old.host_id):
            eip_hosts.note_left(unit, [row], [old.host_id])


def touch_vpc(unit: Unit, vpc_id: str) -> None:
    """Note that the state changed of all hosts that a VPC is on, and of its gateways' hosts."""
    touch_hosts_with(unit, hosts.of_vpc(vpc_id))
    found = gateways.of_vpcs(unit.connection, [vpc_id])
    standing = gateways.HOST_IDS.of(unit.connection, [one.id for one in found])
    touch_hosts(unit, *sorted(_hosts(found, standing, vpc_id)))


def touch_routed(unit: Unit, vpc_id: str) -> None:
    """Note that routes changed by which the outside may reach IPv6 addresses of a VPC."""
    if any(one.kind == "igw" for one in gateways.of_vpcs(unit.connection, [vpc_id])):
        touch_vpc(unit, vpc_id)


def touch_all(unit: Unit) -> None:
    """Note that the state of every host changed."""
    hosts.move_states_but(unit.connection, "", unit.revision)
    unit.wake("hoststate")
