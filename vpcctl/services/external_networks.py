"""External networks: what is outside, and which of its addresses are ours. The operator's."""

from collections.abc import Sequence
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from vpcctl.model.addresses import IPAddress, IPNetwork
from vpcctl.model.ids import new_id
from vpcctl.model.problems import Blocker, Conflict, Invalid
from vpcctl.model.ranges import Range, holds, size
from vpcctl.services import eip_hosts, outside_blocks, pool_values, route_targets, rules
from vpcctl.services.context import (
    MAX_BLOCKERS,
    Context,
    born,
    changed,
    listed,
    meta,
    query,
    refuse_blocked,
)
from vpcctl.services.outside_touch import touch_all
from vpcctl.services.outside_views import (
    ExternalNetworkChange,
    ExternalNetworkCreate,
    ExternalNetworkView,
)
from vpcctl.services.standing import judge
from vpcctl.services.views import UNSET, Actor, Listing, Page, Status
from vpcctl.store import eips, external_networks, hosts, keys, pools
from vpcctl.store.external_networks import EXTERNAL_NETWORKS
from vpcctl.store.realisation import HostState, standing_of_hosts
from vpcctl.store.tables import ExternalNetworkRow
from vpcctl.store.units import Unit

SIZES = {4: {4: (8, 30)}, 6: {6: (32, 126)}}
FIELDS = {4: ("cidr", "gateway"), 6: ("ipv6_cidr", "ipv6_gateway")}
LARGEST_VLAN = 4094
MTUS = (576, 9_216)
IPV6_MTU = 1_280
"""What every link with IPv6 takes at least, bytes (RFC 8200, section 5)."""


class ExternalNetworkService:
    """Use cases of external networks. Only admins make and change them; everybody sees them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._units = context.units

    def create(self, actor: Actor, values: ExternalNetworkCreate) -> ExternalNetworkView:
        """Make an external network.

        Raises:
            Problem: Forbidden, Invalid, Conflict (provider and VLAN taken, or an address).
        """
        rules.require_admin(actor, "make external networks")
        four = _block(4, values.cidr, values.gateway)
        six = _block(6, values.ipv6_cidr, values.ipv6_gateway)
        if four[0] is None and six[0] is None:
            raise Invalid("There is no block.", field="cidr", accepted="cidr, ipv6_cidr or both")
        wanted = pool_values.parse(values.pools, *four)
        _require_ipv6_fits(_mtu(values.mtu), six[0])
        columns = {
            **rules.described(values),
            "provider": rules.provider(values.provider),
            "vlan": _vlan(values.vlan),
            "mtu": values.mtu,
            **_columns(4, *four),
            **_columns(6, *six),
        }

        def work(unit: Unit) -> ExternalNetworkView:
            id = new_id("ext")
            _require_free_wire(unit.connection, columns["provider"], columns["vlan"])
            outside_blocks.require_alone(
                unit.connection, id, {"cidr": four[0], "ipv6_cidr": six[0]}
            )
            row = {"id": id, "key": keys.fit(unit, "ext_key"), **columns, **born(unit)}
            EXTERNAL_NETWORKS.insert(unit.connection, row)
            pools.set_pools(unit.connection, id, wanted)
            touch_all(unit)
            unit.tell("ext", id, "", "created")
            return _view(unit.connection, id)

        return self._units.write(work, {"ext_key": 1})

    def get(self, actor: Actor, id: str) -> ExternalNetworkView:
        """Return an external network.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> ExternalNetworkView:
            return _view(connection, own_network(connection, actor, id).id)

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[ExternalNetworkView]:
        """Return a page of external networks, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        rules.require_tenancy(actor)
        asked = query(listing, EXTERNAL_NETWORKS, None)
        return listed(self._units, EXTERNAL_NETWORKS, asked, _views)

    def change(
        self, actor: Actor, id: str, values: ExternalNetworkChange, if_match: int | None = None
    ) -> ExternalNetworkView:
        """Change an external network; ``pools`` is the whole new list.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Conflict (an EIP would lose its pool), Stale.
        """
        rules.require_admin(actor, "change external networks")
        columns = rules.redescribed(values)
        if values.mtu is not UNSET:
            columns["mtu"] = _mtu(values.mtu)

        def work(unit: Unit) -> ExternalNetworkView:
            row = own_network(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            news = {**columns, **_changed_blocks(unit, row, values)}
            mtu, block = news.get("mtu", row.mtu), news.get("ipv6_cidr", row.ipv6_cidr)
            if (mtu, block) != (row.mtu, row.ipv6_cidr):  # what was accepted once may be renamed
                _require_ipv6_fits(mtu, block)
            if news.keys() & {"gateway", "ipv6_cidr", "ipv6_gateway", "mtu"}:
                touch_all(unit)
            EXTERNAL_NETWORKS.update(unit.connection, id, {**news, **changed(unit)})
            unit.tell("ext", id, "", "changed")
            return _view(unit.connection, id)

        return self._units.write(work)

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete an external network that nothing uses; return the revision made.

        Raises:
            Problem: NotFound, Forbidden, Conflict with what uses it, Stale.
        """
        rules.require_admin(actor, "delete external networks")

        def work(unit: Unit) -> int:
            row = own_network(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            refuse_blocked("The external network is in use", _users(unit.connection, id))
            refuse_blocked("The external network is in use", _answering(unit, id))
            EXTERNAL_NETWORKS.delete(unit.connection, id)
            touch_all(unit)
            unit.tell("ext", id, "", "deleted")
            return unit.revision

        return self._units.write(work)


def own_network(connection: Any, actor: Actor, id: str) -> ExternalNetworkRow:
    """Return the external network; everybody but hosts may see it.

    Raises:
        NotFound: there is none.
    """
    rules.require_tenancy(actor)
    return rules.found(find_network(connection, id), "external network", id)


def find_network(connection: Any, id: str) -> ExternalNetworkRow | None:
    """Return the network's row; None when there is none or the id is malformed."""
    return EXTERNAL_NETWORKS.find(connection, id)


def network_for(connection: Any, id: str) -> ExternalNetworkRow:
    """Return the external network that something new is to be of.

    Raises:
        Invalid: there is none.
    """
    row = find_network(connection, id)
    if row is None:
        raise Invalid(
            f"There is no external network {rules.printable(id)}.",
            field="external_network_id",
            accepted="the id of an external network, ext-…",
        )
    return row


def _block(
    version: int, cidr: str | None, gateway: str | None
) -> tuple[IPNetwork | None, IPAddress | None]:
    """Return a block of the version and the router in it, both None where they are not given."""
    cidr_field, gateway_field = FIELDS[version]
    block = None if cidr is None else rules.cidr(cidr_field, cidr, SIZES[version])
    router = None if gateway is None else rules.address(gateway_field, gateway)
    if router is None:
        return block, None
    if block is None or router not in block or router == block.network_address:
        raise Invalid(
            f"{router} is no address of the network.",
            field=gateway_field,
            accepted=f"an address of {block or cidr_field}, or null: only what is on the link",
        )
    if version == 4 and router == block.broadcast_address:
        raise Invalid(
            f"{router} is the broadcast address.",
            field=gateway_field,
            accepted=f"another address of {block}",
        )
    return block, router


def _columns(
    version: int, block: IPNetwork | None, gateway: IPAddress | None
) -> dict[str, str | None]:
    cidr_field, gateway_field = FIELDS[version]
    texts = (None if one is None else str(one) for one in (block, gateway))
    return dict(zip((cidr_field, gateway_field), texts, strict=True))


def _changed_blocks(
    unit: Unit, row: ExternalNetworkRow, values: ExternalNetworkChange
) -> dict[str, str | None]:
    """Check and write what a change says of addresses; return the columns."""
    four = _block(4, row.cidr, row.gateway if values.gateway is UNSET else values.gateway)
    six = _block(
        6,
        row.ipv6_cidr if values.ipv6_cidr is UNSET else values.ipv6_cidr,
        row.ipv6_gateway if values.ipv6_gateway is UNSET else values.ipv6_gateway,
    )
    if four[0] is None and six[0] is None:
        raise Invalid("There would be no block.", field="ipv6_cidr", accepted="an IPv6 block")
    if row.ipv6_cidr is not None and six[0] is None:
        blockers = route_targets.ipv6_blockers_of(unit.connection, row.id)
        refuse_blocked("IPv6 routes lead to the external network", blockers)
    outside_blocks.require_alone(unit.connection, row.id, {"ipv6_cidr": six[0]})
    outside_blocks.require_clear_of_vpcs(unit.connection, row.id, six[1])
    if row.ipv6_cidr is None and six[0] is not None:
        outside_blocks.require_none_twice(unit.connection, row.id)
    present = pools.pools_of(unit.connection, [row.id]).get(row.id, [])
    if values.pools is UNSET:
        if four[1] is not None and holds(present, int(four[1])):
            raise Conflict(
                f"{four[1]} is in a pool.", field="gateway", accepted="an address in no pool"
            )
    else:
        wanted = pool_values.parse(values.pools, *four)
        _require_covered(unit.connection, row.id, wanted)
        pools.set_pools(unit.connection, row.id, wanted)
    now = {**_columns(4, *four), **_columns(6, *six)}
    return {name: value for name, value in now.items() if getattr(row, name) != value}


def _require_covered(connection: Any, id: str, wanted: Sequence[Range]) -> None:
    """Demand that no EIP loses its pool."""
    blockers = [
        Blocker("eip", eip, f"its address {address} would be in no pool")
        for eip, address in eips.addresses_in(connection, id)
        if not holds(wanted, int(IPv4Address(address)))
    ]
    if blockers:
        raise Conflict(
            f"{len(blockers)} EIPs would be in no pool.",
            field="pools",
            accepted="pools that hold the addresses of all EIPs",
            blockers=tuple(blockers[:MAX_BLOCKERS]),
        )


def _require_free_wire(connection: Any, provider: str, vlan: int) -> None:
    """Demand that no other network is the same provider's, on the same VLAN."""
    row = external_networks.on_wire(connection, provider, vlan)
    if row is not None:
        where = f"VLAN {vlan}" if vlan else "untagged"
        raise Conflict(
            f"{row.id} is {provider}, {where}, already.",
            field="vlan" if vlan else "provider",
            accepted="a provider and VLAN that no other external network has",
            blockers=(Blocker("ext", row.id, "has the same provider and VLAN"),),
        )


def _vlan(value: int | None) -> int:
    """Return a VLAN as rows keep it: 0 is untagged."""
    if value is not None and not 1 <= value <= LARGEST_VLAN:
        raise Invalid(
            f"{value} is no VLAN.",
            field="vlan",
            accepted=f"1 to {LARGEST_VLAN}, or null for untagged",
        )
    return value or 0


def _mtu(value: int) -> int:
    low, high = MTUS
    if not low <= value <= high:
        raise Invalid(f"{value} is out of range.", field="mtu", accepted=f"{low} to {high}")
    return value


def _require_ipv6_fits(mtu: int, block: object) -> None:
    """Demand that a network with an IPv6 block takes what IPv6 demands of every link."""
    if block is not None and mtu < IPV6_MTU:
        raise Invalid(
            f"{mtu} is too little for IPv6.",
            field="mtu",
            accepted=f"{IPV6_MTU} to {MTUS[1]}, or no IPv6 block",
        )


def _users(connection: Any, id: str) -> list[Blocker]:
    most = MAX_BLOCKERS + 1
    says = {
        "eip": "is an address of this network",
        "igw": "leads to this network",
        "nat": "leads to this network",
    }
    return [
        Blocker(kind, one, says[kind])
        for kind, one in external_networks.users(connection, id, most)
    ]


def _answering(unit: Unit, id: str) -> list[Blocker]:
    """Return the hosts that may still answer for addresses given back.

    Were the network deleted and made again, such an address could be handed out while they do.
    """
    found = eip_hosts.still_answering(unit, pools.given_back(unit.connection, id))
    return [
        Blocker("host", host_id, _why_answering(IPv4Address(freed.address), state))
        for host_id, (freed, state) in sorted(found.items())
    ][:MAX_BLOCKERS]


def _why_answering(address: IPv4Address, state: HostState) -> str:
    if state in ("in_sync", "pending"):
        return f"has not confirmed yet that it answers for {address} no more"
    how = "is not connected" if state == "disconnected" else "is degraded"
    return f"{how} and may still answer for {address}"


def _view(connection: Any, id: str) -> ExternalNetworkView:
    row = EXTERNAL_NETWORKS.get(connection, id)
    assert row is not None, "written or read in this transaction"  # noqa: S101 - for types
    (view,) = _views(connection, [row])
    return view


def _views(connection: Any, rows: Sequence[ExternalNetworkRow]) -> list[ExternalNetworkView]:
    ids = [row.id for row in rows]
    ranges, used = pools.pools_of(connection, ids), eips.counts(connection, ids)
    reach = hosts.reach(connection)
    return [
        _compose(
            connection,
            row,
            ranges.get(row.id, []),
            used.get(row.id, 0),
            tuple(sorted(id for id, networks in reach.items() if row.id in networks)),
        )
        for row in rows
    ]


def _compose(
    connection: Any,
    row: ExternalNetworkRow,
    ranges: Sequence[Range],
    used: int,
    host_ids: tuple[str, ...],
) -> ExternalNetworkView:
    return ExternalNetworkView(
        meta(row, ""),
        row.key,
        row.provider,
        row.vlan or None,
        ip_network(row.cidr) if row.cidr else None,
        ip_address(row.gateway) if row.gateway else None,
        ip_network(row.ipv6_cidr) if row.ipv6_cidr else None,
        ip_address(row.ipv6_gateway) if row.ipv6_gateway else None,
        row.mtu,
        tuple((IPv4Address(first), IPv4Address(last)) for first, last in ranges),
        size(ranges),
        used,
        host_ids,
        _status(connection, row, host_ids),
    )


def _status(connection: Any, row: ExternalNetworkRow, host_ids: Sequence[str]) -> Status:
    """Return the status: that of the hosts that reach it; without any it is good for nothing."""
    status = judge(standing_of_hosts(connection, host_ids), row.revision)
    if host_ids:
        return status
    reason = f"no host reaches it: {_why_unreached(connection, row.provider)}"
    return Status("pending", reason, status.realized_revision, 0)


def _why_unreached(connection: Any, provider: str) -> str:
    """Return why no host reaches a provider network, and where more is said."""
    naming = hosts.naming(connection, provider)
    if not naming:
        return f"none reports provider {provider}"
    others = f" (and {len(naming) - 1} more)" if len(naming) > 1 else ""
    said = f"names provider {provider} and does not reach it, or not yet"
    return f"{naming[0]}{others} {said}; see 'vpcctl host show {naming[0]}'"
