"""Has the C library keep little memory that nobody uses, in the controller and on hosts.

Other C libraries than glibc have no such settings, and do nothing here.
"""

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""Of mallopt(3)."""
_LARGE = 128 * 1024
"""Bytes: glibc's own value at first, which it raises as soon as a larger block is given back."""


def keep_small() -> None:
    """Have one heap for all threads, what is free in it given back, and no large blocks in it.

    Every thread has one otherwise, and keeps what a few large states needed once for ever; threads
    of Python take turns anyway. uvloop has a buffer of 256 KiB for each TLS connection, of which
    only what is used takes memory if nothing else was there before.
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
