"""The controller's PKI directory: the authority, and the controller's own server certificate.

<pki_dir>/                 0700
  authority/key.pem        0600   the authority's private key
  authority/certificate.pem       what agents and clients trust
  server/current/          link to the present generation: key.pem, certificate.pem, ca.pem
"""

import os
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from vpcctl.pki import certificates, files, keys
from vpcctl.pki.authority import Authority, create_authority, general_names
from vpcctl.pki.errors import PkiError
from vpcctl.pki.files import Credentials, CredentialStore, Material


@dataclass(frozen=True, slots=True)
class Initialised:
    """What :meth:`PkiDirectory.initialise` had to make; all False when everything was there."""

    authority_made: bool
    server_made: bool


class PkiDirectory:
    """Reads and makes what is in the PKI directory. Never overwrites an authority."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._authority = path / "authority"
        self._server = CredentialStore(path / "server")

    @property
    def is_initialised(self) -> bool:
        """Whether there is an authority."""
        return self._authority.is_dir()

    def initialise(self, names: Sequence[str], *, now: datetime) -> Initialised:
        """Make the authority and the server certificate if they are not there yet.

        Args:
            names: DNS names and addresses under which hosts and clients reach the controller.
            now: the present, timezone-aware.

        Raises:
            PkiError: a name is malformed, the directory is damaged, or there is a server
                certificate for other names (``renew_server`` changes them).
        """
        with files.locked(self.path):
            server = self.server_certificate()
            if server is None:
                # Checked first: a command that is refused leaves nothing behind.
                general_names(names)
            authority_made = not self._authority.exists()
            authority = self._make_authority(now) if authority_made else self.authority()
            if server is None:
                self._issue_server(authority, names, now)
            elif not _same_names(names, certificates.server_names(server)):
                raise PkiError(
                    f"{self.path} has a certificate for "
                    f"{', '.join(certificates.server_names(server))}; "
                    "'vpcctl pki renew' with the new names replaces it"
                )
        return Initialised(authority_made, server is None)

    def authority(self) -> Authority:
        """Return the authority with its key.

        Raises:
            PkiError: there is none, or it is damaged.
        """
        if not self.is_initialised:
            raise PkiError(f"no authority in {self.path}: run 'vpcctl pki init'")
        key = keys.key_from_pem(files.read_file(self._authority / "key.pem"))
        return Authority(self.ca_certificate(), key)

    def ca_certificate(self) -> x509.Certificate:
        """Return the authority's certificate, which is no secret.

        Raises:
            PkiError: there is none, or it is damaged.
        """
        if not self.is_initialised:
            raise PkiError(f"no authority in {self.path}: run 'vpcctl pki init'")
        return certificates.from_pem(files.read_file(self._authority / "certificate.pem"))

    def server(self) -> Credentials:
        """Return the controller's own key, certificate and authority, by their present paths.

        Raises:
            PkiError: there are none.
        """
        credentials = self._server.current()
        if credentials is None:
            raise PkiError(f"no server certificate in {self.path}: run 'vpcctl pki init'")
        return credentials

    def server_certificate(self) -> x509.Certificate | None:
        """Return the controller's present certificate; None when there is none."""
        credentials = self._server.current()
        if credentials is None:
            return None
        return certificates.from_pem(files.read_file(credentials.certificate))

    def renew_server(
        self, *, now: datetime, names: Sequence[str] = (), only_if_due: bool = False
    ) -> bool:
        """Give the controller a new key and certificate.

        Args:
            now: the present, timezone-aware.
            names: new DNS names and addresses; none given keeps the present ones.
            only_if_due: do nothing while more than a third of the present one's life is left.

        Returns:
            Whether a certificate was issued.

        Raises:
            PkiError: there is no authority or it is damaged, or a name is malformed.
        """
        with files.locked(self.path):
            present = self.server_certificate()
            is_due = present is None or certificates.is_renewal_due(present, now)
            if only_if_due and not is_due:
                return False
            wanted = names or (certificates.server_names(present) if present else ())
            self._issue_server(self.authority(), wanted, now)
        return True

    def _make_authority(self, now: datetime) -> Authority:
        authority = create_authority(keys.new_authority_key(), now=now)
        temporary = self.path / f".authority-{secrets.token_hex(8)}"
        temporary.mkdir(mode=files.PRIVATE_DIRECTORY)
        try:
            key = keys.key_to_pem(authority.key)
            files.write_new(temporary / "key.pem", key, mode=files.PRIVATE_FILE)
            pem = certificates.to_pem(authority.certificate).encode()
            files.write_new(temporary / "certificate.pem", pem, mode=files.PUBLIC_FILE)
            files.sync_directory(temporary)
            # rename() refuses a directory that is there and not empty: it can never overwrite.
            os.rename(temporary, self._authority)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        files.sync_directory(self.path)
        return authority

    def _issue_server(self, authority: Authority, names: Sequence[str], now: datetime) -> None:
        key = keys.new_key()
        certificate = authority.issue_server(key.public_key(), names, now=now)
        self._server.install(
            Material(
                key=keys.key_to_pem(key),
                certificate=certificates.to_pem(certificate),
                ca=certificates.to_pem(authority.certificate),
            )
        )


def _same_names(wanted: Sequence[str], present: Sequence[str]) -> bool:
    """Tell whether the names are the same ones; none wanted fits any."""
    return not wanted or {name.lower() for name in wanted} == {name.lower() for name in present}
