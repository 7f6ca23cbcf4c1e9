"""Subnets and what is free in them."""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Address, Base, Described, Id


class SubnetRow(Described, Base):
    """A subnet; ``used`` counts the IPv4 addresses that ports have."""

    __tablename__ = "subnets"
    __table_args__ = (
        Index("ix_subnets_tenant_id_vni", "tenant_id", "vni"),
        Index("ix_subnets_vpc_id_vni", "vpc_id", "vni"),
        Index("ix_subnets_acl_id", "acl_id"),
        Index("ix_subnets_route_table_id", "route_table_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpcs.id", ondelete="RESTRICT"))
    tenant_id: Mapped[str] = mapped_column(String(64))
    vni: Mapped[int] = mapped_column(Integer, unique=True)
    cidr: Mapped[str] = mapped_column(String(18))
    gateway: Mapped[str] = mapped_column(Address)
    ipv6_cidr: Mapped[str | None] = mapped_column(String(43))
    ipv6_gateway: Mapped[str | None] = mapped_column(Address)
    ipv6_mode: Mapped[str | None] = mapped_column(String(24))
    availability_zone: Mapped[str | None] = mapped_column(String(64))
    used: Mapped[int] = mapped_column(Integer)
    acl_id: Mapped[str | None] = mapped_column(ForeignKey("network_acls.id"))
    route_table_id: Mapped[str | None] = mapped_column(ForeignKey("route_tables.id"))


class FreeRangeRow(Base):
    """Never-used addresses ``first`` … ``last`` of a subnet's block, as offsets from its base."""

    __tablename__ = "free_ranges"

    subnet_id: Mapped[str] = mapped_column(
        ForeignKey("subnets.id", ondelete="CASCADE"), primary_key=True
    )
    family: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    first: Mapped[int] = mapped_column(BigInteger)


class FreedAddressRow(Base):
    """An address that was used and given back at ``revision``: the oldest goes out first."""

    __tablename__ = "freed_addresses"
    __table_args__ = (
        Index("ix_freed_addresses_order", "subnet_id", "family", "revision", "position"),
    )

    subnet_id: Mapped[str] = mapped_column(
        ForeignKey("subnets.id", ondelete="CASCADE"), primary_key=True
    )
    family: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(BigInteger)
