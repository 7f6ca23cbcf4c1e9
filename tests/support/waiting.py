"""Waiting for a condition instead of for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


PATIENCE_S = 120.0
"""Only a failing test waits that long: machines that do much else at the same time pass too."""


def wait_until(condition: Callable[[], T], timeout: float = PATIENCE_S, what: str = "") -> T:
    """Poll *condition* until it is true and return its value.

    It is asked every 5 ms at first. What takes long anyway is asked less often, as asking takes
    time from those who are waited for: every twentieth of the time that has passed, at most 0.1 s.

    Raises:
        AssertionError: it was not true within *timeout* seconds.
    """
    started = time.monotonic()
    while True:
        value = condition()
        if value:
            return value
        passed = time.monotonic() - started
        if passed > timeout:
            raise AssertionError(f"not within {timeout:g} s: {what or condition}")
        time.sleep(min(max(0.005, passed / 20), 0.1))
