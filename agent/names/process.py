"""The process: sockets in a network namespace of their own, answers, and the agent's orders.

Orders are lines of JSON on standard input; its end ends the process. What it says to the agent are
lines of JSON on standard output. Whoever asks other resolvers does so from the host's own
namespace: only the sockets that guests reach are in the other one, whose file is its argument.
"""

import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from agent.decide.names.turns import Turns
from agent.names import sockets
from agent.names.dns_server import DnsServer
from agent.names.http_server import HttpServer
from agent.names.library import Library
from agent.priority import put_first
from vpcctl import memory

log = logging.getLogger("agent.names")

T = TypeVar("T")

_NEWNET = 0x40000000
_COUNT_EVERY_S = 5.0
_HERE = "/proc/thread-self/ns/net"
_MAX_ORDER = 1 << 26


def main() -> None:
    """Run the process."""
    logging.basicConfig(level="WARNING", format="names: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the agent decides
    with contextlib.suppress(OSError, ValueError):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    put_first()
    memory.keep_small()
    try:
        asyncio.run(_run(sys.argv[1]))
    except (OSError, EOFError) as error:
        log.error("%s", error)
        sys.exit(1)


async def _run(netns: str) -> None:
    servers = _within(netns, _open)
    orders = await _orders()
    library = Library()
    await library.load(await _next(orders))
    datagrams, names, metadata = servers
    turns = Turns()
    await DnsServer(library, turns).start(datagrams, names)
    await HttpServer(library, turns).start(metadata)
    _say({"serving": True})
    gc.collect()
    memory.give_back()
    gc.freeze()  # what is there for good is not looked through again while guests wait
    await asyncio.gather(_obey(orders, library), _count(library))


def _within(netns: str, work: Callable[[], T]) -> T:
    """Do something in a network namespace, and come home."""
    home = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(there, _NEWNET), "setns")
        try:
            return work()
        finally:
            _check(_libc.setns(home, _NEWNET), "setns")
    finally:
        os.close(there)
        os.close(home)


def _open() -> tuple[list[Any], list[Any], list[Any]]:
    """Return the sockets: for datagrams, for names over TCP, for metadata."""
    return (
        [sockets.datagrams(version) for version in (4, 6)],
        [sockets.listener("dns", version) for version in (4, 6)],
        [sockets.listener("metadata", version) for version in (4, 6)],
    )


async def _orders() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=_MAX_ORDER)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _next(orders: asyncio.StreamReader) -> Any:
    line = await orders.readline()
    if not line:
        os._exit(0)  # the agent has gone
    return json.loads(line)


async def _obey(orders: asyncio.StreamReader, library: Library) -> None:
    while True:
        try:
            await library.load(await _next(orders))
        except (ValueError, KeyError) as error:
            log.error("an order of the agent cannot be read: %r", error)
        _say_counts(library, done=True)


async def _count(library: Library) -> None:
    while True:
        await asyncio.sleep(_COUNT_EVERY_S)
        if library.counts:
            _say_counts(library)


def _say_counts(library: Library, **more: bool) -> None:
    _say({"counts": dict(library.counts), **more})
    library.counts.clear()


def _say(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
