"""Private keys: EC on NIST curves, which OVS, OpenSSL and Python all take."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from vpcctl.pki.errors import PkiError

PrivateKey = ec.EllipticCurvePrivateKey


def new_key() -> PrivateKey:
    """Return a fresh P-256 key, for a certificate that lives for weeks."""
    return ec.generate_private_key(ec.SECP256R1())


def new_authority_key() -> PrivateKey:
    """Return a fresh P-384 key, for an authority that lives for years."""
    return ec.generate_private_key(ec.SECP384R1())


def key_to_pem(key: PrivateKey) -> bytes:
    """Return *key* as unencrypted PKCS#8 PEM; its file must be 0600."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def key_from_pem(pem: bytes) -> PrivateKey:
    """Read a key that :func:`key_to_pem` wrote.

    Raises:
        PkiError: it is not an unencrypted EC key.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PkiError("the private key cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PkiError("the private key is not an elliptic curve key")
    return key
