"""The host's own key and certificate: where they are, whose they are, and what OVS is told."""

from dataclasses import dataclass
from pathlib import Path

from vpcctl.pki import files
from vpcctl.pki.files import Credentials, CredentialStore


@dataclass(frozen=True, slots=True)
class SslFiles:
    """Values for the one row of OVSDB's ``SSL`` table, which ovs-vswitchd reads its key from.

    Attributes:
        private_key: absolute path.
        certificate: absolute path.
        ca_cert: absolute path; what the controller's certificate is verified against.
    """

    private_key: str
    certificate: str
    ca_cert: str


def open_store(state_dir: Path) -> CredentialStore:
    """Return the place of this host's credentials below the agent's state directory."""
    return CredentialStore(state_dir / "pki")


def host_of(credentials: Credentials) -> str:
    """Return the id of the host that the credentials are of.

    Raises:
        PkiError: the certificate cannot be read, or is not a host's.
    """
    from vpcctl.pki import certificates

    certificate = certificates.from_pem(files.read_file(credentials.certificate))
    return certificates.host_identity(certificates.to_der(certificate)).host_id


def ssl_files(credentials: Credentials) -> SslFiles:
    """Return what OVS has to be told for *credentials*."""
    return SslFiles(
        private_key=str(credentials.key),
        certificate=str(credentials.certificate),
        ca_cert=str(credentials.ca),
    )
