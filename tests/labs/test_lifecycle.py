"""Labs by name: what is up is said, and nobody meets the labs of another directory."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mininet_labs.common import runs
from tests.support.command_line import REPOSITORY, clean_environment

pytestmark = [pytest.mark.root]

USAGE = "The lab is up; this is how it is used."


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Debian's Python with labs below *directory*."""
    return subprocess.run(
        ["/usr/bin/python3", *words],
        cwd=REPOSITORY,
        env=clean_environment(VPCCTL_LABS_DIR=str(directory)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(name="directory")
def directory_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory in which the lab `eip` seems to be up; this process is its owner."""
    monkeypatch.setattr(runs, "BASE", tmp_path / "labs")
    one = runs.Run.begin("eip", background=True)
    one.path("usage").write_text(USAGE)
    one.note(places={name: ["env", f"PLACE={name}"] for name in ("red-1", "outside")})
    yield tmp_path / "labs"
    assert one.directory.exists()
    one.end()


def test_who_brings_up_what_is_up_is_told_since_when_and_from_where(directory: Path) -> None:
    done = run(directory, "-m", "mininet_labs.eip", "up")
    first, second = done.stdout.splitlines()
    assert first.startswith("lab: eip is already up, since 2")
    assert first.endswith(f", from {REPOSITORY}")
    assert (second, done.returncode) == (USAGE, 0)


def test_a_lab_that_is_coming_up_has_no_usage_yet(directory: Path) -> None:
    next(directory.glob("*/usage")).unlink()
    done = run(directory, "-m", "mininet_labs.eip", "up")
    assert done.stdout.startswith("lab: eip is being brought up, since 2")
    assert done.returncode == 1


def test_down_of_another_lab_names_the_one_that_is_up_and_leaves_it(directory: Path) -> None:
    done = run(directory, "-m", "mininet_labs.two_tenants", "down")
    assert done.stdout == "lab: two_tenants is not up; eip is up: make down LAB=eip\n"
    assert done.returncode == 0


def test_commands_are_run_in_every_place_of_the_lab_that_is_named(directory: Path) -> None:
    for place in ("red-1", "outside"):
        done = run(directory, "-m", "mininet_labs.eip", "exec", place, "printenv", "PLACE")
        assert (done.stdout, done.returncode) == (f"{place}\n", 0)


@pytest.mark.parametrize("place", ["red-7", "host1/red-1", "inside"])
def test_an_unknown_place_is_answered_with_those_there_are(directory: Path, place: str) -> None:
    done = run(directory, "-m", "mininet_labs.eip", "exec", place, "true")
    assert done.stderr == f"lab: no workload {place}; there are: red-1, outside\n"
    assert done.returncode == 2


def test_exec_in_a_lab_that_is_not_up_says_which_is(directory: Path) -> None:
    done = run(directory, "-m", "mininet_labs.two_tenants", "exec", "red-1", "true")
    said = "lab: two_tenants is not up; eip is up: make down LAB=eip; start it with `make up`\n"
    assert (done.stderr, done.returncode) == (said, 1)


def test_labs_of_another_directory_are_not_seen(directory: Path, tmp_path: Path) -> None:
    assert directory.is_dir()
    done = run(tmp_path / "elsewhere", "-m", "mininet_labs.eip", "down")
    assert (done.stdout, done.returncode) == ("lab: nothing is up\n", 0)
    assert not (tmp_path / "elsewhere").exists()


def test_two_controllers_that_do_not_listen_yet_have_different_ports(tmp_path: Path) -> None:
    script = (
        "from mininet_labs.common.controller import Controller as C\n"
        "one, other = C(None, None), C(None, None)\n"
        "print(one.url != other.url)"
    )
    assert run(tmp_path, "-c", script).stdout == "True\n"


def test_a_directory_that_others_have_mounted_something_on_stays(tmp_path: Path) -> None:
    mounted = tmp_path / "netns"
    mounted.mkdir()
    command = f"mount -t tmpfs none {mounted} && echo mounted && exec cat"
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mounted\n"
        assert runs.is_mount_point(mounted)
        other.communicate()
    assert not runs.is_mount_point(mounted)


def test_make_lists_the_labs_when_it_does_not_know_one() -> None:
    labs = "two_tenants three_tier eip vm"
    done = make("up", "LAB=threetier")
    assert f"make: there is no lab threetier; LAB may be: {labs}\n" in done.stderr
    assert done.returncode == 2
    shown = re.search("LAB=.*", make("help").stdout)
    assert shown
    assert set(labs.split()) <= set(re.findall(r"\w+", shown[0]))
    sources = (REPOSITORY / "mininet_labs").glob("*.py")
    assert set(labs.split()) == {s.stem for s in sources if "lifecycle.main(" in s.read_text()}


def make(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
