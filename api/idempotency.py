"""Idempotency-Key on POST: the same request sent twice makes one resource and gets one answer."""

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from starlette.requests import Request

from vpcctl.model.problems import Invalid, Problem
from vpcctl.services.facade import Services, StoredResponse
from vpcctl.services.views import Actor

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def key_of(request: Request) -> str | None:
    """Return the request's key, or None.

    Raises:
        Invalid: the header is there but unusable.
    """
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise Invalid(
            "Idempotency-Key must be one short token",
            field=HEADER,
            accepted="1 to 255 visible ASCII characters",
        )
    return given[0]


def request_hash(request: Request, raw: bytes) -> str:
    """Return what makes two requests the same: method, path and body."""
    head = f"{request.method} {request.url.path}\n".encode()
    return hashlib.sha256(head + raw).hexdigest()


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request that has a key.

    Attributes:
        actor: who asks.
        key: the key.
        digest: what makes two requests the same.
    """

    actor: Actor
    key: str
    digest: str


def once(
    services: Services,
    this: Keyed,
    work: Callable[[], Any],
    respond: Callable[[Any], StoredResponse],
) -> tuple[StoredResponse, bool]:
    """Do *work* at most once for a key (blocking).

    Args:
        services: the use cases.
        this: the request.
        work: creates something in one transaction and returns what that results in.
        respond: makes the response of it; kept in the same transaction.

    Returns:
        The response, and whether it is a replay.

    Raises:
        IdempotencyMismatch: the key was used for another request.
        Conflict: another process still works on it.
    """
    records = services.idempotency
    stored = records.replay(this.actor, this.key, this.digest)
    if stored is not None:
        return stored, True
    try:
        with records.keeping(this.actor, this.key, respond) as kept:
            work()
        if kept.response is None:
            raise RuntimeError("a creation has written nothing")
    except BaseException:
        with contextlib.suppress(Problem):
            records.release(this.actor, this.key)
        raise
    return kept.response, False


class KeyLocks:
    """Lets requests with one key go one after the other, so that the second gets the replay."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def lock(self, actor: Actor, key: str) -> asyncio.Lock:
        """Return the lock of *key* for the actor's tenant; hold it while it is used."""
        name = (f"{actor.role}:{actor.tenant_id}", key)
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock
