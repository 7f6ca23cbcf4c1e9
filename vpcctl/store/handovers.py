"""Which addresses ports gave up, and which of these others have since."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select, union, update

from vpcctl.store.tables import (
    FormerAddressRow,
    GatewayHostRow,
    LinkRow,
    LocationRow,
    NatGatewayRow,
    PresenceRow,
)

KEPT = 256
"""Handovers of one VPC that hosts are told of, the newest: more than are made while a host that is
connected asks for its next state."""

_VPC = FormerAddressRow.vpc_id == bindparam("vpc_id_")
_THESE = (_VPC, FormerAddressRow.address.in_(bindparam("addresses_", expanding=True)))
_DROP = delete(FormerAddressRow).where(*_THESE)
_ADD = insert(FormerAddressRow)
_TAKE = (
    update(FormerAddressRow)
    .where(*_THESE, FormerAddressRow.taken.is_(None))
    .values(taken=bindparam("taken_"), at=bindparam("at_"))
)
_oldest_kept = (
    select(FormerAddressRow.taken)
    .where(_VPC, FormerAddressRow.taken.is_not(None))
    .order_by(FormerAddressRow.taken.desc())
    .limit(1)
    .offset(KEPT - 1)
    .scalar_subquery()
)
_DROP_OLDER = delete(FormerAddressRow).where(_VPC, FormerAddressRow.taken < _oldest_kept)
_since = (
    # The link's revision, for it stays when a port comes back to an interface that never went. The
    # location is a new one then, but nobody emptied the zone if the host's agent was away.
    select(func.min(LinkRow.claimed_revision))
    .join(
        LocationRow,
        (LocationRow.host_id == LinkRow.host_id) & (LocationRow.port_id == LinkRow.port_id),
    )
    .where(LocationRow.host_id == PresenceRow.host_id, LocationRow.vpc_id == PresenceRow.vpc_id)
    .scalar_subquery()
)
_HANDOVERS = select(
    FormerAddressRow.vpc_id,
    FormerAddressRow.address,
    FormerAddressRow.freed,
    FormerAddressRow.taken,
)
_HOST = bindparam("host_id_")
_OF_HOST = union(
    _HANDOVERS.join(PresenceRow, PresenceRow.vpc_id == FormerAddressRow.vpc_id).where(
        PresenceRow.host_id == _HOST, FormerAddressRow.taken > _since
    ),
    _HANDOVERS.join(NatGatewayRow, NatGatewayRow.vpc_id == FormerAddressRow.vpc_id)
    .join(GatewayHostRow, GatewayHostRow.gateway_id == NatGatewayRow.id)
    .where(GatewayHostRow.host_id == _HOST, FormerAddressRow.taken > GatewayHostRow.since),
)


class Handover(NamedTuple):
    """An address of a VPC that one port gave up and another one has now, at these revisions."""

    vpc_id: str
    address: str
    freed: int
    taken: int


def give_up(
    connection: Connection,
    vpc_id: str,
    addresses: Collection[str],
    revision: int,
    at: datetime,
) -> None:
    """Remember that a port has given up addresses of a VPC."""
    if not addresses:
        return
    connection.execute(_DROP, {"vpc_id_": vpc_id, "addresses_": sorted(addresses)})
    rows = [
        {"vpc_id": vpc_id, "address": one, "freed": revision, "taken": None, "at": at}
        for one in sorted(addresses)
    ]
    connection.execute(_ADD, rows)


def take(
    connection: Connection,
    vpc_id: str,
    addresses: Collection[str],
    revision: int,
    at: datetime,
) -> bool:
    """Note that a port has got addresses of a VPC; tell whether another one had any of them."""
    if not addresses:
        return False
    these = {"vpc_id_": vpc_id, "addresses_": sorted(addresses)}
    if not connection.execute(_TAKE, {**these, "taken_": revision, "at_": at}).rowcount:
        return False
    connection.execute(_DROP_OLDER, {"vpc_id_": vpc_id})
    return True


def of_host(connection: Connection, host_id: str) -> list[Handover]:
    """Return what changed hands in VPCs since a host has their ports' interfaces, the oldest first.

    Or since the host stands for a NAT gateway of theirs. What did so before is of no interest:
    zones began empty then.
    """
    found = [Handover(*row) for row in connection.execute(_OF_HOST, {"host_id_": host_id})]
    return sorted(found, key=lambda one: (one.taken, one.vpc_id, one.address))


def prune(connection: Connection, older_than: datetime) -> int:
    """Forget what was given up, or changed hands, before *older_than*; return how many."""
    statement = delete(FormerAddressRow).where(FormerAddressRow.at < older_than)
    return connection.execute(statement).rowcount
