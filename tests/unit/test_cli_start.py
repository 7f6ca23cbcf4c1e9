"""The command line starts fast, speaks plainly, and completes itself."""

import subprocess
import sys

from tests.support.command_line import clean_environment, vpcctl

HEAVY = ("alembic", "fastapi", "httpx", "os_ken", "pydantic", "rich", "sqlalchemy", "uvicorn")


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    program = f"import sys, vpcctl.cli.main; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_the_version_is_printed() -> None:
    outcome = vpcctl("--version")
    assert (outcome.code, outcome.out) == (0, "vpcctl 0.1.0\n")


def test_no_arguments_show_the_help_and_are_a_usage_error() -> None:
    outcome = vpcctl()
    assert outcome.code == 2
    assert "Usage: vpcctl" in outcome.out


def test_help_names_every_command_and_the_exit_codes() -> None:
    outcome = vpcctl("--help")
    assert outcome.code == 0
    for command in ("vpc", "subnet", "port", "host", "status", "events", "token", "serve", "db"):
        assert f" {command} " in outcome.out
    assert "Exit codes" in outcome.out


def test_the_shell_completes_commands() -> None:
    outcome = vpcctl(_VPCCTL_COMPLETE="complete_bash", COMP_WORDS="vpcctl subn", COMP_CWORD="1")
    assert outcome.out.split() == ["subnet"]


def test_a_missing_token_says_where_it_was_looked_for(tmp_path: object) -> None:
    outcome = vpcctl("vpc", "list", VPCCTL_STATE_DIR=str(tmp_path))
    assert outcome.code == 5
    assert f"{tmp_path}/admin.token" in outcome.err
    assert outcome.err.count("\n") == 1
