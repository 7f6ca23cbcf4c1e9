"""NAT gateways' EIPs and port forwards in the database."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from vpcctl.store.rows import Counts, Lists, chunks
from vpcctl.store.tables import (
    AddressRow,
    EipRow,
    ForwardRow,
    LivenessRow,
    NatGatewayRow,
    SubnetRow,
)


class EipOfNat(NamedTuple):
    """An EIP that a NAT gateway uses."""

    id: str
    address: str


class StoredForward(NamedTuple):
    """A port forward, with the address of its EIP."""

    id: str
    nat_gateway_id: str
    eip_id: str
    eip_address: str
    protocol: int
    port_first: int
    port_last: int
    target: str
    target_port: int
    target_port_id: str
    description: str
    created_at: Any


class Counted(NamedTuple):
    """What a host has counted of a NAT gateway, as it reported it, and when it reported last."""

    counts: dict[str, Any]
    at: Any


_NOTE_COUNTS = (
    update(LivenessRow)
    .where(LivenessRow.host_id == bindparam("host_id_"))
    .values(nat=bindparam("nat_"))
)
_COUNTED = select(LivenessRow.nat).where(LivenessRow.nat.is_not(None))
_COUNTS_OF = select(LivenessRow.host_id, LivenessRow.nat, LivenessRow.last_report_at).where(
    LivenessRow.host_id.in_(bindparam("ids", expanding=True)), LivenessRow.nat.is_not(None)
)
EIPS: Lists[EipOfNat] = Lists(
    select(EipRow.nat_gateway_id, EipRow.id, EipRow.address).order_by(EipRow.key),
    EipRow.nat_gateway_id,
    lambda row: EipOfNat(row.id, row.address),
)
"""NAT gateways' EIPs, oldest first."""

FORWARDS: Lists[StoredForward] = Lists(
    select(
        ForwardRow.id,
        ForwardRow.nat_gateway_id,
        ForwardRow.eip_id,
        EipRow.address,
        ForwardRow.protocol,
        ForwardRow.port_first,
        ForwardRow.port_last,
        ForwardRow.target,
        ForwardRow.target_port,
        ForwardRow.target_port_id,
        ForwardRow.description,
        ForwardRow.created_at,
    )
    .join(EipRow, EipRow.id == ForwardRow.eip_id)
    .order_by(ForwardRow.key, ForwardRow.id),
    ForwardRow.nat_gateway_id,
    lambda row: StoredForward(*row),
)
"""NAT gateways' port forwards, oldest first."""

FORWARD_COUNTS = Counts(ForwardRow.nat_gateway_id)
_TO_PORT = (
    select(ForwardRow.id, ForwardRow.nat_gateway_id, ForwardRow.target)
    .where(ForwardRow.target_port_id == bindparam("port_id_"))
    .order_by(ForwardRow.key, ForwardRow.id)
)
_OWNER = (
    select(AddressRow.port_id)
    .join(SubnetRow, SubnetRow.id == AddressRow.subnet_id)
    .where(AddressRow.address == bindparam("address_"), SubnetRow.vpc_id == bindparam("vpc_id_"))
)
_ADD = insert(ForwardRow)
_DROP = delete(ForwardRow).where(
    ForwardRow.id == bindparam("id_"), ForwardRow.nat_gateway_id == bindparam("nat_gateway_id_")
)


def note_counts(connection: Connection, counts: Sequence[tuple[str, list[Any]]]) -> None:
    """Store what (host id, counts) says that hosts have counted, in the place of what they said."""
    rows = [{"host_id_": host_id, "nat_": found} for host_id, found in counts]
    if rows:
        connection.execute(_NOTE_COUNTS, rows)


def counted_ids(connection: Connection) -> list[str]:
    """Return the ids of the NAT gateways of which some host has counted something, sorted."""
    said = connection.execute(_COUNTED).scalars()
    return sorted({one["gateway_id"] for counts in said for one in counts})


def counts_of(connection: Connection, host_ids: Iterable[str]) -> dict[tuple[str, str], Counted]:
    """Return what these hosts have counted last, by (host id, gateway id)."""
    found: dict[tuple[str, str], Counted] = {}
    for part in chunks(host_ids):
        for row in connection.execute(_COUNTS_OF, {"ids": part}):
            for one in row.nat or ():
                found[row.host_id, one["gateway_id"]] = Counted(one, row.last_report_at)
    return found


def add_forward(connection: Connection, values: Mapping[str, Any]) -> None:
    """Add a port forward."""
    connection.execute(_ADD, dict(values))


def drop_forward(connection: Connection, nat_gateway_id: str, id: str) -> bool:
    """Remove a port forward of a NAT gateway; tell whether it was there."""
    keys = {"id_": id, "nat_gateway_id_": nat_gateway_id}
    return connection.execute(_DROP, keys).rowcount > 0


def drop_forwards(connection: Connection, nat_gateway_id: str) -> None:
    """Remove all port forwards of a NAT gateway."""
    connection.execute(delete(ForwardRow).where(ForwardRow.nat_gateway_id == nat_gateway_id))


def forwards_to(connection: Connection, port_id: str) -> list[tuple[str, str, str]]:
    """Return (id, NAT gateway id, address) of the port forwards that lead to a port."""
    return [(row[0], row[1], row[2]) for row in connection.execute(_TO_PORT, {"port_id_": port_id})]


def owner_of(connection: Connection, vpc_id: str, address: str) -> str | None:
    """Return the id of the port of a VPC that has a fixed address, or None."""
    keys = {"vpc_id_": vpc_id, "address_": address}
    return connection.execute(_OWNER, keys).scalar_one_or_none()


def ids_in_vpc(connection: Connection, vpc_id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* NAT gateways of the VPC, oldest first."""
    statement = select(NatGatewayRow.id).where(NatGatewayRow.vpc_id == vpc_id)
    return connection.execute(statement.order_by(NatGatewayRow.key).limit(limit)).scalars().all()
