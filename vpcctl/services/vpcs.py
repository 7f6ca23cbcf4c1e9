"""VPCs: their CIDRs never overlap within one VPC; one goes when nothing is left in it."""

from collections.abc import Sequence
from ipaddress import ip_network
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from vpcctl.model.addresses import IPNetwork
from vpcctl.model.ids import new_id
from vpcctl.model.problems import Blocker, Invalid
from vpcctl.services import dns_values, rules
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
    spend,
)
from vpcctl.services.default_groups import KEYS, drop_default, make_default
from vpcctl.services.dhcp_options import require_usable
from vpcctl.services.main_tables import drop_main, make_main
from vpcctl.services.outside_blocks import require_vpc_apart
from vpcctl.services.standing import judge
from vpcctl.services.views import UNSET, Actor, Listing, Page, VpcChange, VpcCreate, VpcView
from vpcctl.services.zones import moved
from vpcctl.store import (
    dns_records,
    gateways,
    hosts,
    keys,
    nat_gateways,
    network_acls,
    routes,
    security_groups,
    usage,
)
from vpcctl.store.realisation import standings
from vpcctl.store.tables import VpcRow
from vpcctl.store.units import Unit
from vpcctl.store.vpcs import VPCS, subnet_blocks

DOMAIN = "vpc.internal"
"""Domain of a VPC's ports where no other is chosen."""
NAMES = frozenset(("cidrs", "dns_enabled", "dns_domain"))
"""Columns that make up what guests are told of names."""
MAX_CIDRS = 64
SIZES = {4: (8, 28), 6: (32, 64)}


class VpcService:
    """Use cases of VPCs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._units = context.units

    def create(self, actor: Actor, values: VpcCreate) -> VpcView:
        """Make a VPC, its default group and its main route table.

        Raises:
            Problem: Forbidden, Invalid, Exhausted.
        """
        tenant_id = rules.tenant_of(actor, values.tenant_id)
        columns = {
            **rules.described(values),
            "cidrs": _cidrs(values.cidrs),
            "dhcp_options_id": values.dhcp_options_id,
            "dns_enabled": values.dns_enabled,
            "dns_domain": DOMAIN
            if values.dns_domain is None
            else dns_values.domain("dns_domain", values.dns_domain),
        }

        def work(unit: Unit) -> VpcView:
            id = new_id("vpc")
            require_usable(unit.connection, values.dhcp_options_id, tenant_id)
            spend(unit, self._context, tenant_id, "vpcs")
            key = keys.fit(unit, "vpc_key")
            own = {"id": id, "key": key, "tenant_id": tenant_id, "names_revision": unit.revision}
            row = {**own, **columns, **born(unit)}
            VPCS.insert(unit.connection, row)
            unit.tell("vpc", id, tenant_id, "created")
            vpc = SimpleNamespace(id=id, tenant_id=tenant_id)
            make_default(unit, vpc, keys.fit_all(unit, "acl_key"))
            make_main(unit, vpc, keys.fit(unit, "rtb_key"))
            return _view(unit.connection, id)

        return self._units.write(work, {"vpc_key": 1, "acl_key": KEYS, "rtb_key": 1})

    def get(self, actor: Actor, id: str) -> VpcView:
        """Return a VPC.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> VpcView:
            return _views(connection, [_own(connection, actor, id)])[0]

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[VpcView]:
        """Return a page of VPCs, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        asked = query(listing, VPCS, rules.tenant_scope(actor))
        return listed(self._units, VPCS, asked, _views)

    def change(
        self, actor: Actor, id: str, values: VpcChange, if_match: int | None = None
    ) -> VpcView:
        """Change a VPC: add CIDRs, or take away those that no subnet is in.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Conflict, Stale.
        """
        columns = rules.redescribed(values)
        if values.cidrs is not UNSET:
            columns["cidrs"] = _cidrs(values.cidrs)
        columns |= _names(values)

        def work(unit: Unit) -> VpcView:
            row = _own(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            if "cidrs" in columns:
                _require_room(unit.connection, id, columns["cidrs"])
                _require_unrouted(unit.connection, id, columns["cidrs"])
                require_vpc_apart(unit.connection, actor, row, columns["cidrs"])
            if values.dhcp_options_id is not UNSET:
                require_usable(unit.connection, values.dhcp_options_id, row.tenant_id)
                columns["dhcp_options_id"] = values.dhcp_options_id
            if (NAMES | {"cidrs"}) & columns.keys():
                moved(unit, id)
            if (NAMES | {"dhcp_options_id"}) & columns.keys():
                touch_hosts_with(unit, hosts.of_vpc(id))
            VPCS.update(unit.connection, id, {**columns, **changed(unit)})
            unit.tell("vpc", id, row.tenant_id, "changed")
            return _view(unit.connection, id)

        return self._units.write(work)

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete a VPC in which nothing is but what came with it; return the revision made.

        Raises:
            Problem: NotFound, Forbidden, Conflict with what is in the way, Stale.
        """

        def work(unit: Unit) -> int:
            row = _own(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            refuse_blocked("The VPC is not empty", _contents(unit.connection, id))
            drop_default(unit, row)
            drop_main(unit, row)
            VPCS.delete(unit.connection, id)
            usage.count(unit.connection, row.tenant_id, "vpcs", -1)
            unit.tell("vpc", id, row.tenant_id, "deleted")
            return unit.revision

        return self._units.write(work)


def _names(values: VpcChange) -> dict[str, Any]:
    """Return the columns of the VPC's private zone that a change sets."""
    found: dict[str, Any] = {}
    if values.dns_enabled is not UNSET:
        found["dns_enabled"] = values.dns_enabled
    if values.dns_domain is not UNSET:
        found["dns_domain"] = dns_values.domain("dns_domain", values.dns_domain)
    return found


def _contents(connection: Any, id: str) -> list[Blocker]:
    most = MAX_BLOCKERS + 1
    found = {
        "subnet": [subnet for subnet, *_ in subnet_blocks(connection, id)[:most]],
        "sg": security_groups.ids_in_vpc(connection, id, most),
        "nacl": network_acls.ids_in_vpc(connection, id, most),
        "rtb": routes.ids_in_vpc(connection, id, most),
        "igw": gateways.ids_in_vpc(connection, id, most),
        "nat": nat_gateways.ids_in_vpc(connection, id, most),
        "rec": dns_records.ids_in_vpc(connection, id, most),
    }
    called = {
        "subnet": "a subnet",
        "sg": "a security group",
        "nacl": "a network ACL",
        "rtb": "a route table",
        "igw": "an internet gateway",
        "nat": "a NAT gateway",
        "rec": "a DNS record",
    }
    return [
        Blocker(kind, one, f"is {called[kind]} of this VPC")
        for kind, ids in found.items()
        for one in ids
    ]


def _own(connection: Any, actor: Actor, id: str) -> VpcRow:
    return rules.visible(actor, find_vpc(connection, id), "VPC", id)


def find_vpc(connection: Any, id: str) -> VpcRow | None:
    """Return the VPC's row; None when there is none or the id is malformed."""
    return VPCS.find(connection, id)


def vpc_for(connection: Any, actor: Actor, id: str) -> VpcRow:
    """Return the VPC that a new resource of *actor* is to be in.

    Raises:
        Invalid: there is none that the actor sees.
    """
    row = find_vpc(connection, id)
    scope = rules.tenant_scope(actor)
    if row is None or (scope is not None and row.tenant_id != scope):
        raise Invalid(
            f"There is no VPC {rules.printable(id)}.",
            field="vpc_id",
            accepted="the id of an existing VPC, vpc-…",
        )
    return row


def _view(connection: Any, id: str) -> VpcView:
    row = VPCS.get(connection, id)
    assert row is not None, "written in this transaction"  # noqa: S101 - for the type checker
    return _views(connection, [row])[0]


def _views(connection: Any, rows: Sequence[VpcRow]) -> Sequence[VpcView]:
    found = standings(connection, [row.id for row in rows])
    return [
        VpcView(
            meta(row, row.tenant_id),
            row.key,
            tuple(map(ip_network, row.cidrs)),
            row.dhcp_options_id,
            row.dns_enabled,
            row.dns_domain,
            judge(found[row.id], row.revision),
        )
        for row in rows
    ]


def _cidrs(texts: Sequence[str]) -> list[str]:
    """Return canonical CIDRs, sorted; they must not overlap."""
    if not 1 <= len(texts) <= MAX_CIDRS:
        raise Invalid(
            f"There are {len(texts)} CIDRs.", field="cidrs", accepted=f"1 to {MAX_CIDRS} CIDRs"
        )
    blocks = [rules.cidr(f"cidrs.{n}", text, SIZES) for n, text in enumerate(texts)]
    if all(block.version != 4 for block in blocks):
        raise Invalid("There is no IPv4 CIDR.", field="cidrs", accepted="at least one IPv4 block")
    order = sorted(blocks, key=_place)
    for one, other in pairwise(order):
        if rules.overlap(one, other):
            place = max(blocks.index(one), blocks.index(other))
            raise Invalid(
                f"{one} and {other} overlap.",
                field=f"cidrs.{place}",
                accepted="blocks that share no address",
            )
    return [str(block) for block in order]


def _place(block: IPNetwork) -> tuple[int, int, int]:
    return block.version, int(block.network_address), block.prefixlen


def _require_room(connection: Any, vpc_id: str, cidrs: Sequence[str]) -> None:
    blocks = [ip_network(text) for text in cidrs]
    blockers = [
        Blocker("subnet", id, f"its block {text} lies in none of the new CIDRs")
        for id, _, texts in subnet_blocks(connection, vpc_id)
        for text in texts
        if not any(rules.within(ip_network(text), block) for block in blocks)
    ]
    refuse_blocked("Subnets would lose their VPC's CIDR", blockers)


def _require_unrouted(connection: Any, vpc_id: str, cidrs: Sequence[str]) -> None:
    """Demand that no route of the VPC leads to what is to be local."""
    blocks = [ip_network(text) for text in cidrs]
    blockers = [
        Blocker("rtb", table, f"has a route to {text}")
        for table, text in routes.destinations_in(connection, vpc_id)
        if any(rules.within(ip_network(text), block) for block in blocks)
    ]
    refuse_blocked("Routes lead to what would be local", blockers)
