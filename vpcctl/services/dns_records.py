"""DNS records that tenants make in the private zones of their VPCs."""

from collections.abc import Sequence
from typing import Any

from vpcctl.model.ids import new_id
from vpcctl.model.problems import Blocker, Conflict
from vpcctl.services import dns_values, rules
from vpcctl.services.context import (
    Context,
    born,
    changed,
    listed,
    meta,
    query,
    require_at_most,
)
from vpcctl.services.dns_views import DnsRecordChange, DnsRecordCreate, DnsRecordView
from vpcctl.services.views import UNSET, Actor, Listing, Page
from vpcctl.services.vpcs import vpc_for
from vpcctl.services.zones import moved
from vpcctl.store import dns_records
from vpcctl.store.dns_records import DNS_RECORDS
from vpcctl.store.tables import DnsRecordRow
from vpcctl.store.units import Unit
from vpcctl.store.vpcs import VPCS


class DnsRecordService:
    """Use cases of DNS records."""

    def __init__(self, context: Context) -> None:
        self._units = context.units
        self._quota = context.settings.quotas.dns_records
        self._most = dns_values.MAX_IN_ALL

    def create(self, actor: Actor, values: DnsRecordCreate) -> DnsRecordView:
        """Make records of one name and type.

        Raises:
            Problem: Forbidden, Invalid, Conflict (the name has others), Exhausted.
        """
        rules.require_tenancy(actor)
        kind = dns_values.kind_of(values.type)
        columns = {
            "name": dns_values.record_name(kind, values.name),
            "description": rules.description(values.description),
            "tags": rules.tags(values.tags),
            "type": kind,
            "ttl": dns_values.ttl(values.ttl),
            "content": dns_values.content(kind, values.values),
        }

        def work(unit: Unit) -> DnsRecordView:
            vpc = vpc_for(unit.connection, actor, values.vpc_id)
            _require_alone(unit.connection, vpc.id, columns["name"], kind)
            count = dns_records.count(unit.connection, vpc.id) + 1
            require_at_most(count, self._quota, "DNS records in the VPC", None)
            id = new_id("rec")
            own = {"id": id, "key": unit.revision, "tenant_id": vpc.tenant_id, "vpc_id": vpc.id}
            DNS_RECORDS.insert(unit.connection, {**own, **columns, **born(unit)})
            self._require_room(unit.connection, vpc.id)
            moved(unit, vpc.id)
            unit.tell("rec", id, vpc.tenant_id, "created")
            return _view(unit.connection, id)

        return self._units.write(work)

    def get(self, actor: Actor, id: str) -> DnsRecordView:
        """Return records.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> DnsRecordView:
            return _views(connection, [_own(connection, actor, id)])[0]

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[DnsRecordView]:
        """Return a page of records, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        asked = query(listing, DNS_RECORDS, rules.tenant_scope(actor))
        return listed(self._units, DNS_RECORDS, asked, _views)

    def change(
        self, actor: Actor, id: str, values: DnsRecordChange, if_match: int | None = None
    ) -> DnsRecordView:
        """Change records' content, TTL, description or tags.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Stale, Exhausted.
        """
        columns: dict[str, Any] = {}
        if values.ttl is not UNSET:
            columns["ttl"] = dns_values.ttl(values.ttl)
        if values.description is not UNSET:
            columns["description"] = rules.description(values.description)
        if values.tags is not UNSET:
            columns["tags"] = rules.tags(values.tags)

        def work(unit: Unit) -> DnsRecordView:
            row = _own(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            more = dict(columns)
            if values.values is not UNSET:
                more["content"] = dns_values.content(row.type, values.values)
            DNS_RECORDS.update(unit.connection, id, {**more, **changed(unit)})
            if "content" in more:
                self._require_room(unit.connection, row.vpc_id)
            moved(unit, row.vpc_id)
            unit.tell("rec", id, row.tenant_id, "changed")
            return _view(unit.connection, id)

        return self._units.write(work)

    def _require_room(self, connection: Any, vpc_id: str) -> None:
        """Demand that a VPC's records are not too much together, the new ones among them.

        Raises:
            Exhausted: they are.
        """
        count = dns_records.characters(connection, vpc_id)
        require_at_most(count, self._most, "characters in all DNS records of the VPC", "values")

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete records; return the revision made.

        Raises:
            Problem: NotFound, Forbidden, Stale.
        """

        def work(unit: Unit) -> int:
            row = _own(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            DNS_RECORDS.delete(unit.connection, id)
            moved(unit, row.vpc_id)
            unit.tell("rec", id, row.tenant_id, "deleted")
            return unit.revision

        return self._units.write(work)


def _require_alone(connection: Any, vpc_id: str, name: str, kind: str) -> None:
    """Demand that the name has no records that these cannot be beside.

    Raises:
        Conflict: it has such of the same type, or an alias is to stand beside others.
    """
    if name == dns_values.APEX and kind == "CNAME":
        raise Conflict("The domain itself cannot be an alias.")
    there = dns_records.types_at(connection, vpc_id, name)
    aliases = kind == "CNAME" or "CNAME" in there.values()
    blocking = [id for id, other in there.items() if aliases or other == kind]
    if blocking:
        blockers = tuple(Blocker("rec", id, f"is {there[id]} of this name") for id in blocking)
        raise Conflict(
            "The name has records of this type, or an alias would not be alone.", blockers=blockers
        )


def _own(connection: Any, actor: Actor, id: str) -> DnsRecordRow:
    return rules.visible(actor, DNS_RECORDS.find(connection, id), "DNS record", id)


def _view(connection: Any, id: str) -> DnsRecordView:
    return _views(connection, [DNS_RECORDS.get_many(connection, [id])[id]])[0]


def _views(connection: Any, rows: Sequence[DnsRecordRow]) -> Sequence[DnsRecordView]:
    vpcs = VPCS.get_many(connection, {row.vpc_id for row in rows})
    return [
        DnsRecordView(
            meta(row, row.tenant_id),
            row.vpc_id,
            row.type,
            row.ttl,
            tuple(row.content),
            dns_values.whole(row.name, vpcs[row.vpc_id].dns_domain),
        )
        for row in rows
    ]
