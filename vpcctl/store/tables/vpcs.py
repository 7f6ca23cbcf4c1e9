"""VPCs."""

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Base, Described, Id


class VpcRow(Described, Base):
    """A VPC; ``cidrs`` are canonical texts, sorted.

    ``names_revision`` is that of the newest change of what its guests are told of its names.
    """

    __tablename__ = "vpcs"
    __table_args__ = (
        Index("ix_vpcs_tenant_id_key", "tenant_id", "key"),
        Index("ix_vpcs_dhcp_options_id", "dhcp_options_id"),
        Index("ix_vpcs_names_revision", "names_revision"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[int] = mapped_column(Integer, unique=True)
    tenant_id: Mapped[str] = mapped_column(String(64))
    cidrs: Mapped[list[str]] = mapped_column(JSON)
    dhcp_options_id: Mapped[str | None] = mapped_column(ForeignKey("dhcp_options.id"))
    dns_enabled: Mapped[bool] = mapped_column(Boolean)
    dns_domain: Mapped[str] = mapped_column(String(253))
    names_revision: Mapped[int] = mapped_column(BigInteger)
