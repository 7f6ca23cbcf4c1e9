"""JSON-RPC over a Unix socket, as ovsdb-server and unixctl of Open vSwitch speak it.

For single questions to which the OVSDB replica has no answer: interface counters (which it does
not watch, because they change all the time) and ovs-vswitchd's tunnel neighbours.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

_LIMIT = 64 * 1024 * 1024
_PIECE, _EDGE = 65536, 256


class RpcError(Exception):
    """The other side is not there, does not answer in time or answers with an error."""


async def _read_answer(reader: asyncio.StreamReader) -> Any:
    """Read one JSON value: answers come without a delimiter."""
    buffer = ""
    decoder = json.JSONDecoder()
    while True:
        chunk = await reader.read(65536)
        if not chunk:
            raise RpcError("connection closed before the answer")
        buffer += chunk.decode()
        if not buffer.rstrip().endswith("}"):
            continue
        try:
            value, _ = decoder.raw_decode(buffer.lstrip())
        except ValueError:
            if len(buffer) > _LIMIT:
                raise RpcError("answer too long") from None
            continue
        return value


async def listing(
    path: Path, method: str, params: list[Any], take: Callable[[bytes], None], *, timeout: float
) -> None:
    """Ask for a long text and have *take* take in the answer as it comes, as JSON.

    The text must not hold a brace. Others get their turn between two pieces.

    Raises:
        RpcError: no answer within *timeout* seconds, or an error.
    """
    request = json.dumps({"id": 0, "method": method, "params": params})
    head = tail = b""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_unix_connection(path)
            with contextlib.closing(writer):
                writer.write(request.encode())
                while not tail.endswith(b"}"):
                    piece = await reader.read(_PIECE)
                    if not piece:
                        raise RpcError("connection closed before the end")
                    head, tail = (head + piece)[:_EDGE], (tail + piece)[-_EDGE:]
                    take(piece)
                    await asyncio.sleep(0)
    except (OSError, TimeoutError) as error:
        raise RpcError(f"{method} at {path}: {error or type(error).__name__}") from error
    if b'"error":null' not in head + tail:
        raise RpcError(f"{method} at {path}: {head.decode(errors='replace')}")


async def call(path: Path, method: str, params: list[Any], *, timeout: float = 2.0) -> Any:
    """Ask one question over the Unix socket *path* and return its result.

    Raises:
        RpcError: no answer within *timeout* seconds, or an error.
    """
    request = json.dumps({"id": 0, "method": method, "params": params})
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(request.encode())
                answer = await _read_answer(reader)
            finally:
                writer.close()
    except (OSError, TimeoutError, UnicodeDecodeError) as error:
        raise RpcError(f"{method} at {path}: {error or type(error).__name__}") from error
    if not isinstance(answer, dict):
        raise RpcError(f"{method} at {path}: unexpected answer")
    if answer.get("error") is not None:
        raise RpcError(f"{method} at {path}: {answer['error']}")
    return answer.get("result")
