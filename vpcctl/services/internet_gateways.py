"""Internet gateways: the way between a VPC and an external network."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vpcctl.model.ids import new_id
from vpcctl.model.problems import Blocker, Conflict
from vpcctl.services import gateway_hosts, outside_blocks, route_targets, rules
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
from vpcctl.services.external_networks import network_for
from vpcctl.services.outside_blocks import Claim
from vpcctl.services.outside_views import (
    InternetGatewayChange,
    InternetGatewayCreate,
    InternetGatewayView,
)
from vpcctl.services.standing import judge
from vpcctl.services.views import Actor, Listing, Page
from vpcctl.services.vpcs import vpc_for
from vpcctl.store import eips, gateways, hosts, keys, locations, usage
from vpcctl.store.gateways import INTERNET_GATEWAYS
from vpcctl.store.realisation import standings
from vpcctl.store.tables import InternetGatewayRow
from vpcctl.store.units import Unit


class InternetGatewayService:
    """Use cases of internet gateways."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._units = context.units

    def create(self, actor: Actor, values: InternetGatewayCreate) -> InternetGatewayView:
        """Attach a VPC to an external network; hosts are chosen for those that do not reach it.

        Raises:
            Problem: Forbidden, Invalid, Conflict (attached already, blocks overlap, another VPC
                announces the same addresses), Exhausted.
        """
        rules.require_tenancy(actor)
        columns = rules.described(values)

        def work(unit: Unit) -> InternetGatewayView:
            vpc = vpc_for(unit.connection, actor, values.vpc_id)
            network = network_for(unit.connection, values.external_network_id)
            _require_first(unit.connection, vpc.id, network.id)
            outside_blocks.require_apart(network, vpc.id, vpc.cidrs, "external_network_id")
            claim = Claim(network, vpc.id, vpc.cidrs, "external_network_id")
            outside_blocks.require_sole(unit.connection, actor, claim)
            spend(unit, self._context, vpc.tenant_id, "internet_gateways")
            id = new_id("igw")
            row = {
                "id": id,
                "vpc_id": vpc.id,
                "tenant_id": vpc.tenant_id,
                "external_network_id": network.id,
                "vni": keys.fit(unit, "vni"),
                **columns,
                **born(unit),
            }
            INTERNET_GATEWAYS.insert(unit.connection, row)
            unit.tell("igw", id, vpc.tenant_id, "created")
            gateway_hosts.place(unit, id, network.id)
            touch_hosts_with(unit, hosts.of_vpc(vpc.id))
            return _view(unit.connection, id)

        return self._units.write(work, {"vni": 1})

    def get(self, actor: Actor, id: str) -> InternetGatewayView:
        """Return an internet gateway.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> InternetGatewayView:
            return _view(connection, own_internet(connection, actor, id).id)

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[InternetGatewayView]:
        """Return a page of internet gateways, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        asked = query(listing, INTERNET_GATEWAYS, rules.tenant_scope(actor))
        return listed(self._units, INTERNET_GATEWAYS, asked, _views)

    def change(
        self, actor: Actor, id: str, values: InternetGatewayChange, if_match: int | None = None
    ) -> InternetGatewayView:
        """Change what an internet gateway is called.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Stale.
        """
        columns = rules.redescribed(values)

        def work(unit: Unit) -> InternetGatewayView:
            row = own_internet(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            INTERNET_GATEWAYS.update(unit.connection, id, {**columns, **changed(unit)})
            unit.tell("igw", id, row.tenant_id, "changed")
            return _view(unit.connection, id)

        return self._units.write(work)

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete an internet gateway that no route and no EIP needs; return the revision made.

        Raises:
            Problem: NotFound, Forbidden, Conflict with what needs it, Stale.
        """

        def work(unit: Unit) -> int:
            row = own_internet(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            refuse_blocked("The internet gateway is in use", _users(unit.connection, row))
            touch_hosts_with(unit, hosts.of_vpc(row.vpc_id))
            gateway_hosts.release(unit, id)
            INTERNET_GATEWAYS.delete(unit.connection, id)
            usage.count(unit.connection, row.tenant_id, "internet_gateways", -1)
            unit.tell("igw", id, row.tenant_id, "deleted")
            return unit.revision

        return self._units.write(work)


def own_internet(connection: Any, actor: Actor, id: str) -> InternetGatewayRow:
    """Return the internet gateway that the actor may see.

    Raises:
        NotFound: there is none.
    """
    return rules.visible(actor, INTERNET_GATEWAYS.find(connection, id), "internet gateway", id)


def _require_first(connection: Any, vpc_id: str, network_id: str) -> None:
    """Demand that the VPC does not lead to the network already."""
    present = gateways.internet_between(connection, vpc_id, network_id)
    if present is not None:
        raise Conflict(
            f"{present.id} leads from {vpc_id} to {network_id} already.",
            field="external_network_id",
            accepted="an external network that the VPC has no internet gateway to",
            blockers=(Blocker("igw", present.id, f"leads to {network_id}"),),
        )


def _users(connection: Any, row: InternetGatewayRow) -> list[Blocker]:
    most = MAX_BLOCKERS + 1
    found = eips.ids_in_vpc(connection, row.vpc_id, row.external_network_id, most)
    return [
        *route_targets.blockers_of(connection, row.id),
        *(Blocker("eip", id, "stands for an address of the VPC") for id in found),
    ]


def _view(connection: Any, id: str) -> InternetGatewayView:
    row = INTERNET_GATEWAYS.get(connection, id)
    assert row is not None, "written or read in this transaction"  # noqa: S101 - for types
    reach, network_id = hosts.reach(connection), row.external_network_id
    (view,) = _judged(connection, [row], reach)
    here = locations.hosts_of_vpc(connection, row.vpc_id)
    themselves = (one for one in here if network_id in reach.get(one, ()))
    return replace(view, distributed_host_ids=tuple(sorted(themselves)))


def _views(connection: Any, rows: Sequence[InternetGatewayRow]) -> Sequence[InternetGatewayView]:
    return _judged(connection, rows, hosts.reach(connection))


def _judged(
    connection: Any, rows: Sequence[InternetGatewayRow], reach: Mapping[str, frozenset[str]]
) -> Sequence[InternetGatewayView]:
    """Return the views of gateways, told which external networks each host reaches."""
    found = standings(connection, [row.vpc_id for row in rows])
    places = gateway_hosts.shown(connection, [row.id for row in rows])
    reached = frozenset[str]().union(*reach.values())
    return [
        InternetGatewayView(
            meta(row, row.tenant_id),
            row.vpc_id,
            row.external_network_id,
            row.vni,
            places[row.id],
            gateway_hosts.judge_placed(
                judge(found[row.vpc_id], row.revision), _lacking(row.external_network_id, reached)
            ),
        )
        for row in rows
    ]


def _lacking(network_id: str, reached: frozenset[str]) -> str | None:
    """Return why no packet passes by a gateway to a network; None: some may."""
    return None if network_id in reached else f"no host reaches {network_id}"
