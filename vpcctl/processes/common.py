"""What both processes do first."""

import asyncio.sslproto
import contextlib
import gc
import logging
import resource
import sys
from pathlib import Path

import structlog

from vpcctl.settings import Settings

UNUSABLE = 2
"""Exit code of a process whose settings cannot work: to start it again would not help."""

_TLS_BUFFER = 8 * 1024
"""Bytes: half a TLS record. asyncio takes and fills 256 KiB for each connection at once, which is a
quarter of a gigabyte for a thousand hosts; it has no other setting than this attribute."""

_TURN_S = 0.0005
"""Seconds that a thread which has to run waits for one that computes. Python's own 5 ms would let a
small transaction hold the database's lock that long while somebody else encodes flows."""

_COLLECT = 2_000, 10, 50
"""New objects before a look through the youngest, such looks before one through the next older, and
such before one through all; Python's own are 700, 10, 10."""


def take_short_turns() -> None:
    """Let threads take turns often: none computes for long, and each is waited for."""
    sys.setswitchinterval(_TURN_S)


def collect_seldom() -> None:
    """Look for garbage less often than Python would.

    Nearly all that is thrown away has no cycles: memory is the same with fewer looks. A thousand
    hosts that came had everything looked through two hundred times, a fifth of the API's CPU time.
    Young objects are still looked through in small groups, because each look stops all.
    """
    gc.set_threshold(*_COLLECT)


def allow_many_files() -> None:
    """Use as many descriptors as this process may: each connection, long poll and stream is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def limit_tls_buffers() -> None:
    """Let connections that are made from now on have small buffers."""
    asyncio.sslproto.SSLProtocol.max_size = _TLS_BUFFER


def take_name(name: str) -> None:
    """Be called *name* by ps and top: forked processes have one command line (proc(5): comm).

    Args:
        name: at most 15 characters.
    """
    with contextlib.suppress(OSError):  # some sandboxes forbid it, and it is but a name
        Path("/proc/self/comm").write_text(name)


def configure_logging(settings: Settings) -> None:
    """Log to stderr, one line an entry, from the settings' level on."""
    log_from(settings.log_level)


def log_from(least: str) -> None:
    """Log to stderr, one line an entry, from the level called *least* on."""
    level = logging.getLevelNamesMapping()[least.upper()]
    logging.basicConfig(stream=sys.stderr, level=max(level, logging.WARNING))
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
    )


def give_up(reason: Exception) -> int:
    """Say why the settings cannot work and return the exit code for it."""
    print(f"vpcctl: error: {reason}", file=sys.stderr, flush=True)
    return UNUSABLE
