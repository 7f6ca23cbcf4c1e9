"""What has to be there before the controller's processes start.

The database is made ready by a process of its own (``python -m vpcctl.bootstrap``): the supervisor
lives as long as the controller and would keep in memory what it needs but once.
"""

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NoReturn

from vpcctl.model.problems import Problem
from vpcctl.settings import Settings

if TYPE_CHECKING:
    from vpcctl.store.database import Database


class BootstrapError(Exception):
    """The controller cannot start; the text is one sentence for an operator."""


def make_directories(settings: Settings) -> None:
    """Make the state and run directories, for their owner only.

    Raises:
        BootstrapError: that is not possible.
    """
    for name in ("state_dir", "run_dir"):
        path = getattr(settings, name)
        try:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.chmod(0o700)
        except OSError as error:
            raise BootstrapError(f"{name}: {path}: {error.strerror}") from None


def hand_over(settings: Settings) -> NoReturn:
    """Prepare everything, then let the supervisor take the place of this process.

    Raises:
        BootstrapError: it cannot start.
    """
    make_directories(settings)
    descriptor = lock(settings)
    environment = os.environ | settings.to_environment()
    print(f"vpcctl: {prepare(environment)}", flush=True)
    os.set_inheritable(descriptor, True)
    command = [sys.executable, "-m", "vpcctl.processes"]
    os.execve(command[0], command, environment)  # noqa: S606 - a program of ours, without a shell


def lock(settings: Settings) -> int:
    """Take the run directory's lock: one controller a directory.

    Returns:
        The descriptor that holds it until it is closed, by the end of the process at the latest.

    Raises:
        BootstrapError: another controller holds it.
    """
    path = settings.run_dir / "serve.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 32, 0).decode().strip() or "another process"
        os.close(descriptor)
        raise BootstrapError(
            f"run_dir: {settings.run_dir} is in use by the controller with pid {owner}"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def prepare(environment: Mapping[str, str]) -> str:
    """Upgrade the database and leave an admin token, in another process.

    Args:
        environment: the process's, with the settings.

    Returns:
        What to tell the operator.

    Raises:
        BootstrapError: it could not; the text is what it said.
    """
    command = (sys.executable, "-m", "vpcctl.bootstrap")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BootstrapError(done.stderr.strip() or f"exit code {done.returncode}")
    return done.stdout.strip()


def main() -> int:
    """Prepare what the settings in the environment name; return the exit code."""
    settings = Settings()
    try:
        upgrade_database(settings)
        print(make_admin_token(settings))
    except BootstrapError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def upgrade_database(settings: Settings) -> None:
    """Bring the database to this version's schema, making it when there is none.

    Raises:
        BootstrapError: the database cannot be used.
    """
    make_directories(settings)
    with _opened(settings) as database:
        database.upgrade()


def make_admin_token(settings: Settings) -> str:
    """Leave an admin token in ``settings.token_file`` at the first start.

    Returns:
        What to tell the operator about it.

    Raises:
        BootstrapError: the file cannot be written.
    """
    # Not the whole of the services: to load them takes longer than to look for a token.
    from vpcctl.services.context import Context
    from vpcctl.services.settings import ServiceSettings
    from vpcctl.services.tokens import TokenService
    from vpcctl.store.units import Units

    path = settings.token_file
    existed = path.exists()
    with _opened(settings) as database:
        try:
            TokenService(Context(Units(database), ServiceSettings())).bootstrap(path)
        except OSError as error:
            raise BootstrapError(f"state_dir: {path}: {error.strerror}") from None
    if not path.exists():
        return f"admin token: made at an earlier start, its file {path} is gone"
    return f"admin token: {'as before in' if existed else 'written to'} {path}"


@contextlib.contextmanager
def _opened(settings: Settings) -> "Iterator[Database]":
    from vpcctl.store.database import Database, UnusableDatabase

    try:
        database = Database.open(settings.database_url)
    except OSError as error:
        raise BootstrapError(f"database_url: {error.filename}: {error.strerror}") from None
    except ValueError as error:
        raise BootstrapError(f"database_url: {error}") from None
    try:
        yield database
    except (Problem, UnusableDatabase) as error:
        raise BootstrapError(f"database_url: {error}") from None
    finally:
        database.close()


if __name__ == "__main__":
    sys.exit(main())
