"""The feed: the network as model objects, whole or what changed since a revision."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from sqlalchemy import Connection, bindparam, select

from vpcctl.model.changes import Change, ChangeBatch, Resource, ResourceKind
from vpcctl.store import models, outside_models
from vpcctl.store.address_groups import ADDRESS_GROUPS, BLOCKS
from vpcctl.store.database import Database
from vpcctl.store.eips import EIPS
from vpcctl.store.external_networks import EXTERNAL_NETWORKS
from vpcctl.store.gateways import FORWARDS, INTERNET_GATEWAYS, NAT_GATEWAYS
from vpcctl.store.gateways import HOSTS as GATEWAY_HOSTS
from vpcctl.store.hosts import HOSTS, port_mtu
from vpcctl.store.locations import locations_of
from vpcctl.store.memberships import MEMBERSHIPS
from vpcctl.store.network_acls import ACLS, ENTRIES
from vpcctl.store.ports import ADDRESSES, PORTS
from vpcctl.store.route_tables import ROUTE_TABLES, ROUTES, all_dead_hosts, dead_hosts_of
from vpcctl.store.rows import chunks
from vpcctl.store.security_groups import GROUPS, RULES
from vpcctl.store.subnets import SUBNETS
from vpcctl.store.tables import ChangeRow, LedgerRow
from vpcctl.store.vpcs import VPCS

KINDS: tuple[ResourceKind, ...] = get_args(ResourceKind)  # referents first

_HEAD = select(LedgerRow.value, LedgerRow.pruned)
# The head in each row: one statement less between a report and its flows.
_SINCE = select(LedgerRow.value, LedgerRow.pruned, ChangeRow.kind, ChangeRow.resource_id).outerjoin(
    ChangeRow, (ChangeRow.revision > bindparam("after")) & (ChangeRow.action != "warning")
)
_FEW = 32
"""So many changes are read in less time than it takes to hand them from thread to thread, twice."""
_FIRST = _SINCE.limit(_FEW + 1)

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

    def few(self, after: int) -> ChangeBatch | None:
        """Return what changed after revision *after*, if to read it takes a millisecond or less.

        Returns:
            None where it may take longer, or where :meth:`changes` would say that: ask that.

        Raises:
            Unavailable: the database does not answer.
        """
        if not self._database.is_embedded:
            return None  # the answer comes from another process, or another machine
        return self._database.read(lambda connection: _few(connection, after))


def _load(connection: Connection) -> ChangeBatch:
    revision = connection.execute(_HEAD).one().value
    changes: list[Change] = []
    for kind in KINDS:
        found = _ALL[kind](connection)
        changes.extend(Change(kind, id, resource) for id, resource in found.items())
    return ChangeBatch(revision, tuple(changes))


def _changes(connection: Connection, after: int) -> ChangeBatch | None:
    return _batch(connection, after, connection.execute(_SINCE, {"after": after}).all())


def _few(connection: Connection, after: int) -> ChangeBatch | None:
    rows = connection.execute(_FIRST, {"after": after}).all()
    return _batch(connection, after, rows) if len(rows) <= _FEW else None


def _batch(connection: Connection, after: int, rows: Sequence[Any]) -> ChangeBatch | None:
    head, pruned = rows[0].value, rows[0].pruned
    if not pruned <= after <= head:
        return None
    touched: dict[str, set[str]] = {}
    for row in rows:
        touched.setdefault(row.kind, set()).add(row.resource_id)
    changes: list[Change] = []
    for kind in KINDS:  # other kinds, such as links, are no part of the network
        ids = sorted(touched.get(kind, ()))
        found = _SOME[kind](connection, ids) if ids else {}
        changes.extend(Change(kind, id, found.get(id)) for id in ids)
    return ChangeBatch(head, tuple(changes))


def _with(
    repository: Any, parts: tuple[Callable[..., Any], ...], make: Callable[..., Resource]
) -> Callable[[Connection], Found]:
    """Return what makes all resources of rows and of *parts*, each of which gives lists by id."""

    def find(connection: Connection) -> Found:
        beside = [part(connection) for part in parts]
        return {
            row.id: make(row, *(by_id.get(row.id, ()) for by_id in beside))
            for row in repository.all(connection)
        }

    return find


def _some_with(
    repository: Any, parts: tuple[Callable[..., Any], ...], make: Callable[..., Resource]
) -> Callable[[Connection, list[str]], Found]:
    """Return what does the same for some ids."""

    def find(connection: Connection, ids: list[str]) -> Found:
        beside = [part(connection, ids) for part in parts]
        return {
            id: make(row, *(by_id.get(id, ()) for by_id in beside))
            for id, row in repository.get_many(connection, ids).items()
        }

    return find


def _of_all_ports(
    find: Callable[[Connection, list[str]], Found],
) -> Callable[[Connection], Found]:
    """Return what makes of all ports what *find* makes of some, some at a time.

    Rows take several times the memory of what is made of them, and there may be 100,000.
    """

    def find_all(connection: Connection) -> Found:
        found: dict[str, Resource] = {}
        for ids in chunks(PORTS.ids(connection)):
            part = find(connection, ids)
            found.update((id, part[id]) for id in ids if id in part)
        return found

    return find_all


def _locations(connection: Connection, ids: list[str]) -> Found:
    return {id: models.location(row) for id, row in locations_of(connection, ids).items()}


def _external_networks(connection: Connection) -> Found:
    rows = EXTERNAL_NETWORKS.all(connection)
    size = port_mtu(connection) if rows else 0
    return {row.id: outside_models.external_network(row, size) for row in rows}


def _some_external_networks(connection: Connection, ids: list[str]) -> Found:
    size, rows = port_mtu(connection), EXTERNAL_NETWORKS.get_many(connection, ids)
    return {id: outside_models.external_network(row, size) for id, row in rows.items()}


_ports = _some_with(PORTS, (ADDRESSES.of, MEMBERSHIPS.of), models.port)
_ALL: dict[ResourceKind, Callable[[Connection], Found]] = {
    "vpc": _with(VPCS, (), models.vpc),
    "ag": _with(ADDRESS_GROUPS, (BLOCKS.all,), models.address_group),
    "sg": _with(GROUPS, (RULES.all,), models.security_group),
    "nacl": _with(ACLS, (ENTRIES.all,), models.network_acl),
    "subnet": _with(SUBNETS, (), models.subnet),
    "host": _with(HOSTS, (), models.host),
    "port": _of_all_ports(_ports),
    "location": _of_all_ports(_locations),
    "ext": _external_networks,
    "igw": _with(INTERNET_GATEWAYS, (GATEWAY_HOSTS.all,), outside_models.internet_gateway),
    "nat": _with(NAT_GATEWAYS, (GATEWAY_HOSTS.all, FORWARDS.all), outside_models.nat_gateway),
    "eip": _with(EIPS, (), outside_models.eip),
    "rtb": _with(ROUTE_TABLES, (ROUTES.all, all_dead_hosts), outside_models.route_table),
}
_SOME: dict[ResourceKind, Callable[[Connection, list[str]], Found]] = {
    "vpc": _some_with(VPCS, (), models.vpc),
    "ag": _some_with(ADDRESS_GROUPS, (BLOCKS.of,), models.address_group),
    "sg": _some_with(GROUPS, (RULES.of,), models.security_group),
    "nacl": _some_with(ACLS, (ENTRIES.of,), models.network_acl),
    "subnet": _some_with(SUBNETS, (), models.subnet),
    "host": _some_with(HOSTS, (), models.host),
    "port": _ports,
    "location": _locations,
    "ext": _some_external_networks,
    "igw": _some_with(INTERNET_GATEWAYS, (GATEWAY_HOSTS.of,), outside_models.internet_gateway),
    "nat": _some_with(NAT_GATEWAYS, (GATEWAY_HOSTS.of, FORWARDS.of), outside_models.nat_gateway),
    "eip": _some_with(EIPS, (), outside_models.eip),
    "rtb": _some_with(ROUTE_TABLES, (ROUTES.of, dead_hosts_of), outside_models.route_table),
}
