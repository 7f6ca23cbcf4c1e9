"""Network ACLs: ordered rules for what is routed into and out of subnets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any

from vpcctl.model.ids import new_id
from vpcctl.model.problems import Blocker, Conflict, Invalid, NotFound
from vpcctl.services import rules, traffic
from vpcctl.services.context import (
    MAX_BLOCKERS,
    Context,
    born,
    changed,
    listed,
    meta,
    query,
    refuse_blocked,
    require_at_most,
    spend,
)
from vpcctl.services.security_views import (
    AclEntry,
    AclEntryView,
    NetworkAclChange,
    NetworkAclCreate,
    NetworkAclView,
)
from vpcctl.services.standing import judge
from vpcctl.services.traffic import field_at
from vpcctl.services.views import UNSET, Actor, Listing, Page
from vpcctl.services.vpcs import vpc_for
from vpcctl.store import keys, models, network_acls, usage
from vpcctl.store.network_acls import ACLS
from vpcctl.store.realisation import standings
from vpcctl.store.tables import AclEntryRow, NetworkAclRow
from vpcctl.store.units import Unit

LARGEST_NUMBER = 32766
Place = tuple[str, int]
"""Direction and number of an entry."""


class NetworkAclService:
    """Use cases of network ACLs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._units = context.units

    def create(self, actor: Actor, values: NetworkAclCreate) -> NetworkAclView:
        """Make an ACL with its entries.

        Raises:
            Problem: Forbidden, Invalid, Conflict (a number twice), Exhausted.
        """
        rules.require_tenancy(actor)
        columns = rules.described(values)
        entries = _parse(values.entries)

        def work(unit: Unit) -> NetworkAclView:
            vpc = vpc_for(unit.connection, actor, values.vpc_id)
            spend(unit, self._context, vpc.tenant_id, "network_acls")
            row = {
                "id": new_id("nacl"),
                "vpc_id": vpc.id,
                "tenant_id": vpc.tenant_id,
                "key": keys.fit(unit, "acl_key"),
                **columns,
                **born(unit),
            }
            ACLS.insert(unit.connection, row)
            self._add(unit, row["id"], entries, [])
            unit.tell("nacl", row["id"], vpc.tenant_id, "created")
            return _view(unit.connection, row["id"])

        return self._units.write(work, {"acl_key": 1})

    def get(self, actor: Actor, id: str) -> NetworkAclView:
        """Return an ACL with its entries.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> NetworkAclView:
            return _view(connection, own_acl(connection, actor, id).id)

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[NetworkAclView]:
        """Return a page of ACLs without their entries, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        asked = query(listing, ACLS, rules.tenant_scope(actor))
        return listed(self._units, ACLS, asked, _views)

    def change(
        self, actor: Actor, id: str, values: NetworkAclChange, if_match: int | None = None
    ) -> NetworkAclView:
        """Change an ACL and its entries.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Conflict (a number is taken), Exhausted, Stale.
        """
        columns = rules.redescribed(values)
        asked = _asked(values)

        def work(unit: Unit) -> NetworkAclView:
            row = own_acl(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            self._change_entries(unit, id, asked)
            ACLS.update(unit.connection, id, {**columns, **changed(unit)})
            unit.tell("nacl", id, row.tenant_id, "changed")
            return _view(unit.connection, id)

        return self._units.write(work)

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete an ACL that no subnet has; return the revision made.

        Raises:
            Problem: NotFound, Forbidden, Conflict with the subnets in the way, Stale.
        """

        def work(unit: Unit) -> int:
            row = own_acl(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            found = network_acls.users(unit.connection, id, MAX_BLOCKERS + 1)
            blockers = [Blocker("subnet", subnet, "has this network ACL") for subnet in found]
            refuse_blocked("Subnets have the network ACL", blockers)
            network_acls.drop_entries(unit.connection, id)
            ACLS.delete(unit.connection, id)
            usage.count(unit.connection, row.tenant_id, "network_acls", -1)
            unit.tell("nacl", id, row.tenant_id, "deleted")
            return unit.revision

        return self._units.write(work)

    def _change_entries(self, unit: Unit, id: str, asked: "_Asked") -> None:
        if asked.whole is not None:
            network_acls.drop_entries(unit.connection, id)
            self._add(unit, id, asked.whole, [])
        if asked.remove is not None and not network_acls.drop_entry(
            unit.connection, id, *asked.remove
        ):
            direction, number = asked.remove
            raise NotFound(f"There is no {rules.printable(direction)} entry {number} in {id}.")
        if asked.put is not None:
            place = asked.put["direction"], asked.put["number"]
            network_acls.drop_entry(unit.connection, id, *place)
        more = [*asked.add, *([asked.put] if asked.put else [])]
        if more:
            present = network_acls.ENTRIES.one(unit.connection, id)
            self._add(unit, id, more, present)

    def _add(
        self,
        unit: Unit,
        id: str,
        entries: Sequence[dict[str, Any]],
        present: Sequence[AclEntryRow],
    ) -> None:
        quota = self._context.settings.quotas.entries
        require_at_most(len(present) + len(entries), quota, "entries in the ACL", "entries")
        taken: dict[Place, str] = dict.fromkeys(
            ((row.direction, row.number) for row in present), id
        )
        rows = []
        for entry in entries:
            _refuse_taken(entry, taken)
            taken[entry["direction"], entry["number"]] = "The request"
            rows.append({name: value for name, value in entry.items() if name != "at"})
        network_acls.add_entries(unit.connection, [{**row, "acl_id": id} for row in rows])


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a change asks for of the entries, as rows keep them; None: nothing."""

    whole: list[dict[str, Any]] | None
    add: list[dict[str, Any]]
    put: dict[str, Any] | None
    remove: Place | None


def _asked(values: NetworkAclChange) -> _Asked:
    whole = None if values.entries is UNSET else _parse(values.entries)
    put = None if values.put is None else _parse([values.put])[0]
    return _Asked(whole, _parse(values.add), put, values.remove)


def _parse(entries: Sequence[AclEntry]) -> list[dict[str, Any]]:
    return [_entry(one) for one in entries]


def _entry(values: AclEntry) -> dict[str, Any]:
    """Return an entry as its row keeps it, with where it stands in the request."""
    if not 1 <= values.number <= LARGEST_NUMBER:
        raise Invalid(
            f"{values.number} is out of range.",
            field=field_at(values.at, "number"),
            accepted=f"1 to {LARGEST_NUMBER}",
        )
    asked = traffic.parse(values)
    field = field_at(values.at, "cidr")
    cidr = traffic.block(field, values.cidr)
    traffic.require_family(field, asked.protocol, cidr)
    return {
        "direction": values.direction,
        "number": values.number,
        "allow": values.action == "allow",
        "cidr": str(cidr),
        **asked.columns(),
        "description": rules.description(values.description, field_at(values.at, "description")),
        "at": values.at,
    }


def _refuse_taken(entry: dict[str, Any], taken: dict[Place, str]) -> None:
    """Refuse an entry at a place that is taken, by who is named there."""
    direction, number = entry["direction"], entry["number"]
    holder = taken.get((direction, number))
    if holder is not None:
        raise Conflict(
            f"{holder} has an {direction} entry {number} already.",
            field=field_at(entry["at"], "number"),
            accepted=f"a number that no other {direction} entry of the ACL has",
        )


def own_acl(connection: Any, actor: Actor, id: str) -> NetworkAclRow:
    """Return the ACL that the actor may see.

    Raises:
        NotFound: there is none.
    """
    return rules.visible(actor, ACLS.find(connection, id), "network ACL", id)


def require_acl(connection: Any, id: str | None, vpc_id: str) -> str | None:
    """Return the id of an ACL that a subnet of the VPC is to have; None: none.

    Raises:
        Invalid: there is no such ACL in the VPC.
    """
    if id is None:
        return None
    row = ACLS.find(connection, id)
    if row is None or row.vpc_id != vpc_id:
        raise Invalid(
            f"There is no network ACL {rules.printable(id)} in {vpc_id}.",
            field="network_acl_id",
            accepted=f"the id of a network ACL of {vpc_id}, nacl-…, or null for none",
        )
    return row.id


def _view(connection: Any, id: str) -> NetworkAclView:
    row = ACLS.get(connection, id)
    assert row is not None, "written or read in this transaction"  # noqa: S101 - for types
    found = network_acls.ENTRIES.one(connection, id)
    (plain,) = _views(connection, [row])
    return replace(plain, entries=tuple(map(_entry_view, found)))


def _entry_view(row: AclEntryRow) -> AclEntryView:
    return AclEntryView(
        row.number,
        "ingress" if row.direction == "ingress" else "egress",
        "allow" if row.allow else "deny",
        ip_network(row.cidr),
        row.protocol,
        models.ports_of(row),
        row.icmp_type,
        row.icmp_code,
        row.description,
    )


def _views(connection: Any, rows: Sequence[NetworkAclRow]) -> Sequence[NetworkAclView]:
    found = standings(connection, [row.vpc_id for row in rows])
    counts = network_acls.ENTRY_COUNTS.of(connection, [row.id for row in rows])
    return [
        NetworkAclView(
            meta(row, row.tenant_id),
            row.vpc_id,
            row.key,
            None,
            counts.get(row.id, 0),
            judge(found[row.vpc_id], row.revision),
        )
        for row in rows
    ]
