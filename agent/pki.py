"""The host's own key and certificate: where they are, whose they are, and what OVS is told."""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from vpcctl.pki import files
from vpcctl.pki.files import Credentials, CredentialStore

_NOTE = "about.json"


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


@dataclass(frozen=True, slots=True)
class About:
    """What a host's certificate says.

    Attributes:
        host_id: the host that it is of.
        renew_at: when a third of its life is left, seconds since 1970.
    """

    host_id: str
    renew_at: float


def open_store(state_dir: Path) -> CredentialStore:
    """Return the place of this host's credentials below the agent's state directory."""
    return CredentialStore(state_dir / "pki")


def about(credentials: Credentials) -> About:
    """Return what the certificate says, from a note beside it; that is made if there is none.

    It takes cryptography to read a certificate, 10 MiB for as long as the process lives.

    Raises:
        PkiError: the certificate cannot be read, or is not a host's.
    """
    note = credentials.directory / _NOTE
    try:
        return About(**json.loads(note.read_text()))
    except (OSError, ValueError, TypeError):
        pass
    said = _read(credentials)
    with contextlib.suppress(OSError):  # the next one reads the certificate, too
        text = json.dumps(asdict(said)).encode()
        files.write_atomically(note, text, mode=files.PRIVATE_FILE)
    return said


def _read(credentials: Credentials) -> About:
    from vpcctl.pki import certificates

    certificate = certificates.from_pem(files.read_file(credentials.certificate))
    host_id = certificates.host_identity(certificates.to_der(certificate)).host_id
    return About(host_id, certificates.renewal_due_at(certificate).timestamp())


def ssl_files(credentials: Credentials) -> SslFiles:
    """Return what OVS has to be told for *credentials*."""
    return SslFiles(
        private_key=str(credentials.key),
        certificate=str(credentials.certificate),
        ca_cert=str(credentials.ca),
    )
