"""Signing requests: what is accepted, what is refused, and that nothing else can happen."""

import base64
import contextlib
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from vpcctl.model.problems import Invalid
from vpcctl.pki import csr, keys
from vpcctl.pki.authority import create_authority
from vpcctl.wire import enrollment

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "host-00000000000000000")])
GOOD = csr.make_csr(keys.new_key(), "a host")
GOOD_DER = x509.load_pem_x509_csr(GOOD.encode()).public_bytes(serialization.Encoding.DER)


def request(key, algorithm=None, *extensions) -> str:
    builder = x509.CertificateSigningRequestBuilder().subject_name(NAME)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    pem = builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)
    return pem.decode()


def armour(der: bytes) -> str:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"


def refusal(pem: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        csr.public_key_of(pem)
    assert caught.value.field == "csr"
    assert caught.value.accepted == csr.ACCEPTED
    return caught.value


def test_limits_on_the_wire_and_in_the_parser_agree():
    assert enrollment.MAX_CSR == csr.MAX_LENGTH


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_accepted_curves(curve):
    key = ec.generate_private_key(curve)
    assert csr.public_key_of(request(key, hashes.SHA256())) == key.public_key()


def test_rsa_of_3072_bits_is_accepted():
    key = rsa.generate_private_key(65537, 3072)
    assert csr.public_key_of(request(key, hashes.SHA256())) == key.public_key()


def test_surrounding_blank_lines_do_not_matter():
    assert csr.public_key_of(f"\n\n{GOOD}\n\n")


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        (rsa.generate_private_key(65537, 2048), "2048 bits"),
        (rsa.generate_private_key(3, 3072), "exponent"),
        (ec.generate_private_key(ec.SECP224R1()), "secp224r1"),
        (ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
        (dsa.generate_private_key(2048), "neither EC nor RSA"),
    ],
)
def test_weak_keys_are_refused_with_the_reason(key, fault):
    assert fault in refusal(request(key, hashes.SHA256())).detail


def test_other_kinds_of_keys_are_refused():
    assert "neither" in refusal(request(ed25519.Ed25519PrivateKey.generate())).detail


def test_a_weak_hash_is_refused():
    assert "weak hash" in refusal(request(keys.new_key(), hashes.SHA224())).detail


def test_a_request_signed_by_another_key_is_refused():
    other = x509.load_pem_x509_csr(csr.make_csr(keys.new_key(), "a host").encode())
    good = x509.load_pem_x509_csr(GOOD.encode())
    forged = GOOD_DER.replace(
        good.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        other.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )
    assert forged != GOOD_DER
    assert "signature is wrong" in refusal(armour(forged)).detail


def test_oversize_requests_are_refused_before_parsing():
    assert "characters" in refusal(GOOD + "\n" * csr.MAX_LENGTH).detail


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        GOOD + GOOD,
        GOOD.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
        "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n" + GOOD,
        GOOD[: len(GOOD) // 2],
        GOOD.replace("A", "é", 1),
        armour(b""),
        armour(b"\x30\x80" * 500),
        armour(GOOD_DER + b"\x00"),
        armour(GOOD_DER[:-1]),
    ],
)
def test_malformed_requests_are_refused(text):
    refusal(text)


def test_names_and_extensions_of_a_request_never_reach_the_certificate():
    key = keys.new_key()
    evil = request(
        key,
        hashes.SHA256(),
        x509.BasicConstraints(ca=True, path_length=None),
        x509.SubjectAlternativeName([x509.DNSName("controller.example")]),
    )
    now = datetime.now(UTC)
    authority = create_authority(keys.new_authority_key(), now=now)
    leaf = authority.issue_host(csr.public_key_of(evil), "host-0a1b2c3d4e5f60718", now=now)
    assert leaf.public_key() == key.public_key()
    assert b"controller.example" not in leaf.public_bytes(serialization.Encoding.DER)
    assert b"host-00000000000000000" not in leaf.public_bytes(serialization.Encoding.DER)
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca is False


def accept_or_refuse(pem: str) -> None:
    """The one property of the parser: a good key comes out, or Invalid, and nothing else."""
    with contextlib.suppress(Invalid):
        key = csr.public_key_of(pem)
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)


@given(st.text(max_size=300))
@example("-----BEGIN CERTIFICATE REQUEST----------END CERTIFICATE REQUEST-----")
@example("-----BEGIN CERTIFICATE REQUEST-----")
def test_fuzz_any_text(text):
    accept_or_refuse(text)


@given(st.binary(max_size=600))
def test_fuzz_any_der(data):
    accept_or_refuse(armour(data))


@given(st.data())
def test_fuzz_damaged_requests(data):
    der = bytearray(GOOD_DER)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(der) - 1))
        der[position] = data.draw(st.integers(0, 255))
    length = data.draw(st.integers(0, len(der)))
    accept_or_refuse(armour(bytes(der)))
    accept_or_refuse(armour(bytes(der[:length])))


@given(st.data())
def test_fuzz_damaged_armour(data):
    text = list(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(text) - 1))
        text[position] = data.draw(st.characters(codec="utf-8"))
    accept_or_refuse("".join(text))
