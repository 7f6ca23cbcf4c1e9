"""The revision counter, the changes it orders, and what is kept once for the whole database."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Base, Id, Timestamp


class LedgerRow(Base):
    """The one row that orders all writers.

    Attributes:
        value: the present revision.
        pruned: changes up to this revision are gone.
        vpc_key: keys handed out so far (a counter per number space; wraps when read).
        vni: one for subnets, internet gateways and NAT gateways together.
        limit_number: one for the limits of ports and EIPs together.
        acl_key: one for security groups, their rules, address groups and network ACLs together.
        settings: fingerprint of what agents were told last.
    """

    __tablename__ = "ledger"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    value: Mapped[int] = mapped_column(BigInteger)
    pruned: Mapped[int] = mapped_column(BigInteger)
    vpc_key: Mapped[int] = mapped_column(BigInteger)
    vni: Mapped[int] = mapped_column(BigInteger)
    port_key: Mapped[int] = mapped_column(BigInteger)
    host_key: Mapped[int] = mapped_column(BigInteger)
    settings: Mapped[str] = mapped_column(String(64))
    acl_key: Mapped[int] = mapped_column(BigInteger)
    ext_key: Mapped[int] = mapped_column(BigInteger)
    eip_key: Mapped[int] = mapped_column(BigInteger)
    nat_key: Mapped[int] = mapped_column(BigInteger)
    rtb_key: Mapped[int] = mapped_column(BigInteger)
    limit_number: Mapped[int] = mapped_column(BigInteger)


class ChangeRow(Base):
    """One change: feed and event stream in one."""

    __tablename__ = "changes"
    __table_args__ = (
        Index("ix_changes_time", "time"),
        Index("ix_changes_tenant_id_revision", "tenant_id", "revision"),
    )

    revision: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    resource_id: Mapped[str] = mapped_column(Id)
    tenant_id: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(16))
    detail: Mapped[str] = mapped_column(String(1024))
    time: Mapped[datetime] = mapped_column(Timestamp)


class UsageRow(Base):
    """How much a tenant has: maintained, so that a quota check costs one row.

    A VPC's default group and main route table are not counted: they come and go with the VPC.
    """

    __tablename__ = "usage"

    tenant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    vpcs: Mapped[int] = mapped_column(BigInteger)
    subnets: Mapped[int] = mapped_column(BigInteger)
    ports: Mapped[int] = mapped_column(BigInteger)
    security_groups: Mapped[int] = mapped_column(BigInteger)
    address_groups: Mapped[int] = mapped_column(BigInteger)
    network_acls: Mapped[int] = mapped_column(BigInteger)
    internet_gateways: Mapped[int] = mapped_column(BigInteger)
    nat_gateways: Mapped[int] = mapped_column(BigInteger)
    eips: Mapped[int] = mapped_column(BigInteger)
    route_tables: Mapped[int] = mapped_column(BigInteger)
