"""The EIPs of NAT gateways: taken from what the tenant has, given back when they leave."""

from collections.abc import Sequence
from typing import Any

from vpcctl.model.problems import Blocker, Conflict, Invalid
from vpcctl.services import eip_hosts, forwards, rules
from vpcctl.services.attachments import touch_hosts
from vpcctl.services.context import changed, refuse_blocked
from vpcctl.store import gateways, nat_gateways
from vpcctl.store.eips import EIPS
from vpcctl.store.tables import EipRow, NatGatewayRow
from vpcctl.store.units import Unit

MOST_EIPS = 8
"""EIPs of one NAT gateway; connections are shared among them by their source."""


def parse(eip_ids: Sequence[str]) -> tuple[str, ...]:
    """Return the EIPs that a gateway is to have.

    Raises:
        Invalid: there are none, too many, or one twice.
    """
    if not 1 <= len(eip_ids) <= MOST_EIPS:
        raise Invalid(
            f"There are {len(eip_ids)} EIPs.",
            field="eip_ids",
            accepted=f"ids of 1 to {MOST_EIPS} EIPs, eip-…",
        )
    for place, id in enumerate(eip_ids):
        if id in eip_ids[:place]:
            raise Invalid(
                f"{rules.printable(id)} is named twice.",
                field=f"eip_ids.{place}",
                accepted="each EIP once",
            )
    return tuple(eip_ids)


def take(unit: Unit, gateway: NatGatewayRow, wanted: Sequence[str]) -> None:
    """Give a gateway those of the EIPs that it has not.

    Raises:
        Problem: Invalid (no such EIP of the tenant and network), Conflict (in use).
    """
    for place, id in enumerate(wanted):
        row = _require(unit.connection, gateway, id, f"eip_ids.{place}")
        if row.nat_gateway_id != gateway.id:
            _write(unit, row, {"nat_gateway_id": gateway.id})
    touch_hosts(unit, *_hosts(unit, gateway))


def change(unit: Unit, gateway: NatGatewayRow, wanted: Sequence[str]) -> None:
    """Give a gateway these EIPs and no others.

    Raises:
        Problem: as of :func:`take`, and Conflict when one that leaves forwards ports.
    """
    present = nat_gateways.EIPS.one(unit.connection, gateway.id)
    leaving = [eip.id for eip in present if eip.id not in wanted]
    blockers = forwards.blockers_of_eips(unit.connection, gateway.id, leaving)
    refuse_blocked("Port forwards use an EIP that would leave", blockers)
    _give(unit, gateway, leaving)
    take(unit, gateway, wanted)


def give_all(unit: Unit, gateway: NatGatewayRow) -> None:
    """Give back all EIPs of a gateway; they stay the tenant's."""
    present = nat_gateways.EIPS.one(unit.connection, gateway.id)
    _give(unit, gateway, [eip.id for eip in present])


def _give(unit: Unit, gateway: NatGatewayRow, ids: Sequence[str]) -> None:
    order = _hosts(unit, gateway)
    for row in EIPS.get_many(unit.connection, ids).values():
        _write(unit, row, {"nat_gateway_id": None, **eip_hosts.left(unit, row, order)})
    touch_hosts(unit, *order)


def _hosts(unit: Unit, gateway: NatGatewayRow) -> list[str]:
    return gateways.HOST_IDS.one(unit.connection, gateway.id)


def _write(unit: Unit, row: EipRow, values: dict[str, Any]) -> None:
    seen = {"seen_revision": unit.revision}
    EIPS.update(unit.connection, row.id, {**values, **seen, **changed(unit)})
    unit.tell("eip", row.id, row.tenant_id, "changed")


def _require(connection: Any, gateway: NatGatewayRow, id: str, field: str) -> EipRow:
    row = EIPS.find(connection, id)
    if row is None or row.tenant_id != gateway.tenant_id:
        raise Invalid(
            f"There is no EIP {rules.printable(id)}.",
            field=field,
            accepted="the id of an EIP of the VPC's tenant, eip-…",
        )
    if row.external_network_id != gateway.external_network_id:
        raise Invalid(
            f"{row.address} is an address of {row.external_network_id}.",
            field=field,
            accepted=f"an EIP of {gateway.external_network_id}, the gateway's network",
        )
    user = row.port_id or row.nat_gateway_id
    if user not in (None, gateway.id):
        raise Conflict(
            f"{row.address} is in use by {user}.",
            field=field,
            accepted="an EIP that nothing uses",
            blockers=(Blocker(user.partition("-")[0], user, f"uses {row.address}"),),
        )
    return row
