"""Has the C library keep little memory that nobody uses.

Other C libraries than glibc have no such settings, and do nothing here.
"""

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of mallopt(3)."""
_LARGE = 128 * 1024
"""Bytes: glibc's own value at first, which it raises as soon as a larger block is given back."""


def keep_small() -> None:
    """Have one heap, which one thread at a time uses anyway, and no large blocks in it.

    Every thread has a heap of its own otherwise, which it seldom gives back.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_TRIM_THRESHOLD, _LARGE)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE)


def give_back() -> None:
    """Give back what is free now: once something large was taken in, in some milliseconds."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
