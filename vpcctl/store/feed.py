"""The feed: the network as model objects, whole or what changed since a revision."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

from sqlalchemy import Connection, bindparam, select

from vpcctl.model.changes import Change, ChangeBatch, Resource, ResourceKind
from vpcctl.store import models
from vpcctl.store.database import Database
from vpcctl.store.hosts import HOSTS
from vpcctl.store.locations import all_locations, locations_of
from vpcctl.store.ports import PORTS, addresses_of, all_addresses
from vpcctl.store.subnets import SUBNETS
from vpcctl.store.tables import ChangeRow, LedgerRow
from vpcctl.store.vpcs import VPCS

KINDS: tuple[ResourceKind, ...] = get_args(ResourceKind)  # referents first

_HEAD = select(LedgerRow.value, LedgerRow.pruned)
_SINCE = (
    select(ChangeRow.kind, ChangeRow.resource_id)
    .where(
        ChangeRow.revision > bindparam("after"),
        ChangeRow.kind.in_(KINDS),
        ChangeRow.action != "warning",
    )
    .distinct()
)

Found = Mapping[str, Resource]


class Feed:
    """Reads the network for whoever holds it in memory; each call is one consistent moment."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> ChangeBatch:
        """Return every resource, referents first.

        Raises:
            Unavailable: the database does not answer.
        """
        return self._database.read(_load)

    def changes(self, after: int) -> ChangeBatch | None:
        """Return what changed after revision *after*: at most one change per resource.

        Returns:
            None when the changes after *after* are no longer known: load again.

        Raises:
            Unavailable: the database does not answer.
        """
        return self._database.read(lambda connection: _changes(connection, after))


def _load(connection: Connection) -> ChangeBatch:
    revision = connection.execute(_HEAD).one().value
    changes: list[Change] = []
    for kind in KINDS:
        found = _ALL[kind](connection)
        changes.extend(Change(kind, id, resource) for id, resource in found.items())
    return ChangeBatch(revision, tuple(changes))


def _changes(connection: Connection, after: int) -> ChangeBatch | None:
    head = connection.execute(_HEAD).one()
    if not head.pruned <= after <= head.value:
        return None
    if after == head.value:
        return ChangeBatch(head.value, ())
    touched: dict[ResourceKind, list[str]] = {kind: [] for kind in KINDS}
    for row in connection.execute(_SINCE, {"after": after}):
        touched[row.kind].append(row.resource_id)
    changes: list[Change] = []
    for kind in KINDS:
        ids = sorted(touched[kind])
        found = _SOME[kind](connection, ids) if ids else {}
        changes.extend(Change(kind, id, found.get(id)) for id in ids)
    return ChangeBatch(head.value, tuple(changes))


def _ports(rows: Iterable[Any], addresses: Mapping[str, list[str]]) -> Found:
    return {row.id: models.port(row, addresses.get(row.id, ())) for row in rows}


_ALL: dict[ResourceKind, Callable[[Connection], Found]] = {
    "vpc": lambda connection: {row.id: models.vpc(row) for row in VPCS.all(connection)},
    "ag": lambda connection: {},
    "sg": lambda connection: {},
    "nacl": lambda connection: {},
    "subnet": lambda connection: {row.id: models.subnet(row) for row in SUBNETS.all(connection)},
    "host": lambda connection: {row.id: models.host(row) for row in HOSTS.all(connection)},
    "port": lambda connection: _ports(PORTS.all(connection), all_addresses(connection)),
    "location": lambda connection: {
        row.port_id: models.location(row) for row in all_locations(connection)
    },
}


def _some(
    repository: Any, make: Callable[[Any], Resource]
) -> Callable[[Connection, list[str]], Found]:
    def find(connection: Connection, ids: list[str]) -> Found:
        rows = repository.get_many(connection, ids)
        return {id: make(row) for id, row in rows.items()}

    return find


_SOME: dict[ResourceKind, Callable[[Connection, list[str]], Found]] = {
    "vpc": _some(VPCS, models.vpc),
    "ag": lambda connection, ids: {},
    "sg": lambda connection, ids: {},
    "nacl": lambda connection, ids: {},
    "subnet": _some(SUBNETS, models.subnet),
    "host": _some(HOSTS, models.host),
    "port": lambda connection, ids: _ports(
        PORTS.get_many(connection, ids).values(), addresses_of(connection, ids)
    ),
    "location": lambda connection, ids: {
        id: models.location(row) for id, row in locations_of(connection, ids).items()
    },
}
