"""Enrolments and the certificates that hosts were given."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from vpcctl.store.tables.base import Base, Id, Timestamp


class EnrollmentRow(Base):
    """A one-time right to become a host; ``digest`` is the SHA-256 of its 256-bit secret.

    The row stays until it has expired, so that a token shown twice is told apart from a wrong one
    in the log.
    """

    __tablename__ = "enrollments"
    __table_args__ = (Index("ix_enrollments_host_id", "host_id"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("hosts.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    expires_at: Mapped[datetime] = mapped_column(Timestamp, index=True)
    used_at: Mapped[datetime | None] = mapped_column(Timestamp)


class CertificateRow(Base):
    """A certificate that a host was given. One without a row here is not valid.

    Rows go with their host (so all of a deleted host's certificates are void) and after they have
    expired. ``serial`` is lower-case hexadecimal without leading zeros.
    """

    __tablename__ = "host_certificates"
    __table_args__ = (Index("ix_host_certificates_host_id", "host_id"),)

    serial: Mapped[str] = mapped_column(String(40), primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("hosts.id", ondelete="CASCADE"))
    issued_at: Mapped[datetime] = mapped_column(Timestamp)
    not_after: Mapped[datetime] = mapped_column(Timestamp, index=True)
    revoked_at: Mapped[datetime | None] = mapped_column(Timestamp)
