"""Noticing that a client has gone away while an answer is waited for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import Request


@contextlib.asynccontextmanager
async def departure(request: Request) -> "AsyncIterator[asyncio.Task[None]]":
    """Give a task that ends when the client goes away."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(watch())
    try:
        yield task
    finally:
        task.cancel()
