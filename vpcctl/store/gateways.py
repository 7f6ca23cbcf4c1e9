"""Internet and NAT gateways, the hosts that they are on, and port forwardings, in the database."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, bindparam, delete, insert, literal_column, select, union_all

from vpcctl.store.rows import Among, Lists, Repository
from vpcctl.store.tables import (
    EipRow,
    ForwardRow,
    GatewayHostRow,
    HostRow,
    InternetGatewayRow,
    NatGatewayRow,
    PresenceRow,
)

INTERNET_GATEWAYS = Repository(
    InternetGatewayRow,
    "igw",
    "vni",
    {
        "name": lambda value: InternetGatewayRow.name == value,
        "tenant_id": lambda value: InternetGatewayRow.tenant_id == value,
        "vpc_id": lambda value: InternetGatewayRow.vpc_id == value,
        "external_network_id": lambda value: InternetGatewayRow.external_network_id == value,
    },
)
NAT_GATEWAYS = Repository(
    NatGatewayRow,
    "nat",
    "key",
    {
        "name": lambda value: NatGatewayRow.name == value,
        "tenant_id": lambda value: NatGatewayRow.tenant_id == value,
        "vpc_id": lambda value: NatGatewayRow.vpc_id == value,
        "external_network_id": lambda value: NatGatewayRow.external_network_id == value,
    },
)

_ON_HOST = select(GatewayHostRow.gateway_id).where(GatewayHostRow.host_id == bindparam("host_id_"))
_PLACES = select(GatewayHostRow.place, GatewayHostRow.host_id, GatewayHostRow.since).where(
    GatewayHostRow.gateway_id == bindparam("gateway_id_")
)
_DROP_HOSTS = delete(GatewayHostRow).where(GatewayHostRow.gateway_id == bindparam("gateway_id_"))
_ADD_HOSTS = insert(GatewayHostRow)
_BETWEEN = select(InternetGatewayRow.__table__).where(
    InternetGatewayRow.vpc_id == bindparam("vpc_id_"),
    InternetGatewayRow.external_network_id == bindparam("network_id_"),
)
_KINDS: dict[str, Any] = {"igw": InternetGatewayRow, "nat": NatGatewayRow}
_GATEWAYS = union_all(
    *(
        select(
            row.id.label("id"),
            literal_column(f"'{kind}'").label("kind"),
            row.vpc_id.label("vpc_id"),
            row.external_network_id.label("network_id"),
            row.revision.label("revision"),
        )
        for kind, row in _KINDS.items()
    )
).subquery()
_OF_VPCS = Among(select(_GATEWAYS), _GATEWAYS.c.vpc_id)
_WITH_IDS = Among(select(_GATEWAYS), _GATEWAYS.c.id)
_VPCS_ON_HOST = select(PresenceRow.vpc_id).where(PresenceRow.host_id == bindparam("host_id_"))
_AROUND = select(_GATEWAYS).where(
    _GATEWAYS.c.vpc_id.in_(_VPCS_ON_HOST) | _GATEWAYS.c.id.in_(_ON_HOST)
)


class ForwardOfEip(NamedTuple):
    """A port forwarding, with the address of its EIP."""

    id: str
    address: str
    protocol: int
    port_first: int
    port_last: int
    target: str
    target_port: int


class GatewayHost(NamedTuple):
    """A host of a gateway, and whether it is to leave it: it is drained."""

    id: str
    leaving: bool


HOST_IDS: Lists[str] = Lists(
    select(GatewayHostRow.gateway_id, GatewayHostRow.host_id).order_by(
        GatewayHostRow.gateway_id, GatewayHostRow.place
    ),
    GatewayHostRow.gateway_id,
    lambda row: row.host_id,
)
"""Gateways' hosts, in order."""

HOSTS: Lists[GatewayHost] = Lists(
    select(GatewayHostRow.gateway_id, GatewayHostRow.host_id, HostRow.drained)
    .join(HostRow, HostRow.id == GatewayHostRow.host_id)
    .order_by(GatewayHostRow.gateway_id, GatewayHostRow.place),
    GatewayHostRow.gateway_id,
    lambda row: GatewayHost(row.host_id, row.drained),
)
"""The same, and whether they are to leave."""

FORWARDS: Lists[ForwardOfEip] = Lists(
    select(
        ForwardRow.nat_gateway_id,
        ForwardRow.id,
        EipRow.address,
        ForwardRow.protocol,
        ForwardRow.port_first,
        ForwardRow.port_last,
        ForwardRow.target,
        ForwardRow.target_port,
    )
    .join(EipRow, EipRow.id == ForwardRow.eip_id)
    .order_by(ForwardRow.nat_gateway_id, ForwardRow.id),
    ForwardRow.nat_gateway_id,
    lambda row: ForwardOfEip(*row[1:]),
)
"""NAT gateways' port forwardings, by id."""


class GatewayOf(NamedTuple):
    """A gateway of a VPC."""

    id: str
    kind: str
    vpc_id: str
    network_id: str
    revision: int


def internet_between(
    connection: Connection, vpc_id: str, network_id: str
) -> InternetGatewayRow | None:
    """Return the internet gateway between a VPC and an external network, or None."""
    keys = {"vpc_id_": vpc_id, "network_id_": network_id}
    return cast("InternetGatewayRow | None", connection.execute(_BETWEEN, keys).one_or_none())


def of_vpcs(connection: Connection, vpc_ids: Iterable[str]) -> list[GatewayOf]:
    """Return the gateways of these VPCs."""
    return [GatewayOf(*row) for row in _OF_VPCS.rows(connection, vpc_ids)]


def with_ids(connection: Connection, gateway_ids: Iterable[str]) -> list[GatewayOf]:
    """Return these gateways."""
    return [GatewayOf(*row) for row in _WITH_IDS.rows(connection, gateway_ids)]


def around(connection: Connection, host_id: str) -> list[GatewayOf]:
    """Return the gateways of the VPCs that are on a host, and those that name it."""
    return [GatewayOf(*row) for row in connection.execute(_AROUND, {"host_id_": host_id})]


def ids_in_vpc(connection: Connection, vpc_id: str, limit: int) -> Sequence[str]:
    """Return ids of at most *limit* internet gateways of the VPC, oldest first."""
    row = InternetGatewayRow
    statement = select(row.id).where(row.vpc_id == vpc_id).order_by(row.vni).limit(limit)
    return connection.execute(statement).scalars().all()


def ids_on_host(connection: Connection, host_id: str) -> Sequence[str]:
    """Return ids of the internet and NAT gateways that name a host, sorted."""
    return sorted(connection.execute(_ON_HOST, {"host_id_": host_id}).scalars().all())


def set_hosts(
    connection: Connection,
    gateway_id: str,
    host_ids: Sequence[str],
    revision: int,
    leaving: Collection[str] = (),
) -> None:
    """Make these the hosts of a gateway, in this order, at *revision*.

    Those that keep their place have it since then, but *leaving* ones, which are leaving from this
    place since now.
    """
    before = connection.execute(_PLACES, {"gateway_id_": gateway_id}).all()
    since = {(row.place, row.host_id): row.since for row in before if row.host_id not in leaving}
    connection.execute(_DROP_HOSTS, {"gateway_id_": gateway_id})
    rows = [
        {
            "gateway_id": gateway_id,
            "place": place,
            "host_id": host_id,
            "since": since.get((place, host_id), revision),
        }
        for place, host_id in enumerate(host_ids)
    ]
    if rows:
        connection.execute(_ADD_HOSTS, rows)
