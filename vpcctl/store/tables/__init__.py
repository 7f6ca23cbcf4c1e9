"""The tables, typed. ``metadata`` is what the migrations must lead to."""

from sqlalchemy.orm import configure_mappers

from vpcctl.store.tables.access import IdempotencyRow, TokenRow
from vpcctl.store.tables.address_groups import AddressGroupRow, GroupBlockRow
from vpcctl.store.tables.base import Base
from vpcctl.store.tables.certificates import CertificateRow, EnrollmentRow
from vpcctl.store.tables.dhcp_options import DhcpOptionsRow
from vpcctl.store.tables.dns_records import DnsRecordRow
from vpcctl.store.tables.eips import EipRow
from vpcctl.store.tables.external_networks import (
    ExternalNetworkRow,
    FreedEipRow,
    PoolRangeRow,
    PoolRow,
)
from vpcctl.store.tables.gateways import (
    ForwardRow,
    GatewayHostRow,
    InternetGatewayRow,
    NatGatewayRow,
)
from vpcctl.store.tables.handovers import FormerAddressRow
from vpcctl.store.tables.hosts import HostRow, LivenessRow, ProgressRow, RealisationRow
from vpcctl.store.tables.ledger import ChangeRow, LedgerRow, UsageRow
from vpcctl.store.tables.network_acls import AclEntryRow, NetworkAclRow
from vpcctl.store.tables.port_metadata import PortMetadataRow
from vpcctl.store.tables.ports import AddressRow, LinkRow, LocationRow, PortRow, PresenceRow
from vpcctl.store.tables.route_tables import RouteRow, RouteTableRow, RouteTargetRow
from vpcctl.store.tables.security_groups import GroupRuleRow, MembershipRow, SecurityGroupRow
from vpcctl.store.tables.subnets import FreedAddressRow, FreeRangeRow, SubnetRow
from vpcctl.store.tables.vpcs import VpcRow

metadata = Base.metadata
configure_mappers()  # once, before processes are forked that each would do it for themselves

__all__ = [
    "AclEntryRow",
    "AddressGroupRow",
    "AddressRow",
    "Base",
    "CertificateRow",
    "ChangeRow",
    "DhcpOptionsRow",
    "DnsRecordRow",
    "EipRow",
    "EnrollmentRow",
    "ExternalNetworkRow",
    "FormerAddressRow",
    "ForwardRow",
    "FreeRangeRow",
    "FreedAddressRow",
    "FreedEipRow",
    "GatewayHostRow",
    "GroupBlockRow",
    "GroupRuleRow",
    "HostRow",
    "IdempotencyRow",
    "InternetGatewayRow",
    "LedgerRow",
    "LinkRow",
    "LivenessRow",
    "LocationRow",
    "MembershipRow",
    "NatGatewayRow",
    "NetworkAclRow",
    "PoolRangeRow",
    "PoolRow",
    "PortMetadataRow",
    "PortRow",
    "PresenceRow",
    "ProgressRow",
    "RealisationRow",
    "RouteRow",
    "RouteTableRow",
    "RouteTargetRow",
    "SecurityGroupRow",
    "SubnetRow",
    "TokenRow",
    "UsageRow",
    "VpcRow",
    "metadata",
]
