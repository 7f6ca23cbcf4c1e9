"""Tokens and Idempotency-Key records."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Base, Id, Timestamp


class TokenRow(Base):
    """A bearer token; ``digest`` is the SHA-256 of its 256-bit random secret."""

    __tablename__ = "tokens"
    __table_args__ = (Index("ix_tokens_host_id", "host_id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    role: Mapped[str] = mapped_column(String(8))
    tenant_id: Mapped[str | None] = mapped_column(String(64))
    host_id: Mapped[str | None] = mapped_column(ForeignKey("hosts.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(String(1024))
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    expires_at: Mapped[datetime | None] = mapped_column(Timestamp)


class IdempotencyRow(Base):
    """A request made under an Idempotency-Key; ``status`` None while it is being worked on."""

    __tablename__ = "idempotency"

    scope: Mapped[str] = mapped_column(String(80), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(128))
    status: Mapped[int | None] = mapped_column(Integer)
    headers: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Timestamp, index=True)
