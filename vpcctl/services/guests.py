"""What a host's agent needs to answer the guests there, composed from the database."""

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, cast

from vpcctl.model.addresses import format_mac
from vpcctl.store.ports import GuestPort
from vpcctl.store.subnets import SUBNETS
from vpcctl.store.tables import SubnetRow
from vpcctl.wire.state import Guest, GuestSubnet, Ipv6Mode

_NO_LABEL = re.compile(r"[^a-z0-9]+")
MAX_LABEL = 63


def guests(found: Sequence[GuestPort], addresses: Mapping[str, Sequence[str]]) -> tuple[Guest, ...]:
    """Return the guests that ports of a host are."""
    return tuple(
        Guest(
            port_id=one.id,
            key=one.key,
            subnet_id=one.subnet_id,
            mac=format_mac(one.mac),
            addresses=tuple(addresses.get(one.id, ())),
            host_name=host_name(one.name, addresses.get(one.id, ())),
        )
        for one in found
    )


def guest_subnets(connection: Any, subnet_ids: Iterable[str], size: int) -> tuple[GuestSubnet, ...]:
    """Return the subnets of guests; *size* is their interfaces' MTU."""
    rows = SUBNETS.get_many(connection, sorted(subnet_ids))
    return tuple(_subnet(rows[id], size) for id in sorted(rows))


def _subnet(row: SubnetRow, size: int) -> GuestSubnet:
    return GuestSubnet(
        subnet_id=row.id,
        vpc_id=row.vpc_id,
        cidr=row.cidr,
        gateway=row.gateway,
        ipv6_cidr=row.ipv6_cidr,
        ipv6_gateway=row.ipv6_gateway,
        ipv6_mode=cast("Ipv6Mode | None", row.ipv6_mode),
        mtu=size,
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
