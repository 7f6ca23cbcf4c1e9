"""TLS contexts for both ends: version 1.2 or newer, the installation's own authority only."""

import ssl

from vpcctl.pki import files
from vpcctl.pki.errors import PkiError
from vpcctl.pki.files import Credentials


def client_context(ca: str, credentials: Credentials | None = None) -> ssl.SSLContext:
    """Return a context that trusts *ca* alone and checks the server's name.

    Args:
        ca: the authority's certificate, PEM. The system's authorities are not trusted.
        credentials: a host's own, to show to a server that asks.

    Raises:
        PkiError: a file cannot be read or does not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load_ca(context, ca)
    if credentials is not None:
        load_credentials(context, credentials)
    return context


def server_context(
    credentials: Credentials, *, client_certificate_required: bool
) -> ssl.SSLContext:
    """Return a context that shows *credentials* and verifies certificates that clients show.

    Args:
        credentials: the controller's.
        client_certificate_required: False lets clients without one in (enrolment, the CLI); a
            certificate that is shown must be good all the same.

    Raises:
        PkiError: a file cannot be read or does not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED if client_certificate_required else ssl.CERT_OPTIONAL
    _load_ca(context, files.read_file(credentials.ca).decode(errors="replace"))
    load_credentials(context, credentials)
    return context


def load_credentials(context: ssl.SSLContext, credentials: Credentials) -> None:
    """Load a key and its certificate; on a context in use this counts for new connections.

    Raises:
        PkiError: a file cannot be read, or the two do not belong together.
    """
    try:
        # Tried on a context of no use first: a load that fails half way leaves a context with a
        # certificate but no key, and one in use would refuse everybody from then on.
        for one in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), context):
            one.load_cert_chain(credentials.certificate, credentials.key)
    except (OSError, ssl.SSLError) as error:
        raise PkiError(f"cannot use the key in {credentials.directory}: {error}") from error


def unverified_context() -> ssl.SSLContext:
    """Return a client context that trusts whoever answers.

    Only for fetching the authority's certificate, which is then judged by its fingerprint.
    Nothing secret may be sent over it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _load_ca(context: ssl.SSLContext, ca: str) -> None:
    try:
        context.load_verify_locations(cadata=ca)
    except (ValueError, OSError) as error:
        raise PkiError(f"cannot use the authority's certificate: {error}") from error
    # Certificates that bend RFC 5280 (no key identifiers, lax constraints) are refused.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
