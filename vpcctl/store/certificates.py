"""Enrolments and host certificates in the database, and the question whether one is valid."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from vpcctl.pki.certificates import HostIdentity
from vpcctl.store.database import Database
from vpcctl.store.tables.certificates import CertificateRow, EnrollmentRow
from vpcctl.store.units import utc_now

KEPT_PER_HOST = 16
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Enrollment:
    """A one-time right to become a host. ``digest`` is the SHA-256 of its secret, hexadecimal."""

    id: str
    host_id: str
    digest: str
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that a host was given; ``revoked_at`` None while it has not been revoked."""

    serial: str
    host_id: str
    issued_at: datetime
    not_after: datetime
    revoked_at: datetime | None = None


class CertificateStore:
    """Answers whether a certificate that a peer has shown is still good.

    TLS has verified its signature and dates when the connection was made. Only the database knows
    whether it was revoked since, or its host deleted: ask at each connection, and for all
    connections after each wake-up of ``network`` or at each audit.

    Args:
        database: where the certificates are.
        clock: the present, timezone-aware.
    """

    def __init__(self, database: Database, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._clock = clock

    def is_valid(self, host_id: str, serial: str) -> bool:
        """Tell whether the certificate *serial* is this host's, not revoked and not expired.

        Args:
            host_id: the host that the certificate names.
            serial: as ``vpcctl.pki.certificates.host_identity`` gives it.

        Raises:
            Unavailable: the database does not answer.
        """
        identity = HostIdentity(host_id, serial)
        return identity not in self.invalid([identity])

    def invalid(self, identities: Iterable[HostIdentity]) -> frozenset[HostIdentity]:
        """Return those of *identities* that are not valid (any more), in few queries.

        Raises:
            Unavailable: the database does not answer.
        """
        asked = frozenset(identities)
        now = self._clock()
        valid = self._database.read(
            lambda connection: find_valid(connection, {one.serial for one in asked}, now)
        )
        return asked - valid


def find_valid(
    connection: Connection, serials: Iterable[str], now: datetime
) -> frozenset[HostIdentity]:
    """Return whose and which of *serials* are neither revoked nor expired at *now*."""
    wanted = sorted(serials)
    found: set[HostIdentity] = set()
    for start in range(0, len(wanted), _CHUNK):
        rows = connection.execute(
            select(CertificateRow.host_id, CertificateRow.serial).where(
                CertificateRow.serial.in_(wanted[start : start + _CHUNK]),
                CertificateRow.revoked_at.is_(None),
                CertificateRow.not_after > now,
            )
        )
        found.update(HostIdentity(host_id, serial) for host_id, serial in rows)
    return frozenset(found)


def add_enrollment(connection: Connection, enrollment: Enrollment) -> None:
    """Keep a new enrolment, and forget all that have expired."""
    connection.execute(
        delete(EnrollmentRow).where(EnrollmentRow.expires_at <= enrollment.created_at)
    )
    connection.execute(
        insert(EnrollmentRow).values(
            id=enrollment.id,
            host_id=enrollment.host_id,
            digest=enrollment.digest,
            created_at=enrollment.created_at,
            expires_at=enrollment.expires_at,
        )
    )


def find_enrollment(connection: Connection, id: str) -> Enrollment | None:
    """Return the enrolment *id*, used or not, expired or not; None when there is none."""
    row = connection.execute(
        select(
            EnrollmentRow.id,
            EnrollmentRow.host_id,
            EnrollmentRow.digest,
            EnrollmentRow.created_at,
            EnrollmentRow.expires_at,
            EnrollmentRow.used_at,
        ).where(EnrollmentRow.id == id)
    ).one_or_none()
    return None if row is None else Enrollment(*row)


def use_enrollment(connection: Connection, id: str, now: datetime) -> bool:
    """Use the enrolment up; False when another was first, or it has expired or gone.

    One statement, so of many that try at once exactly one succeeds.
    """
    result = connection.execute(
        update(EnrollmentRow)
        .where(
            EnrollmentRow.id == id,
            EnrollmentRow.used_at.is_(None),
            EnrollmentRow.expires_at > now,
        )
        .values(used_at=now)
    )
    return result.rowcount == 1


def drop_enrollments(connection: Connection, host_id: str, *, unused_only: bool) -> int:
    """Forget the host's enrolments; return how many there were."""
    statement = delete(EnrollmentRow).where(EnrollmentRow.host_id == host_id)
    if unused_only:
        statement = statement.where(EnrollmentRow.used_at.is_(None))
    return connection.execute(statement).rowcount


def add_certificate(connection: Connection, certificate: Certificate) -> None:
    """Record a certificate; forget the host's expired ones, revoke all but its newest few.

    A host has one or two in use. The bound is for one that asks again and again: neither the table
    nor what a thief of its token can hoard grows without end.
    """
    now, host_id = certificate.issued_at, certificate.host_id
    ours = CertificateRow.host_id == host_id
    connection.execute(delete(CertificateRow).where(ours, CertificateRow.not_after <= now))
    newest = (
        select(CertificateRow.serial)
        .where(ours)
        .order_by(CertificateRow.issued_at.desc(), CertificateRow.serial)
        .limit(KEPT_PER_HOST - 1)
    )
    kept = connection.execute(newest).scalars().all()
    connection.execute(delete(CertificateRow).where(ours, CertificateRow.serial.not_in(kept)))
    connection.execute(
        insert(CertificateRow).values(
            serial=certificate.serial,
            host_id=host_id,
            issued_at=now,
            not_after=certificate.not_after,
        )
    )


def revoke_certificates(connection: Connection, host_id: str, now: datetime) -> int:
    """Revoke all certificates of the host that are not yet; return how many."""
    result = connection.execute(
        update(CertificateRow)
        .where(
            CertificateRow.host_id == host_id,
            CertificateRow.revoked_at.is_(None),
            CertificateRow.not_after > now,
        )
        .values(revoked_at=now)
    )
    return result.rowcount


def list_certificates(connection: Connection, host_id: str) -> tuple[Certificate, ...]:
    """Return the host's certificates, the newest first."""
    rows = connection.execute(
        select(
            CertificateRow.serial,
            CertificateRow.host_id,
            CertificateRow.issued_at,
            CertificateRow.not_after,
            CertificateRow.revoked_at,
        )
        .where(CertificateRow.host_id == host_id)
        .order_by(CertificateRow.issued_at.desc(), CertificateRow.serial)
    )
    return tuple(Certificate(*row) for row in rows)
