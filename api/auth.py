"""Bearer tokens (RFC 6750): everything under /v1 needs one, by construction.

A token that is sent to ``/metrics`` counts, too: what tenants have is shown to admins alone.
"""

import contextlib
import hashlib
import math
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from api import problems
from api.context import ACTOR, REQUEST_ID, Context
from api.limits import RateLimit
from api.peer import NotProven, require_own_certificate
from vpcctl.model.problems import Problem, Unauthenticated, Unavailable
from vpcctl.services.views import Actor

_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]{1,512}=*)")
_KEPT = 10_000
_UNUSED_S = 60.0
"""Seconds after which a token that nobody uses is not asked about any more."""

OPEN: frozenset[tuple[str, str]] = frozenset({("GET", "/v1/ca"), ("POST", "/v1/enroll")})
"""Methods and paths under /v1 that need no token; whoever adds one says why.

Both are for machines that have no token yet: the authority's certificate is public, and an
enrolment token is in the body. They are limited by address instead.
"""
_OPEN_RATE_PER_S, _OPEN_BURST = 5.0, 50.0


@dataclass(slots=True)
class _Belief:
    """Whose a secret is, until when that is believed, and when it was last asked; by the clock."""

    actor: Actor
    until: float
    used: float


class Authenticator:
    """Asks the tokens' service who a secret belongs to, and remembers the answer.

    No request waits for what is known already: whether the tokens in use still stand is looked up
    beside them, all at once. While nobody can be asked, what is known is soon believed no more.

    Args:
        context: pools and settings.
        clock: monotonic seconds.
    """

    def __init__(self, context: Context, clock: Callable[[], float] = time.monotonic) -> None:
        self._context = context
        self._clock = clock
        self._known: OrderedDict[bytes, _Belief] = OrderedDict()
        self._generation = 0

    async def actor(self, secret: str) -> Actor:
        """Return whose *secret* it is.

        Raises:
            Unauthenticated: nobody's, or it is revoked or expired.
        """
        key = hashlib.sha256(secret.encode()).digest()
        now, services = self._clock(), self._context.services
        found = self._known.get(key)
        if found is not None and now < found.until and not found.actor.is_expired(services.clock()):
            found.used = now
            self._known.move_to_end(key)
            return found.actor
        generation = self._generation
        actor = await self._context.call(services.tokens.authenticate, secret)
        if generation == self._generation:
            self._known[key] = _Belief(actor, now + self._context.config.token_cache_s, now)
            self._known.move_to_end(key)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return actor

    async def stands(self, secret: str) -> bool:
        """Tell whether a secret that was somebody's still is; so it is while nobody can say."""
        try:
            await self.actor(secret)
        except Unavailable:
            return True
        except Unauthenticated:
            return False
        return True

    async def look_again(self) -> None:
        """Find out which of the tokens in use still stand; call it about every second.

        Raises:
            Unavailable: the database does not answer.
        """
        now, generation = self._clock(), self._generation
        known = dict(self._known)
        ids = {one.actor.token_id for one in known.values() if now - one.used < _UNUSED_S}
        standing = await self._context.aside(self._context.services.tokens.standing, ids)
        if generation != self._generation:
            return
        for key, one in known.items():
            if one.actor.token_id in standing:
                one.until = now + self._context.config.token_cache_s
            else:
                self._known.pop(key, None)

    @contextlib.contextmanager
    def revoking(self) -> Iterator[None]:
        """Ask again for every token after the block, which revokes some unless it is refused.

        Answers under way are not kept either.
        """
        is_refused = False
        try:
            yield
        except Problem as problem:
            is_refused = not isinstance(problem, Unavailable)  # what came of that nobody knows
            raise
        finally:
            if not is_refused:
                self._generation += 1
                self._known.clear()


class AuthMiddleware:
    """Refuses requests under /v1 without a valid token, or beyond the token's rate."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context
        config = context.config
        self._limit = RateLimit(config.rate_per_s, config.rate_burst)
        self._open_limit = RateLimit(_OPEN_RATE_PER_S, _OPEN_BURST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it."""
        if not _is_closed(scope):
            await self._app(scope, receive, send)
            return
        try:
            wait = await self._admit(scope)
        except Problem as problem:
            headers = {"Connection": "close"} if isinstance(problem, NotProven) else None
            instance = scope.get(REQUEST_ID, "")
            answer = problems.response(problem, instance=instance, headers=headers)
            await answer(scope, receive, send)
            return
        if wait:
            seconds = str(math.ceil(wait))
            problem = problems.TooManyRequests("this token or address has used up its rate")
            answer = problems.response(
                problem, instance=scope.get(REQUEST_ID, ""), headers={"Retry-After": seconds}
            )
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> float:
        """Find out who asks; return the seconds after which to come again, 0.0 for now."""
        if (scope["method"], scope["path"]) in OPEN:
            address = scope.get("client")
            return self._open_limit.take(address[0] if address else "")
        actor = await self._context.auth.actor(secret_of(scope))
        await require_own_certificate(self._context, scope, actor)
        scope[ACTOR] = actor
        return self._limit.take(actor.token_id)


def _is_closed(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    if scope["path"] == "/metrics":  # open, but for what an admin alone may see
        return any(name == b"authorization" for name, _ in scope["headers"])
    return scope["path"] == "/v1" or scope["path"].startswith("/v1/")


def secret_of(scope: Scope) -> str:
    """Return the secret that a request has.

    Raises:
        Unauthenticated: it has none, or several.
    """
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1:
        raise Unauthenticated("send one header Authorization: Bearer <secret>")
    match = _BEARER.fullmatch(given[0].strip())
    if match is None:
        raise Unauthenticated("the Authorization header is not of the form Bearer <secret>")
    return match[1].decode("ascii")
