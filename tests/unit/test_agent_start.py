"""What runs for ever on each host loads no library for a feature that it does not use."""

import logging
import subprocess
import sys

import structlog

from agent.command import PlainFormatter

UNUSED = (
    *("anyio", "bcrypt", "cryptography", "eventlet", "httpcore", "httpx", "rich", "sqlite3"),
    *("importlib.metadata", "pydantic", "structlog", "unittest.case"),
    *(
        "agent.enroll",
        "agent.renew",
        "agent.renewal",
        "pyroute2.ndb",
        "pyroute2.conntrack",
        "pyroute2.ethtool",
    ),
)
UNUSED_FOR_NAMES = (
    *(*UNUSED, "msgspec", "ovs", "pyroute2", "vpcctl.wire"),
    *("_ssl", "email", "idna"),
)


def _loaded(program: str, unwanted: tuple[str, ...]) -> str:
    told = f"import sys; {program}; print([m for m in {unwanted} if sys.modules.get(m)])"
    argv = [sys.executable, "-c", told]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def test_the_agent_loads_nothing_that_it_does_not_use() -> None:
    program = (
        "from agent.main import leave_out; leave_out(); from agent import command;"
        " command._configure_logging('info'); import agent.loop, agent.worker"
    )
    assert _loaded(program, UNUSED) == "[]"


def test_neither_does_its_process_for_names() -> None:
    program = "from agent.names.__main__ import leave_out; leave_out(); import agent.names.process"
    assert _loaded(program, UNUSED_FOR_NAMES) == "[]"


def test_lines_are_those_of_structlog_without_its_colours() -> None:
    theirs = structlog.stdlib.ProcessorFormatter(
        processor=structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
        foreign_pre_chain=[structlog.stdlib.add_log_level],
    )
    try:
        raise ValueError("of no use")
    except ValueError:
        error = sys.exc_info()
    for level, text, told in (
        (20, "%s began", None),
        (30, "two\nlines %s", None),
        (40, "%s", error),
    ):
        record = logging.LogRecord("agent.loop", level, __file__, 1, text, ("it",), told)
        time, _, line = PlainFormatter().format(record).partition(" ")
        assert line == theirs.format(record)
        assert (len(time), time[10], time[-1]) == (27, "T", "Z")
