"""Address groups: named sets of blocks that rules can name as their remote side."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vpcctl.model.ids import new_id
from vpcctl.model.problems import Blocker, Conflict, Invalid
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
    AddressGroupChange,
    AddressGroupCreate,
    AddressGroupView,
)
from vpcctl.services.standing import judge
from vpcctl.services.views import UNSET, Actor, Listing, Page
from vpcctl.store import address_groups, keys, models, security_groups, usage
from vpcctl.store.address_groups import ADDRESS_GROUPS
from vpcctl.store.realisation import address_group_standings
from vpcctl.store.tables import AddressGroupRow
from vpcctl.store.units import Unit


class AddressGroupService:
    """Use cases of address groups."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._units = context.units

    def create(self, actor: Actor, values: AddressGroupCreate) -> AddressGroupView:
        """Make an address group.

        Raises:
            Problem: Forbidden, Invalid, Exhausted.
        """
        tenant_id = rules.tenant_of(actor, values.tenant_id)
        columns = rules.described(values)
        blocks = _parse(values.cidrs, self._quota)

        def work(unit: Unit) -> AddressGroupView:
            id = new_id("ag")
            spend(unit, self._context, tenant_id, "address_groups")
            key = keys.fit(unit, "acl_key")
            row = {"id": id, "key": key, "tenant_id": tenant_id, **columns, **born(unit)}
            ADDRESS_GROUPS.insert(unit.connection, row)
            address_groups.replace_blocks(unit.connection, id, (), blocks)
            unit.tell("ag", id, tenant_id, "created")
            return _view(unit.connection, id)

        return self._units.write(work, {"acl_key": 1})

    def get(self, actor: Actor, id: str) -> AddressGroupView:
        """Return an address group with its blocks.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> AddressGroupView:
            return _view(connection, own_address_group(connection, actor, id).id)

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[AddressGroupView]:
        """Return a page of address groups without their blocks, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        asked = query(listing, ADDRESS_GROUPS, rules.tenant_scope(actor))
        return listed(self._units, ADDRESS_GROUPS, asked, _views)

    def change(
        self, actor: Actor, id: str, values: AddressGroupChange, if_match: int | None = None
    ) -> AddressGroupView:
        """Change an address group: the rules that name it follow.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Conflict (a block that is, or is not there),
                Exhausted, Stale.
        """
        columns = rules.redescribed(values)
        whole = None if values.cidrs is UNSET else _parse(values.cidrs, self._quota)
        more, fewer = _parse(values.add, self._quota), _parse(values.remove, self._quota, "cidr")

        def work(unit: Unit) -> AddressGroupView:
            row = own_address_group(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            before = address_groups.BLOCKS.one(unit.connection, id)
            after = before if whole is None else whole
            after = _without(id, _with(id, after, more), fewer)
            require_at_most(len(after), self._quota, "CIDRs in the group", "cidrs")
            address_groups.replace_blocks(unit.connection, id, before, after)
            ADDRESS_GROUPS.update(unit.connection, id, {**columns, **changed(unit)})
            unit.tell("ag", id, row.tenant_id, "changed")
            return _view(unit.connection, id)

        return self._units.write(work)

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete an address group that no rule names; return the revision made.

        Raises:
            Problem: NotFound, Forbidden, Conflict with the groups in the way, Stale.
        """

        def work(unit: Unit) -> int:
            row = own_address_group(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            found = security_groups.rules_naming_addresses(unit.connection, id, MAX_BLOCKERS + 1)
            blockers = [
                Blocker("sg", group, f"its rule {rule} names this address group")
                for group, rule in found
            ]
            refuse_blocked("Rules name the address group", blockers)
            address_groups.drop_address_group(unit.connection, id)
            usage.count(unit.connection, row.tenant_id, "address_groups", -1)
            unit.tell("ag", id, row.tenant_id, "deleted")
            return unit.revision

        return self._units.write(work)

    @property
    def _quota(self) -> int:
        return self._context.settings.quotas.cidrs


def _parse(texts: Sequence[str], quota: int, field: str = "cidrs") -> list[str]:
    """Return canonical blocks, none twice."""
    require_at_most(len(texts), quota, "CIDRs", field)
    found: dict[str, None] = {}
    for number, text in enumerate(texts):
        block = str(traffic.block(f"{field}.{number}", text))
        if block in found:
            raise Invalid(
                f"{block} is named twice.", field=f"{field}.{number}", accepted="each block once"
            )
        found[block] = None
    return list(found)


def own_address_group(connection: Any, actor: Actor, id: str) -> AddressGroupRow:
    """Return the address group that the actor may see.

    Raises:
        NotFound: there is none.
    """
    return rules.visible(actor, ADDRESS_GROUPS.find(connection, id), "address group", id)


def _with(id: str, present: Sequence[str], more: Sequence[str]) -> list[str]:
    held = frozenset(present)
    for number, block in enumerate(more):
        if block in held:
            raise Conflict(
                f"{block} is in {id} already.",
                field=f"cidrs.{number}",
                accepted="blocks that are not in the group",
            )
    return [*present, *more]


def _without(id: str, present: Sequence[str], fewer: Sequence[str]) -> list[str]:
    held, gone = frozenset(present), frozenset(fewer)
    for number, block in enumerate(fewer):
        if block not in held:
            raise Conflict(
                f"{block} is not in {id}.",
                field=f"cidr.{number}",
                accepted="blocks that are in the group",
            )
    return [block for block in present if block not in gone]


def _view(connection: Any, id: str) -> AddressGroupView:
    row = ADDRESS_GROUPS.get(connection, id)
    assert row is not None, "written or read in this transaction"  # noqa: S101 - for types
    found = address_groups.BLOCKS.one(connection, id)
    (plain,) = _views(connection, [row])
    return replace(plain, cidrs=models.sorted_blocks(found))


def _views(connection: Any, rows: Sequence[AddressGroupRow]) -> Sequence[AddressGroupView]:
    ids = [row.id for row in rows]
    found = address_group_standings(connection, ids)
    counts = address_groups.BLOCK_COUNTS.of(connection, ids)
    return [
        AddressGroupView(
            meta(row, row.tenant_id),
            row.key,
            None,
            counts.get(row.id, 0),
            judge(found[row.id], row.revision),
        )
        for row in rows
    ]
