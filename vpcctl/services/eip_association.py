"""What an EIP stands for: an address of a port, from one call to the next."""

from ipaddress import IPv4Address
from typing import Any

from vpcctl.model.problems import Blocker, Conflict, Invalid
from vpcctl.services import eip_hosts, rules
from vpcctl.services.attachments import touch_hosts
from vpcctl.services.outside_views import Association
from vpcctl.store import eips, gateways, ports
from vpcctl.store.eips import EIPS
from vpcctl.store.ports import PORTS
from vpcctl.store.tables import EipRow, PortRow
from vpcctl.store.units import Unit

NOTHING: dict[str, Any] = {"port_id": None, "subnet_id": None, "vpc_id": None, "fixed_ip": None}


def associate(unit: Unit, row: EipRow, wanted: Association) -> dict[str, Any]:
    """Return the columns that make an EIP stand for a port's address; tell the hosts.

    Raises:
        Problem: Invalid (no such port or address), Conflict (either is in use, or no way out).
    """
    port = _port(unit.connection, row, wanted.port_id)
    fixed_ip = _fixed_ip(unit.connection, port, wanted.fixed_ip)
    if (row.port_id, row.fixed_ip) == (port.id, fixed_ip):
        return {}
    _require_free(row, wanted)
    _require_alone(unit.connection, row, port, fixed_ip)
    _require_way_out(unit.connection, row, port)
    left = _leave(unit, row)
    now = {
        "port_id": port.id,
        "subnet_id": port.subnet_id,
        "vpc_id": port.vpc_id,
        "fixed_ip": fixed_ip,
    }
    return {**left, **now}


def disassociate(unit: Unit, row: EipRow) -> dict[str, Any]:
    """Return the columns that make an EIP stand for nothing; tell the hosts.

    Raises:
        Conflict: a NAT gateway uses it.
    """
    _refuse_nat(row)
    return {} if row.port_id is None else {**_leave(unit, row), **NOTHING}


def touch(unit: Unit, id: str) -> None:
    """Note that the state changed of the hosts that answer for an EIP, or tell its guest of it."""
    row = EIPS.get(unit.connection, id)
    if row is not None:
        touch_hosts(unit, *eip_hosts.answering(unit, row), _attached_to(unit.connection, row))


def _leave(unit: Unit, row: EipRow) -> dict[str, Any]:
    """Tell the hosts that answer for the EIP until now, and remember them.

    Their agents announce it no more, for which no packet waits; flows are on their way meanwhile.
    """
    before = eip_hosts.answering(unit, row)
    touch_hosts(unit, *before, _attached_to(unit.connection, row), soon=True)
    return eip_hosts.left(unit, row, before) if before else {}


def _attached_to(connection: Any, row: EipRow) -> str | None:
    """Return the host that an EIP's port is attached to: it tells the guest its public address.

    It may have to before the port is plugged there.
    """
    port = None if row.port_id is None else PORTS.find(connection, row.port_id)
    return None if port is None else port.attach_host_id


def _port(connection: Any, row: EipRow, id: str) -> PortRow:
    port = PORTS.find(connection, id)
    if port is None or port.tenant_id != row.tenant_id:
        raise Invalid(
            f"There is no port {rules.printable(id)}.",
            field="port_id",
            accepted="the id of a port of the EIP's tenant, port-…",
        )
    return port


def _fixed_ip(connection: Any, port: PortRow, asked: str | None) -> str:
    present = ports.ADDRESSES.one(connection, port.id)
    four = [text for text in present if ":" not in text]
    if asked is None:
        if four:
            return four[0]
        raise Invalid(
            f"{port.id} has no IPv4 address.",
            field="port_id",
            accepted="a port with an IPv4 address: IPv6 needs no EIP",
        )
    text = str(rules.address("fixed_ip", asked))
    if text not in four:
        raise Invalid(
            f"{text} is no IPv4 address of {port.id}.",
            field="fixed_ip",
            accepted=", ".join(four) or "none: the port has no IPv4 address",
        )
    return text


def _refuse_nat(row: EipRow) -> None:
    if row.nat_gateway_id is not None:
        raise Conflict(
            f"{row.address} is used by {row.nat_gateway_id}.",
            field="eip_id",
            accepted="an EIP that no NAT gateway uses",
            blockers=(Blocker("nat", row.nat_gateway_id, f"uses {row.address}"),),
        )


def _require_free(row: EipRow, wanted: Association) -> None:
    """Demand that the EIP stands for nothing, or is moved on purpose."""
    _refuse_nat(row)
    if row.port_id is not None and not wanted.move:
        raise Conflict(
            f"{row.address} stands for {row.fixed_ip} of {row.port_id}.",
            field="move",
            accepted="true, to take it from there",
            blockers=(Blocker("port", row.port_id, f"has {row.address}"),),
        )


def _require_alone(connection: Any, row: EipRow, port: PortRow, fixed_ip: str) -> None:
    """Demand that no other EIP stands for the address."""
    other = eips.with_fixed_ip(connection, port.subnet_id, fixed_ip)
    if other is not None and other.id != row.id:
        raise Conflict(
            f"{other.address} stands for {fixed_ip} of {port.id} already.",
            field="fixed_ip",
            accepted="an address of the port that no EIP stands for",
            blockers=(Blocker("eip", other.id, f"stands for {fixed_ip}"),),
        )


def _require_way_out(connection: Any, row: EipRow, port: PortRow) -> None:
    """Demand that the port's VPC leads to the EIP's network."""
    if gateways.internet_between(connection, port.vpc_id, row.external_network_id) is None:
        raise Conflict(
            f"{port.vpc_id} has no internet gateway to {row.external_network_id},"
            f" whose address {IPv4Address(row.address)} is.",
            field="port_id",
            accepted="a port of a VPC with an internet gateway to the EIP's external network",
        )
