"""What makes up VPCs' private zones, in the database."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from vpcctl.store.rows import chunks
from vpcctl.store.tables import (
    AddressRow,
    ChangeRow,
    LedgerRow,
    LocationRow,
    PortRow,
    SubnetRow,
    VpcRow,
)

_MOVE = (
    update(VpcRow)
    .where(VpcRow.id == bindparam("vpc_id_"))
    .values(names_revision=bindparam("revision_"))
)
_SINCE = select(VpcRow.id, VpcRow.names_revision).where(VpcRow.names_revision > bindparam("after"))
_NAMED = (
    select(PortRow.id, PortRow.name, AddressRow.address)
    .join(AddressRow, AddressRow.port_id == PortRow.id)
    .where(PortRow.vpc_id == bindparam("vpc_id_"))
    .order_by(PortRow.key, AddressRow.place)
)
_SOME_NAMED = _NAMED.where(PortRow.id.in_(bindparam("ids", expanding=True)))
_PRUNED = select(LedgerRow.pruned)
_TOUCHED = (
    select(ChangeRow.kind, ChangeRow.resource_id)
    .where(ChangeRow.tenant_id == bindparam("tenant_id_"), ChangeRow.revision > bindparam("after"))
    .where(ChangeRow.kind.in_(("port", "rec", "vpc")))
    .limit(bindparam("most"))
)
_ATTACHED = select(PortRow.id).where(
    PortRow.attach_host_id == bindparam("host_id_"), PortRow.vpc_id == bindparam("vpc_id_")
)
_LOCATED = select(LocationRow.port_id).where(
    LocationRow.host_id == bindparam("host_id_"), LocationRow.vpc_id == bindparam("vpc_id_")
)
_SETTINGS = (
    select(SubnetRow.id, SubnetRow.ipv6_cidr, VpcRow.dns_enabled, VpcRow.dns_domain)
    .join(VpcRow, VpcRow.id == SubnetRow.vpc_id)
    .where(SubnetRow.id.in_(bindparam("ids", expanding=True)))
)


class DnsSettings(NamedTuple):
    """What a subnet's VPC says of names."""

    has_ipv6: bool
    enabled: bool
    domain: str


def move(connection: Connection, vpc_id: str, revision: int) -> None:
    """Note that what guests of a VPC are told of its names is another one from *revision* on."""
    connection.execute(_MOVE, {"vpc_id_": vpc_id, "revision_": revision})


def revisions(connection: Connection, after: int) -> dict[str, int]:
    """Return the revisions of all zones that changed after revision *after*, by VPC."""
    rows = connection.execute(_SINCE, {"after": after})
    return {row.id: row.names_revision for row in rows}


def named(connection: Connection, vpc_id: str) -> dict[str, tuple[str, list[str]]]:
    """Return name and addresses of a VPC's ports by id, the oldest first."""
    return _by_id(connection.execute(_NAMED, {"vpc_id_": vpc_id}))


def some_named(
    connection: Connection, vpc_id: str, ids: Iterable[str]
) -> dict[str, tuple[str, list[str]]]:
    """Return the same of those of some ports that are the VPC's."""
    found: dict[str, tuple[str, list[str]]] = {}
    for part in chunks(ids):
        found |= _by_id(connection.execute(_SOME_NAMED, {"vpc_id_": vpc_id, "ids": part}))
    return found


def _by_id(rows: Iterable[Any]) -> dict[str, tuple[str, list[str]]]:
    found: dict[str, tuple[str, list[str]]] = {}
    for id, name, address in rows:
        found.setdefault(id, (name, []))[1].append(address)
    return found


def touched(
    connection: Connection, tenant_id: str, after: int, most: int
) -> set[tuple[str, str]] | None:
    """Return (kind, id) of a tenant's ports, DNS records and VPCs that changed after a revision.

    Returns:
        None when that is not known any more, or are more than *most* changes.
    """
    if after < connection.execute(_PRUNED).scalar_one():
        return None
    asked = {"tenant_id_": tenant_id, "after": after, "most": most + 1}
    rows = connection.execute(_TOUCHED, asked).all()
    return None if len(rows) > most else {(row.kind, row.resource_id) for row in rows}


def is_on(connection: Connection, vpc_id: str, host_id: str) -> bool:
    """Tell whether a host has a guest of a VPC."""
    keys = {"host_id_": host_id, "vpc_id_": vpc_id}
    return any(
        connection.execute(one.limit(1), keys).first() is not None for one in (_LOCATED, _ATTACHED)
    )


def settings_of(connection: Connection, subnet_ids: Iterable[str]) -> dict[str, DnsSettings]:
    """Return what subnets' VPCs say of names, by subnet id."""
    found: dict[str, DnsSettings] = {}
    for part in chunks(subnet_ids):
        for row in connection.execute(_SETTINGS, {"ids": part}):
            known = DnsSettings(row.ipv6_cidr is not None, row.dns_enabled, row.dns_domain)
            found[row.id] = known
    return found
