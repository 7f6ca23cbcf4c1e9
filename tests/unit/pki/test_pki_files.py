"""Key material on disk: modes, atomicity, generations, and the controller's directory."""

import os
import shutil
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest

from vpcctl.pki import certificates, files, keys, tls
from vpcctl.pki.authority import SERVER_LIFE, create_authority
from vpcctl.pki.directory import Initialised, PkiDirectory
from vpcctl.pki.errors import PkiError
from vpcctl.pki.files import CredentialStore, Material

NOW = datetime.now(UTC).replace(microsecond=0)
NAMES = ["controller.example", "127.0.0.1"]
HOST = "host-0a1b2c3d4e5f60718"


@pytest.fixture(autouse=True)
def lax_umask():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def directory(tmp_path) -> PkiDirectory:
    return PkiDirectory(tmp_path / "state" / "pki")


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def material(now=NOW) -> Material:
    authority = create_authority(keys.new_authority_key(), now=NOW)
    key = keys.new_key()
    leaf = authority.issue_host(key.public_key(), HOST, now=now)
    return Material(
        keys.key_to_pem(key), certificates.to_pem(leaf), certificates.to_pem(authority.certificate)
    )


def snapshot(root) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_write_atomically_sets_the_mode_whatever_was_there(tmp_path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o666)
    files.write_atomically(path, b"new", mode=0o600)
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_write_atomically_leaves_the_old_file_and_nothing_else_when_it_fails(tmp_path):
    target = tmp_path / "taken"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        files.write_atomically(target, b"new", mode=0o600)
    assert list(tmp_path.iterdir()) == [target]


def test_write_new_does_not_follow_a_planted_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "link").symlink_to(victim)
    with pytest.raises(FileExistsError):
        files.write_new(tmp_path / "link", b"evil", mode=0o600)
    assert victim.read_text() == "precious"


def test_initialise_makes_authority_and_server_with_the_right_modes(directory):
    assert directory.initialise(NAMES, now=NOW) == Initialised(True, True)
    for path in (directory.path, directory.path / "authority", directory.server().directory):
        assert mode(path) == 0o700
    assert mode(directory.path / "authority" / "key.pem") == 0o600
    assert mode(directory.path / "authority" / "certificate.pem") == 0o644
    assert mode(directory.server().key) == 0o600
    assert mode(directory.server().certificate) == 0o644
    assert certificates.server_names(directory.server_certificate()) == tuple(NAMES)


def test_initialise_again_changes_nothing(directory):
    directory.initialise(NAMES, now=NOW)
    before = snapshot(directory.path)
    for names in (NAMES, NAMES[::-1], []):
        assert directory.initialise(names, now=NOW) == Initialised(False, False)
    assert snapshot(directory.path) == before


def test_initialise_with_other_names_refuses_and_changes_nothing(directory):
    directory.initialise(NAMES, now=NOW)
    before = snapshot(directory.path)
    with pytest.raises(PkiError, match="pki renew"):
        directory.initialise(["other.example"], now=NOW)
    assert snapshot(directory.path) == before


def test_initialise_goes_on_after_a_crash_between_its_two_steps(directory):
    directory.initialise(NAMES, now=NOW)
    shutil.rmtree(directory.path / "server")
    authority = certificates.fingerprint(directory.ca_certificate())
    assert directory.initialise(NAMES, now=NOW) == Initialised(False, True)
    assert certificates.fingerprint(directory.ca_certificate()) == authority


@pytest.mark.parametrize("names", [[], ["not a name"]])
def test_initialise_with_bad_names_makes_no_authority(directory, names):
    with pytest.raises(PkiError, match="name"):
        directory.initialise(names, now=NOW)
    assert not directory.is_initialised


def test_initialise_does_not_replace_a_damaged_authority(directory):
    directory.initialise(NAMES, now=NOW)
    (directory.path / "authority" / "key.pem").unlink()
    before = snapshot(directory.path)
    with pytest.raises(PkiError, match=r"key\.pem"):
        directory.initialise(NAMES, now=NOW)
    assert snapshot(directory.path) == before


def test_many_initialising_at_once_make_one_authority(directory):
    results: list[Initialised] = []

    def run() -> None:
        results.append(PkiDirectory(directory.path).initialise(NAMES, now=NOW))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=str) == [Initialised(False, False)] * 7 + [Initialised(True, True)]


def test_nothing_is_there_before_initialise(directory):
    assert not directory.is_initialised
    for read in (directory.authority, directory.ca_certificate, directory.server):
        with pytest.raises(PkiError, match="pki init"):
            read()


def test_server_is_renewed_when_due_with_the_same_names_and_a_new_key(directory):
    directory.initialise(NAMES, now=NOW)
    before = directory.server()
    assert not directory.renew_server(now=NOW + SERVER_LIFE / 2, only_if_due=True)
    assert directory.server() == before
    assert directory.renew_server(now=NOW + SERVER_LIFE * 0.7, only_if_due=True)
    after = directory.server()
    assert certificates.server_names(directory.server_certificate()) == tuple(NAMES)
    assert after.key.read_bytes() != before.key.read_bytes()
    assert mode(after.key) == 0o600


def test_server_is_renewed_at_once_with_other_names(directory):
    directory.initialise(NAMES, now=NOW)
    assert directory.renew_server(now=NOW, names=["192.0.2.7"])
    assert certificates.server_names(directory.server_certificate()) == ("192.0.2.7",)


def test_current_resolves_to_a_key_and_certificate_that_belong_together(tmp_path):
    store = CredentialStore(tmp_path / "pki")
    assert store.current() is None
    for days in range(4):
        store.install(material(NOW + timedelta(days=days)))
        tls.client_context(store.current().ca.read_text(), store.current())


def test_the_generation_before_stays_readable_and_older_ones_go(tmp_path):
    store = CredentialStore(tmp_path / "pki")
    installed = [store.install(material(NOW + timedelta(days=days))) for days in range(4)]
    assert [one.directory.exists() for one in installed] == [False, False, True, True]
    assert store.current() == installed[-1]


def test_what_a_crash_left_half_made_is_swept(tmp_path):
    store = CredentialStore(tmp_path / "pki")
    store.install(material())
    (tmp_path / "pki" / ".new-dead").mkdir()
    (tmp_path / "pki" / ".new-dead" / "key.pem").write_text("half")
    (tmp_path / "pki" / ".new-link").symlink_to("nowhere")
    store.install(material(NOW + timedelta(days=1)))
    assert not list((tmp_path / "pki").glob(".new-*"))


def test_tls_works_between_a_host_and_the_controller_and_nobody_else(directory, tmp_path):
    directory.initialise(["localhost"], now=NOW)
    authority = directory.authority()
    key = keys.new_key()
    leaf = authority.issue_host(key.public_key(), HOST, now=NOW)
    ca = certificates.to_pem(authority.certificate)
    host = CredentialStore(tmp_path / "host").install(
        Material(keys.key_to_pem(key), certificates.to_pem(leaf), ca)
    )
    stranger = CredentialStore(tmp_path / "stranger").install(material())
    server = tls.server_context(directory.server(), client_certificate_required=True)
    peer = handshake(server, tls.client_context(host.ca.read_text(), host))
    assert certificates.host_identity(peer).host_id == HOST
    with pytest.raises(ssl.SSLError):
        handshake(server, tls.client_context(host.ca.read_text()))
    with pytest.raises(ssl.SSLError):
        handshake(server, tls.client_context(host.ca.read_text(), stranger))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, tls.client_context(stranger.ca.read_text(), host))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, tls.client_context(host.ca.read_text(), host), name="other.example")
    impostor = tls.server_context(host, client_certificate_required=False)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(impostor, tls.client_context(host.ca.read_text(), host), name=HOST)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> bytes:
    """Shake hands in memory; return the client's certificate (DER) as the server sees it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(to_server, to_client, server_side=True)
    theirs = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(4):
        for side in (theirs, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ours.getpeercert(binary_form=True) or b""
