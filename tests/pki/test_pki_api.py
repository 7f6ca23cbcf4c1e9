"""Enrolment end to end: the real agent's code against the real API over real HTTPS."""

import re
import ssl
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from agent import pki as agent_pki
from agent import renewal
from agent.enroll import EnrollmentError, enroll
from tests.pki.https_support import ADMIN, Controller, Machine, running_controller
from vpcctl.pki import certificates, csr, keys, tls
from vpcctl.pki.authority import HOST_LIFE
from vpcctl.wire.enrollment import CertificateAnswer
from vpcctl.wire.enrollment_token import EnrollmentToken


@pytest.fixture
def controller(tmp_path: Path, database_url: str) -> Iterator[Controller]:
    with running_controller(tmp_path / "controller", database_url) as running:
        yield running


@pytest.fixture
def other_controller(tmp_path: Path) -> Iterator[Controller]:
    """Another installation: what somebody in between would answer with."""
    directory = tmp_path / "other"
    with running_controller(directory, f"sqlite:///{directory}/vpcctl.db") as running:
        yield running


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def csr_text() -> str:
    return csr.make_csr(keys.new_key(), "a machine")


def problem_of(answer: httpx.Response, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


def test_a_machine_enrols_and_is_the_host_from_then_on(controller, tmp_path):
    host_id = controller.new_host()
    machine = controller.enroll(tmp_path / "machine", host_id)
    assert machine.enrolled.host_id == host_id
    with machine.client(controller) as client:
        answer = client.get(f"/v1/hosts/{host_id}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["name"] == "hv-1"
        other = controller.new_host("hv-2")
        assert client.get(f"/v1/hosts/{other}").status_code in (403, 404)


def test_the_files_have_the_right_modes_and_the_key_is_the_certificates(controller, tmp_path):
    machine = controller.enroll(tmp_path / "machine", controller.new_host())
    files = machine.credentials
    assert mode(files.key) == 0o600
    assert mode(files.certificate) == mode(files.ca) == 0o644
    assert mode(files.directory) == mode(machine.paths.state_dir / "pki") == 0o700
    assert mode(machine.paths.token_file) == 0o600
    key = keys.key_from_pem(files.key.read_bytes())
    certificate = certificates.from_pem(files.certificate.read_bytes())
    assert certificate.public_key() == key.public_key()
    assert (machine.paths.state_dir / "pki" / "current").resolve() == files.directory


def test_a_token_used_twice_is_refused_and_the_second_machine_gets_nothing(controller, tmp_path):
    token = controller.token(controller.new_host())
    first, second = Machine(tmp_path / "first"), Machine(tmp_path / "second")
    first.enroll(controller, token)
    with pytest.raises(EnrollmentError, match="used before"):
        second.enroll(controller, token)
    assert not second.paths.token_file.exists()
    assert agent_pki.open_store(second.paths.state_dir).current() is None


def test_an_expired_token_is_refused(controller, tmp_path):
    token = controller.token(controller.new_host())
    controller.clock.ahead = timedelta(hours=1, seconds=1)
    with pytest.raises(EnrollmentError, match="expired"):
        Machine(tmp_path / "machine").enroll(controller, token)


def test_an_agent_refuses_somebody_in_between_and_sends_him_nothing(
    controller, other_controller, tmp_path
):
    host_id = controller.new_host()
    token = controller.token(host_id)
    machine = Machine(tmp_path / "machine")
    with pytest.raises(EnrollmentError, match="another fingerprint"):
        machine.enroll(other_controller, token)
    assert agent_pki.open_store(machine.paths.state_dir).current() is None
    # The token was not given away: it still works with the right one.
    assert machine.enroll(controller, token).host_id == host_id


def test_an_authority_that_is_shown_but_not_used_does_not_help_him(
    controller, other_controller, tmp_path
):
    # He answers /v1/ca with the right certificate, but cannot serve TLS with it.
    right = controller.directory.ca_certificate()
    target = other_controller.directory.path / "authority" / "certificate.pem"
    target.write_text(certificates.to_pem(right))
    with pytest.raises(EnrollmentError, match="certificate verify failed"):
        Machine(tmp_path / "machine").enroll(
            other_controller, controller.token(controller.new_host())
        )


def test_what_is_no_token_or_no_https_is_refused_before_anything_is_sent(controller, tmp_path):
    paths = Machine(tmp_path / "machine").paths
    with pytest.raises(EnrollmentError, match="not an enrolment token"):
        enroll(controller.https, "hello", paths)
    token = controller.token(controller.new_host())
    with pytest.raises(EnrollmentError, match="https"):
        enroll(controller.plain, token, paths)
    with pytest.raises(EnrollmentError, match="cannot talk to"):
        enroll("https://127.0.0.1:1", token, paths)


def test_a_host_token_alone_is_worth_nothing_over_tls(controller, tmp_path):
    host_id, other_id = controller.new_host("hv-1"), controller.new_host("hv-2")
    machine = controller.enroll(tmp_path / "machine", host_id)
    other = controller.enroll(tmp_path / "other-machine", other_id)
    for credentials in (None, other.credentials):
        with controller.client(machine.secret, credentials) as thief:
            problem = problem_of(thief.get(f"/v1/hosts/{host_id}"), 401)
            assert "certificate" in problem["detail"]
    with controller.client(machine.secret, plain=True) as local:
        assert local.get(f"/v1/hosts/{host_id}").status_code == 200


def test_forwarded_headers_do_not_get_around_the_certificate(controller, tmp_path):
    host_id = controller.new_host()
    machine = controller.enroll(tmp_path / "machine", host_id)
    with controller.client(machine.secret) as thief:
        answer = thief.get(f"/v1/hosts/{host_id}", headers={"X-Forwarded-Proto": "http"})
    problem_of(answer, 401)


def test_a_certificate_of_another_authority_is_refused_by_tls(
    controller, other_controller, tmp_path
):
    stranger = other_controller.enroll(tmp_path / "stranger", other_controller.new_host())
    machine = controller.enroll(tmp_path / "machine", controller.new_host())
    context = tls.client_context(controller.ca, stranger.credentials)
    headers = {"Authorization": f"Bearer {machine.secret}"}
    with (
        httpx.Client(base_url=controller.https, verify=context, headers=headers) as client,
        pytest.raises((httpx.TransportError, ssl.SSLError)),
    ):
        client.get("/v1/status")


def test_a_revoked_host_is_refused_at_once_also_on_a_connection_that_it_has(controller, tmp_path):
    host_id = controller.new_host()
    machine = controller.enroll(tmp_path / "machine", host_id)
    with (
        machine.client(controller) as client,
        controller.client(controller.admin_secret) as admin,
    ):
        assert client.get(f"/v1/hosts/{host_id}").status_code == 200
        answer = admin.post(f"/v1/hosts/{host_id}/revoke")
        assert answer.json() == {"certificates": 1, "tokens": 1, "enrollments": 0}
        assert int(answer.headers["vpcctl-revision"]) > 0
        problem_of(client.get(f"/v1/hosts/{host_id}"), 401)
        renewal = client.post(f"/v1/hosts/{host_id}/certificate", json={"csr": csr_text()})
        problem_of(renewal, 401)


def test_a_revoked_certificate_is_refused_even_with_a_token_that_is_good(controller, tmp_path):
    host_id = controller.new_host()
    machine = controller.enroll(tmp_path / "machine", host_id)
    controller.services.pki.revoke(ADMIN, host_id)
    _, fresh = controller.services.tokens.create(ADMIN, "host", host_id=host_id)
    with controller.client(fresh, machine.credentials) as client:
        answer = client.get(f"/v1/hosts/{host_id}")
    assert "revoked" in problem_of(answer, 401)["detail"]
    assert answer.headers["connection"] == "close"


def test_a_deleted_host_is_refused(controller, tmp_path):
    host_id = controller.new_host()
    machine = controller.enroll(tmp_path / "machine", host_id)
    with controller.client(controller.admin_secret) as admin:
        assert admin.delete(f"/v1/hosts/{host_id}").status_code == 204
    controller.clock.ahead = timedelta(seconds=5)
    with machine.client(controller) as client:
        problem_of(client.post(f"/v1/hosts/{host_id}/certificate", json={"csr": csr_text()}), 401)


def test_enrolments_over_rest(controller, tmp_path):
    host_id = controller.new_host()
    with controller.client(controller.admin_secret) as admin:
        made = admin.post(f"/v1/hosts/{host_id}/enrollments", json={"lifetime_s": 120})
        assert made.status_code == 201, made.text
        body = made.json()
        assert body["host_id"] == host_id
        assert re.fullmatch(r"enroll-[0-9a-f]{17}", body["id"])
        lasts = datetime.fromisoformat(body["expires_at"]) - datetime.fromisoformat(
            body["created_at"]
        )
        assert lasts == timedelta(seconds=120)
        token = EnrollmentToken.parse(body["token"])
        assert token.ca_fingerprint == certificates.fingerprint(
            controller.directory.ca_certificate()
        )
        machine = Machine(tmp_path / "machine")
        machine.enroll(controller, body["token"])
        [listed] = admin.get(f"/v1/hosts/{host_id}/certificates").json()["items"]
        own = certificates.from_pem(machine.credentials.certificate.read_bytes())
        assert listed["serial"] == certificates.serial_of(own)
        assert listed["revoked_at"] is None
        again = [
            admin.post(
                f"/v1/hosts/{host_id}/enrollments", json={}, headers={"Idempotency-Key": "same"}
            ).json()["token"]
            for _ in range(2)
        ]
        assert again[0] != again[1]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lifetime_s": 1}, "lifetime_s"),
        ({"lifetime_s": "3600"}, "lifetime_s"),
        ({"lifetime_s": 10**9}, "lifetime_s"),
        ({"host_id": "x"}, "host_id"),
    ],
)
def test_bad_enrolments_are_refused_by_field(controller, body, field):
    host_id = controller.new_host()
    with controller.client(controller.admin_secret) as admin:
        problem = problem_of(admin.post(f"/v1/hosts/{host_id}/enrollments", json=body), 422)
    assert problem["field"] == field


def test_only_admins_may_enrol_and_revoke(controller, tmp_path):
    host_id = controller.new_host()
    machine = controller.enroll(tmp_path / "machine", host_id)
    _, tenant = controller.services.tokens.create(ADMIN, "tenant", tenant_id="acme")
    for client in (machine.client(controller), controller.client(tenant)):
        with client:
            problem_of(client.post(f"/v1/hosts/{host_id}/enrollments", json={}), 403)
            problem_of(client.post(f"/v1/hosts/{host_id}/revoke"), 403)
            problem_of(client.get(f"/v1/hosts/{host_id}/certificates"), 403)
    with controller.client(None) as nobody:
        problem_of(nobody.post(f"/v1/hosts/{host_id}/enrollments", json={}), 401)


def test_bad_signing_requests_are_refused_by_field_and_spend_nothing(controller):
    token = controller.token(controller.new_host())
    with controller.client(None) as machine:
        for text in ("", "nonsense", "x" * 9000, "\u00e9" * 10):
            answer = machine.post("/v1/enroll", json={"token": token, "csr": text})
            assert problem_of(answer, 422)["field"] == "csr"
        problem_of(machine.post("/v1/enroll", json={"token": token}), 422)
        problem_of(machine.post("/v1/enroll", json={"token": token, "csr": 5}), 422)
        huge = machine.post("/v1/enroll", json={"token": token, "csr": "x" * 100_000})
        problem_of(huge, 413)
        good = machine.post("/v1/enroll", json={"token": token, "csr": csr_text()})
        assert good.status_code == 200, good.text


def test_enrolling_is_limited_by_address(controller):
    body = {"token": "x", "csr": csr_text()}
    with controller.client(None) as machine:
        codes = [machine.post("/v1/enroll", json=body).status_code for _ in range(80)]
        assert codes[0] == 401
        assert 429 in codes
    with controller.client(controller.admin_secret) as admin:
        assert admin.get("/v1/hosts").status_code == 200


def test_an_agent_renews_over_the_connection_that_its_certificate_opens(controller, tmp_path):
    host_id = controller.new_host()
    machine = controller.enroll(tmp_path / "machine", host_id)
    before = machine.credentials
    told: list[agent_pki.SslFiles] = []

    def post(request: str) -> CertificateAnswer:
        with machine.client(controller) as client:
            answer = client.post(f"/v1/hosts/{host_id}/certificate", json={"csr": request})
            return CertificateAnswer.model_validate_json(answer.raise_for_status().content)

    keeper = renewal.CertificateKeeper(
        agent_pki.open_store(machine.paths.state_dir),
        post=post,
        tell_ovs=told.append,
        clock=lambda: datetime.now(UTC) + HOST_LIFE * 0.7,
    )
    after = keeper.run_once()
    assert after != before
    assert told[-1] == agent_pki.ssl_files(after)
    with controller.client(machine.secret, after) as client:
        assert client.get(f"/v1/hosts/{host_id}").status_code == 200
    assert len(controller.services.pki.certificates(ADMIN, host_id)) == 2


def test_a_host_cannot_renew_another_hosts_certificate(controller, tmp_path):
    machine = controller.enroll(tmp_path / "machine", controller.new_host())
    other = controller.new_host("hv-2")
    with machine.client(controller) as client:
        problem_of(client.post(f"/v1/hosts/{other}/certificate", json={"csr": csr_text()}), 403)


def test_the_servers_certificate_is_renewed_under_a_running_api(controller):
    with controller.client(controller.admin_secret) as admin:
        assert admin.get("/v1/hosts").status_code == 200
    before = server_serial(controller)
    controller.directory.renew_server(now=datetime.now(UTC))
    assert controller.keeper.reload()
    assert server_serial(controller) != before
    with controller.client(controller.admin_secret) as admin:
        assert admin.get("/v1/hosts").status_code == 200


def server_serial(controller: Controller) -> str:
    address = httpx.URL(controller.https)
    pem = ssl.get_server_certificate((address.host, address.port))
    return certificates.serial_of(certificates.from_pem(pem))


def test_the_document_says_which_operations_need_no_token(controller):
    with controller.client(None) as client:
        paths = client.get("/openapi.json").json()["paths"]
        assert client.get("/v1/ca").json() == {"ca_certificate": controller.ca}
    assert paths["/v1/ca"]["get"]["security"] == []
    assert paths["/v1/enroll"]["post"]["security"] == []
    assert paths["/v1/hosts/{host_id}/enrollments"]["post"]["security"] == [{"bearer": []}]
