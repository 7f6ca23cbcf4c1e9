"""The controller's certificate in a running process: renewed and taken over without a restart."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from vpcctl.pki import certificates, tls
from vpcctl.pki.directory import PkiDirectory
from vpcctl.pki.errors import PkiError
from vpcctl.pki.keeper import ServerKeeper

# The certificate is two months old: due, and still good for the real clock that TLS looks at.
MADE = datetime.now(UTC).replace(microsecond=0) - timedelta(days=65)


@pytest.fixture
def directory(tmp_path) -> PkiDirectory:
    directory = PkiDirectory(tmp_path / "pki")
    directory.initialise(["localhost"], now=MADE)
    return directory


def shown_by(context: ssl.SSLContext, directory: PkiDirectory) -> str:
    """Return the serial that a client sees, over a real connection."""
    client = tls.client_context(certificates.to_pem(directory.ca_certificate()))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as secure:
                secure.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        plain = socket.create_connection(listener.getsockname())
        with client.wrap_socket(plain, server_hostname="localhost") as secure:
            der = secure.getpeercert(binary_form=True) or b""
        thread.join()
    return certificates.serial_of(x509.load_der_x509_certificate(der))


def test_a_due_certificate_is_renewed_and_shown_by_all_contexts(directory):
    keeper = ServerKeeper(directory, renews=True)
    contexts = [keeper.context(client_certificate_required=False) for _ in range(2)]
    before = certificates.serial_of(directory.server_certificate())
    assert {shown_by(context, directory) for context in contexts} == {before}
    keeper.renew()
    assert keeper.reload()
    after = certificates.serial_of(directory.server_certificate())
    assert after != before
    assert {shown_by(context, directory) for context in contexts} == {after}
    assert not keeper.reload()


def test_a_process_that_does_not_renew_takes_over_what_another_renewed(directory):
    keeper = ServerKeeper(directory, renews=False)
    context = keeper.context(client_certificate_required=False)
    assert not keeper.reload()
    directory.renew_server(now=datetime.now(UTC))
    assert keeper.reload()
    assert shown_by(context, directory) == certificates.serial_of(directory.server_certificate())


def test_a_fresh_certificate_is_left_alone(directory):
    keeper = ServerKeeper(directory, renews=True, clock=lambda: MADE + timedelta(days=1))
    before = directory.server()
    keeper.context(client_certificate_required=False)
    keeper.renew()
    assert not keeper.reload()
    assert directory.server() == before


def test_unusable_files_are_told_and_the_context_goes_on(directory):
    keeper = ServerKeeper(directory, renews=False)
    context = keeper.context(client_certificate_required=False)
    before = certificates.serial_of(directory.server_certificate())
    directory.renew_server(now=datetime.now(UTC))
    directory.server().key.write_bytes(b"nonsense")
    with pytest.raises(PkiError, match="cannot use the key"):
        keeper.reload()
    assert shown_by(context, directory) == before


def test_there_is_no_context_before_init(tmp_path):
    keeper = ServerKeeper(PkiDirectory(tmp_path), renews=True)
    with pytest.raises(PkiError, match="pki init"):
        keeper.context(client_certificate_required=True)
