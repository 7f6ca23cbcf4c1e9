"""The authority's certificates, judged by what RFC 5280 and OpenSSL say about them."""

import contextlib
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from vpcctl.model import ids
from vpcctl.pki import certificates, keys
from vpcctl.pki.authority import CLOCK_SKEW, HOST_LIFE, Authority, create_authority
from vpcctl.pki.errors import PkiError

NOW = datetime.now(UTC).replace(microsecond=0)
HOST = "host-0a1b2c3d4e5f60718"


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


LEAF = der(
    create_authority(keys.new_authority_key(), now=NOW).issue_host(
        keys.new_key().public_key(), HOST, now=NOW
    )
)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return create_authority(keys.new_authority_key(), now=NOW)


def extension(certificate: x509.Certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def openssl_verify(tmp_path, authority: Authority, leaf: x509.Certificate, *options: str):
    (tmp_path / "ca.pem").write_text(certificates.to_pem(authority.certificate))
    (tmp_path / "leaf.pem").write_text(certificates.to_pem(leaf))
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", *options, "leaf.pem"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_authority_may_sign_leaves_only(authority):
    basic = extension(authority.certificate, x509.BasicConstraints)
    assert basic.critical
    assert basic.value == x509.BasicConstraints(ca=True, path_length=0)
    usage = extension(authority.certificate, x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert not usage.value.digital_signature
    public = authority.key.public_key()
    assert extension(authority.certificate, x509.SubjectKeyIdentifier).value == (
        x509.SubjectKeyIdentifier.from_public_key(public)
    )


def test_authorities_of_two_installations_have_different_names(authority):
    other = create_authority(keys.new_authority_key(), now=NOW)
    assert other.certificate.subject != authority.certificate.subject


def test_host_certificate_names_the_host_and_is_for_clients_only(authority):
    leaf = authority.issue_host(keys.new_key().public_key(), HOST, now=NOW)
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert [name.value for name in names] == [HOST]
    alternative = extension(leaf, x509.SubjectAlternativeName).value
    assert alternative.get_values_for_type(x509.DNSName) == [HOST]
    assert alternative.get_values_for_type(x509.UniformResourceIdentifier) == [
        f"urn:vpcctl:host:{HOST}"
    ]
    assert list(extension(leaf, x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert extension(leaf, x509.BasicConstraints).value.ca is False
    assert extension(leaf, x509.KeyUsage).value.key_cert_sign is False
    assert leaf.not_valid_after_utc == NOW + HOST_LIFE
    assert leaf.not_valid_before_utc == NOW - CLOCK_SKEW


def test_openssl_accepts_a_host_as_client_and_refuses_it_as_server(authority, tmp_path):
    leaf = authority.issue_host(keys.new_key().public_key(), HOST, now=NOW)
    assert openssl_verify(tmp_path, authority, leaf, "-purpose", "sslclient").returncode == 0
    assert openssl_verify(tmp_path, authority, leaf, "-purpose", "sslserver").returncode != 0


def test_openssl_accepts_the_controller_as_server_and_refuses_it_as_client(authority, tmp_path):
    names = ["controller.example", "192.0.2.1", "2001:db8::1"]
    leaf = authority.issue_server(keys.new_key().public_key(), names, now=NOW)
    good = openssl_verify(
        tmp_path, authority, leaf, "-purpose", "sslserver", "-verify_hostname", "controller.example"
    )
    assert good.returncode == 0, good.stderr
    for address in ("192.0.2.1", "2001:db8::1"):
        assert openssl_verify(tmp_path, authority, leaf, "-verify_ip", address).returncode == 0
    assert openssl_verify(tmp_path, authority, leaf, "-verify_ip", "192.0.2.2").returncode != 0
    assert openssl_verify(tmp_path, authority, leaf, "-purpose", "sslclient").returncode != 0
    assert certificates.server_names(leaf) == tuple(names)


def test_openssl_refuses_a_leaf_of_another_authority(authority, tmp_path):
    other = create_authority(keys.new_authority_key(), now=NOW)
    leaf = other.issue_host(keys.new_key().public_key(), HOST, now=NOW)
    assert openssl_verify(tmp_path, authority, leaf).returncode != 0


def test_a_leaf_never_outlives_the_authority():
    young = create_authority(keys.new_authority_key(), now=NOW, life=timedelta(days=10))
    leaf = young.issue_host(keys.new_key().public_key(), HOST, now=NOW)
    assert leaf.not_valid_after_utc == NOW + timedelta(days=10)


def test_an_expired_authority_signs_nothing():
    old = create_authority(keys.new_authority_key(), now=NOW, life=timedelta(days=10))
    with pytest.raises(PkiError, match="expired"):
        old.issue_host(keys.new_key().public_key(), HOST, now=NOW + timedelta(days=10))


def test_authority_with_another_ones_key_is_refused(authority):
    with pytest.raises(PkiError, match="belong together"):
        Authority(authority.certificate, keys.new_authority_key())


@pytest.mark.parametrize(
    "name", ["", "*.example", "two words", "-dash.example", "a" * 64, "a..b", "exa\nmple", "é.fr"]
)
def test_malformed_server_names_are_refused_by_name(authority, name):
    with pytest.raises(PkiError, match="neither a DNS name nor an IP address"):
        authority.issue_server(keys.new_key().public_key(), [name], now=NOW)


def test_a_server_certificate_without_names_is_refused(authority):
    with pytest.raises(PkiError, match="at least one"):
        authority.issue_server(keys.new_key().public_key(), [], now=NOW)


def test_renewal_is_due_when_a_third_of_the_life_is_left(authority):
    leaf = authority.issue_host(
        keys.new_key().public_key(), HOST, now=NOW + CLOCK_SKEW, life=timedelta(days=30)
    )
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    due = leaf.not_valid_before_utc + life * 2 / 3
    assert not certificates.is_renewal_due(leaf, due - timedelta(seconds=1))
    assert certificates.is_renewal_due(leaf, due)
    assert certificates.is_renewal_due(leaf, leaf.not_valid_after_utc + timedelta(days=1))


def test_host_identity_is_read_back_from_the_der_form(authority):
    leaf = authority.issue_host(keys.new_key().public_key(), HOST, now=NOW)
    identity = certificates.host_identity(der(leaf))
    assert identity == certificates.HostIdentity(HOST, f"{leaf.serial_number:x}")


def test_the_controllers_certificate_has_no_host_identity(authority):
    leaf = authority.issue_server(keys.new_key().public_key(), [HOST], now=NOW)
    with pytest.raises(PkiError):
        certificates.host_identity(der(leaf))


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"garbage" * 100])
def test_garbage_has_no_host_identity(data):
    with pytest.raises(PkiError):
        certificates.host_identity(data)


@given(st.data())
def test_fuzz_host_identity(data):
    damaged = bytearray(LEAF)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PkiError):
        identity = certificates.host_identity(bytes(damaged))
        assert ids.is_id("host", identity.host_id)
