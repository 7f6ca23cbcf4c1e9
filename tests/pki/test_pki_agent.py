"""``vpc-agent enroll``, and what an enrolled machine needs no flags for any more."""

import asyncio
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent import certificates as agent_certificates
from agent import pki as agent_pki
from agent import settings as agent_settings
from agent.client import Client
from agent.main import main
from agent.settings import Settings, SettingsError
from tests.pki.https_support import Controller, Machine, running_controller
from vpcctl.pki import certificates, csr, keys
from vpcctl.pki.authority import HOST_LIFE
from vpcctl.pki.files import CredentialStore, Material
from vpcctl.services.views import Actor

DEADLINE_S = 20.0


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    directory = tmp_path / "controller"
    with running_controller(directory, f"sqlite:///{directory}/vpcctl.db") as running:
        yield running


def settings_of(controller: Controller, directory: Path, **more: str) -> Settings:
    flags = {"api_url": controller.https, "state_dir": str(directory)}
    return agent_settings.load(flags | more)


def test_the_command_takes_the_token_from_stdin_and_says_what_to_do(
    controller, tmp_path, capsys, monkeypatch
):
    host_id = controller.new_host()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{controller.token(host_id)}\n"))
    state = tmp_path / "state"
    command = ["enroll", "--api", controller.https, "--token", "-", "--state-dir", str(state)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert host_id in said
    assert f"vpc-agent --api-url {controller.https} --state-dir {state}" in said
    found = settings_of(controller, state)
    assert found.host_id == host_id
    assert found.secret() == (state / "token").read_text().strip()
    assert found.api_ca is not None


def test_the_command_fails_with_one_line(controller, tmp_path, capsys):
    command = ["enroll", "--api", controller.https, "--token", "hello"]
    assert main([*command, "--state-dir", str(tmp_path / "state")]) == 1
    told = capsys.readouterr().err.strip().splitlines()
    assert told == ["vpc-agent: that is not an enrolment token of 'vpcctl host enroll'"]


def test_a_machine_that_was_not_enrolled_is_left_as_it_is(controller, tmp_path):
    found = settings_of(controller, tmp_path / "state")
    assert (found.host_id, found.api_ca, found.token_file) == ("", None, None)


def test_a_machine_does_not_run_as_another_host_than_it_was_enrolled_as(controller, tmp_path):
    machine = Machine(tmp_path)
    machine.enroll(controller, controller.token(controller.new_host()))
    with pytest.raises(SettingsError, match="is of host-"):
        settings_of(controller, machine.paths.state_dir, host_id="host-00000000000000000")


def test_the_agents_client_shows_the_hosts_certificate_and_renews_it(controller, tmp_path):
    host_id = controller.new_host()
    machine = Machine(tmp_path)
    machine.enroll(controller, controller.token(host_id))
    store = agent_pki.open_store(machine.paths.state_dir)
    make_old(controller, store, host_id)
    before = store.current()
    settings = settings_of(
        controller, machine.paths.state_dir, token_file=str(machine.paths.token_file)
    )
    woken: list[bool] = []

    async def run() -> None:
        client = Client(settings)
        keeping = agent_certificates.keep(settings, client, lambda: woken.append(True))
        task = asyncio.create_task(keeping)
        try:
            async with asyncio.timeout(DEADLINE_S):
                while store.current() == before or len(woken) < 2:
                    await asyncio.sleep(0.02)
            assert (await client.state(0, 0)).host_id == host_id
        finally:
            task.cancel()
            client.close()

    asyncio.run(run())
    fresh = certificates.from_pem(store.current().certificate.read_bytes())
    assert fresh.not_valid_after_utc > datetime.now(UTC) + HOST_LIFE * 0.9


def make_old(controller: Controller, store: CredentialStore, host_id: str) -> None:
    """Give the machine a certificate that was issued three weeks ago, as the database knows."""
    controller.clock.ahead = -timedelta(days=21)
    key = keys.new_key()
    actor = Actor("host", host_id=host_id)
    issued = controller.services.pki.renew(actor, host_id, csr.make_csr(key, "old"))
    controller.clock.ahead = timedelta(0)
    store.install(Material(keys.key_to_pem(key), issued.certificate, issued.ca_certificate))
