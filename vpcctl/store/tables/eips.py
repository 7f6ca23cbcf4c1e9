"""EIPs."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Address, Base, Described, Id, Limited


class EipRow(Described, Limited, Base):
    """An address of an external network that a tenant has.

    It stands for a port's address (``port_id``, ``subnet_id``, ``vpc_id`` and ``fixed_ip`` are all
    set), or belongs to a NAT gateway, or to nothing. What says that the fixed address is there is
    checked at the end of a transaction, as a port's addresses are written anew when they change.
    ``left_hosts`` may answer for the address until they have confirmed ``left_revision``.
    ``seen_revision`` is that of the newest change that the outside sees: of what it stands for or
    belongs to, or of its limits.
    """

    __tablename__ = "eips"
    __table_args__ = (
        UniqueConstraint("external_network_id", "address"),
        UniqueConstraint("subnet_id", "fixed_ip"),
        Index("ix_eips_limit_number", "limit_number", unique=True),
        ForeignKeyConstraint(
            ["subnet_id", "fixed_ip"],
            ["addresses.subnet_id", "addresses.address"],
            deferrable=True,
            initially="DEFERRED",
        ),
        Index("ix_eips_tenant_id_key", "tenant_id", "key"),
        Index("ix_eips_port_id", "port_id"),
        Index("ix_eips_vpc_id_external_network_id", "vpc_id", "external_network_id"),
        Index("ix_eips_nat_gateway_id", "nat_gateway_id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    key: Mapped[int] = mapped_column(BigInteger, unique=True)
    external_network_id: Mapped[str] = mapped_column(
        ForeignKey("external_networks.id", ondelete="RESTRICT")
    )
    address: Mapped[str] = mapped_column(Address)
    port_id: Mapped[str | None] = mapped_column(ForeignKey("ports.id", ondelete="RESTRICT"))
    subnet_id: Mapped[str | None] = mapped_column(Id)
    vpc_id: Mapped[str | None] = mapped_column(ForeignKey("vpcs.id", ondelete="RESTRICT"))
    fixed_ip: Mapped[str | None] = mapped_column(Address)
    nat_gateway_id: Mapped[str | None] = mapped_column(
        ForeignKey("nat_gateways.id", ondelete="RESTRICT")
    )
    left_revision: Mapped[int] = mapped_column(BigInteger)
    left_hosts: Mapped[list[Any]] = mapped_column(JSON)
    seen_revision: Mapped[int] = mapped_column(BigInteger)
