"""Exit codes, and the one kind of error that ends a command."""

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code of a command means."""

    OK = 0
    FAILED = 1
    """The controller, or a part it needs, failed."""
    USAGE = 2
    """The command line, or a value in it, cannot be accepted."""
    NOT_FOUND = 3
    CONFLICT = 4
    """The present state forbids it: taken, overlapping, still needed, changed meanwhile."""
    AUTH = 5
    """The token is missing, wrong or may not do that."""
    UNREACHABLE = 6
    """The controller does not answer, or is too busy to."""
    NOT_REALIZED = 7
    """Stored, but not on every host within the time asked for, or carried by none."""
    INTERRUPTED = 130


_BY_STATUS = {
    401: Exit.AUTH,
    403: Exit.AUTH,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    412: Exit.CONFLICT,
    429: Exit.UNREACHABLE,
    503: Exit.UNREACHABLE,
    504: Exit.NOT_REALIZED,
}


class CliError(Exception):
    """Ends the command with one line on stderr and an exit code.

    Attributes:
        code: the exit code.
    """

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code


def exit_for_status(status: int) -> Exit:
    """Return the exit code for an HTTP status that is no success."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return Exit.USAGE if 400 <= status < 500 else Exit.FAILED
