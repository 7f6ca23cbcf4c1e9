"""EIPs in the database."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import Any, cast

from sqlalchemy import Connection, bindparam, func, select

from vpcctl.store.rows import Repository, chunks
from vpcctl.store.tables import EipRow, LocationRow, PortRow

EIPS = Repository(
    EipRow,
    "eip",
    "key",
    {
        "name": lambda value: EipRow.name == value,
        "tenant_id": lambda value: EipRow.tenant_id == value,
        "external_network_id": lambda value: EipRow.external_network_id == value,
        "address": lambda value: EipRow.address == str(ip_address(value)),
        "port_id": lambda value: EipRow.port_id == value,
        "vpc_id": lambda value: EipRow.vpc_id == value,
        "nat_gateway_id": lambda value: EipRow.nat_gateway_id == value,
    },
)

_EIPS = select(EipRow.__table__)
_OF_PORTS = _EIPS.where(EipRow.port_id.in_(bindparam("ids", expanding=True)))
_OF_NATS = _EIPS.where(EipRow.nat_gateway_id.in_(bindparam("ids", expanding=True)))
_WITH_FIXED_IP = _EIPS.where(
    EipRow.subnet_id == bindparam("subnet_id_"), EipRow.fixed_ip == bindparam("fixed_ip_")
)
_WITH_ADDRESS = _EIPS.where(
    EipRow.external_network_id == bindparam("network_id_"),
    EipRow.address == bindparam("address_"),
)
_COUNTS = (
    select(EipRow.external_network_id, func.count())
    .where(EipRow.external_network_id.in_(bindparam("ids", expanding=True)))
    .group_by(EipRow.external_network_id)
)
_IN_NETWORK = select(EipRow.id, EipRow.address).where(
    EipRow.external_network_id == bindparam("network_id_")
)
_PLACED = (
    select(
        *EipRow.__table__.c,
        PortRow.key.label("port_key"),
        LocationRow.host_id,
        LocationRow.revision.label("placed"),
    )
    .join(PortRow, PortRow.id == EipRow.port_id)
    .join(LocationRow, LocationRow.port_id == EipRow.port_id)
)
_ON_HOST = _PLACED.where(LocationRow.host_id == bindparam("host_id_")).order_by(EipRow.id)
_IN_VPC = _PLACED.where(
    EipRow.vpc_id == bindparam("vpc_id_"),
    EipRow.external_network_id == bindparam("network_id_"),
).order_by(EipRow.id)


def of_ports(connection: Connection, port_ids: Iterable[str]) -> list[EipRow]:
    """Return the EIPs of these ports."""
    return _all(connection, _OF_PORTS, port_ids)


def of_nat_gateways(connection: Connection, gateway_ids: Iterable[str]) -> list[EipRow]:
    """Return the EIPs of these NAT gateways."""
    return _all(connection, _OF_NATS, gateway_ids)


def _all(connection: Connection, statement: Any, ids: Iterable[str]) -> list[EipRow]:
    found: list[EipRow] = []
    for part in chunks(ids):
        found.extend(cast(Any, connection.execute(statement, {"ids": part}).all()))
    return found


def with_fixed_ip(connection: Connection, subnet_id: str, fixed_ip: str) -> EipRow | None:
    """Return the EIP that is translated to a fixed address, or None."""
    keys = {"subnet_id_": subnet_id, "fixed_ip_": fixed_ip}
    return cast("EipRow | None", connection.execute(_WITH_FIXED_IP, keys).one_or_none())


def with_address(connection: Connection, network_id: str, address: str) -> EipRow | None:
    """Return the EIP that is an address of a network, or None."""
    keys = {"network_id_": network_id, "address_": address}
    return cast("EipRow | None", connection.execute(_WITH_ADDRESS, keys).one_or_none())


def counts(connection: Connection, network_ids: Iterable[str]) -> dict[str, int]:
    """Return how many EIPs these networks have; those without any are missing."""
    found: dict[str, int] = {}
    for part in chunks(network_ids):
        found.update((row[0], row[1]) for row in connection.execute(_COUNTS, {"ids": part}))
    return found


def addresses_in(connection: Connection, network_id: str) -> Sequence[tuple[str, str]]:
    """Return id and address of every EIP of a network."""
    rows = connection.execute(_IN_NETWORK.order_by(EipRow.key), {"network_id_": network_id})
    return [(row.id, row.address) for row in rows]


def ids_in_vpc(
    connection: Connection, vpc_id: str, network_id: str | None, limit: int
) -> Sequence[str]:
    """Return ids of at most *limit* EIPs of a VPC's ports, of one network or of any."""
    statement = select(EipRow.id).where(EipRow.vpc_id == vpc_id)
    if network_id is not None:
        statement = statement.where(EipRow.external_network_id == network_id)
    return connection.execute(statement.order_by(EipRow.key).limit(limit)).scalars().all()


def on_host(connection: Connection, host_id: str) -> Sequence[Any]:
    """Return the EIPs of ports on a host.

    Each row has ``port_key``, ``host_id`` and ``placed`` beside: since when the port is there.
    """
    return connection.execute(_ON_HOST, {"host_id_": host_id}).all()


def placed_in(connection: Connection, vpc_id: str, network_id: str) -> Sequence[Any]:
    """Return the EIPs of a VPC and a network whose ports are somewhere, as :func:`on_host` does."""
    keys = {"vpc_id_": vpc_id, "network_id_": network_id}
    return connection.execute(_IN_VPC, keys).all()
