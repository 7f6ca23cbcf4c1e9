"""The authority: issues the controller's and the hosts' certificates (profile of RFC 5280).

Host certificates are for TLS clients only, the controller's for servers only, so neither can
stand in for the other.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from vpcctl.pki.certificates import HOST_URI
from vpcctl.pki.csr import HostKey
from vpcctl.pki.errors import PkiError

AUTHORITY_LIFE = timedelta(days=365 * 20)
SERVER_LIFE = timedelta(days=90)
HOST_LIFE = timedelta(days=30)
CLOCK_SKEW = timedelta(minutes=5)
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_MAX_DNS_NAME = 253
_COMMON_NAME_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority with its private key.

    Attributes:
        certificate: its self-signed certificate.
        key: its private key; never leaves the controller.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def __post_init__(self) -> None:
        if self.certificate.public_key() != self.key.public_key():
            raise PkiError("the authority's key and certificate do not belong together")

    def issue_host(
        self, public_key: HostKey, host_id: str, *, now: datetime, life: timedelta = HOST_LIFE
    ) -> x509.Certificate:
        """Return a client certificate that says: the holder of this key is host *host_id*.

        Args:
            public_key: from a request that ``csr.public_key_of`` accepted.
            host_id: the host, as common name, DNS name and ``urn:vpcctl:host:<id>``.
            now: the present, timezone-aware.
            life: how long from *now* on; cut off where the authority's own life ends.
        """
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(HOST_URI + host_id),
            x509.DNSName(host_id),
        ]
        builder = self._leaf(public_key, host_id, now=now, life=life)
        return self._sign(builder, names, ExtendedKeyUsageOID.CLIENT_AUTH)

    def issue_server(
        self,
        public_key: ec.EllipticCurvePublicKey,
        names: Sequence[str],
        *,
        now: datetime,
        life: timedelta = SERVER_LIFE,
    ) -> x509.Certificate:
        """Return the controller's certificate for the DNS names and addresses *names*.

        Raises:
            PkiError: there is no name, or one is neither a DNS name nor an address.
        """
        general = general_names(names)
        builder = self._leaf(public_key, "vpcctl controller", now=now, life=life)
        return self._sign(builder, general, ExtendedKeyUsageOID.SERVER_AUTH)

    def _leaf(
        self, public_key: HostKey, common_name: str, *, now: datetime, life: timedelta
    ) -> x509.CertificateBuilder:
        end = min(now + life, self.certificate.not_valid_after_utc)
        if end <= now:
            raise PkiError("the authority's certificate has expired")
        key_identifier = self.certificate.extensions.get_extension_for_class(
            x509.SubjectKeyIdentifier
        ).value
        return (
            _builder(_name(common_name), self.certificate.subject, public_key)
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_identifier),
                critical=False,
            )
        )

    def _sign(
        self,
        builder: x509.CertificateBuilder,
        names: list[x509.GeneralName],
        usage: ObjectIdentifier,
    ) -> x509.Certificate:
        return (
            builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(self.key, hashes.SHA384())
        )


def create_authority(
    key: ec.EllipticCurvePrivateKey, *, now: datetime, life: timedelta = AUTHORITY_LIFE
) -> Authority:
    """Return a new authority for *key*: it may sign leaves, but no further authority.

    Its name carries a part of its key's identifier, so that two installations' authorities can be
    told apart and a verifier never tries one for the other.
    """
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = _name(f"vpcctl authority {identifier.digest.hex()[:16]}")
    certificate = (
        _builder(name, name, key.public_key())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA384())
    )
    return Authority(certificate, key)


def general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    """Return DNS names and addresses as a certificate has them, each once.

    Raises:
        PkiError: there is none, or one is neither a DNS name nor an address.
    """
    if not names:
        raise PkiError("a server certificate needs at least one DNS name or address (--name)")
    return [_general_name(name) for name in dict.fromkeys(names)]


def _builder(subject: x509.Name, issuer: x509.Name, public_key: HostKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_COMMON_NAME_LENGTH])])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if len(text) > _MAX_DNS_NAME or _DNS_NAME.fullmatch(text) is None:
        raise PkiError(f"'{text}' is neither a DNS name nor an IP address")
    return x509.DNSName(text.lower())
