"""External networks in the database."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, bindparam, or_, select

from vpcctl.store.rows import Repository
from vpcctl.store.tables import (
    EipRow,
    ExternalNetworkRow,
    InternetGatewayRow,
    NatGatewayRow,
    VpcRow,
)

EXTERNAL_NETWORKS = Repository(
    ExternalNetworkRow,
    "ext",
    "key",
    {
        "name": lambda value: ExternalNetworkRow.name == value,
        "provider": lambda value: ExternalNetworkRow.provider == value,
    },
)

_USERS: dict[str, Any] = {"eip": EipRow, "igw": InternetGatewayRow, "nat": NatGatewayRow}
_GATEWAYS: tuple[Any, ...] = (InternetGatewayRow, NatGatewayRow)
_ON_WIRE = select(ExternalNetworkRow.__table__).where(
    ExternalNetworkRow.provider == bindparam("provider_"),
    ExternalNetworkRow.vlan == bindparam("vlan_"),
)


def _of_vpc(*gateways: Any) -> Any:
    return select(ExternalNetworkRow.__table__).where(
        or_(
            *(
                ExternalNetworkRow.id.in_(
                    select(row.external_network_id).where(row.vpc_id == bindparam("vpc_id_"))
                )
                for row in gateways
            )
        )
    )


_OF_VPC = _of_vpc(*_GATEWAYS)
_INTERNET_OF_VPC = _of_vpc(InternetGatewayRow)
_ANNOUNCING = (
    select(VpcRow.id, VpcRow.tenant_id, VpcRow.cidrs)
    .join(InternetGatewayRow, InternetGatewayRow.vpc_id == VpcRow.id)
    .where(InternetGatewayRow.external_network_id == bindparam("id_"))
    .order_by(VpcRow.key)
)
_VPCS_OF = select(VpcRow.id, VpcRow.cidrs).where(
    or_(
        *(
            VpcRow.id.in_(select(row.vpc_id).where(row.external_network_id == bindparam("id_")))
            for row in _GATEWAYS
        )
    )
)


def on_wire(connection: Connection, provider: str, vlan: int) -> ExternalNetworkRow | None:
    """Return the network of a provider on a VLAN (0: untagged), or None."""
    row = connection.execute(_ON_WIRE, {"provider_": provider, "vlan_": vlan}).one_or_none()
    return cast("ExternalNetworkRow | None", row)


def of_vpc(
    connection: Connection, vpc_id: str, *, internet: bool = False
) -> Sequence[ExternalNetworkRow]:
    """Return the networks that a VPC has a gateway to, or an internet gateway."""
    statement = _INTERNET_OF_VPC if internet else _OF_VPC
    rows = connection.execute(statement, {"vpc_id_": vpc_id}).all()
    return cast("Sequence[ExternalNetworkRow]", rows)


class Announcing(NamedTuple):
    """A VPC that has an internet gateway to an external network."""

    id: str
    tenant_id: str
    cidrs: list[str]


def announcing(connection: Connection, network_id: str) -> list[Announcing]:
    """Return the VPCs that have internet gateways to a network, oldest first."""
    return [Announcing(*row) for row in connection.execute(_ANNOUNCING, {"id_": network_id})]


def vpcs_of(connection: Connection, network_id: str) -> Sequence[tuple[str, list[str]]]:
    """Return id and blocks of each VPC that has a gateway to a network."""
    rows = connection.execute(_VPCS_OF, {"id_": network_id})
    return [(row.id, row.cidrs) for row in rows]


def users(connection: Connection, network_id: str, limit: int) -> list[tuple[str, str]]:
    """Return (kind, id) of at most *limit* things of each kind that use a network."""
    found: list[tuple[str, str]] = []
    for kind, row in _USERS.items():
        statement = select(row.id).where(row.external_network_id == network_id)
        ids = connection.execute(statement.order_by(row.id).limit(limit)).scalars()
        found += [(kind, id) for id in ids]
    return found
