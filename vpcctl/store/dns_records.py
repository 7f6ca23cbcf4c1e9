"""Tenants' records in the private zones of their VPCs, in the database."""

from collections.abc import Sequence

from sqlalchemy import Connection, Text, bindparam, cast, func, select

from vpcctl.store.rows import Repository
from vpcctl.store.tables import DnsRecordRow

DNS_RECORDS = Repository(
    DnsRecordRow,
    "rec",
    "key",
    {
        "name": lambda value: DnsRecordRow.name == value,
        "type": lambda value: DnsRecordRow.type == value,
        "vpc_id": lambda value: DnsRecordRow.vpc_id == value,
        "tenant_id": lambda value: DnsRecordRow.tenant_id == value,
    },
)

_TYPES = select(DnsRecordRow.id, DnsRecordRow.type).where(
    DnsRecordRow.vpc_id == bindparam("vpc_id_"), DnsRecordRow.name == bindparam("name_")
)
_OF_VPC = (
    select(DnsRecordRow.name, DnsRecordRow.type, DnsRecordRow.ttl, DnsRecordRow.content)
    .where(DnsRecordRow.vpc_id == bindparam("vpc_id_"))
    .order_by(DnsRecordRow.key)
)
_COUNT = (
    select(func.count())
    .select_from(DnsRecordRow)
    .where(DnsRecordRow.vpc_id == bindparam("vpc_id_"))
)
_CHARACTERS = select(
    func.coalesce(func.sum(func.length(cast(DnsRecordRow.content, Text))), 0)
).where(DnsRecordRow.vpc_id == bindparam("vpc_id_"))


def types_at(connection: Connection, vpc_id: str, name: str) -> dict[str, str]:
    """Return the types of a name's records, by the records' id."""
    rows = connection.execute(_TYPES, {"vpc_id_": vpc_id, "name_": name})
    return {row.id: row.type for row in rows}


def of_vpc(connection: Connection, vpc_id: str) -> Sequence[tuple[str, str, int, list[str]]]:
    """Return name, type, TTL and content of all records of a VPC, the oldest first."""
    rows = connection.execute(_OF_VPC, {"vpc_id_": vpc_id})
    return [(row.name, row.type, row.ttl, row.content) for row in rows]


def count(connection: Connection, vpc_id: str) -> int:
    """Return how many records a VPC has."""
    return connection.execute(_COUNT, {"vpc_id_": vpc_id}).scalar_one()


def characters(connection: Connection, vpc_id: str) -> int:
    """Return how many characters all values of a VPC's records have, as the database keeps them."""
    return connection.execute(_CHARACTERS, {"vpc_id_": vpc_id}).scalar_one()


def ids_in_vpc(connection: Connection, vpc_id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* records of the VPC, the oldest first."""
    statement = select(DnsRecordRow.id).where(DnsRecordRow.vpc_id == vpc_id)
    return connection.execute(statement.order_by(DnsRecordRow.key).limit(limit)).scalars().all()
