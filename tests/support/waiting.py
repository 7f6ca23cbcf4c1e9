"""Waiting for a condition instead of for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


PATIENCE_S = 120.0
"""Only a failing test waits that long: machines that do much else at the same time pass too."""


def wait_until(condition: Callable[[], T], timeout: float = PATIENCE_S, what: str = "") -> T:
    """Poll *condition* every 5 ms until it is true and return its value.

    Raises:
        AssertionError: it was not true within *timeout* seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or condition}")
        time.sleep(0.005)
