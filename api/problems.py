"""Problem documents (RFC 9457): one shape for everything that can go wrong with a request."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from api.field_errors import wording
from vpcctl.model import problems

MEDIA_TYPE = "application/problem+json"
_MAX_ERRORS = 20
_MAX_ECHO = 200


class Malformed(problems.Problem):
    """The request is not HTTP, JSON or UTF-8 as it claims to be."""

    code, status, title = "malformed", 400, "The request cannot be read"


class MethodNotAllowed(problems.Problem):
    """The path exists, but not with this method."""

    code, status, title = "method-not-allowed", 405, "Not with this method"


class TooLarge(problems.Problem):
    """The body is larger than the limit."""

    code, status, title = "too-large", 413, "The body is too large"


class UnsupportedMediaType(problems.Problem):
    """The body is not JSON."""

    code, status, title = "unsupported-media-type", 415, "The body must be JSON"


class TooManyRequests(problems.Problem):
    """The token has used up its rate."""

    code, status, title = "too-many-requests", 429, "Too many requests"


class HeadersTooLarge(problems.Problem):
    """The request's head is larger than the limit."""

    code, status, title = "headers-too-large", 431, "The request's head is too large"


class InvalidFields(problems.Invalid):
    """One or more fields failed validation.

    Attributes:
        errors: every failure as ``{"field", "detail", "accepted"}``; the first is also in
            ``field`` and ``accepted``.
    """

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        first = errors[0]
        super().__init__(
            first["detail"], field=first["field"] or None, accepted=first["accepted"] or None
        )
        self.errors = list(errors)


class Lagging(problems.NotRealized):
    """A write that is stored but not yet realised.

    Attributes:
        revision: the revision that the write made.
        resource_id: the resource.
        hosts: the hosts that have not acknowledged it, each with the reason.
    """

    def __init__(
        self,
        *,
        revision: int,
        resource_id: str,
        hosts: Sequence[tuple[str, str]],
        lacking: str | None = None,
        holding: str | None = None,
    ) -> None:
        """Say who is behind, why there is nobody (*lacking*), or what is left to do (*holding*)."""
        names = ", ".join(host for host, _ in hosts[:5]) or "the southbound"
        why = f"still waiting for {names}"
        if lacking is not None:
            why = f"no host carries it: {lacking}"
        elif holding is not None:
            why = f"the host is not drained yet, it stands for {holding}"
        super().__init__(f"revision {revision} is stored; {why}")
        self.revision = revision
        self.resource_id = resource_id
        self.hosts = list(hosts)


def validation(errors: Iterable[Mapping[str, Any]], *, skip: int = 0) -> InvalidFields:
    """Return the problem for pydantic's *errors*.

    Args:
        errors: what ``ValidationError.errors()`` gives, with contexts.
        skip: leading parts of each location that are not part of the field's name.
    """
    found = [_validation_error(error, skip) for _, error in zip(range(_MAX_ERRORS), errors)]  # noqa: B905
    return InvalidFields(found or [{"field": "", "detail": "invalid", "accepted": ""}])


def _validation_error(error: Mapping[str, Any], skip: int) -> dict[str, str]:
    field = ".".join(str(part)[:_MAX_ECHO] for part in error["loc"][skip:])
    detail, accepted = wording(error, is_body=not field)
    return {"field": field, "detail": _clean(detail), "accepted": _clean(accepted)}


def _clean(text: str) -> str:
    """Return *text* short and encodable: it may echo what the client sent."""
    return text[:500].encode("utf-8", "replace").decode()


def document(problem: problems.Problem, instance: str = "") -> dict[str, Any]:
    """Return *problem* as the members of an RFC 9457 document."""
    body: dict[str, Any] = {
        "type": f"urn:vpcctl:problem:{problem.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": _clean(problem.detail),
        "code": problem.code,
        "field": None if problem.field is None else _clean(problem.field),
        "accepted": None if problem.accepted is None else _clean(problem.accepted),
        "blockers": [
            {"kind": item.kind, "id": item.id, "reason": item.reason} for item in problem.blockers
        ],
        "errors": problem.errors if isinstance(problem, InvalidFields) else [],
        "instance": instance,
    }
    if isinstance(problem, Lagging):
        body["revision"] = problem.revision
        body["resource_id"] = problem.resource_id
        body["hosts"] = [{"id": host, "reason": reason} for host, reason in problem.hosts]
    return body


def response(
    problem: problems.Problem, *, instance: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """Return the HTTP response for *problem*.

    Args:
        problem: what went wrong.
        instance: the request's id, by which the log tells more.
        headers: further headers, such as ``Allow`` or ``Retry-After``.
    """
    extra = dict(headers or {})
    if problem.status == 401:
        extra["WWW-Authenticate"] = 'Bearer realm="vpcctl"'
    if problem.status in (429, 503):
        extra.setdefault("Retry-After", "1")
    if isinstance(problem, Lagging):
        extra["Vpcctl-Revision"] = str(problem.revision)
    body = to_json(document(problem, instance))
    return Response(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=extra)


def internal(instance: str) -> Response:
    """Return the response for a fault of ours: nothing about it but where to look."""
    fault = problems.Problem("the server's log says more under this request's id")
    fault.code, fault.title = "internal", "The server has failed"
    return response(fault, instance=instance)
