"""Renews the host's certificate: a third of its life before its end, swapped in one step."""

from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509

from agent.pki import SslFiles, ssl_files
from agent.wire.enrollment import CertificateAnswer
from vpcctl.pki import certificates, csr, files, keys
from vpcctl.pki.errors import PkiError
from vpcctl.pki.files import Credentials, CredentialStore, Material

TellOvs = Callable[[SslFiles], None]
"""Makes OVSDB's SSL row equal to its argument; does nothing when it is equal already.

All three columns must change in ONE transaction: ovs-vswitchd reads a key and a certificate again
only when both of their names (or times) differ from the last ones that it looked at, so a row
that changes in two steps leaves it with the old certificate for ever. ``bootstrap_ca_cert`` must
be false: with it, OVS would trust whoever answers first.
"""

PostCsr = Callable[[str], CertificateAnswer]
"""Sends a signing request to ``POST /v1/hosts/{id}/certificate`` and returns the answer."""


def check_answer(answer: CertificateAnswer, key: keys.PrivateKey, *, ca_fingerprint: str) -> None:
    """Check that *answer* holds a host certificate for *key* from the authority that we trust.

    Raises:
        PkiError: it does not; the text says what is wrong.
    """
    authority = certificates.from_pem(answer.ca_certificate)
    if not certificates.has_fingerprint(authority, ca_fingerprint):
        raise PkiError("the controller answered with another authority's certificate")
    certificate = certificates.from_pem(answer.certificate)
    if certificate.public_key() != key.public_key():
        raise PkiError("the controller answered with a certificate for another key")
    if not certificates.is_issued_by(certificate, authority):
        raise PkiError("the controller answered with a certificate that its authority did not sign")
    identity = certificates.host_identity(certificates.to_der(certificate))
    if identity.host_id != answer.host_id:
        raise PkiError("the controller answered with another host's certificate")


class CertificateKeeper:
    """Keeps the host's certificate from running out. Call :meth:`run_once` now and then.

    Args:
        store: where the credentials are.
        post: sends a signing request to the controller.
        tell_ovs: writes the SSL row.
        clock: the present, timezone-aware.
    """

    def __init__(
        self,
        store: CredentialStore,
        *,
        post: PostCsr,
        tell_ovs: TellOvs,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._post = post
        self._tell_ovs = tell_ovs
        self._clock = clock

    def run_once(self) -> Credentials | None:
        """Renew when a third of the life is left, and see to it that OVS uses what is current.

        OVS is told every time, before and after, so a crash between the swap on disk and the
        OVSDB transaction is made good by the next call.

        Returns:
            The new credentials, with which the caller's own connections should be made anew; None
            when nothing was renewed (or the host was never enrolled).

        Raises:
            PkiError: the credentials on disk or the controller's answer cannot be used. What
                ``post`` and ``tell_ovs`` raise passes through. The present credentials stay.
        """
        credentials = self._store.current()
        if credentials is None:
            return None
        self._tell_ovs(ssl_files(credentials))
        present = certificates.from_pem(files.read_file(credentials.certificate))
        if not certificates.is_renewal_due(present, self._clock()):
            return None
        renewed = self._renew(credentials, present)
        self._tell_ovs(ssl_files(renewed))
        return renewed

    def _renew(self, credentials: Credentials, present: x509.Certificate) -> Credentials:
        host_id = certificates.host_identity(certificates.to_der(present)).host_id
        authority = certificates.from_pem(files.read_file(credentials.ca))
        # A new key each time: one that leaked without notice is worth nothing after the renewal.
        key = keys.new_key()
        answer = self._post(csr.make_csr(key, host_id))
        if answer.host_id != host_id:
            raise PkiError("the controller answered with another host's certificate")
        check_answer(answer, key, ca_fingerprint=certificates.fingerprint(authority))
        return self._store.install(
            Material(keys.key_to_pem(key), answer.certificate, answer.ca_certificate)
        )
