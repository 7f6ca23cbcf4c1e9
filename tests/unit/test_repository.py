"""What holds for the whole tree: sizes, words that have no place in it, and the way it starts."""

import ast
import importlib
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import REPOSITORY

CODE = ("agent", "api", "bench", "migrations", "mininet_labs", "tests", "vpcctl")
LONGEST_FUNCTION, LONGEST_FILE = 60, 500
LONGEST_PAUSE_S = 0.25
"""Between two looks at a condition, or to see that nothing happens."""
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def sources() -> list[Path]:
    folders = [REPOSITORY / name for name in CODE if (REPOSITORY / name).is_dir()]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(REPOSITORY)}:{node.lineno} {node.name}", _length(node)


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_file_is_too_long() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sources()}
    assert {str(path): n for path, n in lengths.items() if n > LONGEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    # A migration declares; how long it is follows from how much it declares.
    written = [p for p in sources() if not p.is_relative_to(REPOSITORY / "migrations")]
    long = [(name, n) for path in written for name, n in functions(path) if n > LONGEST_FUNCTION]
    assert long == []


def test_nothing_is_left_for_later_or_left_out() -> None:
    banned = re.compile(r"# ?(TODO|FIXME|XXX)|mark\.(skip\b|xfail)|pytest\.xfail\(")
    found = [
        f"{path.relative_to(REPOSITORY)}: {line.strip()}"
        for path in sources()
        if path != Path(__file__)
        for line in path.read_text().splitlines()
        if banned.search(line)
    ]
    assert found == []


def test_tests_poll_conditions_and_never_wait_for_a_time() -> None:
    slept = re.compile(r"time\.sleep\(([0-9.]+)\)")
    found = [
        f"{path.relative_to(REPOSITORY)}: {pause} s"
        for path in sources()
        if path.is_relative_to(REPOSITORY / "tests")
        for pause in slept.findall(path.read_text())
        if float(pause) > LONGEST_PAUSE_S
    ]
    assert found == []


def test_every_directory_of_the_product_is_a_package() -> None:
    packages = [REPOSITORY / name for name in ("agent", "api", "migrations", "vpcctl")]
    folders = {path.parent for package in packages for path in package.rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


@pytest.mark.parametrize(("name", "target"), PROJECT["project"]["scripts"].items())
def test_every_script_leads_to_a_function(name: str, target: str) -> None:
    module, _, function = target.partition(":")
    assert callable(getattr(importlib.import_module(module), function)), name


_LOADS = """
import os, sys, vpcctl.processes.__main__ as begin
sys.argv[1:] = ["nothing"]
begin.main()
files = os.listdir("/proc/self/fd")
{loading}
assert os.listdir("/proc/self/fd") == files
assert len(os.listdir("/proc/self/task")) == 1
print(*(name for name, module in sys.modules.items() if getattr(module, "__file__", None)))
"""


def loaded_by(loading: str) -> set[str]:
    """Return the modules that *loading* loads, which opens no file and starts no thread."""
    done = subprocess.run(
        [REPOSITORY / ".venv" / "bin" / "python", "-c", _LOADS.format(loading=loading)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("process", ["api", "southbound"])
def test_a_process_loads_no_green_threads_and_nothing_for_nothing(process: str) -> None:
    modules = loaded_by(f"import vpcctl.processes.{process}")
    loaded = {name.partition(".")[0] for name in modules}
    assert f"vpcctl.processes.{process}" in modules
    assert not loaded & {"eventlet", "gevent", "rich", "pygments", "psycopg", "alembic"}


@pytest.mark.slow
def test_what_both_processes_are_forked_from_is_what_both_need() -> None:
    own = {f"vpcctl.{name}" for name in ("processes.both", "readiness", "supervisor")}
    shared = loaded_by("from vpcctl.processes.both import load_shared; load_shared()")
    for process in ("api", "southbound"):
        assert shared - own - loaded_by(f"import vpcctl.processes.{process}") == set()


@pytest.mark.parametrize("script", [".ci/run", ".ci/install"])
def test_the_scripts_can_be_run_and_are_well_formed(script: str) -> None:
    path = REPOSITORY / script
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in path.read_text()
    subprocess.run(["bash", "-n", path], check=True)


def test_make_help_lists_every_target() -> None:
    files = (REPOSITORY / "Makefile", REPOSITORY / "bench" / "bench.mk")
    phony = [re.search(r"^\.PHONY: (.*)$", path.read_text(), re.M) for path in files]
    targets = {name for found in phony if found for name in found[1].split()}
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {line.split()[0] for line in shown.stdout.splitlines()} == targets


def test_the_changelog_knows_what_is_unreleased() -> None:
    assert "## [Unreleased]" in (REPOSITORY / "CHANGELOG.md").read_text()
