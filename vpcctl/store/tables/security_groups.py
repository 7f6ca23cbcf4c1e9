"""Security groups, their rules, and which ports are in them."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Base, Described, Id, Timestamp


class SecurityGroupRow(Described, Base):
    """A group; ``default_of`` is its VPC where it is that VPC's default group, else None."""

    __tablename__ = "security_groups"
    __table_args__ = (
        Index("ix_security_groups_tenant_id_key", "tenant_id", "key"),
        Index("ix_security_groups_vpc_id_key", "vpc_id", "key"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpcs.id", ondelete="RESTRICT"))
    tenant_id: Mapped[str] = mapped_column(String(64))
    key: Mapped[int] = mapped_column(BigInteger, unique=True)
    default_of: Mapped[str | None] = mapped_column(
        ForeignKey("vpcs.id", ondelete="RESTRICT"), unique=True
    )
    stateful: Mapped[bool] = mapped_column(Boolean)
    keep_established: Mapped[bool] = mapped_column(Boolean)


class GroupRuleRow(Base):
    """A rule. Of the three remotes at most one is set; none: anybody.

    ``meaning`` is the same text for equal rules, so that a group cannot have one twice: a unique
    constraint over the columns themselves would let those with nulls through.
    """

    __tablename__ = "security_group_rules"
    __table_args__ = (
        UniqueConstraint("group_id", "meaning"),
        Index("ix_security_group_rules_group_id_key", "group_id", "key"),
        Index("ix_security_group_rules_remote_group_id", "remote_group_id"),
        Index("ix_security_group_rules_remote_address_group_id", "remote_address_group_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    group_id: Mapped[str] = mapped_column(ForeignKey("security_groups.id", ondelete="RESTRICT"))
    key: Mapped[int] = mapped_column(BigInteger, unique=True)
    direction: Mapped[str] = mapped_column(String(8))
    family: Mapped[int] = mapped_column(SmallInteger)
    protocol: Mapped[int | None] = mapped_column(SmallInteger)
    port_first: Mapped[int | None] = mapped_column(Integer)
    port_last: Mapped[int | None] = mapped_column(Integer)
    icmp_type: Mapped[int | None] = mapped_column(SmallInteger)
    icmp_code: Mapped[int | None] = mapped_column(SmallInteger)
    remote_cidr: Mapped[str | None] = mapped_column(String(43))
    remote_group_id: Mapped[str | None] = mapped_column(
        ForeignKey("security_groups.id", ondelete="RESTRICT")
    )
    remote_address_group_id: Mapped[str | None] = mapped_column(
        ForeignKey("address_groups.id", ondelete="RESTRICT")
    )
    meaning: Mapped[str] = mapped_column(String(160))
    description: Mapped[str] = mapped_column(String(1024))
    created_at: Mapped[datetime] = mapped_column(Timestamp)


class MembershipRow(Base):
    """A port is in a group."""

    __tablename__ = "port_groups"
    __table_args__ = (Index("ix_port_groups_group_id_port_id", "group_id", "port_id"),)

    port_id: Mapped[str] = mapped_column(
        ForeignKey("ports.id", ondelete="RESTRICT"), primary_key=True
    )
    group_id: Mapped[str] = mapped_column(
        ForeignKey("security_groups.id", ondelete="RESTRICT"), primary_key=True
    )
