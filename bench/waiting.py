"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TooLongError(RuntimeError):
    """What was waited for did not come in time."""


def wait_for(what: str, probe: Callable[[], T], *, timeout: float, every: float = 0.02) -> T:
    """Call *probe* every *every* seconds until it answers something true, and return that.

    Raises:
        TooLongError: *timeout* seconds passed; the message names *what*.
    """
    deadline = time.monotonic() + timeout
    while True:
        if answer := probe():
            return answer
        if time.monotonic() > deadline:
            raise TooLongError(f"{what}: not within {timeout:g} s")
        time.sleep(every)
