"""The priority of what answers guests."""

import contextlib
import os

_NICE = -10
"""What packages run ovs-vswitchd with: whoever forwards for guests waits for none of them."""


def put_first() -> None:
    """Have this process run before guests that compute; without the right to, it runs as others."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
