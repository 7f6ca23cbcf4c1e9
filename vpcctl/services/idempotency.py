"""Idempotency-Key: the same request twice makes one resource and gets the same answer.

The answer is kept in the very transaction that makes the resource: whenever a process dies, either
both are there or neither.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from vpcctl.model.problems import Conflict, IdempotencyMismatch, Invalid
from vpcctl.services.context import Context
from vpcctl.services.views import Actor
from vpcctl.store import idempotency

KEEP = timedelta(hours=24)
GIVE_UP = timedelta(seconds=60)
"""A reservation this old belongs to a request that died with its process."""

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A response kept under an Idempotency-Key."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Kept:
    """What :meth:`IdempotencyService.keeping` has kept, None before anything was written."""

    response: StoredResponse | None = None


class IdempotencyService:
    """Records of keys, one space per tenant (and one for admins)."""

    def __init__(self, context: Context) -> None:
        self._units = context.units

    def replay(self, actor: Actor, key: str, request_hash: str) -> StoredResponse | None:
        """Return the stored response, or reserve the key and return None: then do the work.

        Raises:
            IdempotencyMismatch: the key was used for another request.
            Conflict: the first request with this key is still being worked on.
            Invalid: the key is malformed.
        """
        if not _KEY.fullmatch(key):
            raise Invalid(
                "The key cannot be used.",
                field="Idempotency-Key",
                accepted="1 to 255 printable ASCII characters without spaces",
            )
        scope = _scope(actor)

        def work(connection: Any) -> StoredResponse | None:
            now = self._units.clock()
            row = idempotency.get(connection, scope, key)
            if row is not None and row.created_at > now - KEEP:
                if row.request_hash != request_hash:
                    raise IdempotencyMismatch(
                        "This key was used for another request.",
                        field="Idempotency-Key",
                        accepted="a new key for each new request",
                    )
                if row.status is not None:
                    return StoredResponse(row.status, dict(row.headers or {}), row.body or b"")
                if row.created_at > now - GIVE_UP:
                    raise Conflict(
                        "The first request with this key is still being worked on.",
                        field="Idempotency-Key",
                        accepted="the same request a little later",
                    )
            idempotency.reserve(connection, (scope, key), request_hash, now, row)
            return None

        # Flushed with what the request makes: lost alone, the request was never seen.
        return self._units.write_aside(work, durable=False)

    @contextmanager
    def keeping(
        self, actor: Actor, key: str, respond: Callable[[Any], StoredResponse]
    ) -> Iterator[Kept]:
        """Keep the response to what is created within the block, in the creation's transaction.

        Args:
            actor: who reserved the key.
            key: the key.
            respond: makes the response of what the creation results in.

        Raises:
            Conflict: from the creation, which then makes nothing: it took so long that another
                request with the key was let in, and was faster.
        """
        kept, scope = Kept(), _scope(actor)

        def ride(connection: Any, result: Any) -> None:
            response = respond(result)
            values = {
                "status": response.status,
                "headers": response.headers,
                "body": response.body,
            }
            if not idempotency.complete(connection, scope, key, values):
                raise Conflict(
                    "Another request with this key came first.",
                    field="Idempotency-Key",
                    accepted="the same request again",
                )
            kept.response = response

        with self._units.riding(ride):
            yield kept

    def release(self, actor: Actor, key: str) -> None:
        """Give the reservation back: the request failed and may be tried again."""
        self._units.write_aside(
            lambda connection: idempotency.remove(
                connection, _scope(actor), key, unfinished_only=True
            )
        )


def _scope(actor: Actor) -> str:
    return f"{actor.role}:{actor.tenant_id or actor.host_id or ''}"
