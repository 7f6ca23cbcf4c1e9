"""What runs for ever on each host loads no library for a feature that it does not use."""

import subprocess
import sys

UNUSED = (
    *("anyio", "bcrypt", "cryptography", "eventlet", "httpcore", "httpx", "rich", "sqlite3"),
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
    *(*UNUSED, "ovs", "pydantic", "pyroute2", "structlog", "vpcctl.wire"),
    *("_ssl", "email", "idna", "importlib.metadata"),
)


def _loaded(program: str, unwanted: tuple[str, ...]) -> str:
    told = f"import sys; {program}; print([m for m in {unwanted} if sys.modules.get(m)])"
    argv = [sys.executable, "-c", told]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def test_the_agent_loads_nothing_that_it_does_not_use() -> None:
    left_out = "from agent import main; sys.modules.update(dict.fromkeys(main.UNUSED))"
    program = f"{left_out}; main._configure_logging('info'); import agent.loop, agent.worker"
    assert _loaded(program, UNUSED) == "[]"


def test_neither_does_its_process_for_names() -> None:
    program = "from agent.names.__main__ import leave_out; leave_out(); import agent.names.process"
    assert _loaded(program, UNUSED_FOR_NAMES) == "[]"
