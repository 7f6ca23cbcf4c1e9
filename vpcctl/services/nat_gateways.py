"""NAT gateways: source NAT for a VPC's subnets without EIPs, and port forwards into them."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from vpcctl.model.ids import new_id
from vpcctl.model.problems import Invalid, NotFound
from vpcctl.services import forwards, gateway_hosts, nat_counters, nat_eips, route_targets, rules
from vpcctl.services.attachments import touch_hosts, touch_hosts_with
from vpcctl.services.context import (
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
from vpcctl.services.external_networks import network_for
from vpcctl.services.forwards import ParsedForward
from vpcctl.services.outside_blocks import require_apart
from vpcctl.services.routing_views import (
    EipOfGateway,
    ForwardsView,
    ForwardWanted,
    NatCountersView,
    NatGatewayChange,
    NatGatewayCreate,
    NatGatewayView,
)
from vpcctl.services.standing import judge
from vpcctl.services.views import UNSET, Actor, Listing, Page
from vpcctl.services.vpcs import vpc_for
from vpcctl.store import gateways, hosts, keys, nat_gateways, usage
from vpcctl.store.gateways import NAT_GATEWAYS
from vpcctl.store.realisation import standings
from vpcctl.store.tables import NatGatewayRow, VpcRow
from vpcctl.store.units import Unit


class NatGatewayService:
    """Use cases of NAT gateways. Each change of its port forwards is a change of the gateway."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._units = context.units

    def create(self, actor: Actor, values: NatGatewayCreate) -> NatGatewayView:
        """Make a NAT gateway with its EIPs; hosts are chosen for it.

        Raises:
            Problem: Forbidden, Invalid, Conflict (an EIP is in use), Exhausted.
        """
        rules.require_tenancy(actor)
        columns = rules.described(values)
        wanted = nat_eips.parse(values.eip_ids)

        def work(unit: Unit) -> NatGatewayView:
            vpc = vpc_for(unit.connection, actor, values.vpc_id)
            network_id = _require_network(unit.connection, values.external_network_id, vpc)
            spend(unit, self._context, vpc.tenant_id, "nat_gateways")
            id = new_id("nat")
            row = {
                "id": id,
                "vpc_id": vpc.id,
                "tenant_id": vpc.tenant_id,
                "external_network_id": network_id,
                "vni": keys.fit(unit, "vni"),
                "key": keys.fit(unit, "nat_key"),
                **columns,
                **born(unit),
            }
            NAT_GATEWAYS.insert(unit.connection, row)
            unit.tell("nat", id, vpc.tenant_id, "created")
            gateway_hosts.place(unit, id, network_id)
            nat_eips.take(unit, _row(unit.connection, id), wanted)
            touch_hosts_with(unit, hosts.of_vpc(vpc.id))
            return _view(unit.connection, id)

        return self._units.write(work, {"vni": 1, "nat_key": 1})

    def get(self, actor: Actor, id: str) -> NatGatewayView:
        """Return a NAT gateway with its port forwards.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> NatGatewayView:
            return _view(connection, own_nat(connection, actor, id).id)

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[NatGatewayView]:
        """Return a page of NAT gateways without their port forwards, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        asked = query(listing, NAT_GATEWAYS, rules.tenant_scope(actor))
        return listed(self._units, NAT_GATEWAYS, asked, _views)

    def change(
        self, actor: Actor, id: str, values: NatGatewayChange, if_match: int | None = None
    ) -> NatGatewayView:
        """Change a NAT gateway; ``eip_ids`` is the whole new list.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Conflict (an EIP is in use, or forwards ports),
                Stale.
        """
        columns = rules.redescribed(values)
        wanted = None if values.eip_ids is UNSET else nat_eips.parse(values.eip_ids)

        def work(unit: Unit) -> NatGatewayView:
            row = self._begin(unit, actor, id, if_match)
            if wanted is not None:
                nat_eips.change(unit, row, wanted)
            self._end(unit, row, columns)
            return _view(unit.connection, id)

        return self._units.write(work)

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete a NAT gateway that no route leads to; its port forwards go, its EIPs stay.

        Raises:
            Problem: NotFound, Forbidden, Conflict with the routes in the way, Stale.
        """

        def work(unit: Unit) -> int:
            row = self._begin(unit, actor, id, if_match)
            blockers = route_targets.blockers_of(unit.connection, id)
            refuse_blocked("Routes lead to the NAT gateway", blockers)
            nat_gateways.drop_forwards(unit.connection, id)
            nat_eips.give_all(unit, row)
            gateway_hosts.release(unit, id)
            NAT_GATEWAYS.delete(unit.connection, id)
            touch_hosts_with(unit, hosts.of_vpc(row.vpc_id))
            usage.count(unit.connection, row.tenant_id, "nat_gateways", -1)
            unit.tell("nat", id, row.tenant_id, "deleted")
            return unit.revision

        return self._units.write(work)

    def counted(self, actor: Actor) -> dict[str, NatCountersView]:
        """Return the counters of all NAT gateways, by id; those that nobody counts are missing.

        Raises:
            Forbidden: only an admin may see them all.
        """
        rules.require_admin(actor, "see the counters of all NAT gateways")

        def work(connection: Any) -> dict[str, NatCountersView]:
            ids = nat_gateways.counted_ids(connection)
            places = gateway_hosts.placements(connection, ids)
            return nat_counters.of(connection, _eips(connection, ids), places)

        return self._units.read(work)

    def add_forward(
        self, actor: Actor, id: str, values: ForwardWanted, if_match: int | None = None
    ) -> ForwardsView:
        """Forward some ports of one of the gateway's EIPs to a fixed address.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Conflict (they are forwarded), Exhausted, Stale.
        """
        wanted = forwards.parse(values)

        def work(unit: Unit) -> ForwardsView:
            row = self._begin(unit, actor, id, if_match)
            made = self._forward(unit, row, wanted)
            return self._end_forwards(unit, row, made)

        return self._units.write(work)

    def drop_forward(
        self, actor: Actor, id: str, forward_id: str, if_match: int | None = None
    ) -> ForwardsView:
        """Forward some ports no more.

        Raises:
            Problem: NotFound, Forbidden, Stale.
        """

        def work(unit: Unit) -> ForwardsView:
            row = self._begin(unit, actor, id, if_match)
            if not nat_gateways.drop_forward(unit.connection, id, forward_id):
                raise NotFound(f"There is no forward {rules.printable(forward_id)} in {id}.")
            return self._end_forwards(unit, row, "")

        return self._units.write(work)

    def _forward(self, unit: Unit, row: NatGatewayRow, wanted: ParsedForward) -> str:
        count = nat_gateways.FORWARD_COUNTS.of(unit.connection, [row.id]).get(row.id, 0)
        quota = self._context.settings.quotas.forwards
        require_at_most(count + 1, quota, "port forwards of the gateway", None)
        return forwards.add(unit, row, wanted)

    def _begin(self, unit: Unit, actor: Actor, id: str, if_match: int | None) -> NatGatewayRow:
        row = own_nat(unit.connection, actor, id)
        rules.require_match(row.revision, if_match)
        return row

    def _end(self, unit: Unit, row: NatGatewayRow, columns: dict[str, Any]) -> None:
        """Note the change of a gateway."""
        NAT_GATEWAYS.update(unit.connection, row.id, {**columns, **changed(unit)})
        unit.tell("nat", row.id, row.tenant_id, "changed")

    def _end_forwards(self, unit: Unit, row: NatGatewayRow, made: str) -> ForwardsView:
        """Note the change of a gateway's forwards; return the one *made*."""
        self._end(unit, row, {})
        touch_hosts(unit, *gateways.HOST_IDS.one(unit.connection, row.id))
        now = _row(unit.connection, row.id)
        found = nat_gateways.FORWARDS.one(unit.connection, row.id)
        shown = forwards.views(unit.connection, [one for one in found if one.id == made])
        return ForwardsView(meta(now, now.tenant_id), shown)


def own_nat(connection: Any, actor: Actor, id: str) -> NatGatewayRow:
    """Return the NAT gateway that the actor may see.

    Raises:
        NotFound: there is none.
    """
    return rules.visible(actor, NAT_GATEWAYS.find(connection, id), "NAT gateway", id)


def _require_network(connection: Any, id: str, vpc: VpcRow) -> str:
    """Return the id of an external network that source NAT of a VPC can lead to."""
    row = network_for(connection, id)
    require_apart(row, vpc.id, vpc.cidrs, "external_network_id")
    if row.cidr is None:
        raise Invalid(
            f"{id} has no IPv4 block, and only IPv4 is translated.",
            field="external_network_id",
            accepted="an external network with an IPv4 block",
        )
    return row.id


def _row(connection: Any, id: str) -> NatGatewayRow:
    row = NAT_GATEWAYS.get(connection, id)
    assert row is not None, "written or read in this transaction"  # noqa: S101 - for types
    return row


def _view(connection: Any, id: str) -> NatGatewayView:
    (plain,) = _views(connection, [_row(connection, id)])
    found = nat_gateways.FORWARDS.one(connection, id)
    return replace(plain, forwards=forwards.views(connection, found))


def _views(connection: Any, rows: Sequence[NatGatewayRow]) -> Sequence[NatGatewayView]:
    found = standings(connection, [row.vpc_id for row in rows])
    ids = [row.id for row in rows]
    eips = _eips(connection, ids)
    counts = nat_gateways.FORWARD_COUNTS.of(connection, ids)
    places = gateway_hosts.shown(connection, ids)
    counters = nat_counters.of(connection, eips, places)
    networks = {row.id: row.external_network_id for row in rows}
    lacking = gateway_hosts.lacking(connection, places, networks)
    return [
        NatGatewayView(
            meta(row, row.tenant_id),
            row.vpc_id,
            row.external_network_id,
            row.key,
            row.vni,
            eips[row.id],
            None,
            counts.get(row.id, 0),
            places[row.id],
            counters.get(row.id),
            gateway_hosts.judge_placed(judge(found[row.vpc_id], row.revision), lacking.get(row.id)),
        )
        for row in rows
    ]


def _eips(connection: Any, ids: Sequence[str]) -> dict[str, tuple[EipOfGateway, ...]]:
    """Return the EIPs of these gateways, oldest first."""
    found = nat_gateways.EIPS.of(connection, ids)
    return {
        id: tuple(EipOfGateway(eip.id, ip_address(eip.address)) for eip in found.get(id, ()))
        for id in ids
    }
