"""``vpcctl serve``: two processes under one that keeps them running and takes them along."""

import contextlib
import http.server
import os
import signal
import stat
import threading
from pathlib import Path

import pytest

from tests.support.command_line import serving, vpcctl
from tests.support.waiting import wait_until
from vpcctl import readiness

pytestmark = pytest.mark.slow


def children_of(pid: int) -> dict[str, int]:
    """Return the children of *pid*: the names that they go by → their pid."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    found = {}
    for child in map(int, text.split()):
        try:
            name = Path(f"/proc/{child}/comm").read_text().strip()
        except OSError:
            continue  # it is gone
        # A child that is just beginning has none of its own.
        if name.startswith("vpc-"):
            found[name.removeprefix("vpc-")] = child
    return found


def files_of(pid: int) -> dict[int, str]:
    """Return the open files of *pid* by their descriptors."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            found[int(entry.name)] = str(entry.readlink())
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_first_start_leaves_a_token_for_its_owner_alone(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        token = served.state_dir / "admin.token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        assert stat.S_IMODE(served.state_dir.stat().st_mode) == 0o700
        secret = token.read_text().strip()
        assert served.run("status").code == 0
    with serving(tmp_path) as served:
        assert token.read_text().strip() == secret
        assert served.run("status").code == 0


@pytest.mark.parametrize("name", ["api", "southbound"])
def test_a_child_that_is_killed_is_started_again_and_the_other_lives_on(
    tmp_path: Path, name: str
) -> None:
    with serving(tmp_path) as served:
        before = children_of(served.process.pid)
        assert set(before) == {"api", "southbound"}
        os.kill(before[name], signal.SIGKILL)

        def replaced() -> bool:
            now = children_of(served.process.pid)
            return now.get(name, before[name]) != before[name]

        wait_until(replaced, 10, what=f"a new {name}")
        wait_until(lambda: served.run("status").code == 0, 20, what="the API to answer")
        now = children_of(served.process.pid)
        other = "southbound" if name == "api" else "api"
        assert now[other] == before[other]
        for files in map(files_of, now.values()):
            assert files[0] == os.devnull
            assert not any(path.endswith("serve.lock") for path in files.values())


def test_sigterm_ends_both_children_and_their_sockets(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        children = children_of(served.process.pid)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(15) == 0
        assert not any(is_running(pid) for pid in children.values())
        assert not (tmp_path / "api.sock").exists()


def test_no_child_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        children = children_of(served.process.pid)
        served.process.kill()
        served.process.wait(5)
        gone = lambda: not any(is_running(pid) for pid in children.values())  # noqa: E731
        wait_until(gone, 5, what="the children to end")


def test_a_second_controller_on_the_same_state_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        outcome = vpcctl("serve", f"--state-dir={served.state_dir}")
        assert outcome.code == 1
        assert str(served.process.pid) in outcome.err
        assert outcome.err.count("\n") == 1
        assert served.run("status").code == 0


def test_what_cannot_be_listened_at_ends_it_at_once(tmp_path: Path) -> None:
    socket = tmp_path / "api.sock"
    socket.write_text("not a socket")
    outcome = vpcctl(
        "serve",
        f"--state-dir={tmp_path}/state",
        f"--api-listen=unix:{socket}",
        f"--openflow-listen=unix:{tmp_path}/of.sock",
    )
    assert outcome.code == 1
    assert str(socket) in outcome.err
    assert socket.read_text() == "not a socket"


class _AlwaysReady(http.server.BaseHTTPRequestHandler):
    """What ``/readyz`` of another controller says."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("taken", ["api", "openflow"])
def test_a_port_that_another_controller_has_ends_it_with_one_line(
    tmp_path: Path, taken: str
) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _AlwaysReady) as other:
        port = other.server_address[1]
        api = f"127.0.0.1:{port}" if taken == "api" else f"unix:{tmp_path}/api.sock"
        openflow = f"tcp:127.0.0.1:{port}" if taken == "openflow" else f"unix:{tmp_path}/of.sock"
        answering = threading.Thread(target=other.serve_forever)
        answering.start()
        try:
            outcome = vpcctl(
                "serve",
                f"--state-dir={tmp_path}/state",
                f"--api-listen={api}",
                f"--openflow-listen={openflow}",
                "--log-level=warning",
            )
        finally:
            other.shutdown()
            answering.join()
    assert outcome.code == 1
    assert "ready" not in outcome.out
    where = api if taken == "api" else openflow
    assert outcome.err == f"vpcctl: error: {where}: Address already in use\n"


def test_what_an_earlier_process_said_is_no_word_of_this_one(tmp_path: Path) -> None:
    readiness.note_started(str(tmp_path), "api")
    assert readiness.has_started(str(tmp_path), "api", os.getpid())
    assert not readiness.has_started(str(tmp_path), "api", os.getpid() + 1)
    assert not readiness.has_started(str(tmp_path), "api", None)
    readiness.forget_started(str(tmp_path), "api")
    assert not readiness.has_started(str(tmp_path), "api", os.getpid())
    readiness.forget_started(str(tmp_path), "api")


def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    outcome = vpcctl("serve", f"--state-dir={tmp_path}", "--api-listen", "0.0.0.0:80")
    assert outcome.code == 2
    assert "api_listen (--api-listen)" in outcome.err
    assert "accepted:" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_the_database_can_be_upgraded_by_itself(tmp_path: Path) -> None:
    for _ in range(2):
        outcome = vpcctl("db", "upgrade", f"--state-dir={tmp_path}/state")
        assert (outcome.code, outcome.out) == (0, "the database is up to date\n")
    assert (tmp_path / "state" / "vpcctl.db").exists()


def test_a_database_that_cannot_be_used_is_told_in_one_line(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.db"
    garbage.write_text("this is not a database, whatever its name may say")
    for command in (("db", "upgrade"), ("serve",)):
        for url in (
            "mysql://x/y",
            f"sqlite:///{garbage}",
            "sqlite:////proc/nowhere/x.db",
            "postgresql://nobody@127.0.0.1:1/x",
        ):
            outcome = vpcctl(*command, f"--state-dir={tmp_path}/state", "--database-url", url)
            assert outcome.code == 1
            assert outcome.err.startswith("error: database_url: ")
            assert outcome.err.count("\n") == 1, outcome.err


def test_https_is_trusted_by_the_given_authority_alone(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    far = ("--api", "https://127.0.0.1:1", "--token-file", str(token))
    outcome = vpcctl(*far, "status")
    assert outcome.code != 0
    assert "pass --ca-file" in outcome.err
    outcome = vpcctl(*far, "--ca-file", str(token), "status")
    assert outcome.err.startswith(f"error: ca-file: {token}: ")
    assert outcome.err.count("\n") == 1
