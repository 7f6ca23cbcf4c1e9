"""The priority of what answers guests."""

import contextlib
import os
from pathlib import Path

_NICE = -10
"""What packages run ovs-vswitchd with: whoever forwards for guests waits for none of them."""
_AUTOGROUP = Path("/proc/self/autogroup")


def put_first() -> None:
    """Have this process run before guests that compute; without the right to, it runs as others.

    Where the kernel groups processes by session (sched(7), *The autogroup feature*), a nice value
    counts within the session alone, and the session has one of its own. It is changed by whoever
    leads the session, as a service does: that of somebody's shell is left as it is.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
        if os.getsid(0) == os.getpid():
            _AUTOGROUP.write_text(str(_NICE))
