"""The declarative base and the column types that all tables share."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Integer, MetaData, String
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMES)


class Timestamp(TypeDecorator[datetime]):
    """A moment, kept as microseconds since 1970 UTC: equal and ordered alike on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return microseconds for an aware datetime."""
        if value is None:
            return None
        delta = value - _EPOCH
        return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Return an aware datetime for microseconds."""
        if value is None:
            return None
        seconds, micros = divmod(value, 1_000_000)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)


Id = String(64)
Address = String(39)


class Described:
    """Columns that every resource has."""

    name: Mapped[str] = mapped_column(String(128))
    description: Mapped[str] = mapped_column(String(1024))
    tags: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    updated_at: Mapped[datetime] = mapped_column(Timestamp)
    revision: Mapped[int] = mapped_column(BigInteger)


class Limited:
    """Columns of what can be limited; ``limit_number`` is set exactly when one of the others is."""

    limit_number: Mapped[int | None] = mapped_column(Integer)
    ingress_kbps: Mapped[int | None] = mapped_column(BigInteger)
    egress_kbps: Mapped[int | None] = mapped_column(BigInteger)
    ingress_pps: Mapped[int | None] = mapped_column(BigInteger)
    egress_pps: Mapped[int | None] = mapped_column(BigInteger)
