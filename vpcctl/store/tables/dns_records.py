"""Records that tenants have made in the private zones of their VPCs."""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Base, Described, Id


class DnsRecordRow(Described, Base):
    """Records of one name and type; ``name`` is relative to the VPC's domain, or a reverse name.

    ``key``: revision that made it.
    """

    __tablename__ = "dns_records"
    __table_args__ = (
        UniqueConstraint("vpc_id", "name", "type"),
        Index("ix_dns_records_tenant_id_key", "tenant_id", "key"),
        Index("ix_dns_records_vpc_id_key", "vpc_id", "key"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[int] = mapped_column(BigInteger, unique=True, autoincrement=False)
    tenant_id: Mapped[str] = mapped_column(String(64))
    vpc_id: Mapped[str] = mapped_column(ForeignKey("vpcs.id", ondelete="RESTRICT"))
    type: Mapped[str] = mapped_column(String(8))
    ttl: Mapped[int] = mapped_column(Integer)
    content: Mapped[list[Any]] = mapped_column(JSON)
