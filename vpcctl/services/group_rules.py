"""Rules of security groups: what they may say, and adding, describing and removing them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any, cast

from vpcctl.model.addresses import IPNetwork
from vpcctl.model.ids import new_id
from vpcctl.model.problems import Blocker, Conflict, Invalid, NotFound
from vpcctl.model.security_group import Direction, Family
from vpcctl.services import rules, traffic
from vpcctl.services.context import (
    Context,
    changed,
    listed,
    meta,
    query,
    require_at_most,
)
from vpcctl.services.security_views import ITSELF, RuleCreate, RulesView, RuleView
from vpcctl.services.traffic import Traffic, field_at
from vpcctl.services.views import Actor, Listing, Page
from vpcctl.store import keys, models, security_groups
from vpcctl.store.address_groups import ADDRESS_GROUPS
from vpcctl.store.security_groups import GROUP_RULES, GROUPS
from vpcctl.store.tables import GroupRuleRow, SecurityGroupRow
from vpcctl.store.units import Unit

REMOTES = ("cidr", "security_group_id", "address_group_id")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rule that is asked for, of one family, checked as far as that goes without the database."""

    direction: Direction
    family: Family
    traffic: Traffic
    cidr: IPNetwork | None
    security_group_id: str | None
    address_group_id: str | None
    description: str
    at: str

    def meaning(self, group_id: str) -> str:
        """Return one text for all equal rules of a group."""
        # A block of length 0 is everybody of the family, as no block is.
        block = self.cidr if self.cidr is not None and self.cidr.prefixlen else None
        remote = self.remote_group(group_id) or self.address_group_id or block or "any"
        return f"{self.direction} {self.family} {self.traffic} {remote}"

    def remote_group(self, group_id: str) -> str | None:
        """Return the id of the remote group, for a rule of *group_id*."""
        return group_id if self.security_group_id == ITSELF else self.security_group_id


# What a VPC's default group holds: its members talk to each other, and send anything anywhere.
_ALL = Traffic(None, None, None, None)
_BOTH: tuple[Family, ...] = (4, 6)
DEFAULTS = (
    *(Wanted("ingress", family, _ALL, None, ITSELF, None, "", "") for family in _BOTH),
    *(Wanted("egress", family, _ALL, None, None, None, "", "") for family in _BOTH),
)


def parse(values: Iterable[RuleCreate]) -> list[Wanted]:
    """Return the rules that are asked for; one for each family where none is said.

    Raises:
        Invalid: a value cannot be accepted, or values do not go together.
    """
    return [wanted for one in values for wanted in _parse(one)]


def _parse(values: RuleCreate) -> list[Wanted]:
    asked = traffic.parse(values)
    named = [name for name in REMOTES if getattr(values, name) is not None]
    if len(named) > 1:
        raise Invalid(
            f"The remote side is said twice: {' and '.join(named)}.",
            field=field_at(values.at, "remote"),
            accepted=f"one of {', '.join(REMOTES)}, or null for anybody",
        )
    cidr = None
    if values.cidr is not None:
        cidr = traffic.block(field_at(values.at, "remote.cidr"), values.cidr)
    description = rules.description(values.description, field_at(values.at, "description"))
    remotes = (cidr, values.security_group_id, values.address_group_id)
    return [
        Wanted(values.direction, family, asked, *remotes, description, values.at)
        for family in traffic.families(values, asked.protocol, cidr)
    ]


def add(
    unit: Unit,
    group: SecurityGroupRow,
    wanted: Sequence[Wanted],
    numbers: Sequence[int],
    quota: int,
) -> list[GroupRuleRow]:
    """Add rules to a group, all or none; return them.

    Args:
        unit: the transaction.
        group: where to.
        wanted: the rules.
        numbers: a key for each.
        quota: how many rules the group may have.

    Raises:
        Problem: Invalid (an unknown remote), Conflict (an equal rule), Exhausted (the quota).
    """
    present = security_groups.meanings(unit.connection, group.id)
    require_at_most(len(present) + len(wanted), quota, "rules in the group", "rules")
    _require_remotes(unit.connection, group, wanted)
    rows: list[dict[str, Any]] = []
    asked: dict[str, Wanted] = {}
    for one, key in zip(wanted, numbers, strict=True):
        meaning = one.meaning(group.id)
        _refuse_equal(one, present.get(meaning), asked.get(meaning))
        asked[meaning] = one
        rows.append(_row(one, meaning, group.id, key) | {"created_at": unit.now})
    security_groups.add_rules(unit.connection, rows)
    return [cast(GroupRuleRow, SimpleNamespace(**row)) for row in rows]


def _row(one: Wanted, meaning: str, group_id: str, key: int) -> dict[str, Any]:
    return {
        "id": new_id("sgr"),
        "group_id": group_id,
        "key": key,
        "direction": one.direction,
        "family": one.family,
        **one.traffic.columns(),
        "remote_cidr": None if one.cidr is None else str(one.cidr),
        "remote_group_id": one.remote_group(group_id),
        "remote_address_group_id": one.address_group_id,
        "meaning": meaning,
        "description": one.description,
    }


def _refuse_equal(one: Wanted, id: str | None, other: Wanted | None) -> None:
    if id is None and other is None:
        return
    named = id or (f"the one at {other.at}" if other and other.at else "another in the request")
    raise Conflict(
        f"An equal rule is there: {named}.",
        field=one.at or None,
        accepted="a rule that allows something else",
        blockers=(Blocker("sgr", id, "is equal"),) if id else (),
    )


def _require_remotes(connection: Any, group: SecurityGroupRow, wanted: Sequence[Wanted]) -> None:
    """Demand that the groups that rules name are there, of the same VPC and tenant."""
    named = {one.security_group_id for one in wanted} - {None, ITSELF, group.id}
    groups = GROUPS.get_many(connection, sorted(filter(None, named)))
    sets = {one.address_group_id for one in wanted if one.address_group_id}
    address_groups = ADDRESS_GROUPS.get_many(connection, sorted(sets))
    for one in wanted:
        if one.security_group_id in named:
            found = groups.get(one.security_group_id or "")
            field = field_at(one.at, "remote.security_group_id")
            require_group(found, one.security_group_id or "", group.vpc_id, field)
        if one.address_group_id is not None:
            row = address_groups.get(one.address_group_id)
            if row is None or row.tenant_id != group.tenant_id:
                raise Invalid(
                    f"There is no address group {rules.printable(one.address_group_id)}.",
                    field=field_at(one.at, "remote.address_group_id"),
                    accepted="the id of an address group of the same tenant, ag-…",
                )


def require_group(row: SecurityGroupRow | None, id: str, vpc_id: str, field: str) -> None:
    """Demand that *row*, the group *id*, is there and of the VPC.

    Raises:
        Invalid: it is not. One of another VPC is not told from none, as it may be another tenant's.
    """
    if row is None or row.vpc_id != vpc_id:
        raise Invalid(
            f"There is no security group {rules.printable(id)} in {vpc_id}.",
            field=field,
            accepted=f"the id of a security group of {vpc_id}, sg-…",
        )


def view(row: GroupRuleRow) -> RuleView:
    """Return the view of a rule's row."""
    rule = models.rule(row)
    return RuleView(
        row.id,
        row.group_id,
        row.key,
        rule.direction,
        rule.family,
        rule.protocol,
        rule.ports,
        rule.icmp_type,
        rule.icmp_code,
        None if row.remote_cidr is None else ip_network(row.remote_cidr),
        row.remote_group_id,
        row.remote_address_group_id,
        row.description,
        row.created_at,
    )


def own_group(connection: Any, actor: Actor, id: str) -> SecurityGroupRow:
    """Return the group that the actor may see.

    Raises:
        NotFound: there is none.
    """
    return rules.visible(actor, GROUPS.find(connection, id), "security group", id)


def _own_rule(connection: Any, group: SecurityGroupRow, id: str) -> GroupRuleRow:
    row = GROUP_RULES.find(connection, id)
    if row is None or row.group_id != group.id:
        raise NotFound(f"There is no rule {rules.printable(id)} in {group.id}.")
    return row


class RuleService:
    """Use cases of a group's rules. Each change of them is a change of the group."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._units = context.units

    def add(
        self,
        actor: Actor,
        group_id: str,
        values: Sequence[RuleCreate],
        if_match: int | None = None,
    ) -> RulesView:
        """Add rules to a group: all, or none.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Conflict (an equal rule), Exhausted, Stale.
        """
        rules.require_tenancy(actor)
        wanted = parse(values)
        quota = self._context.settings.quotas.rules

        def work(unit: Unit) -> RulesView:
            group = self._begin(unit, actor, group_id, if_match)
            made = add(unit, group, wanted, keys.fit_all(unit, "acl_key"), quota)
            return self._end(unit, group, made)

        return self._units.write(work, {"acl_key": len(wanted)})

    def get(self, actor: Actor, group_id: str, id: str) -> RulesView:
        """Return one rule, with its group's meta.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> RulesView:
            group = own_group(connection, actor, group_id)
            return RulesView(
                meta(group, group.tenant_id), (view(_own_rule(connection, group, id)),)
            )

        return self._units.read(work)

    def list(self, actor: Actor, group_id: str, listing: Listing) -> Page[RuleView]:
        """Return a page of a group's rules, oldest first.

        Raises:
            Problem: NotFound, Forbidden, Invalid.
        """
        self._units.read(lambda connection: own_group(connection, actor, group_id))
        filters = {**listing.filters, "group_id": group_id}
        asked = query(Listing(listing.limit, listing.cursor, filters), GROUP_RULES, None)
        return listed(self._units, GROUP_RULES, asked, lambda _, rows: [view(row) for row in rows])

    def describe(
        self, actor: Actor, group_id: str, id: str, description: str, if_match: int | None = None
    ) -> RulesView:
        """Change a rule's description; what it allows does not change.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Stale.
        """
        text = rules.description(description)

        def work(unit: Unit) -> RulesView:
            group = self._begin(unit, actor, group_id, if_match)
            _own_rule(unit.connection, group, id)
            now = GROUP_RULES.update(unit.connection, id, {"description": text})
            return self._end(unit, group, [now])

        return self._units.write(work)

    def delete(
        self, actor: Actor, group_id: str, id: str, if_match: int | None = None
    ) -> RulesView:
        """Remove a rule.

        Raises:
            Problem: NotFound, Forbidden, Stale.
        """

        def work(unit: Unit) -> RulesView:
            group = self._begin(unit, actor, group_id, if_match)
            _own_rule(unit.connection, group, id)
            GROUP_RULES.delete(unit.connection, id)
            return self._end(unit, group, [])

        return self._units.write(work)

    def _begin(
        self, unit: Unit, actor: Actor, group_id: str, if_match: int | None
    ) -> SecurityGroupRow:
        group = own_group(unit.connection, actor, group_id)
        rules.require_match(group.revision, if_match)
        return group

    def _end(self, unit: Unit, group: SecurityGroupRow, found: Sequence[GroupRuleRow]) -> RulesView:
        """Note the change of the group; return the view of some of its rules."""
        now = GROUPS.update(unit.connection, group.id, changed(unit))
        unit.tell("sg", group.id, group.tenant_id, "changed")
        return RulesView(meta(now, now.tenant_id), tuple(view(row) for row in found))
