"""Security groups: which traffic the ports in them may send and get."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from vpcctl.model.problems import Blocker, Conflict, Invalid
from vpcctl.services import group_rules, rules
from vpcctl.services.context import (
    MAX_BLOCKERS,
    Context,
    changed,
    listed,
    meta,
    query,
    refuse_blocked,
    spend,
)
from vpcctl.services.default_groups import DEFAULT_NAME, make
from vpcctl.services.group_rules import own_group
from vpcctl.services.security_views import (
    Established,
    SecurityGroupChange,
    SecurityGroupCreate,
    SecurityGroupView,
)
from vpcctl.services.standing import judge
from vpcctl.services.views import UNSET, Actor, Listing, Page
from vpcctl.services.vpcs import vpc_for
from vpcctl.store import keys, memberships, security_groups, usage
from vpcctl.store.realisation import standings
from vpcctl.store.security_groups import GROUPS
from vpcctl.store.tables import SecurityGroupRow
from vpcctl.store.units import Unit


class SecurityGroupService:
    """Use cases of security groups."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._units = context.units

    def create(self, actor: Actor, values: SecurityGroupCreate) -> SecurityGroupView:
        """Make a group with its rules.

        Raises:
            Problem: Forbidden, Invalid, Conflict (equal rules), Exhausted.
        """
        rules.require_tenancy(actor)
        _refuse_default(values.name)
        _require_sense(values.stateful, values.established)
        columns = {
            **rules.described(values),
            "stateful": values.stateful,
            "keep_established": values.established == "keep",
        }
        wanted = group_rules.parse(values.rules)
        quota = self._context.settings.quotas.rules

        def work(unit: Unit) -> SecurityGroupView:
            vpc = vpc_for(unit.connection, actor, values.vpc_id)
            spend(unit, self._context, vpc.tenant_id, "security_groups")
            key, *numbers = keys.fit_all(unit, "acl_key")
            group = make(unit, vpc, {**columns, "key": key, "default_of": None})
            group_rules.add(unit, group, wanted, numbers, quota)
            return _view(unit.connection, group.id)

        return self._units.write(work, {"acl_key": 1 + len(wanted)})

    def get(self, actor: Actor, id: str) -> SecurityGroupView:
        """Return a group with its rules.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> SecurityGroupView:
            return _view(connection, own_group(connection, actor, id).id)

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[SecurityGroupView]:
        """Return a page of groups without their rules, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        asked = query(listing, GROUPS, rules.tenant_scope(actor))
        return listed(self._units, GROUPS, asked, _views)

    def change(
        self, actor: Actor, id: str, values: SecurityGroupChange, if_match: int | None = None
    ) -> SecurityGroupView:
        """Change a group but for its rules.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Stale.
        """
        columns = rules.redescribed(values)
        if values.stateful is not UNSET:
            columns["stateful"] = values.stateful
        if values.established is not UNSET:
            columns["keep_established"] = values.established == "keep"

        def work(unit: Unit) -> SecurityGroupView:
            row = own_group(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            _require_name(row, columns.get("name", row.name))
            _require_sense(
                columns.get("stateful", row.stateful),
                _established(columns.get("keep_established", row.keep_established)),
            )
            GROUPS.update(unit.connection, id, {**columns, **changed(unit)})
            unit.tell("sg", id, row.tenant_id, "changed")
            return _view(unit.connection, id)

        return self._units.write(work)

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete a group that no port is in and no other group's rule names.

        Returns:
            the revision made.

        Raises:
            Problem: NotFound, Forbidden, Conflict with what is in the way, Stale.
        """

        def work(unit: Unit) -> int:
            row = own_group(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            if row.default_of is not None:
                raise Conflict(
                    f"{id} is the default group of {row.vpc_id} and goes with it.",
                    blockers=(Blocker("vpc", row.vpc_id, "has it as its default group"),),
                )
            refuse_blocked("The group is in use", _users(unit.connection, id))
            security_groups.drop_group(unit.connection, id)
            usage.count(unit.connection, row.tenant_id, "security_groups", -1)
            unit.tell("sg", id, row.tenant_id, "deleted")
            return unit.revision

        return self._units.write(work)


def _users(connection: Any, id: str) -> list[Blocker]:
    ports = memberships.members(connection, id, MAX_BLOCKERS + 1)
    naming = security_groups.rules_naming(connection, id, MAX_BLOCKERS + 1)
    return [
        *(Blocker("port", port, "is in this group") for port in ports),
        *(Blocker("sg", group, f"its rule {rule} names this group") for group, rule in naming),
    ]


def _refuse_default(name: str) -> None:
    if name == DEFAULT_NAME:
        raise Invalid(
            "That is the name of a VPC's own group.", field="name", accepted="another name"
        )


def _require_name(row: SecurityGroupRow, name: str) -> None:
    if row.default_of is None:
        _refuse_default(name)
    elif name != DEFAULT_NAME:
        raise Invalid("A VPC's default group keeps its name.", field="name", accepted=DEFAULT_NAME)


def _require_sense(stateful: bool, established: Established) -> None:
    if not stateful and established == "keep":
        raise Invalid(
            "A stateless group knows no established connections to keep.",
            field="established",
            accepted="revoke, or stateful true",
        )


def _established(keep: bool) -> Established:
    return "keep" if keep else "revoke"


def _view(connection: Any, id: str) -> SecurityGroupView:
    row = GROUPS.get(connection, id)
    assert row is not None, "written or read in this transaction"  # noqa: S101 - for types
    found = security_groups.RULES.one(connection, id)
    shown = tuple(group_rules.view(rule) for rule in found)
    (plain,) = _views(connection, [row])
    return replace(plain, rules=shown)


def _views(connection: Any, rows: Sequence[SecurityGroupRow]) -> Sequence[SecurityGroupView]:
    found = standings(connection, [row.vpc_id for row in rows])
    counts = security_groups.RULE_COUNTS.of(connection, [row.id for row in rows])
    return [
        SecurityGroupView(
            meta(row, row.tenant_id),
            row.vpc_id,
            row.key,
            row.default_of is not None,
            row.stateful,
            _established(row.keep_established),
            None,
            counts.get(row.id, 0),
            judge(found[row.vpc_id], row.revision),
        )
        for row in rows
    ]
