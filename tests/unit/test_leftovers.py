"""The check of what a run leaves behind is itself checked: it must notice."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LEAKS = """
import subprocess, tempfile

def test_leaks():
    tempfile.mkstemp(prefix="forgotten-")
    subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""
CLEAN = """
import subprocess, tempfile

def test_is_clean(tmp_path):
    subprocess.run(["true"])
    with tempfile.TemporaryDirectory():
        (tmp_path / "kept by pytest itself").touch()
"""


def _run(directory: Path, source: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_it.py").write_text(source)
    flags = ("-p", "tests.conftest", "-p", "no:cacheprovider", "-q", str(directory))
    return subprocess.run(
        [sys.executable, "-m", "pytest", *flags],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_run_that_leaves_a_process_and_a_file_fails_and_names_them(tmp_path: Path) -> None:
    done = _run(tmp_path, LEAKS)
    found = re.search(r"process (\d+) sleep 60", done.stdout)
    assert found, done.stdout + done.stderr
    os.kill(int(found[1]), signal.SIGKILL)
    assert "forgotten-" in done.stdout
    assert done.returncode == 1


def test_a_run_that_cleans_up_passes(tmp_path: Path) -> None:
    done = _run(tmp_path, CLEAN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left behind" not in done.stdout
