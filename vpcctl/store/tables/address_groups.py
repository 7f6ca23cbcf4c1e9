"""Address groups and their blocks."""

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Base, Described, Id


class AddressGroupRow(Described, Base):
    """An address group of a tenant."""

    __tablename__ = "address_groups"
    __table_args__ = (Index("ix_address_groups_tenant_id_key", "tenant_id", "key"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    key: Mapped[int] = mapped_column(BigInteger, unique=True)


class GroupBlockRow(Base):
    """A block of an address group, as canonical text."""

    __tablename__ = "address_group_cidrs"

    group_id: Mapped[str] = mapped_column(
        ForeignKey("address_groups.id", ondelete="RESTRICT"), primary_key=True
    )
    cidr: Mapped[str] = mapped_column(String(43), primary_key=True)
