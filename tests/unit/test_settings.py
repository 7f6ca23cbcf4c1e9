"""Where settings come from, and what a bad one is told."""

import dataclasses
import os
import re
from pathlib import Path

import pytest

from api.schemas.address_groups import MOST_CIDRS
from api.schemas.group_rules import MOST_RULES
from api.schemas.network_acls import MOST_ENTRIES
from vpcctl.processes.api import quotas_of
from vpcctl.services.settings import Quotas
from vpcctl.settings import (
    OTHER_VARIABLES,
    PREFIX,
    Settings,
    SettingsError,
    load,
    parse_openflow_listener,
)

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_settings_of_this_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "vpcctl.toml"
    config.write_text(
        'log_level = "warning"\nreport_interval_s = 7.0\naudit_interval_s = 70.0\n'
        f'state_dir = "{tmp_path}/file"\n'
    )
    monkeypatch.setenv("VPCCTL_REPORT_INTERVAL_S", "8")
    monkeypatch.setenv("VPCCTL_AUDIT_INTERVAL_S", "80")
    settings = load(config, {"audit_interval_s": 90.0, "log_level": None})
    assert settings.log_level == "warning"
    assert settings.report_interval_s == 8.0
    assert settings.audit_interval_s == 90.0
    assert settings.openflow_listen == ("tcp:127.0.0.1:6653",)
    assert settings.state_dir == tmp_path / "file"


def test_directories_and_database_follow_the_state_directory(tmp_path: Path) -> None:
    settings = load(flags={"state_dir": tmp_path})
    assert settings.run_dir == tmp_path / "run"
    assert settings.pki_dir == tmp_path / "pki"
    assert settings.database_url == f"sqlite:///{tmp_path}/vpcctl.db"
    assert settings.token_file == tmp_path / "admin.token"


def test_a_child_process_gets_the_same_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(
        flags={
            "state_dir": tmp_path,
            "api_listen": ["127.0.0.1:1", "unix:/a,b"],
            "openflow_targets": ["tcp:127.0.0.1:1"],
            "openflow_allow_plain": True,
        }
    )
    for name, value in settings.to_environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_a_list_may_be_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VPCCTL_API_LISTEN", "127.0.0.1:1, unix:/run/x.sock")
    assert load().api_listen == ("127.0.0.1:1", "unix:/run/x.sock")


def test_switches_are_told_one_target_unless_more_are_given() -> None:
    listen = {"openflow_listen": ["unix:/a", "tcp:127.0.0.1:1"]}
    assert load(flags=listen).targets == ("unix:/a",)
    assert load(flags={**listen, "openflow_targets": ["ssl:a:1", "ssl:b:1"]}).targets == (
        "ssl:a:1",
        "ssl:b:1",
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"api_listen": ["0.0.0.0:80"]}, ["api_listen (--api-listen)", "https://host:port"]),
        ({"api_listen": []}, ["api_listen", "at least one"]),
        ({"api_listen": ["unix:relative"]}, ["api_listen", "absolute"]),
        ({"api_listen": ["127.0.0.1:99999"]}, ["api_listen", "host:port"]),
        ({"api_listen": ["{}:1"]}, ["api_listen", "{}:1"]),
        ({"openflow_listen": ["127.0.0.1:1"]}, ["openflow_listen", "tcp:host:port"]),
        ({"openflow_listen": ["tcp:192.0.2.1:1"]}, ["openflow_listen", "openflow_allow_plain"]),
        ({"openflow_listen": ["ssl:0.0.0.0:1"]}, ["openflow_targets", "ssl:192.0.2.1:6653"]),
        ({"report_interval_s": 0}, ["report_interval_s (--report-interval-s)"]),
        ({"log_level": "loud"}, ["log_level", "'debug'"]),
    ],
)
def test_a_bad_value_is_told_by_name_origin_and_what_is_accepted(
    flags: dict[str, object], words: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(flags=flags)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_variable_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VPCCTL_AUDIT_INTERVAL_S", "soon")
    with pytest.raises(SettingsError, match="VPCCTL_AUDIT_INTERVAL_S"):
        load()


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("VPCCTL_QUOTA_VPC", "VPCCTL_QUOTA_VPC: there is no .*; accepted: VPCCTL_QUOTA_VPCS,"),
        ("vpcctl_quota_vpc", "vpcctl_quota_vpc: there is no .*; accepted: VPCCTL_QUOTA_VPCS,"),
        ("VPCCTL_QQQQQQQQQQQ", "accepted: VPCCTL_STATE_DIR, VPCCTL_RUN_DIR,"),
    ],
)
def test_a_variable_that_is_no_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, told: str
) -> None:
    for other in OTHER_VARIABLES:
        monkeypatch.setenv(other, "")
    load()
    monkeypatch.setenv(variable, "3")
    with pytest.raises(SettingsError, match=told):
        load()


@pytest.mark.parametrize(
    "variable",
    ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_API", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR"],
)
def test_what_kubernetes_says_of_a_service_of_our_name_is_nothing_of_ours(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(f"{PREFIX}{variable}", "tcp://10.0.0.1:80")
    load()


def test_every_variable_that_a_command_or_a_lab_reads_is_known() -> None:
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    named = {
        name
        for package in ("vpcctl/cli", "mininet_labs")
        for path in (REPOSITORY / package).rglob("*.py")
        for name in re.findall(r"\bVPCCTL_[A-Z_]+[A-Z]\b", path.read_text())
    }
    assert named - settings <= set(OTHER_VARIABLES)
    assert set(OTHER_VARIABLES) <= named


@pytest.mark.parametrize(
    ("text", "words"),
    [("colour = 1\n", "colour"), ("= 1", "TOML"), ("log_level = 3\n", "log_level")],
)
def test_a_bad_file_is_told_by_its_path(tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "vpcctl.toml"
    config.write_text(text)
    with pytest.raises(SettingsError, match=words) as caught:
        load(config)
    assert str(config) in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read"):
        load(tmp_path / "none.toml")


def test_an_ipv6_listener_keeps_its_brackets() -> None:
    listener = parse_openflow_listener("ssl:[2001:db8::1]:6653")
    assert (listener.host, listener.authority) == ("2001:db8::1", "[2001:db8::1]:6653")
    assert not listener.is_loopback
    assert parse_openflow_listener("tcp:[::1]:1").is_loopback


def test_every_quota_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert quotas_of(load()) == Quotas()
    names = [field.name for field in dataclasses.fields(Quotas)]
    for number, name in enumerate(names):
        monkeypatch.setenv(f"VPCCTL_QUOTA_{name.upper()}", str(number))
    assert dataclasses.astuple(quotas_of(load())) == tuple(range(len(names)))
    monkeypatch.setenv("VPCCTL_QUOTA_RULES", "1001")
    with pytest.raises(SettingsError, match="quota_rules"):
        load()


def test_no_quota_is_beyond_what_a_request_may_have() -> None:
    """What a group may hold can be sent at once."""
    limits = {"rules": MOST_RULES, "cidrs": MOST_CIDRS, "entries": MOST_ENTRIES}
    for name, most in limits.items():
        load(flags={f"quota_{name}": most})
        with pytest.raises(SettingsError):
            load(flags={f"quota_{name}": most + 1})
