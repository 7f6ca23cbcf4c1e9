"""Network ACLs and their entries."""

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Base, Described, Id


class NetworkAclRow(Described, Base):
    """An ACL of a VPC."""

    __tablename__ = "network_acls"
    __table_args__ = (
        Index("ix_network_acls_tenant_id_key", "tenant_id", "key"),
        Index("ix_network_acls_vpc_id_key", "vpc_id", "key"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpcs.id", ondelete="RESTRICT"))
    tenant_id: Mapped[str] = mapped_column(String(64))
    key: Mapped[int] = mapped_column(BigInteger, unique=True)


class AclEntryRow(Base):
    """An entry; the primary key is what keeps two from having one number in one direction."""

    __tablename__ = "network_acl_entries"

    acl_id: Mapped[str] = mapped_column(
        ForeignKey("network_acls.id", ondelete="RESTRICT"), primary_key=True
    )
    direction: Mapped[str] = mapped_column(String(8), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    allow: Mapped[bool] = mapped_column(Boolean)
    cidr: Mapped[str] = mapped_column(String(43))
    protocol: Mapped[int | None] = mapped_column(SmallInteger)
    port_first: Mapped[int | None] = mapped_column(Integer)
    port_last: Mapped[int | None] = mapped_column(Integer)
    icmp_type: Mapped[int | None] = mapped_column(SmallInteger)
    icmp_code: Mapped[int | None] = mapped_column(SmallInteger)
    description: Mapped[str] = mapped_column(String(1024))
