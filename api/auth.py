"""Bearer tokens (RFC 6750): everything under /v1 needs one, by construction."""

import hashlib
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from api import problems
from api.context import ACTOR, REQUEST_ID, Context
from api.limits import RateLimit
from vpcctl.model.problems import Problem, Unauthenticated
from vpcctl.services.views import Actor

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]{1,512}=*)")
_KEPT = 10_000

OPEN: frozenset[tuple[str, str]] = frozenset()
"""Methods and paths under /v1 that need no token; whoever adds one says why."""


class Authenticator:
    """Asks the tokens' service who a secret belongs to, and remembers the answer shortly.

    Args:
        ask: the service's call, run in a thread by the caller's context.
        context: pools and settings.
        clock: monotonic seconds.
    """

    def __init__(self, context: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Actor, float]] = OrderedDict()
        self._generation = 0

    async def actor(self, secret: str) -> Actor:
        """Return whose *secret* it is.

        Raises:
            Unauthenticated: nobody's, or it is revoked or expired.
        """
        key = hashlib.sha256(secret.encode()).digest()
        found = self._known.get(key)
        if found is not None and found[1] > self._clock():
            return found[0]
        generation = self._generation
        actor = await self._context.call(self._context.services.tokens.authenticate, secret)
        if generation == self._generation:
            self._known[key] = (actor, self._clock() + self._context.config.token_cache_s)
            self._known.move_to_end(key)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return actor

    def forget(self) -> None:
        """Ask again for every token: one was revoked. Answers under way are not kept either."""
        self._generation += 1
        self._known.clear()


class AuthMiddleware:
    """Refuses requests under /v1 without a valid token, or beyond the token's rate."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context
        config = context.config
        self._limit = RateLimit(config.rate_per_s, config.rate_burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it."""
        if not _is_closed(scope):
            await self._app(scope, receive, send)
            return
        try:
            actor = await self._context.auth.actor(_secret(scope))
        except Problem as problem:
            answer = problems.response(problem, instance=scope.get(REQUEST_ID, ""))
            await answer(scope, receive, send)
            return
        wait = self._limit.take(actor.token_id)
        if wait:
            seconds = str(math.ceil(wait))
            problem = problems.TooManyRequests("this token has used up its rate")
            answer = problems.response(
                problem, instance=scope.get(REQUEST_ID, ""), headers={"Retry-After": seconds}
            )
            await answer(scope, receive, send)
            return
        scope[ACTOR] = actor
        await self._app(scope, receive, send)


def _is_closed(scope: Scope) -> bool:
    if scope["type"] != "http" or (scope["method"], scope["path"]) in OPEN:
        return False
    return scope["path"] == "/v1" or scope["path"].startswith("/v1/")


def _secret(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1:
        raise Unauthenticated("send one header Authorization: Bearer <secret>")
    match = _BEARER.fullmatch(given[0].strip())
    if match is None:
        raise Unauthenticated("the Authorization header is not of the form Bearer <secret>")
    return match[1].decode("ascii")
