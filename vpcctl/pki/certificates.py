"""What certificates say: identity, serial, life and fingerprint."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vpcctl.model import ids
from vpcctl.pki.errors import PkiError

HOST_URI = "urn:vpcctl:host:"
_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True)
class HostIdentity:
    """Who a host certificate belongs to.

    Attributes:
        host_id: ``host-…``.
        serial: lower-case hexadecimal without leading zeros, as the database keeps it.
    """

    host_id: str
    serial: str


def serial_of(certificate: x509.Certificate) -> str:
    """Return the serial as lower-case hexadecimal without leading zeros."""
    return f"{certificate.serial_number:x}"


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the DER form, 64 lower-case hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def has_fingerprint(certificate: x509.Certificate, expected: str) -> bool:
    """Tell, in constant time, whether *expected* is the certificate's fingerprint."""
    return hmac.compare_digest(fingerprint(certificate).encode(), expected.encode())


def is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Tell whether *authority*'s key signed *certificate* in its name."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def to_der(certificate: x509.Certificate) -> bytes:
    """Return *certificate* as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def to_pem(certificate: x509.Certificate) -> str:
    """Return *certificate* as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def from_pem(pem: str | bytes) -> x509.Certificate:
    """Read the first certificate of a PEM text.

    Raises:
        PkiError: there is none, or it cannot be read.
    """
    try:
        return x509.load_pem_x509_certificate(pem.encode() if isinstance(pem, str) else pem)
    except _UNREADABLE as error:
        raise PkiError("the certificate cannot be read") from error


def host_identity(der: bytes) -> HostIdentity:
    """Return who the host certificate *der* was given to.

    It must have been verified against the authority before (the TLS handshake does): this reads
    names, it does not check signatures or dates.

    Args:
        der: ``SSLSocket.getpeercert(binary_form=True)`` or its like.

    Raises:
        PkiError: not a certificate, or not one of a host (the controller's own, for example).
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        uris = _alternative_names(certificate).get_values_for_type(x509.UniformResourceIdentifier)
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except _UNREADABLE as error:
        raise PkiError("the certificate is not a host's") from error
    name = _only([attribute.value for attribute in names])
    if not isinstance(name, str) or not ids.is_id("host", name):
        raise PkiError("the certificate's common name is not a host id")
    if _only(uris) != HOST_URI + name or ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        raise PkiError("the certificate's names or purposes are not those of a host")
    return HostIdentity(name, serial_of(certificate))


def is_renewal_due(certificate: x509.Certificate, now: datetime) -> bool:
    """Tell whether a third of the certificate's life, or less, is left at *now* (aware)."""
    return now >= renewal_due_at(certificate)


def renewal_due_at(certificate: x509.Certificate) -> datetime:
    """Return when a third of the certificate's life is left (aware)."""
    end = certificate.not_valid_after_utc
    return end - (end - certificate.not_valid_before_utc) / 3


def server_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the DNS names and addresses that a server certificate was made for, in order."""
    names = _alternative_names(certificate)
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *(str(address) for address in addresses))


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def _only(values: Sequence[str | bytes]) -> str | bytes | None:
    return values[0] if len(values) == 1 else None
