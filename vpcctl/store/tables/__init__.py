"""The tables, typed. ``metadata`` is what the migrations must lead to."""

from vpcctl.store.tables.access import IdempotencyRow, TokenRow
from vpcctl.store.tables.base import Base
from vpcctl.store.tables.certificates import CertificateRow, EnrollmentRow
from vpcctl.store.tables.dhcp_options import DhcpOptionsRow
from vpcctl.store.tables.hosts import HostRow, LivenessRow, ProgressRow, RealisationRow
from vpcctl.store.tables.ledger import ChangeRow, LedgerRow, UsageRow
from vpcctl.store.tables.ports import AddressRow, LinkRow, LocationRow, PortRow, PresenceRow
from vpcctl.store.tables.subnets import FreedAddressRow, FreeRangeRow, SubnetRow
from vpcctl.store.tables.vpcs import VpcRow

metadata = Base.metadata

__all__ = [
    "AddressRow",
    "Base",
    "CertificateRow",
    "ChangeRow",
    "DhcpOptionsRow",
    "EnrollmentRow",
    "FreeRangeRow",
    "FreedAddressRow",
    "HostRow",
    "IdempotencyRow",
    "LedgerRow",
    "LinkRow",
    "LivenessRow",
    "LocationRow",
    "PortRow",
    "PresenceRow",
    "ProgressRow",
    "RealisationRow",
    "SubnetRow",
    "TokenRow",
    "UsageRow",
    "VpcRow",
    "metadata",
]
