"""External networks, their pools, and what is free in them."""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Address, Base, Described, Id


class ExternalNetworkRow(Described, Base):
    """An external network; ``vlan`` 0 is untagged, so that the constraint holds it, too."""

    __tablename__ = "external_networks"
    __table_args__ = (UniqueConstraint("provider", "vlan"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[int] = mapped_column(Integer, unique=True)
    provider: Mapped[str] = mapped_column(String(64))
    vlan: Mapped[int] = mapped_column(Integer)
    cidr: Mapped[str | None] = mapped_column(String(18))
    gateway: Mapped[str | None] = mapped_column(Address)
    ipv6_cidr: Mapped[str | None] = mapped_column(String(43))
    ipv6_gateway: Mapped[str | None] = mapped_column(Address)
    mtu: Mapped[int] = mapped_column(Integer)


class PoolRow(Base):
    """Addresses ``first`` … ``last`` (as numbers) from which EIPs are allocated."""

    __tablename__ = "external_pools"

    network_id: Mapped[str] = mapped_column(
        ForeignKey("external_networks.id", ondelete="CASCADE"), primary_key=True
    )
    first: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(BigInteger)


class PoolRangeRow(Base):
    """Never-used addresses ``first`` … ``last`` (as numbers) of a network's pools."""

    __tablename__ = "pool_ranges"

    network_id: Mapped[str] = mapped_column(
        ForeignKey("external_networks.id", ondelete="CASCADE"), primary_key=True
    )
    last: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    first: Mapped[int] = mapped_column(BigInteger)


class FreedEipRow(Base):
    """An address that was an EIP's until ``revision``: the oldest goes out first.

    It stays here while one of ``hosts`` has not confirmed that revision: until then that host may
    still answer for it.
    """

    __tablename__ = "freed_eips"
    __table_args__ = (Index("ix_freed_eips_order", "network_id", "revision", "address"),)

    network_id: Mapped[str] = mapped_column(
        ForeignKey("external_networks.id", ondelete="CASCADE"), primary_key=True
    )
    address: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(BigInteger)
    hosts: Mapped[list[Any]] = mapped_column(JSON)
