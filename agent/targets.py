"""Controller targets as ovs-vswitchd accepts them.

ovs-vswitchd connects to Unix sockets only within its own run directory (ovs-vswitchd.conf.db(5),
Controller table), so a socket elsewhere gets a symbolic link there. The link's name carries our
mark and depends on the socket's path alone, so a restarted agent finds its own.
"""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

_SCHEME = "unix:"
PREFIX = "vpcctl-"
SUFFIX = ".controller"


def reachable(targets: Sequence[str], rundir: Path) -> tuple[str, ...]:
    """Return *targets* with every Unix socket reached through *rundir*.

    Raises:
        OSError: a link cannot be made.
    """
    return tuple(_reachable(target, rundir) for target in targets)


def remove_links(rundir: Path) -> None:
    """Remove every link of ours from *rundir*."""
    for link in rundir.glob(f"{PREFIX}*{SUFFIX}"):
        if link.is_symlink():
            link.unlink(missing_ok=True)


def _reachable(target: str, rundir: Path) -> str:
    path = Path(target.removeprefix(_SCHEME))
    if not target.startswith(_SCHEME) or path.is_relative_to(rundir):
        return target
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    link = rundir / f"{PREFIX}{digest}{SUFFIX}"
    if not link.is_symlink():
        with contextlib.suppress(FileExistsError):
            link.symlink_to(path)
    return f"{_SCHEME}{link}"
