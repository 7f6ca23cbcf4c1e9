"""``vpcctl pki`` and the credentials' commands of ``vpcctl host``, run as a user does."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pki.https_support import ADMIN, Controller, Machine, running_controller
from vpcctl.cli.main import run
from vpcctl.pki import certificates
from vpcctl.pki.directory import PkiDirectory
from vpcctl.wire.enrollment_token import EnrollmentToken


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    directory = tmp_path / "controller"
    with running_controller(directory, f"sqlite:///{directory}/vpcctl.db") as running:
        yield running


@pytest.fixture
def target(controller: Controller, tmp_path: Path) -> list[str]:
    token, ca = tmp_path / "admin.token", tmp_path / "ca.pem"
    token.write_text(controller.admin_secret)
    ca.write_text(controller.ca)
    return ["--api", controller.https, "--token-file", str(token), "--ca-file", str(ca)]


def test_init_makes_an_authority_and_says_what_it_made(tmp_path, capsys):
    where = ["--pki-dir", str(tmp_path / "pki")]
    names = ["--name", "controller.example", "--name", "192.0.2.1"]
    assert run(["pki", "init", *where, *names, "--output", "json"]) == 0
    made = json.loads(capsys.readouterr().out)
    directory = PkiDirectory(tmp_path / "pki")
    assert made["authority_fingerprint"] == certificates.fingerprint(directory.ca_certificate())
    assert made["server_names"] == ["controller.example", "192.0.2.1"]
    assert made["authority_made"]
    assert made["server_made"]
    key = tmp_path / "pki" / "authority" / "key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_bytes()
    assert run(["pki", "init", *where, "--output", "json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert not again["authority_made"]
    assert not again["server_made"]
    assert key.read_bytes() == before


def test_refusals_are_one_line_and_leave_nothing(tmp_path, capsys):
    where = ["--pki-dir", str(tmp_path / "pki")]
    assert run(["pki", "init", *where]) == 2
    assert run(["pki", "init", *where, "--name", "not a name"]) == 2
    assert run(["pki", "show", *where]) == 3
    assert run(["pki", "renew", *where]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 4
    assert all(line.startswith("error: ") for line in told)
    assert not PkiDirectory(tmp_path / "pki").is_initialised


def test_renew_changes_the_names_and_show_prints_the_authority(tmp_path, capsys):
    where = ["--pki-dir", str(tmp_path / "pki")]
    assert run(["pki", "init", *where, "--name", "old.example"]) == 0
    assert run(["pki", "init", *where, "--name", "new.example"]) == 2
    assert run(["pki", "renew", *where, "--name", "new.example"]) == 0
    directory = PkiDirectory(tmp_path / "pki")
    assert certificates.server_names(directory.server_certificate()) == ("new.example",)
    capsys.readouterr()
    assert run(["pki", "show", "--ca", *where]) == 0
    assert capsys.readouterr().out == certificates.to_pem(directory.ca_certificate())


def test_enroll_prints_a_token_that_works(controller, target, tmp_path, capsys):
    host_id = controller.new_host("hv-1")
    assert run([*target, "host", "enroll", "hv-1"]) == 0
    said = capsys.readouterr()
    token = said.out.strip()
    assert EnrollmentToken.parse(token)
    assert f"vpc-agent enroll --api {controller.https} --token -" in said.err
    assert Machine(tmp_path / "machine").enroll(controller, token).host_id == host_id


def test_enroll_writes_the_token_into_a_private_file(controller, target, tmp_path, capsys):
    controller.new_host("hv-1")
    file = tmp_path / "token"
    command = ["host", "enroll", "hv-1", "--file", str(file), "--output", "json"]
    assert run([*target, *command]) == 0
    assert "token" not in json.loads(capsys.readouterr().out)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert EnrollmentToken.parse(file.read_text().strip())


def test_certificates_are_listed_and_revoked_by_name(controller, target, tmp_path, capsys):
    host_id = controller.new_host("hv-1")
    controller.enroll(tmp_path / "machine", host_id)
    assert run([*target, "host", "certificates", "hv-1", "--output", "json"]) == 0
    [listed] = json.loads(capsys.readouterr().out)
    assert listed["host_id"] == host_id
    assert run([*target, "host", "revoke", "hv-1"]) == 0
    assert capsys.readouterr().out == f"{host_id}: revoked 1 certificates, 1 tokens\n"
    [left] = controller.services.pki.certificates(ADMIN, host_id)
    assert left.revoked_at is not None
    assert run([*target, "host", "enroll", "nobody"]) == 3
    assert run([*target, "host", "enroll", "hv-1", "--lifetime", "5"]) == 2
