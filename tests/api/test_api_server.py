"""The API process: its listeners, TLS, and its start and end."""

import os
import signal
import socket
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.listeners import BadListener, Listener, TlsFiles, bind, parse_listener
from tests.api.support import running_api, wait_until
from vpcctl.store.database import Database
from vpcctl.store.wake import WakeListener


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", Listener("127.0.0.1", 8080)),
        ("http://127.0.0.1:8080", Listener("127.0.0.1", 8080)),
        ("localhost:0", Listener("localhost", 0)),
        ("[::1]:1", Listener("::1", 1)),
        ("https://0.0.0.0:8443", Listener("0.0.0.0", 8443, tls=True)),
        ("https://example.org:8443/", Listener("example.org", 8443, tls=True)),
        ("unix:/run/x.sock", Listener(path=Path("/run/x.sock"))),
    ],
)
def test_addresses_are_understood(text: str, expected: Listener) -> None:
    assert parse_listener(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:x",
        "127.0.0.1:99999",
        "ftp://127.0.0.1:1",
        "unix:relative",
        "https://h:1/path",
        "https://u@h:1",
        "0.0.0.0:8080",
        "192.0.2.1:8080",
        "[::]:8080",
        "http://example.org:80",
    ],
)
def test_bad_or_exposed_addresses_are_refused(text: str) -> None:
    with pytest.raises(BadListener):
        parse_listener(text)


def test_plain_http_elsewhere_must_be_asked_for() -> None:
    assert parse_listener("0.0.0.0:8080", allow_plain=True) == Listener("0.0.0.0", 8080)


def test_sockets_are_taken_over_only_from_the_dead(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    listener = Listener(path=path)
    first = bind(listener)
    with pytest.raises(BadListener):
        bind(listener)
    first.close()
    bind(listener).close()
    assert sorted(item.name for item in tmp_path.iterdir()) == ["api.sock"]
    path.unlink()
    path.write_text("mine")
    with pytest.raises(BadListener):
        bind(listener)
    assert path.read_text() == "mine"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadListener):
            bind(Listener("127.0.0.1", taken.getsockname()[1]))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A self-signed certificate for 127.0.0.1 that is its own authority."""
    directory = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = TlsFiles(directory / "cert.pem", directory / "key.pem", directory / "cert.pem")
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def test_plain_and_tls_listeners_at_once(tmp_path: Path, tls: TlsFiles) -> None:
    with running_api(tmp_path, None, None, "https://127.0.0.1:0", tls=tls) as api:
        url = api.bound[1].url
        assert url.startswith("https://")
        trusting = ssl.create_default_context(cafile=str(tls.ca))
        with httpx.Client(base_url=url, verify=trusting, trust_env=False) as client:
            assert client.get("/healthz").status_code == 200
            headers = {"Authorization": f"Bearer {api.admin_secret}"}
            assert client.get("/v1/vpcs", headers=headers).status_code == 200
            with client.stream("GET", "/v1/events", headers=headers) as stream:
                assert next(stream.iter_lines()).startswith("retry:")
        with (
            httpx.Client(base_url=url, trust_env=False) as client,
            pytest.raises(httpx.ConnectError),
        ):
            client.get("/healthz")
        assert api.admin.get("/v1/vpcs").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_starts_answers_and_ends(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "api.sock"
    database = Database.open(f"sqlite:///{tmp_path / 'vpcctl.db'}")
    database.upgrade()
    database.close()
    (tmp_path / "run").mkdir()
    environment = os.environ | {
        "VPCCTL_STATE_DIR": str(tmp_path),
        "VPCCTL_API_LISTEN": f"unix:{path}",
        "VPCCTL_LOG_LEVEL": "info",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "vpcctl.processes", "api"], env=environment, stderr=subprocess.PIPE
    )
    try:
        wait_until(lambda: path.exists() or process.poll() is not None, "it listens")
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, base_url="http://localhost") as client:
            assert client.get("/readyz").status_code == 503  # a southbound is not there
            southbound = WakeListener(tmp_path / "run", "network")
            assert client.get("/readyz").status_code == 200
            southbound.close()
            assert client.get("/readyz").status_code == 503
        process.send_signal(number)
        _, log = process.communicate(timeout=20)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == 0, log
    assert b"listening" in log
    assert b"Traceback" not in log
    assert not path.exists()


def refusal(directory: Path, **settings: str) -> str:
    """Return the one line in which the process says why it does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "vpcctl.processes", "api"],
        env=os.environ | {"VPCCTL_STATE_DIR": str(directory), **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_taken_address_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal(tmp_path, VPCCTL_API_LISTEN=f"127.0.0.1:{port}")
    assert said.startswith(f"vpcctl: error: 127.0.0.1:{port}: ")


def test_a_database_that_nobody_knows_is_told_in_one_line(tmp_path: Path) -> None:
    said = refusal(tmp_path, VPCCTL_DATABASE_URL="mysql://nobody/nothing")
    assert said.startswith("vpcctl: error: ")
