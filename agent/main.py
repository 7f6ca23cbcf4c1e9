"""``vpc-agent``: where it begins. What libraries would load for nothing is left out first."""

import importlib.util
import sys
from collections.abc import Sequence

_UNUSED = ("eventlet", "rich", "click", "pygments")
"""What libraries import where it happens to be installed, for nothing that the agent does:
ovs.poller the first (15 MiB), structlog for tracebacks the others."""
_WITHOUT_INIT = ("pyroute2", "ovsdbapp", "unittest")
"""Packages whose ``__init__`` loads what is not used. That of pyroute2 loads all of it: databases,
wireless, nftables, SQLite (5 MiB); that of ovsdbapp looks for its own version; and of unittest
pyroute2 takes one class."""


def leave_out() -> None:
    """Have libraries load less, 9 MiB altogether; called before any of them is imported."""
    for name in _UNUSED:
        sys.modules.setdefault(name, None)  # pyright: ignore[reportArgumentType]
    for name in _WITHOUT_INIT:
        if name not in sys.modules and (spec := importlib.util.find_spec(name)) is not None:
            sys.modules[name] = importlib.util.module_from_spec(spec)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``vpc-agent``; returns the exit code (2: the settings cannot be used)."""
    leave_out()
    from agent import command

    return command.main(argv)


if __name__ == "__main__":
    sys.exit(main())
