"""The agent's keeper: when it renews, what it tells OVS, and which answers it refuses."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from agent import pki, renewal
from agent.wire.enrollment import CertificateAnswer
from vpcctl.pki import certificates, csr, keys, tls
from vpcctl.pki.authority import HOST_LIFE, Authority, create_authority
from vpcctl.pki.errors import PkiError
from vpcctl.pki.files import CredentialStore, Material

START = datetime.now(UTC).replace(microsecond=0)
HOST = "host-0a1b2c3d4e5f60718"
OTHER_HOST = "host-ffffffffffffffff0"


class Controller:
    """Answers signing requests as the controller does, at a time that the test sets."""

    def __init__(self) -> None:
        self.authority = create_authority(keys.new_authority_key(), now=START)
        self.now = START
        self.requests: list[str] = []

    def issue(self, request: str, host_id: str = HOST) -> CertificateAnswer:
        self.requests.append(request)
        return answer(self.authority, csr.public_key_of(request), self.now, host_id)


def answer(authority: Authority, public_key, now, host_id: str = HOST) -> CertificateAnswer:
    leaf = authority.issue_host(public_key, host_id, now=now)
    return CertificateAnswer(
        host_id=host_id,
        certificate=certificates.to_pem(leaf),
        ca_certificate=certificates.to_pem(authority.certificate),
    )


@pytest.fixture
def controller() -> Controller:
    return Controller()


@pytest.fixture
def store(tmp_path, controller) -> CredentialStore:
    store = pki.open_store(tmp_path)
    key = keys.new_key()
    first = answer(controller.authority, key.public_key(), START)
    store.install(Material(keys.key_to_pem(key), first.certificate, first.ca_certificate))
    return store


@pytest.fixture
def told() -> list[pki.SslFiles]:
    return []


def keeper(store, controller, told, post=None) -> renewal.CertificateKeeper:
    return renewal.CertificateKeeper(
        store, post=post or controller.issue, tell_ovs=told.append, clock=lambda: controller.now
    )


def test_a_host_that_was_never_enrolled_does_nothing(tmp_path, controller, told):
    assert keeper(pki.open_store(tmp_path), controller, told).run_once() is None
    assert told == []


def test_nothing_is_renewed_while_more_than_a_third_is_left(store, controller, told):
    controller.now = START + HOST_LIFE / 2
    before = store.current()
    assert keeper(store, controller, told).run_once() is None
    assert told == [pki.ssl_files(before)]
    assert controller.requests == []


def test_a_third_before_the_end_key_and_certificate_are_renewed(store, controller, told):
    controller.now = START + HOST_LIFE * 0.7
    before = store.current()
    after = keeper(store, controller, told).run_once()
    assert after == store.current()
    assert after.key.read_bytes() != before.key.read_bytes()
    certificate = certificates.from_pem(after.certificate.read_bytes())
    assert certificate.not_valid_after_utc == controller.now + HOST_LIFE
    assert told == [pki.ssl_files(before), pki.ssl_files(after)]
    tls.client_context(after.ca.read_text(), after)
    assert keeper(store, controller, told).run_once() is None


def test_what_ovs_missed_in_a_crash_is_told_at_the_next_run(store, controller, told):
    controller.now = START + HOST_LIFE * 0.7
    keeper(store, controller, told).run_once()
    told.clear()
    keeper(store, controller, told).run_once()
    assert told == [pki.ssl_files(store.current())]


def test_an_unreachable_controller_leaves_the_present_credentials(store, controller, told):
    controller.now = START + HOST_LIFE * 0.7
    before = store.current()

    def unreachable(request: str) -> CertificateAnswer:
        raise ConnectionError("no route")

    with pytest.raises(ConnectionError):
        keeper(store, controller, told, unreachable).run_once()
    assert store.current() == before
    controller.now += timedelta(hours=1)
    assert keeper(store, controller, told).run_once() is not None


def test_answers_that_do_not_fit_are_refused_and_change_nothing(store, controller, told):
    controller.now = START + HOST_LIFE * 0.7
    before = store.current()
    foreign = create_authority(keys.new_authority_key(), now=START)
    now = controller.now

    def another_key(request: str) -> CertificateAnswer:
        return answer(controller.authority, keys.new_key().public_key(), now)

    def another_authority(request: str) -> CertificateAnswer:
        return answer(foreign, csr.public_key_of(request), now)

    def not_signed_by_it(request: str) -> CertificateAnswer:
        forged = answer(foreign, csr.public_key_of(request), now)
        ours = certificates.to_pem(controller.authority.certificate)
        return replace(forged, ca_certificate=ours)

    def another_host(request: str) -> CertificateAnswer:
        return controller.issue(request, OTHER_HOST)

    def another_hosts_certificate(request: str) -> CertificateAnswer:
        return replace(controller.issue(request, OTHER_HOST), host_id=HOST)

    def a_server_certificate(request: str) -> CertificateAnswer:
        good = controller.issue(request)
        key = csr.public_key_of(request)
        leaf = controller.authority.issue_server(key, [HOST], now=now)
        return replace(good, certificate=certificates.to_pem(leaf))

    def garbage(request: str) -> CertificateAnswer:
        return replace(controller.issue(request), certificate="nonsense")

    for liar in (
        another_key,
        another_authority,
        not_signed_by_it,
        another_host,
        another_hosts_certificate,
        a_server_certificate,
        garbage,
    ):
        with pytest.raises(PkiError):
            keeper(store, controller, told, liar).run_once()
        assert store.current() == before, liar.__name__


def test_what_a_certificate_says_is_noted_beside_it(store):
    credentials = store.current()
    certificate = certificates.from_pem(credentials.certificate.read_bytes())
    said = pki.about(credentials)
    assert said == pki.About(HOST, certificates.renewal_due_at(certificate).timestamp())
    assert (credentials.directory / "about.json").stat().st_mode & 0o777 == 0o600
    credentials.certificate.unlink()
    assert pki.about(credentials) == said


def test_a_note_that_cannot_be_read_is_made_anew(store):
    credentials = store.current()
    note = credentials.directory / "about.json"
    note.write_text('{"host_id": 3')
    said = pki.about(credentials)
    assert said.host_id == HOST
    note.write_text("{}")
    assert pki.about(credentials) == said


def test_a_certificate_that_cannot_be_read_says_so(store):
    credentials = store.current()
    credentials.certificate.unlink()
    with pytest.raises(PkiError, match="cannot read"):
        pki.about(credentials)
