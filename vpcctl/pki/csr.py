"""Certificate signing requests: made by agents, judged by the controller.

Of a request only the public key is used. Names and extensions that it asks for are ignored: who
a host is follows from the token it shows, never from what it writes into a request.
"""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from vpcctl.model.problems import Invalid

MAX_LENGTH = 8192
ACCEPTED = (
    "one PEM block CERTIFICATE REQUEST (PKCS #10), at most 8192 characters, signed with SHA-256, "
    "SHA-384 or SHA-512 by its own key: EC on P-256 or P-384, or RSA of 3072 to 4096 bits"
)
_BEGIN = "-----BEGIN CERTIFICATE REQUEST-----"
_END = "-----END CERTIFICATE REQUEST-----"
_CURVES = (ec.SECP256R1, ec.SECP384R1)
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_RSA_BITS = range(3072, 4097)
_RSA_EXPONENT = 65537

HostKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


def make_csr(key: ec.EllipticCurvePrivateKey, name: str) -> str:
    """Return a PEM request for *key*; *name* helps people who read it and nothing else."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def public_key_of(pem: str) -> HostKey:
    """Return the public key of a request after checking that its sender holds the private one.

    Raises:
        Invalid: with field ``csr``, for anything that is not :data:`ACCEPTED`.
    """
    request = _parse(pem)
    try:
        key = request.public_key()
        signed_with = request.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _invalid("its key or signature algorithm is not supported") from error
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise _invalid("its key is neither EC nor RSA")
    _check_strength(key)
    if not isinstance(signed_with, _HASHES):
        raise _invalid("its signature uses a weak hash")
    _check_signature(request)
    return key


def _parse(pem: str) -> x509.CertificateSigningRequest:
    if len(pem) > MAX_LENGTH:
        raise _invalid(f"it has {len(pem)} characters")
    text = pem.strip()
    one_block = text.startswith(_BEGIN) and text.endswith(_END) and text.count("-----BEGIN") == 1
    if not one_block or not text.isascii():
        raise _invalid("it is not exactly one PEM block")
    try:
        return x509.load_pem_x509_csr(text.encode("ascii"))
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise _invalid("it cannot be parsed") from error


def _check_strength(key: HostKey) -> None:
    if isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, _CURVES):
            raise _invalid(f"its key is on the curve {key.curve.name}")
        return
    if key.key_size not in _RSA_BITS:
        raise _invalid(f"its RSA key has {key.key_size} bits")
    # An exponent of 1 makes signatures meaningless; a huge one makes each check slow.
    if key.public_numbers().e != _RSA_EXPONENT:
        raise _invalid("its RSA key's exponent is not 65537")


def _check_signature(request: x509.CertificateSigningRequest) -> None:
    try:
        good = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _invalid("its signature cannot be checked") from error
    if not good:
        raise _invalid("its signature is wrong")


def _invalid(fault: str) -> Invalid:
    return Invalid(
        f"The signing request cannot be accepted: {fault}.", field="csr", accepted=ACCEPTED
    )
