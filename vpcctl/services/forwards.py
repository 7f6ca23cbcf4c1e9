"""Port forwards of NAT gateways: some ports of an EIP lead to a port's fixed address."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from vpcctl.model.addresses import IPAddress
from vpcctl.model.ids import new_id
from vpcctl.model.problems import Blocker, Conflict, Invalid
from vpcctl.services import rules, traffic, ways_back
from vpcctl.services.routing_views import ForwardView, ForwardWanted
from vpcctl.store import nat_gateways
from vpcctl.store.nat_gateways import EipOfNat, StoredForward
from vpcctl.store.tables import NatGatewayRow
from vpcctl.store.units import Unit

PROTOCOLS = {"tcp": 6, "udp": 17}
MOST_MOVED = 1_000
"""Ports of a range that become other ones: each is told apart on its own."""


@dataclass(frozen=True, slots=True)
class ParsedForward:
    """A port forward that is well formed."""

    eip_id: str | None
    protocol: int
    ports: tuple[int, int]
    address: IPAddress
    target_port: int
    description: str


def parse(wanted: ForwardWanted) -> ParsedForward:
    """Return a port forward that is well formed.

    Raises:
        Invalid: naming the field.
    """
    protocol = PROTOCOLS.get(wanted.protocol)
    if protocol is None:
        raise Invalid(
            f"{rules.printable(wanted.protocol)} cannot be forwarded.",
            field="protocol",
            accepted="tcp or udp",
        )
    ports = traffic.parse_ports("ports", wanted.ports)
    if ports is None or ports[0] == 0:
        raise Invalid("Port 0 is none.", field="ports", accepted="ports from 1 to 65535")
    address = rules.address("address", wanted.address)
    if address.version != 4:
        raise Invalid(
            f"{address} is no IPv4 address.", field="address", accepted="an IPv4 address of a port"
        )
    target = ports[0] if wanted.target_port is None else wanted.target_port
    _require_target_port(ports, target)
    text = rules.description(wanted.description)
    return ParsedForward(wanted.eip_id, protocol, ports, address, target, text)


def _require_target_port(ports: tuple[int, int], target: int) -> None:
    count = ports[1] - ports[0] + 1
    if not 1 <= target <= traffic.LARGEST_PORT - count + 1:
        raise Invalid(
            f"{count} ports from {target} on are not all from 1 to {traffic.LARGEST_PORT}.",
            field="target_port",
            accepted=f"1 to {traffic.LARGEST_PORT - count + 1}, or null for the same ports",
        )
    if target != ports[0] and count > MOST_MOVED:
        raise Invalid(
            f"{count} ports would become other ones.",
            field="target_port",
            accepted=f"null for the same ports, or a range of at most {MOST_MOVED}",
        )


def add(unit: Unit, gateway: NatGatewayRow, wanted: ParsedForward) -> str:
    """Add a port forward to a gateway; return its id.

    Raises:
        Problem: Invalid (no such EIP or address), Conflict (ports are forwarded already).
    """
    eips = nat_gateways.EIPS.one(unit.connection, gateway.id)
    eip = _eip(eips, wanted.eip_id, gateway.id)
    port_id = nat_gateways.owner_of(unit.connection, gateway.vpc_id, str(wanted.address))
    if port_id is None:
        raise Invalid(
            f"No port of {gateway.vpc_id} has {wanted.address}.",
            field="address",
            accepted="a fixed address of a port of the gateway's VPC",
        )
    _refuse_overlap(nat_gateways.FORWARDS.one(unit.connection, gateway.id), eip, wanted)
    id = new_id("fwd")
    nat_gateways.add_forward(
        unit.connection,
        {
            "id": id,
            "nat_gateway_id": gateway.id,
            "eip_id": eip.id,
            "key": unit.revision,
            "protocol": wanted.protocol,
            "port_first": wanted.ports[0],
            "port_last": wanted.ports[1],
            "target": str(wanted.address),
            "target_port": wanted.target_port,
            "target_port_id": port_id,
            "description": wanted.description,
            "created_at": unit.now,
        },
    )
    return id


def _eip(eips: Sequence[EipOfNat], wanted: str | None, gateway_id: str) -> EipOfNat:
    says = "one of " + ", ".join(f"{eip.id} ({eip.address})" for eip in eips)
    if wanted is None:
        if len(eips) == 1:
            return eips[0]
        raise Invalid(f"{gateway_id} has {len(eips)} EIPs.", field="eip_id", accepted=says)
    for eip in eips:
        if eip.id == wanted:
            return eip
    raise Invalid(
        f"{rules.printable(wanted)} is no EIP of {gateway_id}.", field="eip_id", accepted=says
    )


def _refuse_overlap(present: Sequence[StoredForward], eip: EipOfNat, wanted: ParsedForward) -> None:
    first, last = wanted.ports
    for one in present:
        same = (one.eip_id, one.protocol) == (eip.id, wanted.protocol)
        if same and one.port_first <= last and first <= one.port_last:
            theirs = traffic.ports_text((one.port_first, one.port_last))
            raise Conflict(
                f"{one.id} forwards {traffic.protocol_text(one.protocol)} ports {theirs} of"
                f" {eip.address} already.",
                field="ports",
                accepted="ports that no other forward of the EIP has",
                blockers=(Blocker("fwd", one.id, f"forwards {theirs}"),),
            )


def blockers_of_eips(connection: Any, gateway_id: str, eip_ids: Sequence[str]) -> list[Blocker]:
    """Return the port forwards that keep EIPs from leaving a gateway."""
    return [
        Blocker("fwd", one.id, f"forwards ports of {one.eip_address}")
        for one in nat_gateways.FORWARDS.one(connection, gateway_id)
        if one.eip_id in eip_ids
    ]


def blockers_of(connection: Any, port_id: str, kept: Sequence[str] = ()) -> list[Blocker]:
    """Return the port forwards that lead to a port's addresses but for those *kept*."""
    return [
        Blocker("fwd", id, f"of {gateway_id} leads to {address}")
        for id, gateway_id, address in nat_gateways.forwards_to(connection, port_id)
        if address not in kept
    ]


def views(connection: Any, rows: Sequence[StoredForward]) -> tuple[ForwardView, ...]:
    """Return the port forwards of *rows*, and whether answers find the way back."""
    said = ways_back.warnings(
        connection, ((one.target_port_id, one.nat_gateway_id) for one in rows)
    )
    return tuple(_view(one, said.get((one.target_port_id, one.nat_gateway_id))) for one in rows)


def _view(row: StoredForward, warning: str | None) -> ForwardView:
    return ForwardView(
        row.id,
        row.eip_id,
        ip_address(row.eip_address),
        "tcp" if row.protocol == PROTOCOLS["tcp"] else "udp",
        (row.port_first, row.port_last),
        ip_address(row.target),
        row.target_port_id,
        (row.target_port, row.target_port + row.port_last - row.port_first),
        row.description,
        row.created_at,
        warning,
    )
