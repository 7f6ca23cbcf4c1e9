"""Enrolment, renewal and revocation on real databases, with a clock of the test's own."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from vpcctl.model.problems import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    Unauthenticated,
)
from vpcctl.pki import certificates, csr, keys
from vpcctl.pki.authority import HOST_LIFE
from vpcctl.pki.directory import PkiDirectory
from vpcctl.services.facade import Services, ServiceSettings
from vpcctl.services.pki import DEFAULT_LIFETIME_S, EnrolledHost
from vpcctl.services.views import Actor, HostCreate
from vpcctl.store.certificates import KEPT_PER_HOST, CertificateStore, HostIdentity
from vpcctl.store.database import Database
from vpcctl.wire.enrollment_token import EnrollmentToken

ADMIN = Actor("admin")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """Says the time that the test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Bench:
    """Services with an authority, and one host."""

    def __init__(self, database: Database, directory: PkiDirectory) -> None:
        self.clock = Clock()
        self.database = database
        self.directory = directory
        settings = ServiceSettings(pki_dir=directory.path)
        self.services = Services(database, settings=settings, clock=self.clock)
        self.pki = self.services.pki
        self.valid = CertificateStore(database, self.clock)
        self.host_id = self.new_host("hv-1")

    def new_host(self, name: str) -> str:
        return self.services.hosts.create(ADMIN, HostCreate(name)).meta.id

    def token(self, host_id: str | None = None) -> str:
        return self.pki.create_enrollment(ADMIN, host_id or self.host_id)[1]

    def enroll(self) -> EnrolledHost:
        return self.pki.enroll(self.token(), request())

    def actor(self, enrolled: EnrolledHost) -> Actor:
        return self.services.tokens.authenticate(enrolled.token)


@pytest.fixture
def bench(database: Database, tmp_path: Path) -> Bench:
    directory = PkiDirectory(tmp_path / "pki")
    directory.initialise(["localhost"], now=START)
    return Bench(database, directory)


def request() -> str:
    return csr.make_csr(keys.new_key(), "vpc-agent")


def certificate_of(pem: str) -> x509.Certificate:
    return certificates.from_pem(pem)


def identity_of(pem: str) -> HostIdentity:
    return certificates.host_identity(certificates.to_der(certificate_of(pem)))


def refused(work: Callable[[], object], kind: type[Problem], text: str) -> Problem:
    with pytest.raises(kind, match=text) as caught:
        work()
    return caught.value


def test_a_token_makes_its_holder_the_host_that_it_was_made_for(bench):
    view, token = bench.pki.create_enrollment(ADMIN, bench.host_id)
    assert view.expires_at == START + timedelta(seconds=DEFAULT_LIFETIME_S)
    key = keys.new_key()
    enrolled = bench.pki.enroll(token, csr.make_csr(key, "whoever"))
    certificate = certificate_of(enrolled.issued.certificate)
    assert certificate.public_key() == key.public_key()
    assert certificate.not_valid_after_utc == START + HOST_LIFE
    authority = certificate_of(enrolled.issued.ca_certificate)
    assert certificates.is_issued_by(certificate, authority)
    parsed = EnrollmentToken.parse(token)
    assert certificates.has_fingerprint(authority, parsed.ca_fingerprint)
    identity = identity_of(enrolled.issued.certificate)
    assert identity.host_id == enrolled.issued.host_id == bench.host_id
    assert bench.valid.is_valid(identity.host_id, identity.serial)
    actor = bench.actor(enrolled)
    assert (actor.role, actor.host_id) == ("host", bench.host_id)


def test_the_secret_is_stored_nowhere(bench):
    parsed = EnrollmentToken.parse(bench.token())
    found = bench.database.read(
        lambda connection: connection.exec_driver_sql("SELECT * FROM enrollments").all()
    )
    assert found
    assert parsed.secret not in str(found)


def test_a_token_works_once(bench):
    token = bench.token()
    enrolled = bench.pki.enroll(token, request())
    problem = refused(lambda: bench.pki.enroll(token, request()), Unauthenticated, "used before")
    assert problem.field == "token"
    identity = identity_of(enrolled.issued.certificate)
    assert bench.valid.is_valid(identity.host_id, identity.serial)
    assert bench.actor(enrolled)


def test_of_many_that_use_one_token_at_once_exactly_one_becomes_the_host(bench):
    token = bench.token()
    outcomes: list[str] = []

    def run() -> None:
        try:
            bench.pki.enroll(token, request())
            outcomes.append("enrolled")
        except Unauthenticated:
            outcomes.append("refused")

    threads = [threading.Thread(target=run) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["enrolled"] + ["refused"] * 11
    assert len(bench.pki.certificates(ADMIN, bench.host_id)) == 1


def test_a_token_expires_by_the_clock(bench):
    token = bench.token()
    bench.clock.now += timedelta(seconds=DEFAULT_LIFETIME_S, microseconds=-1)
    late = bench.token()
    bench.clock.now += timedelta(microseconds=1)
    refused(lambda: bench.pki.enroll(token, request()), Unauthenticated, "expired")
    assert bench.pki.enroll(late, request())


def test_a_token_is_good_until_the_moment_it_expires(bench):
    token = bench.token()
    bench.clock.now += timedelta(seconds=DEFAULT_LIFETIME_S, microseconds=-1)
    assert bench.pki.enroll(token, request())


def test_wrong_tokens_are_refused_alike(bench):
    good = EnrollmentToken.parse(bench.token())
    other = EnrollmentToken.parse(bench.token())
    for wrong in (
        EnrollmentToken(good.enrollment_id, other.secret, good.ca_fingerprint),
        EnrollmentToken("enroll-00000000000000000", good.secret, good.ca_fingerprint),
        EnrollmentToken(good.enrollment_id, good.secret, "0" * 64),
    ):
        refused(
            lambda wrong=wrong: bench.pki.enroll(str(wrong), request()),
            Unauthenticated,
            "not one of this controller",
        )
    for malformed in ("", "hello", f"{good} ", str(good)[:-1], f"{good}0"):
        refused(
            lambda text=malformed: bench.pki.enroll(text, request()), Unauthenticated, "malformed"
        )
    assert bench.pki.enroll(str(good), request())


def test_a_request_that_is_refused_leaves_the_token_unused(bench):
    token = bench.token()
    problem = refused(lambda: bench.pki.enroll(token, "nonsense"), Invalid, "signing request")
    assert problem.field == "csr"
    assert bench.pki.enroll(token, request())


@pytest.mark.parametrize("lifetime_s", [0, 59, 7 * 86_400 + 1, -1])
def test_lifetimes_out_of_bounds_are_refused(bench, lifetime_s):
    problem = refused(
        lambda: bench.pki.create_enrollment(ADMIN, bench.host_id, lifetime_s), Invalid, "last"
    )
    assert problem.field == "lifetime_s"


def test_only_admins_enrol_list_and_revoke(bench):
    host = Actor("host", host_id=bench.host_id)
    for actor in (host, Actor("tenant", tenant_id="acme")):
        refused(
            lambda actor=actor: bench.pki.create_enrollment(actor, bench.host_id),
            Forbidden,
            "admin",
        )
        refused(lambda actor=actor: bench.pki.revoke(actor, bench.host_id), Forbidden, "admin")
        refused(
            lambda actor=actor: bench.pki.certificates(actor, bench.host_id), Forbidden, "admin"
        )


def test_unknown_hosts_are_not_found(bench):
    nobody = "host-00000000000000000"
    refused(lambda: bench.pki.create_enrollment(ADMIN, nobody), NotFound, "no host")
    refused(lambda: bench.pki.revoke(ADMIN, nobody), NotFound, "no host")
    refused(lambda: bench.pki.certificates(ADMIN, nobody), NotFound, "no host")
    ghost = Actor("host", host_id=nobody)
    refused(lambda: bench.pki.renew(ghost, nobody, request()), NotFound, "no host")


def test_a_host_renews_its_own_certificate_and_no_other(bench):
    enrolled = bench.enroll()
    actor = bench.actor(enrolled)
    bench.clock.now += HOST_LIFE * 0.7
    renewed = bench.pki.renew(actor, bench.host_id, request())
    before, after = identity_of(enrolled.issued.certificate), identity_of(renewed.certificate)
    assert after.serial != before.serial
    assert bench.valid.invalid([before, after]) == frozenset()
    other = bench.new_host("hv-2")
    refused(lambda: bench.pki.renew(actor, other, request()), Forbidden, "itself")
    refused(lambda: bench.pki.renew(ADMIN, bench.host_id, request()), Forbidden, "itself")


def test_certificates_expire_by_the_clock(bench):
    identity = identity_of(bench.enroll().issued.certificate)
    bench.clock.now = START + HOST_LIFE - timedelta(seconds=1)
    assert bench.valid.is_valid(identity.host_id, identity.serial)
    bench.clock.now = START + HOST_LIFE
    assert not bench.valid.is_valid(identity.host_id, identity.serial)
    assert bench.pki.certificates(ADMIN, bench.host_id) == ()


def test_a_certificate_is_valid_for_its_own_host_only(bench):
    identity = identity_of(bench.enroll().issued.certificate)
    assert not bench.valid.is_valid(bench.new_host("hv-2"), identity.serial)
    assert not bench.valid.is_valid(identity.host_id, "0")


def test_many_are_asked_about_at_once(bench):
    good = identity_of(bench.enroll().issued.certificate)
    unknown = {HostIdentity(good.host_id, f"{number:x}") for number in range(1200)}
    assert bench.valid.invalid({good, *unknown}) == unknown


def test_revoking_takes_certificates_tokens_and_open_enrolments(bench):
    enrolled = bench.enroll()
    identity = identity_of(enrolled.issued.certificate)
    open_token = bench.token()
    revoked = bench.pki.revoke(ADMIN, bench.host_id)
    assert (revoked.certificates, revoked.tokens, revoked.enrollments) == (1, 1, 1)
    assert not bench.valid.is_valid(identity.host_id, identity.serial)
    with pytest.raises(Unauthenticated):
        bench.actor(enrolled)
    refused(lambda: bench.pki.enroll(open_token, request()), Unauthenticated, "not one of")
    [listed] = bench.pki.certificates(ADMIN, bench.host_id)
    assert listed.revoked_at == START
    again = bench.pki.revoke(ADMIN, bench.host_id)
    assert (again.certificates, again.tokens, again.enrollments) == (0, 0, 0)
    assert bench.enroll()


def test_revoking_leaves_other_hosts_alone(bench):
    other = bench.new_host("hv-2")
    kept = bench.pki.enroll(bench.token(other), request())
    bench.enroll()
    bench.pki.revoke(ADMIN, bench.host_id)
    identity = identity_of(kept.issued.certificate)
    assert bench.valid.is_valid(identity.host_id, identity.serial)
    assert bench.actor(kept).host_id == other


def test_enrolling_anew_voids_what_the_host_had(bench):
    first = bench.enroll()
    spare = bench.token()
    second = bench.enroll()
    before, after = (identity_of(one.issued.certificate) for one in (first, second))
    assert bench.valid.invalid([before, after]) == {before}
    with pytest.raises(Unauthenticated):
        bench.actor(first)
    assert bench.actor(second)
    refused(lambda: bench.pki.enroll(spare, request()), Unauthenticated, "not one of")


def test_deleting_a_host_voids_everything(bench):
    enrolled = bench.enroll()
    identity = identity_of(enrolled.issued.certificate)
    open_token = bench.token()
    bench.services.hosts.delete(ADMIN, bench.host_id)
    assert not bench.valid.is_valid(identity.host_id, identity.serial)
    with pytest.raises(Unauthenticated):
        bench.actor(enrolled)
    refused(lambda: bench.pki.enroll(open_token, request()), Unauthenticated, "not one of")
    left = bench.database.read(
        lambda connection: (
            connection.exec_driver_sql("SELECT count(*) FROM enrollments").scalar_one(),
            connection.exec_driver_sql("SELECT count(*) FROM host_certificates").scalar_one(),
        )
    )
    assert left == (0, 0)


def test_what_a_host_can_hoard_is_bounded(bench):
    actor = bench.actor(bench.enroll())
    issued = []
    for _ in range(KEPT_PER_HOST + 4):
        bench.clock.now += timedelta(seconds=1)
        issued.append(identity_of(bench.pki.renew(actor, bench.host_id, request()).certificate))
    assert bench.valid.invalid(issued) == frozenset(issued[:4])
    assert len(bench.pki.certificates(ADMIN, bench.host_id)) == KEPT_PER_HOST


def test_enrolment_and_revocation_are_told_as_events(bench):
    after = bench.services.events.latest()
    bench.enroll()
    bench.pki.revoke(ADMIN, bench.host_id)
    told = [
        event.detail
        for event in bench.services.events.since(ADMIN, after)
        if event.resource_id == bench.host_id
    ]
    assert len(told) == 2
    assert told[0].startswith("enrolled with certificate ")
    assert told[1] == "revoked: 1 certificates, 1 tokens"


def test_without_an_authority_everything_says_so(database, tmp_path):
    bench = Bench(database, PkiDirectory(tmp_path / "nothing"))
    refused(bench.pki.ca_certificate, NotFound, "no authority")
    refused(bench.token, Conflict, "pki init")
    refused(lambda: bench.pki.enroll("x", request()), Conflict, "pki init")
    host = Actor("host", host_id=bench.host_id)
    refused(lambda: bench.pki.renew(host, bench.host_id, request()), Conflict, "pki init")


def test_an_authority_made_later_is_found(database, tmp_path):
    bench = Bench(database, PkiDirectory(tmp_path / "pki"))
    bench.directory.initialise(["localhost"], now=START)
    assert bench.enroll()
    assert bench.pki.ca_certificate() == certificates.to_pem(bench.directory.ca_certificate())
