"""Settings, the state directory and br-int's shape."""

from pathlib import Path

import pytest
from msgspec import convert

from agent import settings as agent_settings
from agent.decide.bridge import BridgeSettings, integration_bridge
from agent.settings import SettingsError
from agent.statedir import StateDir
from agent.wire.state import HostState

HOST = "host-00000000000000001"


def state(**changes: object) -> HostState:
    values: dict[str, object] = {
        "revision": 7,
        "host_id": HOST,
        "name": "h1",
        "dpid": 0x7663_0000_0000_0001,
        "openflow_targets": ("tcp:127.0.0.1:6653",),
    }
    return convert({**values, **changes}, HostState)


def test_flags_go_before_environment_before_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "agent.toml"
    config.write_text('bridge = "br-file"\nvxlan_port = 4000\nlog_level = "error"\n')
    monkeypatch.setenv("VPC_AGENT_CONFIG", str(config))
    monkeypatch.setenv("VPC_AGENT_VXLAN_PORT", "5000")
    monkeypatch.setenv("VPC_AGENT_LOG_LEVEL", "warning")
    found = agent_settings.load({"log_level": "debug"})
    assert (found.bridge, found.vxlan_port, found.log_level) == ("br-file", 5000, "debug")


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    for flags, text in (
        ({"host_id": "h1"}, "host id"),
        ({"datapath": "warp"}, "datapath"),
        ({"bridge": "a-name-that-is-too-long"}, "bridge"),
    ):
        with pytest.raises(SettingsError, match=text):
            agent_settings.load(flags)
    with pytest.raises(SettingsError, match="there is no file"):
        agent_settings.load({}, str(tmp_path / "absent.toml"))


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"datapath": "warp"}, "datapath: expected auto, system or netdev"),
        ({"vxlan_port": "0"}, "vxlan_port: expected a number from 1 to 65535"),
        ({"vxlan_port": "some"}, "vxlan_port: expected a number"),
        ({"underlay_bridge": ""}, "underlay_bridge: expected the name of a bridge"),
        ({"ovsdb": 6640}, "ovsdb: expected a text"),
        ({"ovs_rundir": 1}, "ovs_rundir: expected a text"),
        ({"speed": "high"}, "speed: there is no such setting; there are host_id, api_url"),
    ],
)
def test_what_is_accepted_is_said(flags: dict[str, object], told: str) -> None:
    with pytest.raises(SettingsError, match=f"^{told}"):
        agent_settings.load(flags)


def test_the_file_is_refused_for_what_it_says(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    for text, told in (
        ("speed = 9\n", "speed: there is no such setting"),
        ("bridge = 9\n", "bridge: expected a text"),
        ("bridge =\n", "agent.toml: Invalid value"),
        ("[providers]\npublic = 9.5\n", "providers: expected provider networks"),
    ):
        config.write_text(text)
        with pytest.raises(SettingsError, match=told):
            agent_settings.load({}, str(config))


def test_variables_of_any_case_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("vpc_agent_bridge", "br-env")
    assert agent_settings.load({}).bridge == "br-env"


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("VPC_AGENT_PROVIDER", "VPC_AGENT_PROVIDER: there is no .*; there are VPC_AGENT_PROVIDERS"),
        ("vpc_agent_provider", "vpc_agent_provider: there is no .*; there are VPC_AGENT_PROVIDERS"),
        ("VPC_AGENT_QQQQQQQQQQQQQ", "there are VPC_AGENT_HOST_ID, VPC_AGENT_API_URL"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, told: str
) -> None:
    monkeypatch.setenv(variable, "x")
    with pytest.raises(SettingsError, match=told):
        agent_settings.load({})


def test_another_process_of_the_agent_is_told_all_of_it(tmp_path: Path) -> None:
    flags = {"providers": "public=br-ex", "state_dir": str(tmp_path), "token": "geheim"}
    found = agent_settings.load({**flags, "vxlan_port": "4000", "vtep_address": ""})
    assert agent_settings.heard(found.told()) == found


def test_token_file_must_be_private(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("secret\n")
    path.chmod(0o600)
    found = agent_settings.load({"token_file": str(path)})
    assert found.secret() == "secret"
    path.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        found.secret()
    path.unlink()
    with pytest.raises(SettingsError, match="No such file"):
        found.secret()


def test_token_is_not_shown() -> None:
    assert "geheim" not in repr(agent_settings.load({"token": "geheim"}))


def test_boots_grow_and_the_id_stays(tmp_path: Path) -> None:
    directory = StateDir(tmp_path / "state")
    first, agent_id = directory.next_boot(), directory.agent_id()
    again = StateDir(tmp_path / "state")
    assert again.next_boot() > first
    assert again.agent_id() == agent_id


def test_boot_beats_a_clock_that_was_put_back(tmp_path: Path) -> None:
    directory = StateDir(tmp_path)
    directory.save_boot(2**40)
    assert directory.next_boot() == 2**40 + 1


def test_state_is_private_and_survives(tmp_path: Path) -> None:
    directory = StateDir(tmp_path)
    directory.save_state(state())
    assert directory.load_state(HOST) == state()
    assert (tmp_path / "host_state.json").stat().st_mode & 0o077 == 0
    assert directory.load_state("host-00000000000000002") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["host_state.json"]


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b"\xff\xfe", b'{"revision": "x"}'])
def test_garbage_on_disk_counts_as_nothing(tmp_path: Path, garbage: bytes) -> None:
    for name in ("agent_id", "boot", "host_state.json"):
        (tmp_path / name).write_bytes(garbage)
    directory = StateDir(tmp_path)
    assert directory.load_state(HOST) is None
    assert directory.next_boot() > 1
    assert len(directory.agent_id()) == 32


def test_directory_that_cannot_be_written_is_an_error_to_tell(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    directory = StateDir(tmp_path / "file")
    assert directory.next_boot() > 1
    assert directory.error is not None


def test_integration_bridge() -> None:
    settings = BridgeSettings("br-int", "netdev", "192.0.2.7", 8472)
    wish = integration_bridge(state(), settings)
    assert wish.fail_mode == "secure"
    assert wish.other_config == {"disable-in-band": "true", "datapath-id": "7663000000000001"}
    assert [each.target for each in wish.controllers or ()] == ["tcp:127.0.0.1:6653"]
    tunnel, guests = wish.ports
    assert (guests.name, guests.type, guests.ofport_request) == ("vpcctl-guests", "internal", 65000)
    assert tunnel.options["local_ip"] == "192.0.2.7"
    assert tunnel.options["dst_port"] == "8472"
    assert (tunnel.options["remote_ip"], tunnel.options["key"]) == ("flow", "flow")


def test_a_host_with_ways_outside_has_a_port_that_stands_for_it() -> None:
    settings = BridgeSettings("br-int", "netdev", "192.0.2.7", stands=True)
    *_, stands = integration_bridge(state(), settings).ports
    assert (stands.name, stands.type, stands.ofport_request) == ("vpcctl-stands", "internal", 65002)


def test_tunnel_without_a_known_address_has_no_local_ip() -> None:
    wish = integration_bridge(state(), BridgeSettings("br-int", "system", None))
    assert "local_ip" not in wish.ports[0].options


def test_an_empty_tunnel_address_or_device_is_none() -> None:
    found = agent_settings.load({"vtep_address": "", "underlay_device": ""})
    assert (found.vtep_address, found.underlay_device) == (None, None)


def test_a_tunnel_address_has_to_be_an_address() -> None:
    with pytest.raises(SettingsError, match=r"vtep_address: .*expected an IPv4 or IPv6 address"):
        agent_settings.load({"vtep_address": "host1.example"})
