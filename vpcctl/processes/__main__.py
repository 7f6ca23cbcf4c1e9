"""``python -m vpcctl.processes [api|southbound]``: where a process of the controller begins.

Without a name, both do.
"""

import sys

_UNUSED = ("rich", "pygments")
"""What structlog imports, where it happens to be installed, for the colours of tracebacks (4 MiB):
the command line has it."""


def main() -> int:
    """Run what the command line names; return the exit code."""
    for name in _UNUSED:
        sys.modules.setdefault(name, None)  # pyright: ignore[reportArgumentType]
    if not sys.argv[1:]:
        from vpcctl.processes.both import main as run
    elif sys.argv[1:] == ["api"]:
        from vpcctl.processes.api import main as run
    elif sys.argv[1:] == ["southbound"]:
        from vpcctl.processes.southbound import main as run
    else:
        print("usage: python -m vpcctl.processes [api|southbound]", file=sys.stderr)
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
