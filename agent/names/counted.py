"""Work in the event loop whose time is told: what it waits for does not count."""

import time
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


async def counted(work: Coroutine[Any, Any, T], took: Callable[[float], None]) -> T:
    """Return what *work* returns, or raise what it raises.

    Args:
        work: to be done.
        took: told, after each of its turns in the loop, how long that was, seconds.
    """
    return await _turns(work, took)


@types.coroutine
def _turns(work: Coroutine[Any, Any, T], took: Callable[[float], None]) -> Generator[Any, None, T]:
    thrown: BaseException | None = None
    while True:
        started = time.monotonic()
        try:
            awaited = work.send(None) if thrown is None else work.throw(thrown)
        except StopIteration as end:
            return end.value
        finally:
            took(time.monotonic() - started)
        try:
            yield awaited
            thrown = None
        except BaseException as error:
            thrown = error
