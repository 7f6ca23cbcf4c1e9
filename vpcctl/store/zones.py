"""What makes up VPCs' private zones, in the database."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from vpcctl.store.rows import chunks
from vpcctl.store.tables import AddressRow, PortRow, PresenceRow, SubnetRow, VpcRow

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
_ON_HOST = tuple(
    select(row.vpc_id)
    .where(host == bindparam("host_id_"), row.vpc_id.in_(bindparam("ids", expanding=True)))
    .distinct()
    for row, host in ((PresenceRow, PresenceRow.host_id), (PortRow, PortRow.attach_host_id))
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


def named(connection: Connection, vpc_id: str) -> list[tuple[str, list[str]]]:
    """Return name and addresses of a VPC's ports, the oldest first."""
    found: dict[str, tuple[str, list[str]]] = {}
    for id, name, address in connection.execute(_NAMED, {"vpc_id_": vpc_id}):
        found.setdefault(id, (name, []))[1].append(address)
    return list(found.values())


def on_host(connection: Connection, host_id: str, vpc_ids: Iterable[str]) -> set[str]:
    """Return those of some VPCs of which a host has a guest."""
    return {
        id
        for part in chunks(vpc_ids)
        for one in _ON_HOST
        for id in connection.execute(one, {"host_id_": host_id, "ids": part}).scalars()
    }


def settings_of(connection: Connection, subnet_ids: Iterable[str]) -> dict[str, DnsSettings]:
    """Return what subnets' VPCs say of names, by subnet id."""
    found: dict[str, DnsSettings] = {}
    for part in chunks(subnet_ids):
        for row in connection.execute(_SETTINGS, {"ids": part}):
            known = DnsSettings(row.ipv6_cidr is not None, row.dns_enabled, row.dns_domain)
            found[row.id] = known
    return found
