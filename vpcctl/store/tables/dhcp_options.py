"""DHCP option sets."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Base, Described, Id


class DhcpOptionsRow(Described, Base):
    """A set of DHCP options; ``options`` has those that it says. ``key``: revision that made it."""

    __tablename__ = "dhcp_options"
    __table_args__ = (Index("ix_dhcp_options_tenant_id_key", "tenant_id", "key"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[int] = mapped_column(BigInteger, unique=True, autoincrement=False)
    tenant_id: Mapped[str] = mapped_column(String(64))
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
