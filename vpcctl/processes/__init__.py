"""The controller's two processes, each put together from the settings in its environment."""

import sys

UNUSED = ("rich", "eventlet")
"""What libraries import where it happens to be installed, for features that no process uses: rich,
with pygments, for structlog's coloured tracebacks alone takes 6 MiB of each."""

# While Python looks for the module that it is to run, this is what stands for its path: so we are
# a process of our own here, and no part of another program, which may want these.
if sys.argv[0] == "-m":
    for _name in UNUSED:
        sys.modules.setdefault(_name, None)  # pyright: ignore[reportArgumentType]
