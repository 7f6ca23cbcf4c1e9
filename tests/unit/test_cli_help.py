"""What the help of ``vpcctl`` and ``vpc-agent`` says."""

import pytest

from agent import command as agent_command
from agent import settings as agent_settings
from tests.support.command_line import client
from vpcctl.cli import hosts
from vpcctl.cli.target import Target


def help_of(*words: str) -> str:
    """Return a command's help, wide enough that nothing of it is broken over lines."""
    outcome = client(*words, "--help", COLUMNS="300")
    assert outcome.code == 0
    return " ".join(outcome.out.split())


@pytest.mark.parametrize("words", [(), ("port", "set"), ("route", "add"), ("status",), ("pki",)])
def test_flags_do_not_look_as_if_they_took_a_value(words: tuple[str, ...]) -> None:
    assert "<bool>" not in help_of(*words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "VPCCTL_TOKEN is the token"),
        (("serve",), "postgresql://user@host/db"),
        (("db", "upgrade"), "postgresql://user@host/db"),
        (("vpc", "create"), "at most 128 characters; '' for none"),
        (("port", "create"), "default: a made-up one"),
        (("port", "set"), "The fixed addresses, all of them"),
        (("port", "set"), "The resolvers, all of them; repeatable; '' for none"),
        (("port", "set"), "The time servers, all of them; repeatable; '' for none"),
        (("port", "set"), "Drop what it sends or gets that is not from or for its own addresses"),
        (("nacl", "entry", "delete"), "Its number, after `ingress` or `egress`, or with --ingress"),
    ],
)
def test_help_says_what_is_true(words: tuple[str, ...], said: str) -> None:
    assert said in help_of(*words)


def test_a_port_that_is_changed_gets_no_mac_by_default() -> None:
    assert "made-up" not in help_of("port", "set")


def test_what_starts_a_local_agent_says_how_others_begin() -> None:
    host = {"id": "host-00000000000000001"}
    local = hosts._instructions(Target(), host, None)
    assert "(on this machine; on others: vpcctl host enroll host-00000000000000001)" in local
    far = hosts._instructions(Target(api="http://192.0.2.1:8080"), host, None)
    assert "on others" not in far


@pytest.mark.parametrize("words", [(), ("run",), ("status",)])
def test_the_agents_help_names_variables_and_defaults(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit):
        agent_command.main([*words, "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "VPC_AGENT_HOST_ID for --host-id" in told
    assert "UDP port of VXLAN; default: 4789" in told
    assert "docs/settings.md" in told
    assert agent_settings.CONFIG_VARIABLE in told


@pytest.mark.parametrize("words", [("--config", "{}", "status"), ("status", "--config", "{}")])
def test_the_agents_file_is_named_before_its_command_or_after_it(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert agent_command.main([word.format("/nonexistent.toml") for word in words]) == 2
    assert "there is no file /nonexistent.toml" in capsys.readouterr().err
