"""Ports: addresses, MAC, spoof guard's exceptions, and where they are attached."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any, cast

from vpcctl.model.addresses import IPAddress, Mac
from vpcctl.model.dhcp_options import DhcpOptions
from vpcctl.model.ids import new_id
from vpcctl.model.problems import Invalid
from vpcctl.services import (
    attachments,
    dhcp_values,
    handovers,
    limit_values,
    outside_touch,
    port_groups,
    port_metadata,
    port_uses,
    rules,
)
from vpcctl.services.addressing import Addressing, choose_mac, makes_own, parse_ips
from vpcctl.services.context import Context, born, changed, listed, query, refuse_blocked, spend
from vpcctl.services.locating import Contest, all_claims, disputes, settle
from vpcctl.services.port_views import fresh_view, views, whole_view
from vpcctl.services.subnets import find_subnet
from vpcctl.services.views import UNSET, Actor, Listing, Page, PortChange, PortCreate, PortView
from vpcctl.services.zones import moved
from vpcctl.store import keys, locations, memberships, ports, usage
from vpcctl.store.ports import PORTS
from vpcctl.store.subnets import SUBNETS
from vpcctl.store.tables import PortRow, SubnetRow
from vpcctl.store.units import Unit

MAX_PAIRS = 32


class PortService:
    """Use cases of ports."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._units = context.units

    def create(self, actor: Actor, values: PortCreate) -> PortView:
        """Make a port.

        Raises:
            Problem: Forbidden, Invalid, Conflict (taken), Exhausted.
        """
        rules.require_tenancy(actor)
        id = new_id("port")
        columns = {
            "id": id,
            **rules.described(values),
            "port_security": values.port_security,
            "pairs": _pairs(values.allowed_address_pairs),
            "admin_up": values.admin_up,
            "dhcp_options": _dhcp(values.dhcp_options),
            "source_dest_check": values.source_dest_check,
            **attachments.columns(values.attachment, id),
        }
        ips = parse_ips(values.fixed_ips)
        said = port_metadata.columns(values.metadata)
        mac = None if values.mac is None else rules.mac("mac_address", values.mac)
        limits = limit_values.parse(values.limits)
        wanted = (
            None if values.security_groups is None else port_groups.parse(values.security_groups)
        )

        def work(unit: Unit) -> PortView:
            subnet = _subnet_for(unit.connection, actor, values.subnet_id)
            attachments.require_nameable(actor, columns, self._context.settings)
            attachments.require_pluggable(unit, columns, id, subnet.tenant_id)
            groups = port_groups.choose(
                unit.connection, subnet.vpc_id, wanted, port_security=values.port_security
            )
            spend(unit, self._context, subnet.tenant_id, "ports")
            own = choose_mac(unit, subnet.id, mac)
            taken = Addressing(unit, subnet, own).take(ips, fill=True)
            row = {
                **columns,
                "subnet_id": subnet.id,
                "vpc_id": subnet.vpc_id,
                "tenant_id": subnet.tenant_id,
                "key": keys.fit(unit, "port_key"),
                "mac": own,
                **limit_values.columns(unit, limits, None),
                **born(unit),
            }
            PORTS.insert(unit.connection, row)
            ports.set_addresses(unit.connection, id, subnet.id, taken)
            handovers.taken(unit, subnet.vpc_id, handovers.own(own, taken))
            memberships.join(unit.connection, id, groups)
            port_metadata.write(unit, id, said)
            moved(unit, subnet.vpc_id)
            attachments.touch_hosts(unit, row["attach_host_id"])
            unit.tell("port", id, subnet.tenant_id, "created")
            made = cast(PortRow, SimpleNamespace(**row))
            texts = [str(address) for address in taken]
            return fresh_view(unit.connection, made, texts, groups, has_metadata=bool(said))

        return self._units.write(work, {"port_key": 1, **limit_values.needs(values.limits)})

    def get(self, actor: Actor, id: str) -> PortView:
        """Return a port.

        Raises:
            Problem: NotFound, Forbidden.
        """

        def work(connection: Any) -> PortView:
            return whole_view(connection, _own(connection, actor, id))

        return self._units.read(work)

    def list(self, actor: Actor, listing: Listing) -> Page[PortView]:
        """Return a page of ports, oldest first.

        Raises:
            Problem: Invalid, Forbidden.
        """
        asked = query(listing, PORTS, rules.tenant_scope(actor))
        return listed(self._units, PORTS, asked, views)

    def change(
        self, actor: Actor, id: str, values: PortChange, if_match: int | None = None
    ) -> PortView:
        """Change a port.

        Raises:
            Problem: NotFound, Forbidden, Invalid, Conflict, Exhausted, Stale.
        """
        asked = _asked(values, id)

        def work(unit: Unit) -> PortView:
            row = _own(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            columns = {**asked.columns, **changed(unit)}
            if asked.limits is not None:
                columns |= limit_values.columns(unit, asked.limits, row.limit_number)
            if asked.mac is not None and asked.mac != row.mac:
                columns["mac"] = choose_mac(unit, row.subnet_id, asked.mac)
            mac = Mac(columns.get("mac", row.mac))
            if asked.ips is not None or mac != row.mac:
                _readdress(unit, row, asked.ips, mac)
            if asked.ips is not None or mac != row.mac or columns.get("name", row.name) != row.name:
                moved(unit, row.vpc_id)
            port_metadata.write(unit, id, asked.metadata)
            port_groups.change(unit, row, asked.groups, values.port_security)
            if asked.attachment is not None:
                attachments.require_nameable(actor, asked.attachment, self._context.settings)
                attachments.require_pluggable(unit, asked.attachment, id, row.tenant_id)
                columns |= asked.attachment
            PORTS.update(unit.connection, id, columns)
            unit.tell("port", id, row.tenant_id, "changed")
            now = PORTS.get_many(unit.connection, [id])[id]
            if asked.attachment is not None:
                _resettle(unit, row, now)
            here = locations.locations_of(unit.connection, [id]).get(id)
            located = here.host_id if here is not None else None
            attachments.touch_hosts(unit, row.attach_host_id, now.attach_host_id, located)
            return whole_view(unit.connection, now)

        return self._units.write(work, limit_values.needs(values.limits))

    def delete(self, actor: Actor, id: str, if_match: int | None = None) -> int:
        """Delete a port wherever it is; return the revision made.

        Raises:
            Problem: NotFound, Forbidden, Conflict with what leads to it, Stale.
        """

        def work(unit: Unit) -> int:
            row = _own(unit.connection, actor, id)
            rules.require_match(row.revision, if_match)
            refuse_blocked("The port is in use", port_uses.blockers(unit.connection, id))
            subnet = _subnet(unit.connection, row.subnet_id)
            present = locations.locations_of(unit.connection, [id])
            if present:
                toggled = locations.move(unit.connection, present, {id: None}, unit.revision)
                outside_touch.moved(unit, {id: row}, present, {id: None}, toggled)
                unit.tell("location", id, row.tenant_id, "deleted", "its port is deleted")
            addresses = ports.ADDRESSES.one(unit.connection, id)
            ports.drop_addresses(unit.connection, id)
            port_metadata.drop(unit, id)
            moved(unit, row.vpc_id)
            memberships.leave(unit.connection, id)
            Addressing(unit, subnet, Mac(row.mac)).give_back(map(ip_address, addresses))
            handovers.given_up(unit, row.vpc_id, handovers.own(row.mac, addresses))
            PORTS.delete(unit.connection, id)
            usage.count(unit.connection, row.tenant_id, "ports", -1)
            here = [one.host_id for one in present.values()]
            still_there = locations.claimants(unit.connection, id)
            attachments.touch_hosts(unit, row.attach_host_id, *here, *still_there)
            unit.tell("port", id, row.tenant_id, "deleted")
            return unit.revision

        return self._units.write(work)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a change asks for, checked as far as that goes without the database; None: nothing."""

    columns: dict[str, Any]
    mac: Mac | None
    ips: tuple[IPAddress, ...] | None
    attachment: attachments.Columns | None
    groups: tuple[str, ...] | None
    metadata: dict[str, Any]
    limits: dict[str, int | None] | None


def _asked(values: PortChange, id: str) -> _Asked:
    columns = rules.redescribed(values)
    for field in ("port_security", "admin_up", "source_dest_check"):
        if getattr(values, field) is not UNSET:
            columns[field] = getattr(values, field)
    if values.allowed_address_pairs is not UNSET:
        columns["pairs"] = _pairs(values.allowed_address_pairs)
    if values.dhcp_options is not UNSET:
        columns["dhcp_options"] = _dhcp(values.dhcp_options)
    ips = None if values.fixed_ips is UNSET else parse_ips(values.fixed_ips)
    if ips == ():
        raise Invalid(
            "A port keeps at least one address.",
            field="fixed_ips",
            accepted="one or more addresses",
        )
    mac = None if values.mac is UNSET else rules.mac("mac_address", values.mac)
    wanted = values.attachment
    place = None if wanted is UNSET else attachments.columns(wanted, id)
    named = values.security_groups
    groups = None if named is UNSET else port_groups.parse(named)
    said = port_metadata.columns(values.metadata)
    limits = None if values.limits is UNSET else limit_values.parse(values.limits)
    return _Asked(columns, mac, ips, place, groups, said, limits)


def _own(connection: Any, actor: Actor, id: str) -> PortRow:
    return rules.visible(actor, PORTS.find(connection, id), "port", id)


def _subnet(connection: Any, id: str) -> SubnetRow:
    row = SUBNETS.get(connection, id)
    assert row is not None, "a foreign key"  # noqa: S101 - for the type checker
    return row


def _subnet_for(connection: Any, actor: Actor, id: str) -> SubnetRow:
    row = find_subnet(connection, id)
    scope = rules.tenant_scope(actor)
    if row is None or (scope is not None and row.tenant_id != scope):
        raise Invalid(
            f"There is no subnet {rules.printable(id)}.",
            field="subnet_id",
            accepted="the id of an existing subnet, subnet-…",
        )
    return row


def _readdress(unit: Unit, row: PortRow, wanted: tuple[IPAddress, ...] | None, mac: Mac) -> None:
    """Give the port exactly the addresses asked for, keeping those it has already.

    None keeps all of them, but for one that its guest made of the MAC that it had.
    """
    subnet = _subnet(unit.connection, row.subnet_id)
    present = [ip_address(a) for a in ports.ADDRESSES.of(unit.connection, [row.id])[row.id]]
    if wanted is None:
        old, new = makes_own(subnet, Mac(row.mac)), makes_own(subnet, mac)
        wanted = tuple(new if new is not None and ip == old else ip for ip in present)
    before, after = handovers.own(row.mac, present), handovers.own(mac, wanted)
    handovers.changed(unit, row.vpc_id, before, after)
    if list(wanted) == present:
        return
    port_uses.refuse_lost(unit.connection, row.id, wanted)
    addressing = Addressing(unit, subnet, mac)
    ports.drop_addresses(unit.connection, row.id)
    addressing.take([a for a in wanted if a not in present], fill=False)
    addressing.give_back(a for a in present if a not in wanted)
    ordered = sorted(wanted, key=lambda address: address.version)
    ports.set_addresses(unit.connection, row.id, row.subnet_id, ordered)


def _resettle(unit: Unit, row: PortRow, now: PortRow) -> None:
    """Put a port where it belongs whose attachment was that of *row* and is that of *now*."""
    claims = all_claims(unit.connection, [now.id])
    _, places = locations.claimed_ports(unit.connection, [now.id])
    said = disputes({now.id: row}, claims)
    settle(unit, Contest({now.id: now}, places, claims, said))


def _dhcp(values: DhcpOptions | None) -> dict[str, Any] | None:
    """Return a port's own DHCP options as the row keeps them; None when it says none."""
    return (dhcp_values.stored(values, "dhcp_options.") or None) if values is not None else None


def _pairs(pairs: Sequence[tuple[str, str | None]]) -> list[list[Any]]:
    """Return allowed pairs as the row keeps them."""
    if len(pairs) > MAX_PAIRS:
        raise Invalid(
            f"There are {len(pairs)} pairs.",
            field="allowed_address_pairs",
            accepted=f"at most {MAX_PAIRS} pairs",
        )
    found: list[list[Any]] = []
    for number, (text, mac) in enumerate(pairs):
        field = f"allowed_address_pairs.{number}"
        block = rules.pair_cidr(f"{field}.cidr", text)
        value = None if mac is None else int(rules.mac(f"{field}.mac_address", mac))
        if [str(block), value] not in found:
            found.append([str(block), value])
    return found
