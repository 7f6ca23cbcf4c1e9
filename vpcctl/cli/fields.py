"""What users know fields of requests by: the options and arguments of the command they typed."""

from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperOption

Names = Mapping[str, str]
"""What the user knows fields of a request by."""

_FROM = {
    "address": "to",
    "allowed_address_pairs": "pair",
    "attachment.host_id": "host",
    "attachment.interface": "interface",
    "attachment.netns": "netns",
    "cidrs": "cidr",
    "dhcp_options_id": "dhcp_options",
    "dns_domain": "domain",
    "dns_enabled": "dns",
    "eip_id": "eip",
    "eip_ids": "eip",
    "external_network_id": "network",
    "fixed_ip": "ip",
    "fixed_ips": "ip",
    "host_id": "host",
    "limits.egress_kbps": "egress",
    "limits.egress_pps": "egress_pps",
    "limits.ingress_kbps": "ingress",
    "limits.ingress_pps": "ingress_pps",
    "mac_address": "mac",
    "metadata_tokens": "tokens",
    "network_acl_id": "nacl",
    "pools": "pool",
    "port_id": "port",
    "ports": "traffic",
    "protocol": "traffic",
    "public_keys": "key_file",
    "route_table_id": "route_table",
    "security_groups": "sg",
    "subnet_id": "subnet",
    "tags": "tag",
    "target_port": "to",
    "targets": "to",
    "tenant_id": "tenant",
    "values": "value",
    "vpc_id": "vpc",
    "vtep_address": "vtep",
}
"""Which parameter of commands a field is given by, where it has another name."""

_DHCP = {
    "dns_servers": "dns",
    "domain_name": "domain",
    "lease_time_s": "lease",
    "ntp_servers": "ntp",
    "routes": "route",
    "search_domains": "search",
}
"""The same for DHCP options, of a set and of a port."""


def names_of(context: typer.Context) -> Names:
    """Return what users of the command that runs know fields of its requests by."""
    written = {str(each.name): _written(each) for each in context.command.params}
    given = _FROM | _DHCP | {f"dhcp_options.{field}": by for field, by in _DHCP.items()}
    return {field: written[by] for field, by in given.items() if by in written} | written


def name_of(field: str | None, names: Names) -> str | None:
    """Return what the user knows *field* by: as it is named, or what it is a part of."""
    found = [one for one in names if field == one or (field or "").startswith(f"{one}.")]
    return names[max(found, key=len)] if found else field


def _written(parameter: Any) -> str:
    if isinstance(parameter, TyperOption):
        return parameter.opts[0]
    return parameter.metavar or str(parameter.name).upper()
