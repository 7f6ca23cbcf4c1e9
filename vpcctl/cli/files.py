"""Files of whoever runs a command."""

import os
from pathlib import Path

from vpcctl.cli.errors import CliError, Exit


def write_secret(path: Path, secret: str) -> None:
    """Write *secret* to *path*, readable by its owner alone from the first moment on.

    Raises:
        CliError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secret + "\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise CliError(f"{path}: {error.strerror}", Exit.FAILED) from None


def read_bytes(path: Path) -> bytes:
    """Return what is in a file.

    Raises:
        CliError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CliError(f"{path}: {error.strerror}", Exit.USAGE) from None
