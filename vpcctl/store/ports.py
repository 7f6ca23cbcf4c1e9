"""Ports and their addresses in the database."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, union_all

from vpcctl.model.addresses import IPAddress, parse_mac
from vpcctl.store.rows import Lists, Repository
from vpcctl.store.tables import AddressRow, LocationRow, MembershipRow, PortRow, SubnetRow


def _having_address(value: str) -> ColumnElement[bool]:
    owners = select(AddressRow.port_id).where(AddressRow.address == str(ip_address(value)))
    return PortRow.id.in_(owners)


def _located_on(value: str) -> ColumnElement[bool]:
    return PortRow.id.in_(select(LocationRow.port_id).where(LocationRow.host_id == value))


def _in_group(value: str) -> ColumnElement[bool]:
    members = select(MembershipRow.port_id).where(MembershipRow.group_id == value)
    return PortRow.id.in_(members)


def _boolean(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise ValueError("expected true or false")
    return value.lower() == "true"


PORTS = Repository(
    PortRow,
    "port",
    "key",
    {
        "name": lambda value: PortRow.name == value,
        "tenant_id": lambda value: PortRow.tenant_id == value,
        "vpc_id": lambda value: PortRow.vpc_id == value,
        "subnet_id": lambda value: PortRow.subnet_id == value,
        "mac_address": lambda value: PortRow.mac == parse_mac(value),
        "fixed_ip": _having_address,
        "host_id": _located_on,
        "security_group_id": _in_group,
        "admin_up": lambda value: PortRow.admin_up == _boolean(value),
        "port_security": lambda value: PortRow.port_security == _boolean(value),
    },
)

ADDRESSES: Lists[str] = Lists(
    select(AddressRow.port_id, AddressRow.address).order_by(AddressRow.port_id, AddressRow.place),
    AddressRow.port_id,
    lambda row: row.address,
)
"""Ports' addresses, in order."""

_ADD_ADDRESSES = insert(AddressRow)
_DROP_ADDRESSES = delete(AddressRow).where(AddressRow.port_id == bindparam("port_id_"))
_MAC_OWNER = select(PortRow.id).where(
    PortRow.subnet_id == bindparam("subnet_id_"), PortRow.mac == bindparam("mac_")
)
_PLUGGED = select(PortRow.id, PortRow.tenant_id, PortRow.attach_interface).where(
    PortRow.attach_host_id == bindparam("host_id_"), PortRow.attach_netns == bindparam("netns_")
)
_ATTACHED = (
    select(
        PortRow.id,
        PortRow.mac,
        PortRow.admin_up,
        PortRow.attach_kind,
        PortRow.attach_interface,
        PortRow.attach_netns,
        SubnetRow.cidr,
        SubnetRow.gateway,
        SubnetRow.ipv6_cidr,
        SubnetRow.ipv6_gateway,
    )
    .join(SubnetRow, SubnetRow.id == PortRow.subnet_id)
    .where(PortRow.attach_host_id == bindparam("host_id_"))
    .order_by(PortRow.id)
)


_GUEST = (
    PortRow.id,
    PortRow.key,
    PortRow.subnet_id,
    PortRow.mac,
    PortRow.name,
    PortRow.tags,
    PortRow.dhcp_options,
)
# Two halves that each have an index: those attached here, and those that are just here.
_GUESTS = union_all(
    select(*_GUEST).where(PortRow.attach_host_id == bindparam("host_id_")),
    select(*_GUEST)
    .join(LocationRow, LocationRow.port_id == PortRow.id)
    .where(
        LocationRow.host_id == bindparam("host_id_"),
        PortRow.attach_host_id.is_distinct_from(bindparam("host_id_")),
    ),
)


class GuestPort(NamedTuple):
    """A port that is attached to a host or located on it."""

    id: str
    key: int
    subnet_id: str
    mac: int
    name: str
    tags: dict[str, str]
    dhcp_options: dict[str, Any] | None


class Attached(NamedTuple):
    """A port that is attached to a host, with what its interface needs to know."""

    id: str
    mac: int
    admin_up: bool
    kind: str
    interface: str | None
    netns: str
    cidr: str
    gateway: str
    ipv6_cidr: str | None
    ipv6_gateway: str | None


def set_addresses(
    connection: Connection, port_id: str, subnet_id: str, addresses: Sequence[IPAddress]
) -> None:
    """Write the addresses of a port that has none."""
    rows = [
        {
            "subnet_id": subnet_id,
            "address": str(address),
            "port_id": port_id,
            "family": address.version,
            "place": place,
        }
        for place, address in enumerate(addresses)
    ]
    if rows:
        connection.execute(_ADD_ADDRESSES, rows)


def drop_addresses(connection: Connection, port_id: str) -> None:
    """Remove the addresses of a port."""
    connection.execute(_DROP_ADDRESSES, {"port_id_": port_id})


def owners_in_family(
    connection: Connection, subnet_id: str, family: int, limit: int
) -> Sequence[str]:
    """Return ids of ports that have an address of *family* in the subnet."""
    statement = (
        select(AddressRow.port_id)
        .where(AddressRow.subnet_id == subnet_id, AddressRow.family == family)
        .distinct()
        .limit(limit)
    )
    return connection.execute(statement).scalars().all()


def mac_owner(connection: Connection, subnet_id: str, mac: int) -> str | None:
    """Return the id of the port of the subnet that has *mac*, or None."""
    keys = {"subnet_id_": subnet_id, "mac_": mac}
    return connection.execute(_MAC_OWNER, keys).scalar_one_or_none()


def plugged(connection: Connection, host_id: str, netns: str) -> Sequence[PortRow]:
    """Return id, tenant and interface of the ports attached to a namespace of a host."""
    rows = connection.execute(_PLUGGED, {"host_id_": host_id, "netns_": netns}).all()
    return cast("Sequence[PortRow]", rows)


def attached(connection: Connection, host_id: str) -> list[Attached]:
    """Return the ports that the API wants attached on a host, by id."""
    rows = connection.execute(_ATTACHED, {"host_id_": host_id})
    return [Attached(*row) for row in rows]


def guests(connection: Connection, host_id: str) -> list[GuestPort]:
    """Return the ports that are attached to a host or located on it, by id."""
    rows = connection.execute(_GUESTS, {"host_id_": host_id})
    return sorted((GuestPort(*row) for row in rows), key=lambda one: one.id)


def ids_in_subnet(connection: Connection, subnet_id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* ports of the subnet, the oldest first."""
    statement = select(PortRow.id).where(PortRow.subnet_id == subnet_id)
    return connection.execute(statement.order_by(PortRow.key).limit(limit)).scalars().all()


def ids_attached(connection: Connection, host_id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* ports whose attachment names the host."""
    statement = select(PortRow.id).where(PortRow.attach_host_id == host_id)
    return connection.execute(statement.order_by(PortRow.key).limit(limit)).scalars().all()
