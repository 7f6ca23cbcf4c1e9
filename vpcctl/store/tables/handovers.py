"""Addresses that have changed hands, or may."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Address, Base, Timestamp


class FormerAddressRow(Base):
    """An address of a VPC that a port gave up at ``freed``, and which another has since ``taken``.

    It is the VPC's, not a subnet's: a subnet may be made anew with the same block. ``at`` is the
    time of the later of the two.
    """

    __tablename__ = "former_addresses"
    __table_args__ = (
        Index("ix_former_addresses_vpc_id_taken", "vpc_id", "taken"),
        Index("ix_former_addresses_at", "at"),
    )

    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpcs.id", ondelete="CASCADE"), primary_key=True)
    address: Mapped[str] = mapped_column(Address, primary_key=True)
    freed: Mapped[int] = mapped_column(BigInteger)
    taken: Mapped[int | None] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Timestamp)
