"""What ports' owners have said for their guests."""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Base


class PortMetadataRow(Base):
    """User data (base64), keys and whether tokens are asked for; a port without has no row.

    *revision* is drawn anew by each change: no two have the same, in copies of the database either.
    """

    __tablename__ = "port_metadata"

    port_id: Mapped[str] = mapped_column(
        ForeignKey("ports.id", ondelete="RESTRICT"), primary_key=True
    )
    user_data: Mapped[str | None] = mapped_column(Text)
    public_keys: Mapped[list[Any]] = mapped_column(JSON)
    metadata_tokens: Mapped[str] = mapped_column(String(8))
    revision: Mapped[int] = mapped_column(BigInteger)
