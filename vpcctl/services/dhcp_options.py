"""DHCP option sets: what the guests of a VPC are told beside their addresses, as in AWS."""

from collections.abc import Sequence
from typing import Any

from vpcctl.model.ids import new_id
from vpcctl.model.problems import Blocker, Invalid
from vpcctl.services import dhcp_values, rules
from vpcctl.services.attachments import touch_hosts_with
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
)
from vpcctl.services.dhcp_values import (
    DhcpOptionsChange,
    DhcpOptionsCreate,
    DhcpOptionsView,
)
from vpcctl.services.views import Actor, Listing, Page
from vpcctl.store import dhcp_options
from vpcctl.store.dhcp_options import DHCP_OPTIONS
from vpcctl.store.tables import DhcpOptionsRow
from vpcctl.store.units import Unit


class DhcpOptionsService:
    """Use cases of DHCP option sets."""

    def __init__(self, context: Context) -> None:
        self._units = context.units
        self._quota = context.settings.quotas.dhcp_options

    def create(self, actor: Actor, values: DhcpOptionsCreate) -> DhcpOptionsView:
        """Make a set.

        Raises:
            Problem: Forbidden, Invalid, Exhausted.
        """
        tenant_id = rules.tenant_of(actor, values.tenant_id)
        columns = {**rules.described(values), "options": dhcp_values.stored(values.options)}

        def work(unit: Unit) -> DhcpOptionsView:
            count = dhcp_options.count(unit.connection, tenant_id) + 1
            require_at_most(count, self._quota, "sets of DHCP options of the tenant", None)
            id = new_id("dopt")
            row = {"id": id, "key": unit.revision, "tenant_id": tenant_id, **columns}
            DHCP_OPTIONS.insert(unit.connection, {**row, **born(unit)})
            unit.tell("dopt", id, tenant_id, "created")
            return _view(unit.connection, id)

        return self._units.write(work)

    def get(self, actor: Actor, id: str) -> DhcpOptionsView:
        """Return a set.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> DhcpOptionsView:
            return _views(connection, [_own(connection, actor, id)])[0]

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[DhcpOptionsView]:
        """Return a page of sets, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        asked = query(listing, DHCP_OPTIONS, rules.tenant_scope(actor))
        return listed(self._units, DHCP_OPTIONS, asked, _views)

    def change(
        self, actor: Actor, id: str, values: DhcpOptionsChange, if_match: int | None = None
    ) -> DhcpOptionsView:
        """Change a set; guests hear of it when they renew their leases.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Stale.
        """
        columns = rules.redescribed(values)
        said = dhcp_values.stored(values.options)

        def work(unit: Unit) -> DhcpOptionsView:
            row = _own(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            kept = {k: v for k, v in row.options.items() if k not in values.options_set}
            options = {"options": {**kept, **said}}
            DHCP_OPTIONS.update(unit.connection, id, {**columns, **options, **changed(unit)})
            touch_hosts_with(unit, dhcp_options.told(id))
            unit.tell("dopt", id, row.tenant_id, "changed")
            return _view(unit.connection, id)

        return self._units.write(work)

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete a set that no VPC has; return the revision made.

        Raises:
            Problem: NotFound, Forbidden, Conflict with the VPCs in the way, Stale.
        """

        def work(unit: Unit) -> int:
            row = _own(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            found = dhcp_options.vpcs_with(unit.connection, id, MAX_BLOCKERS + 1)
            blockers = [Blocker("vpc", vpc_id, "has this set") for vpc_id in found]
            refuse_blocked("VPCs have the set", blockers)
            DHCP_OPTIONS.delete(unit.connection, id)
            unit.tell("dopt", id, row.tenant_id, "deleted")
            return unit.revision

        return self._units.write(work)


def require_usable(connection: Any, id: str | None, tenant_id: str) -> None:
    """Demand that a VPC of the tenant may have the set; None stands for no set.

    Raises:
        Invalid: there is no such set of the tenant.
    """
    if id is None:
        return
    row = find(connection, id)
    if row is None or row.tenant_id != tenant_id:
        raise Invalid(
            f"The tenant has no set of DHCP options {rules.printable(id)}.",
            field="dhcp_options_id",
            accepted="the id of one of the tenant's sets, dopt-…, or null",
        )


def find(connection: Any, id: str) -> DhcpOptionsRow | None:
    """Return the set's row; None when there is none or the id is malformed."""
    return DHCP_OPTIONS.find(connection, id)


def _own(connection: Any, actor: Actor, id: str) -> DhcpOptionsRow:
    return rules.visible(actor, find(connection, id), "set of DHCP options", id)


def _view(connection: Any, id: str) -> DhcpOptionsView:
    return _views(connection, [DHCP_OPTIONS.get_many(connection, [id])[id]])[0]


def _views(connection: Any, rows: Sequence[DhcpOptionsRow]) -> Sequence[DhcpOptionsView]:
    del connection  # everything is in the rows
    return [
        DhcpOptionsView(meta(row, row.tenant_id), dhcp_values.restored(row.options)) for row in rows
    ]
