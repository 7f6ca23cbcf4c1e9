"""What has to be there before the controller's processes start."""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from vpcctl.model.problems import Problem
from vpcctl.services.facade import Services
from vpcctl.settings import Settings
from vpcctl.store.database import Database, UnusableDatabase


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


@contextlib.contextmanager
def sole_user(settings: Settings) -> Iterator[None]:
    """Hold the run directory's lock: one controller a directory.

    Raises:
        BootstrapError: another controller holds it.
    """
    path = settings.run_dir / "serve.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode().strip() or "another process"
            raise BootstrapError(
                f"run_dir: {settings.run_dir} is in use by the controller with pid {owner}"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


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
    path = settings.token_file
    existed = path.exists()
    with _opened(settings) as database:
        try:
            Services(database).tokens.bootstrap(path)
        except OSError as error:
            raise BootstrapError(f"state_dir: {path}: {error.strerror}") from None
    if not path.exists():
        return f"admin token: made at an earlier start, its file {path} is gone"
    return f"admin token: {'as before in' if existed else 'written to'} {path}"


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
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
