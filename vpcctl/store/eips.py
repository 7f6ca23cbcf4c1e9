"""EIPs in the database."""

from ipaddress import ip_address

from vpcctl.store.rows import Repository
from vpcctl.store.tables import EipRow

EIPS = Repository(
    EipRow,
    "key",
    {
        "name": lambda value: EipRow.name == value,
        "tenant_id": lambda value: EipRow.tenant_id == value,
        "external_network_id": lambda value: EipRow.external_network_id == value,
        "address": lambda value: EipRow.address == str(ip_address(value)),
        "port_id": lambda value: EipRow.port_id == value,
        "vpc_id": lambda value: EipRow.vpc_id == value,
        "nat_gateway_id": lambda value: EipRow.nat_gateway_id == value,
    },
)
