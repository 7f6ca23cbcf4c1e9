"""The controller's server certificate in running processes: renewed in time, reloaded at once."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime

from vpcctl.pki import tls
from vpcctl.pki.directory import PkiDirectory
from vpcctl.pki.files import Credentials


class ServerKeeper:
    """Makes server contexts and keeps them showing the present certificate.

    One process renews; every process that has contexts reloads. Both are cheap, to be done every
    minute or so: :meth:`renew` in any thread, :meth:`reload` in the one that makes connections
    from the contexts, because OpenSSL does not promise that a context may change under a handshake.

    Args:
        directory: the controller's PKI directory.
        renews: whether this process renews the certificate when it is due.
        clock: the present, timezone-aware.
    """

    def __init__(
        self,
        directory: PkiDirectory,
        *,
        renews: bool,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._directory = directory
        self._renews = renews
        self._clock = clock
        self._contexts: list[ssl.SSLContext] = []
        self._shown: Credentials | None = None

    def context(self, *, client_certificate_required: bool) -> ssl.SSLContext:
        """Return a new context that :meth:`reload` keeps up to date.

        Raises:
            PkiError: there is no server certificate, or it cannot be used.
        """
        self._shown = self._shown or self._directory.server()
        required = client_certificate_required
        context = tls.server_context(self._shown, client_certificate_required=required)
        self._contexts.append(context)
        return context

    def renew(self) -> None:
        """Renew the certificate on disk if that is due, and ours to do.

        Raises:
            PkiError: the authority cannot be used. What is there stays.
        """
        if self._renews:
            self._directory.renew_server(now=self._clock(), only_if_due=True)

    def reload(self) -> bool:
        """Let the contexts show the certificate that is on disk.

        Connections that exist go on with the certificate that they began with.

        Returns:
            Whether the contexts show another certificate than before.

        Raises:
            PkiError: the files cannot be used. The contexts go on with what they have.
        """
        present = self._directory.server()
        if present == self._shown:
            return False
        for context in self._contexts:
            tls.load_credentials(context, present)
        self._shown = present
        return True
