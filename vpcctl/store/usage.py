"""How much each tenant has, counted as it changes."""

from typing import Any, Literal, get_args

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from vpcctl.store.tables import PresenceRow, UsageRow

Counted = Literal[
    "vpcs",
    "subnets",
    "ports",
    "security_groups",
    "address_groups",
    "network_acls",
    "internet_gateways",
    "nat_gateways",
    "eips",
    "route_tables",
]
COUNTED: tuple[Counted, ...] = get_args(Counted)

_MORE: dict[str, Any] = {
    name: update(UsageRow)
    .where(UsageRow.tenant_id == bindparam("tenant_id_"))
    .values({name: getattr(UsageRow, name) + bindparam("more")})
    .returning(*(getattr(UsageRow, each) for each in COUNTED))
    for name in COUNTED
}


def count(connection: Connection, tenant_id: str, what: Counted, more: int) -> int:
    """Add *more* to what the tenant has; return how much of *what* it has then."""
    keys = {"tenant_id_": tenant_id, "more": more}
    row = connection.execute(_MORE[what], keys).one_or_none()
    if row is None:
        values = {**dict.fromkeys(COUNTED, 0), what: more}
        connection.execute(insert(UsageRow), {"tenant_id": tenant_id, **values})
        return more
    if not any(row):
        connection.execute(delete(UsageRow).where(UsageRow.tenant_id == tenant_id))
    return getattr(row, what)


def totals(connection: Connection) -> tuple[int, int, int]:
    """Return how many VPCs, subnets and ports there are."""
    columns = (UsageRow.vpcs, UsageRow.subnets, UsageRow.ports)
    row = connection.execute(select(*(func.sum(column) for column in columns))).one()
    vpcs, subnets, ports = (int(number or 0) for number in row)
    return vpcs, subnets, ports


def located_total(connection: Connection) -> int:
    """Return how many ports are located somewhere."""
    return int(connection.execute(select(func.sum(PresenceRow.ports))).scalar_one() or 0)
