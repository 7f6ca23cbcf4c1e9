"""The outermost layer: request ids, limits of the head, metrics, and no fault ever unanswered."""

import time
import uuid
from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.context import REQUEST_ID, Context
from vpcctl.model.problems import Problem

_MAX_HEADERS = 100
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"))


class Guard:
    """Wraps one request; see the module."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context
        self._log: Any = structlog.get_logger("api")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request and answer even if the application cannot."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        await _Exchange(self._app, self._context, self._log, scope).run(receive, send)


class _Exchange:
    """One request and its answer."""

    def __init__(self, app: ASGIApp, context: Context, log: Any, scope: Scope) -> None:
        self._app = app
        self._context = context
        self._log = log
        self._scope = scope
        self._status = 0
        self._id = f"req-{uuid.uuid4().hex[:16]}"
        scope[REQUEST_ID] = self._id

    async def run(self, receive: Receive, send: Send) -> None:
        """Run it, count it, and answer a fault of ours with a problem document."""
        started = time.perf_counter()

        async def tagged(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._status = message["status"]
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                headers.append("X-Request-Id", self._id)
                headers.append("X-Content-Type-Options", "nosniff")
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            refused = _head_problem(self._scope, self._context.config.header_limit)
            if refused is None:
                await self._app(self._scope, receive, tagged)
            else:
                answer = problems.response(refused, instance=self._id)
                await answer(self._scope, receive, tagged)
        except ClientDisconnect:
            self._status = self._status or 499
        except Exception:
            self._log.exception("request failed", request_id=self._id, path=self._scope["path"])
            if self._status:
                raise
            await problems.internal(self._id)(self._scope, receive, tagged)
        finally:
            self._count(time.perf_counter() - started)

    def _count(self, seconds: float) -> None:
        route = getattr(self._scope.get("route"), "path", "unmatched")
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        self._context.metrics.observe(method, route, self._status, seconds)


def _head_problem(scope: Scope, limit: int) -> Problem | None:
    """Return what is wrong with the request's head, before anything looks at it closer."""
    headers = scope["headers"]
    size = sum(len(name) + len(value) + 4 for name, value in headers)
    if len(headers) > _MAX_HEADERS or size + len(scope.get("raw_path", b"")) > limit:
        return problems.HeadersTooLarge(f"a head may have {limit} bytes and {_MAX_HEADERS} fields")
    if "\0" in scope["path"] or b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
        return problems.Malformed(
            "the path or query holds a NUL character", accepted="text without NUL"
        )
    return None
