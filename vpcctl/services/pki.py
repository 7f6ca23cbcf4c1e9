"""Hosts' enrolment and certificates: who may become which host, for how long, and the way back."""

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from vpcctl.model.problems import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from vpcctl.pki import certificates, csr
from vpcctl.pki.authority import HOST_LIFE, Authority
from vpcctl.pki.directory import PkiDirectory
from vpcctl.pki.errors import PkiError
from vpcctl.services import rules
from vpcctl.services.tokens import mint_host_token
from vpcctl.services.views import Actor
from vpcctl.store import certificates as repository
from vpcctl.store import tokens
from vpcctl.store.hosts import HOSTS
from vpcctl.store.units import Unit, Units
from vpcctl.wire.enrollment_token import EnrollmentToken

DEFAULT_LIFETIME_S = 3600
LIFETIMES_S = (60, 7 * 86_400)
_NOBODY = "0" * 64


@dataclass(frozen=True, slots=True)
class EnrollmentView:
    """An enrolment without its secret."""

    id: str
    host_id: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate as it is handed to a host; both texts are PEM."""

    host_id: str
    certificate: str
    ca_certificate: str


@dataclass(frozen=True, slots=True)
class EnrolledHost:
    """What a host gets at its enrolment; ``token`` is its bearer token's secret."""

    issued: IssuedCertificate
    token: str


@dataclass(frozen=True, slots=True)
class Revoked:
    """How much was taken from a host, and the revision that this made."""

    certificates: int
    tokens: int
    enrollments: int
    revision: int


class PkiService:
    """Enrols hosts, renews and revokes their certificates.

    Args:
        units: the database.
        directory: where the authority is, or will be; None: there is none.
        life: how long a host certificate is good for.
    """

    def __init__(
        self,
        units: Units,
        directory: Path | None,
        *,
        life: timedelta = HOST_LIFE,
    ) -> None:
        self._units = units
        self._directory = None if directory is None else PkiDirectory(directory)
        self._life = life
        self._valid = repository.CertificateStore(units.database, units.clock)

    def ca_certificate(self) -> str:
        """Return the authority's certificate, PEM. It is no secret: anybody may have it.

        Raises:
            NotFound: there is no authority.
            Unavailable: it cannot be read.
        """
        if self._directory is None or not self._directory.is_initialised:
            raise NotFound("This controller has no authority.")
        try:
            return certificates.to_pem(self._directory.ca_certificate())
        except PkiError as error:
            raise Unavailable("This controller's authority cannot be read.") from error

    def create_enrollment(
        self, actor: Actor, host_id: str, lifetime_s: int = DEFAULT_LIFETIME_S
    ) -> tuple[EnrollmentView, str]:
        """Return a new enrolment of the host and its token, which is shown this once.

        Raises:
            Forbidden: the actor is no admin.
            Invalid: the lifetime is out of bounds.
            NotFound: there is no such host.
            Conflict: the controller has no authority.
            Unavailable: its authority cannot be used.
        """
        rules.require_admin(actor, "enrol hosts")
        if not LIFETIMES_S[0] <= lifetime_s <= LIFETIMES_S[1]:
            raise Invalid(
                f"An enrolment cannot last {lifetime_s} seconds.",
                field="lifetime_s",
                accepted=f"{LIFETIMES_S[0]} to {LIFETIMES_S[1]} seconds",
            )
        token = EnrollmentToken(
            f"enroll-{uuid.uuid4().hex[:17]}",
            secrets.token_urlsafe(32),
            certificates.fingerprint(self._authority().certificate),
        )
        now = self._units.clock()
        view = EnrollmentView(
            token.enrollment_id, host_id, now, now + timedelta(seconds=lifetime_s)
        )
        self._units.write_aside(lambda connection: self._enter(connection, view, token))
        return view, str(token)

    def enroll(self, token_text: str, csr_pem: str) -> EnrolledHost:
        """Make whoever holds the token the host that it was made for.

        What the host held before (certificates, bearer tokens, other enrolments) is void from then
        on: there is one machine of that name, and this is it. A request that cannot be accepted
        leaves the token unused.

        Raises:
            Unauthenticated: the token is malformed, unknown, used or expired.
            Invalid: the signing request cannot be accepted.
            Conflict: the controller has no authority.
            Unavailable: its authority cannot be used.
        """
        authority = self._authority()
        enrollment = self._authenticate(token_text, authority)
        now = self._units.clock()
        certificate, record = self._issue(authority, enrollment.host_id, csr_pem, now)

        def work(unit: Unit) -> str:
            if not repository.use_enrollment(unit.connection, enrollment.id, now):
                raise _refused("was used before")
            self._take_all(unit.connection, enrollment.host_id, now)
            repository.add_certificate(unit.connection, record)
            detail = f"enrolled with certificate {record.serial}"
            unit.tell("host", enrollment.host_id, "", "warning", detail)
            return mint_host_token(unit.connection, enrollment.host_id, now)

        return EnrolledHost(certificate, self._units.write(work))

    def renew(self, actor: Actor, host_id: str, csr_pem: str) -> IssuedCertificate:
        """Return the next certificate of the host that asks; the present one stays good.

        Raises:
            Forbidden: the actor is not this host.
            Invalid: the signing request cannot be accepted.
            NotFound: the host was deleted a moment ago.
            Conflict: the controller has no authority.
            Unavailable: its authority cannot be used.
        """
        if actor.role != "host" or actor.host_id != host_id:
            raise Forbidden("Only a host itself may renew its certificate.")
        now = self._units.clock()
        certificate, record = self._issue(self._authority(), host_id, csr_pem, now)

        def work(connection: repository.Connection) -> None:
            _require_host(connection, host_id)
            repository.add_certificate(connection, record)

        self._units.write_aside(work)
        return certificate

    def certificates(self, actor: Actor, host_id: str) -> tuple[repository.Certificate, ...]:
        """Return the host's certificates that have not expired, the newest first.

        Raises:
            Forbidden: the actor is no admin.
            NotFound: there is no such host.
        """
        rules.require_admin(actor, "see certificates")

        def work(connection: repository.Connection) -> tuple[repository.Certificate, ...]:
            _require_host(connection, host_id)
            return repository.list_certificates(connection, host_id)

        now = self._units.clock()
        return tuple(one for one in self._units.read(work) if one.not_after > now)

    def is_valid(self, host_id: str, serial: str) -> bool:
        """Tell whether the certificate *serial* is this host's, not revoked and not expired.

        Raises:
            Unavailable: the database does not answer.
        """
        return self._valid.is_valid(host_id, serial)

    def revoke(self, actor: Actor, host_id: str) -> Revoked:
        """Take certificates, bearer tokens and open enrolments from the host.

        The southbound drops its connection at the wake-up that this makes. Its flows stay: what
        was attached goes on, until the host is deleted or enrolled anew.

        Raises:
            Forbidden: the actor is no admin.
            NotFound: there is no such host.
        """
        rules.require_admin(actor, "revoke hosts")

        def work(unit: Unit) -> Revoked:
            _require_host(unit.connection, host_id)
            taken = self._take_all(unit.connection, host_id, unit.now)
            detail = f"revoked: {taken[0]} certificates, {taken[1]} tokens"
            unit.tell("host", host_id, "", "warning", detail)
            return Revoked(*taken, unit.revision)

        return self._units.write(work)

    def _authority(self) -> Authority:
        if self._directory is None or not self._directory.is_initialised:
            raise Conflict("This controller has no authority: run 'vpcctl pki init'.")
        try:
            return self._directory.authority()
        except PkiError as error:
            raise Unavailable(f"Certificates cannot be issued: {error}.") from error

    def _enter(
        self, connection: repository.Connection, view: EnrollmentView, token: EnrollmentToken
    ) -> None:
        _require_host(connection, view.host_id)
        digest = _digest(token.secret)
        repository.add_enrollment(
            connection,
            repository.Enrollment(view.id, view.host_id, digest, view.created_at, view.expires_at),
        )

    def _authenticate(self, token_text: str, authority: Authority) -> repository.Enrollment:
        token = EnrollmentToken.parse(token_text)
        if token is None:
            raise _refused("is malformed")
        found = self._units.read(
            lambda connection: repository.find_enrollment(connection, token.enrollment_id)
        )
        # Compared also when there is none: the answer's time tells nothing about ids.
        known = found.digest if found else _NOBODY
        fits = hmac.compare_digest(known, _digest(token.secret))
        ours = certificates.has_fingerprint(authority.certificate, token.ca_fingerprint)
        if found is None or not fits or not ours:
            raise _refused("is not one of this controller")
        if found.used_at is not None:
            raise _refused("was used before")
        if found.expires_at <= self._units.clock():
            raise _refused("has expired")
        return found

    def _issue(
        self, authority: Authority, host_id: str, csr_pem: str, now: datetime
    ) -> tuple[IssuedCertificate, repository.Certificate]:
        key = csr.public_key_of(csr_pem)
        try:
            certificate = authority.issue_host(key, host_id, now=now, life=self._life)
        except PkiError as error:
            raise Unavailable(f"Certificates cannot be issued: {error}.") from error
        issued = IssuedCertificate(
            host_id, certificates.to_pem(certificate), certificates.to_pem(authority.certificate)
        )
        record = repository.Certificate(
            certificates.serial_of(certificate), host_id, now, certificate.not_valid_after_utc
        )
        return issued, record

    def _take_all(
        self, connection: repository.Connection, host_id: str, now: datetime
    ) -> tuple[int, int, int]:
        return (
            repository.revoke_certificates(connection, host_id, now),
            tokens.remove_of_host(connection, host_id),
            repository.drop_enrollments(connection, host_id, unused_only=True),
        )


def _require_host(connection: repository.Connection, host_id: str) -> None:
    if HOSTS.find(connection, host_id) is None:
        raise NotFound(f"There is no host {rules.printable(host_id)}.")


def _digest(secret: str) -> str:
    # A plain hash is enough: the secret has 256 random bits, there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()


def _refused(fault: str) -> Unauthenticated:
    return Unauthenticated(
        f"The enrolment token {fault}.",
        field="token",
        accepted="a token of 'vpcctl host enroll', once and before it expires",
    )
