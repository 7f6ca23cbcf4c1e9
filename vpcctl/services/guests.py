"""What a host's agent needs to answer the guests there, composed from the database."""

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, cast

from vpcctl.model.addresses import format_mac
from vpcctl.model.names import RESOLVERS
from vpcctl.services import guest_routes
from vpcctl.services.dhcp_values import effective
from vpcctl.store import dhcp_options, eips, port_metadata, zones
from vpcctl.store.ports import GuestPort
from vpcctl.store.subnets import SUBNETS
from vpcctl.store.tables import SubnetRow
from vpcctl.store.zones import DnsSettings
from vpcctl.wire.state import Guest, GuestOptions, GuestRoute, GuestSubnet, Ipv6Mode

_NO_LABEL = re.compile(r"[^a-z0-9]+")
MAX_LABEL = 63


def guests(
    connection: Any, found: Sequence[GuestPort], addresses: Mapping[str, Sequence[str]]
) -> tuple[Guest, ...]:
    """Return the guests that ports of a host are."""
    special = {one.subnet_id for one in found if one.dhcp_options}
    sets = dhcp_options.of_subnets(connection, sorted(special)) if special else {}
    settings = zones.settings_of(connection, sorted(special)) if special else {}
    said = port_metadata.revisions(connection, [one.id for one in found])
    public = _public(connection, [one.id for one in found])
    return tuple(
        Guest(
            port_id=one.id,
            key=one.key,
            subnet_id=one.subnet_id,
            mac=format_mac(one.mac),
            addresses=tuple(addresses.get(one.id, ())),
            host_name=host_name(one.name, addresses.get(one.id, ())),
            options=effective(
                default_options(settings.get(one.subnet_id)),
                sets.get(one.subnet_id),
                one.dhcp_options,
            )
            if one.dhcp_options
            else None,
            metadata_revision=said.get(one.id, 0),
            tags=tuple(one.tags.items()),
            public_addresses=tuple(
                (fixed, public[one.id, fixed])
                for fixed in addresses.get(one.id, ())
                if (one.id, fixed) in public
            ),
        )
        for one in found
    )


def _public(connection: Any, port_ids: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return the EIPs that stand for addresses of ports, by port id and fixed address."""
    rows = eips.of_ports(connection, port_ids)
    return {(one.port_id or "", one.fixed_ip or ""): one.address for one in rows}


def guest_subnets(connection: Any, subnet_ids: Iterable[str], size: int) -> tuple[GuestSubnet, ...]:
    """Return the subnets of guests; *size* is their interfaces' MTU."""
    ids = sorted(subnet_ids)
    rows = SUBNETS.get_many(connection, ids)
    sets = dhcp_options.of_subnets(connection, ids)
    settings = zones.settings_of(connection, ids)
    routes = guest_routes.of_subnets(connection, rows.values())
    return tuple(
        _subnet(
            rows[id], effective(default_options(settings.get(id)), sets.get(id)), routes[id], size
        )
        for id in sorted(rows)
    )


def _subnet(
    row: SubnetRow, options: GuestOptions, routes: tuple[GuestRoute, ...], size: int
) -> GuestSubnet:
    return GuestSubnet(
        subnet_id=row.id,
        vpc_id=row.vpc_id,
        tenant_id=row.tenant_id,
        cidr=row.cidr,
        gateway=row.gateway,
        ipv6_cidr=row.ipv6_cidr,
        ipv6_gateway=row.ipv6_gateway,
        ipv6_mode=cast("Ipv6Mode | None", row.ipv6_mode),
        mtu=size,
        options=options,
        routes=routes,
    )


def host_name(name: str, addresses: Sequence[str]) -> str:
    """Return a DNS label (RFC 1123) for a port: of its name, or of its first address."""
    label = _NO_LABEL.sub("-", name.lower()).strip("-")[:MAX_LABEL].strip("-")
    if label:
        return label
    if not addresses:
        return ""
    first = ip_address(addresses[0])
    return "ip-" + re.sub(r"[.:]", "-", str(first) if first.version == 4 else first.exploded)


def default_options(settings: DnsSettings | None) -> dict[str, Any]:
    """Return the DHCP options that guests are told where nothing says otherwise."""
    if settings is None or not settings.enabled:
        return {}
    resolvers = RESOLVERS if settings.has_ipv6 else RESOLVERS[:1]
    return {"dns_servers": [str(one) for one in resolvers], "domain_name": settings.domain}
