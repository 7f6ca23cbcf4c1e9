"""Subnets: a block of their VPC each, an optional IPv6 block, and a gateway in both."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, cast, get_args

from vpcctl.model.addresses import IPAddress, IPNetwork
from vpcctl.model.ids import new_id
from vpcctl.model.problems import Blocker, Conflict, Invalid
from vpcctl.services import guest_routes, outside_touch, rules
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
from vpcctl.services.network_acls import require_acl
from vpcctl.services.route_tables import require_table
from vpcctl.services.route_targets import require_no_circle
from vpcctl.services.routes import DEFAULTS
from vpcctl.services.standing import judge
from vpcctl.services.views import (
    UNSET,
    Actor,
    Listing,
    Page,
    SubnetChange,
    SubnetCreate,
    SubnetView,
)
from vpcctl.services.vpcs import find_vpc, vpc_for
from vpcctl.store import allocation, hosts, keys, ports, usage
from vpcctl.store.allocation import Block
from vpcctl.store.realisation import standings
from vpcctl.store.subnets import SUBNETS
from vpcctl.store.tables import SubnetRow, VpcRow
from vpcctl.store.units import Unit
from vpcctl.store.vpcs import subnet_blocks
from vpcctl.wire.state import Ipv6Mode

SIZES = {4: {4: (8, 29)}, 6: {6: (64, 64)}}
DEFAULT_MODE: Ipv6Mode = "dhcpv6-stateful"
_TABLE_FIELDS: dict[str, str] = dict.fromkeys(DEFAULTS, "route_table_id")
FIELDS = {4: ("cidr", "gateway"), 6: ("ipv6_cidr", "ipv6_gateway")}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A block with its gateway, checked as far as that goes without the database."""

    network: IPNetwork
    gateway: IPAddress


class SubnetService:
    """Use cases of subnets."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._units = context.units

    def create(self, actor: Actor, values: SubnetCreate) -> SubnetView:
        """Make a subnet.

        Raises:
            Problem: Forbidden, Invalid, Conflict (overlaps a sibling), Exhausted.
        """
        rules.require_tenancy(actor)
        columns = {
            **rules.described(values),
            "availability_zone": rules.zone(values.availability_zone),
        }
        four = _wanted(4, values.cidr, values.gateway)
        six = _optional(values.ipv6_cidr, values.ipv6_gateway)
        mode = _mode(values.ipv6_mode, has_block=six is not None)

        def work(unit: Unit) -> SubnetView:
            vpc = vpc_for(unit.connection, actor, values.vpc_id)
            blocks = [four] if six is None else [four, six]
            for block in blocks:
                _require_place(unit.connection, vpc, block.network, but="")
            acl_id = require_acl(unit.connection, values.network_acl_id, vpc.id)
            table_id = require_table(unit.connection, values.route_table_id, vpc.id)
            spend(unit, self._context, vpc.tenant_id, "subnets")
            id = new_id("subnet")
            SUBNETS.insert(
                unit.connection,
                {
                    "id": id,
                    "vpc_id": vpc.id,
                    "tenant_id": vpc.tenant_id,
                    "vni": keys.fit(unit, "vni"),
                    "used": 0,
                    "acl_id": acl_id,
                    "route_table_id": table_id,
                    **columns,
                    **_columns(4, four),
                    **_columns(6, six),
                    "ipv6_mode": mode,
                    **born(unit),
                },
            )
            for block in blocks:
                _open(unit, id, block)
            unit.tell("subnet", id, vpc.tenant_id, "created")
            return _view(unit.connection, id)

        return self._units.write(work, {"vni": 1})

    def get(self, actor: Actor, id: str) -> SubnetView:
        """Return a subnet.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> SubnetView:
            return _views(connection, [_own(connection, actor, id)])[0]

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[SubnetView]:
        """Return a page of subnets, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        asked = query(listing, SUBNETS, rules.tenant_scope(actor))
        return listed(self._units, SUBNETS, asked, _views)

    def change(
        self, actor: Actor, id: str, values: SubnetChange, if_match: int | None = None
    ) -> SubnetView:
        """Change a subnet; its IPv6 block can be added, or changed and removed while unused.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Conflict, Stale.
        """
        columns = rules.redescribed(values)
        if values.availability_zone is not UNSET:
            columns["availability_zone"] = rules.zone(values.availability_zone)

        def work(unit: Unit) -> SubnetView:
            row = _own(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            six = _change_six(unit, row, values)
            six |= _change_mode(row, six, values)
            if values.network_acl_id is not UNSET:
                wanted = require_acl(unit.connection, values.network_acl_id, row.vpc_id)
                columns["acl_id"] = wanted
            if values.route_table_id is not UNSET:
                table = require_table(unit.connection, values.route_table_id, row.vpc_id)
                columns["route_table_id"] = table
            SUBNETS.update(unit.connection, id, {**columns, **six, **changed(unit)})
            if values.route_table_id is not UNSET:
                require_no_circle(unit.connection, row.vpc_id, _TABLE_FIELDS)
                guest_routes.touch_subnet(unit, row, _kept(unit.connection, id))
                outside_touch.touch_routed(unit, row.vpc_id)
            if six:
                touch_hosts_with(unit, hosts.of_subnet(id))
            unit.tell("subnet", id, row.tenant_id, "changed")
            return _view(unit.connection, id)

        return self._units.write(work)

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete a subnet without ports; return the revision made.

        Raises:
            Problem: NotFound, Forbidden, Conflict with the ports in the way, Stale.
        """

        def work(unit: Unit) -> int:
            row = _own(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            found = ports.ids_in_subnet(unit.connection, id, MAX_BLOCKERS + 1)
            blockers = [Blocker("port", port, "is a port of this subnet") for port in found]
            refuse_blocked("The subnet still has ports", blockers)
            for text in filter(None, (row.cidr, row.ipv6_cidr)):
                allocation.close_block(unit.connection, Block(id, ip_network(text)))
            SUBNETS.delete(unit.connection, id)
            usage.count(unit.connection, row.tenant_id, "subnets", -1)
            unit.tell("subnet", id, row.tenant_id, "deleted")
            return unit.revision

        return self._units.write(work)


def find_subnet(connection: Any, id: str) -> SubnetRow | None:
    """Return the subnet's row; None when there is none or the id is malformed."""
    return SUBNETS.find(connection, id)


def _own(connection: Any, actor: Actor, id: str) -> SubnetRow:
    return rules.visible(actor, find_subnet(connection, id), "subnet", id)


def _kept(connection: Any, id: str) -> SubnetRow:
    row = SUBNETS.get(connection, id)
    assert row is not None, "written in this transaction"  # noqa: S101 - for the type checker
    return row


def _view(connection: Any, id: str) -> SubnetView:
    return _views(connection, [_kept(connection, id)])[0]


def _views(connection: Any, rows: Sequence[SubnetRow]) -> Sequence[SubnetView]:
    found = standings(connection, [row.vpc_id for row in rows])
    return [
        SubnetView(
            meta(row, row.tenant_id),
            row.vpc_id,
            row.vni,
            ip_network(row.cidr),
            ip_address(row.gateway),
            ip_network(row.ipv6_cidr) if row.ipv6_cidr else None,
            ip_address(row.ipv6_gateway) if row.ipv6_gateway else None,
            cast("Ipv6Mode | None", row.ipv6_mode),
            row.availability_zone,
            row.acl_id,
            row.route_table_id,
            ip_network(row.cidr).num_addresses - 3 - row.used,
            judge(found[row.vpc_id], row.revision),
        )
        for row in rows
    ]


def _wanted(version: int, cidr: str, gateway: str | None) -> Wanted:
    cidr_field, gateway_field = FIELDS[version]
    network = rules.cidr(cidr_field, cidr, SIZES[version])
    first = network[1]
    address = first if gateway is None else rules.address(gateway_field, gateway)
    usable = address.version == version and address in network
    if not usable or address in allocation.reserved(network, first) - {first}:
        raise Invalid(
            f"{address} cannot be the gateway of {network}.",
            field=gateway_field,
            accepted=f"an address from {first} to {_last_usable(network)}",
        )
    return Wanted(network, address)


def _last_usable(network: IPNetwork) -> IPAddress:
    return network[-2] if network.version == 4 else network[-1]


def _optional(cidr: str | None, gateway: str | None) -> Wanted | None:
    if cidr is not None:
        return _wanted(6, cidr, gateway)
    if gateway is not None:
        raise Invalid(
            "There is an IPv6 gateway but no IPv6 block.",
            field="ipv6_gateway",
            accepted="null, or ipv6_cidr beside it",
        )
    return None


def _columns(version: int, wanted: Wanted | None) -> dict[str, str | None]:
    cidr_field, gateway_field = FIELDS[version]
    if wanted is None:
        return {cidr_field: None, gateway_field: None}
    return {cidr_field: str(wanted.network), gateway_field: str(wanted.gateway)}


def _require_place(connection: Any, vpc: VpcRow, network: IPNetwork, but: str) -> None:
    """Demand that *network* lies in the VPC and overlaps no subnet of it except *but*."""
    field = FIELDS[network.version][0]
    blocks = [ip_network(text) for text in vpc.cidrs]
    if not any(rules.within(network, block) for block in blocks):
        same = [str(block) for block in blocks if block.version == network.version]
        raise Invalid(
            f"{network} lies outside the CIDRs of {vpc.id}.",
            field=field,
            accepted="a block within " + " or ".join(same)
            if same
            else f"nothing: the VPC has no IPv{network.version} CIDR; add one first",
        )
    for id, _, texts in subnet_blocks(connection, vpc.id):
        for other in map(ip_network, texts):
            if id != but and rules.overlap(network, other):
                raise Conflict(
                    f"{network} overlaps {other} of {id}.",
                    field=field,
                    accepted="a block that no other subnet of the VPC overlaps",
                    blockers=(Blocker("subnet", id, f"has {other}"),),
                )


def _open(unit: Unit, subnet_id: str, wanted: Wanted) -> None:
    block = Block(subnet_id, wanted.network)
    allocation.open_block(unit.connection, block, wanted.gateway)


def _change_six(unit: Unit, row: SubnetRow, values: SubnetChange) -> dict[str, str | None]:
    """Change the IPv6 block and gateway; return the columns that this sets."""
    if values.ipv6_cidr is UNSET and values.ipv6_gateway is UNSET:
        return {}
    cidr = row.ipv6_cidr if values.ipv6_cidr is UNSET else values.ipv6_cidr
    same_block = cidr == row.ipv6_cidr
    kept = row.ipv6_gateway if same_block else None
    gateway = kept if values.ipv6_gateway is UNSET else values.ipv6_gateway
    wanted = _optional(cidr, gateway)
    columns = _columns(6, wanted)
    if columns == {"ipv6_cidr": row.ipv6_cidr, "ipv6_gateway": row.ipv6_gateway}:
        return {}
    if row.ipv6_cidr is not None and wanted and str(wanted.network) == row.ipv6_cidr:
        _move_gateway(unit, row, wanted)
        return columns
    if row.ipv6_cidr is not None:
        _require_unused_six(unit, row)
        allocation.close_block(unit.connection, Block(row.id, ip_network(row.ipv6_cidr)))
    if wanted is not None:
        vpc = find_vpc(unit.connection, row.vpc_id)
        assert vpc is not None, "a foreign key"  # noqa: S101 - for the type checker
        _require_place(unit.connection, vpc, wanted.network, but=row.id)
        _open(unit, row.id, wanted)
    return columns


def _mode(wanted: str | None, *, has_block: bool) -> str | None:
    """Return how a block's addresses are given out; a mode without a block is refused."""
    if wanted is not None and not has_block:
        raise Invalid(
            "There is no IPv6 block.",
            field="ipv6_mode",
            accepted="null, or ipv6_cidr beside it",
        )
    if wanted is not None and wanted not in get_args(Ipv6Mode):
        raise Invalid(
            f"{rules.printable(wanted)} is no way to give out IPv6 addresses.",
            field="ipv6_mode",
            accepted=", ".join(get_args(Ipv6Mode)),
        )
    return (wanted or DEFAULT_MODE) if has_block else None


def _change_mode(
    row: SubnetRow, six: dict[str, str | None], values: SubnetChange
) -> dict[str, str | None]:
    """Return the column of the mode where it changes; a new block begins with the default."""
    has_block = six.get("ipv6_cidr", row.ipv6_cidr) is not None
    kept = row.ipv6_mode if has_block else None
    mode = _mode(kept if values.ipv6_mode is UNSET else values.ipv6_mode, has_block=has_block)
    return {} if mode == row.ipv6_mode else {"ipv6_mode": mode}


def _move_gateway(unit: Unit, row: SubnetRow, wanted: Wanted) -> None:
    block = Block(row.id, wanted.network)
    owner = allocation.owner(unit.connection, block, wanted.gateway)
    if owner is not None:
        raise Conflict(
            f"{wanted.gateway} belongs to {owner}.",
            field="ipv6_gateway",
            accepted="an address that no port has",
            blockers=(Blocker("port", owner, f"has {wanted.gateway}"),),
        )
    allocation.take_chosen(unit.connection, block, wanted.gateway)
    old = ip_address(row.ipv6_gateway or "::")
    allocation.give_back(unit.connection, block, [old], unit.revision)


def _require_unused_six(unit: Unit, row: SubnetRow) -> None:
    owners = ports.owners_in_family(unit.connection, row.id, 6, MAX_BLOCKERS + 1)
    blockers = [Blocker("port", id, f"has an address of {row.ipv6_cidr}") for id in owners]
    refuse_blocked("Ports use the IPv6 block", blockers)
