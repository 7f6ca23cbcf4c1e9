"""JSON-RPC over a Unix socket, as ovsdb-server and unixctl of Open vSwitch speak it.

For single questions to which the OVSDB replica has no answer: interface counters (which it does
not watch, because they change all the time) and ovs-vswitchd's tunnel neighbours.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

_LIMIT = 64 * 1024 * 1024


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
