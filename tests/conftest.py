"""A run of the tests fails when it leaves anything behind; what shares things runs together."""

from typing import Any

import pytest
from hypothesis import settings

from tests.support import sharing
from tests.support.leftovers import Run

_RUN = pytest.StashKey[Run]()
_LEFT = pytest.StashKey[list[str]]()

# A busy machine is no fault of the code; what hangs ends by the run's own timeout.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # a worker is part of its controller's run
        config.stash[_RUN] = Run()
        config.stash[_RUN].begin()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    sharing.slow_first(items)


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> sharing.ByGroup | None:
    return sharing.ByGroup(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    run = session.config.stash.get(_RUN, None)
    if run is None:
        return
    session.config.stash[_LEFT] = run.end()
    if session.config.stash[_LEFT] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    left = config.stash.get(_LEFT, [])
    if left:
        terminalreporter.section("left behind by this run", red=True)
        for line in left:
            terminalreporter.write_line(line)
