"""EIPs: addresses of external networks that tenants have."""

from collections.abc import Sequence
from typing import Any

from vpcctl.model.ids import new_id
from vpcctl.model.problems import Blocker
from vpcctl.services import eip_addresses, eip_association, limit_values, rules
from vpcctl.services.context import (
    Context,
    born,
    changed,
    listed,
    query,
    refuse_blocked,
    spend,
)
from vpcctl.services.eip_views import views
from vpcctl.services.external_networks import network_for
from vpcctl.services.outside_views import Association, EipChange, EipCreate, EipView
from vpcctl.services.views import UNSET, Actor, Listing, Page, Unset
from vpcctl.store import keys, usage
from vpcctl.store.eips import EIPS
from vpcctl.store.tables import EipRow
from vpcctl.store.units import Unit


class EipService:
    """Use cases of EIPs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._units = context.units

    def create(self, actor: Actor, values: EipCreate) -> EipView:
        """Allocate an EIP.

        Raises:
            Problem: Forbidden, Invalid (in no pool), Conflict (in use), Exhausted.
        """
        tenant_id = rules.tenant_of(actor, values.tenant_id)
        columns = rules.described(values)
        limits = limit_values.parse(values.limits)

        def work(unit: Unit) -> EipView:
            network = network_for(unit.connection, values.external_network_id)
            spend(unit, self._context, tenant_id, "eips")
            id = new_id("eip")
            row = {
                "id": id,
                "tenant_id": tenant_id,
                "key": keys.fit(unit, "eip_key"),
                "external_network_id": network.id,
                "address": eip_addresses.take(unit, actor, network, values.address),
                "left_revision": 0,
                "left_hosts": [],
                "seen_revision": unit.revision,
                **limit_values.columns(unit, limits, None),
                **columns,
                **born(unit),
            }
            EIPS.insert(unit.connection, row)
            unit.tell("eip", id, tenant_id, "created")
            return _view(unit.connection, id)

        return self._units.write(work, {"eip_key": 1, **limit_values.needs(values.limits)})

    def get(self, actor: Actor, id: str) -> EipView:
        """Return an EIP.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> EipView:
            return _view(connection, own_eip(connection, actor, id).id)

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[EipView]:
        """Return a page of EIPs, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        asked = query(listing, EIPS, rules.tenant_scope(actor))
        return listed(self._units, EIPS, asked, _views)

    def change(
        self, actor: Actor, id: str, values: EipChange, if_match: int | None = None
    ) -> EipView:
        """Change an EIP: what it stands for, its limits, what it is called.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Conflict (in use, no way out), Stale.
        """
        columns = rules.redescribed(values)
        limits = None if values.limits is UNSET else limit_values.parse(values.limits)

        def work(unit: Unit) -> EipView:
            row = own_eip(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            news = _association(unit, row, values.association)
            if limits is not None:
                news |= limit_values.columns(unit, limits, row.limit_number)
            if any(getattr(row, name) != value for name, value in news.items()):
                news["seen_revision"] = unit.revision
            EIPS.update(unit.connection, id, {**columns, **news, **changed(unit)})
            eip_association.touch(unit, id)
            unit.tell("eip", id, row.tenant_id, "changed")
            return _view(unit.connection, id)

        return self._units.write(work, limit_values.needs(values.limits))

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Release an EIP that nothing uses; return the revision made.

        Raises:
            Problem: NotFound, Forbidden, Conflict with what uses it, Stale.
        """

        def work(unit: Unit) -> int:
            row = own_eip(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            refuse_blocked("The EIP is in use", _users(row))
            eip_addresses.give_back(unit, row)
            EIPS.delete(unit.connection, id)
            usage.count(unit.connection, row.tenant_id, "eips", -1)
            unit.tell("eip", id, row.tenant_id, "deleted")
            return unit.revision

        return self._units.write(work)


def own_eip(connection: Any, actor: Actor, id: str) -> EipRow:
    """Return the EIP that the actor may see.

    Raises:
        NotFound: there is none.
    """
    return rules.visible(actor, EIPS.find(connection, id), "EIP", id)


def _association(unit: Unit, row: EipRow, wanted: Association | Unset | None) -> dict[str, Any]:
    if wanted is UNSET:
        return {}
    if wanted is None:
        return eip_association.disassociate(unit, row)
    return eip_association.associate(unit, row, wanted)


def _users(row: EipRow) -> list[Blocker]:
    found = {"port": row.port_id, "nat": row.nat_gateway_id}
    return [Blocker(kind, id, f"uses {row.address}") for kind, id in found.items() if id]


def _view(connection: Any, id: str) -> EipView:
    row = EIPS.get(connection, id)
    assert row is not None, "written or read in this transaction"  # noqa: S101 - for types
    (view,) = _views(connection, [row])
    return view


def _views(connection: Any, rows: Sequence[EipRow]) -> Sequence[EipView]:
    return views(connection, rows)
