"""Which tests run on one worker, one after the other: those that share what is dear to make.

That is a file's tests, such as those with one database server, and some files together. The plugin
that runs tests beside each other has marks for it, but writes them into what tests are called,
where pytest has not looked since 9.2: then every worker makes everything for itself. The path says
as much.
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

LABS = "tests/labs/"
"""A lab is a cloud of its own, and wants the machine for itself."""

ON_ONE_CLOUD = frozenset(
    f"tests/e2e/test_{name}.py"
    for name in ("changes", "counters", "life", "operators", "reachability", "recovery")
)
"""The files whose tests take the cloud of ``tests/e2e/conftest.py``."""


def group_of(nodeid: str) -> str:
    """Return the group of a test, by its path from the root and its name."""
    path = nodeid.partition("::")[0]
    if path.startswith(LABS):
        return LABS
    return "cloud" if path in ON_ONE_CLOUD else path


def slow_first(items: list[pytest.Item]) -> None:
    """Put groups with slow tests first: who is left alone with one at the end is waited for."""
    slow = {group_of(item.nodeid) for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: group_of(item.nodeid) not in slow)


class ByGroup(LoadScopeScheduling):
    """Gives a worker the next group when it has hardly anything left to do."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # they are in order already

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
