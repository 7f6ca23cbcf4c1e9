"""What can be wrong with a request: a small catalogue that services raise and the API renders.

Each maps to one RFC 9457 problem document: ``type`` is ``urn:vpcctl:problem:<code>``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Blocker:
    """A resource that stands in the way of a delete or change."""

    kind: str
    id: str
    reason: str


class Problem(Exception):
    """Base of all problems.

    Attributes:
        code: machine-readable name, kebab-case.
        status: HTTP status.
        title: one line that is the same for every occurrence.
        detail: one or two sentences about this occurrence.
        field: dotted name of the offending field, or None.
        accepted: what would have been accepted, or None.
        blockers: what stands in the way.
    """

    code = "problem"
    status = 500
    title = "Something went wrong"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        accepted: str | None = None,
        blockers: tuple[Blocker, ...] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.accepted = accepted
        self.blockers = blockers


class Invalid(Problem):
    """A field's value cannot be accepted."""

    code, status, title = "invalid", 422, "A value cannot be accepted"


class Unauthenticated(Problem):
    """The bearer token is missing, malformed, unknown or revoked."""

    code, status, title = "unauthenticated", 401, "A valid bearer token is needed"


class Forbidden(Problem):
    """The token's role may not do this."""

    code, status, title = "forbidden", 403, "This token may not do that"


class NotFound(Problem):
    """There is no such resource, or it belongs to another tenant."""

    code, status, title = "not-found", 404, "No such resource"


class Conflict(Problem):
    """The present state forbids it: an address is taken, CIDRs overlap, a delete is blocked."""

    code, status, title = "conflict", 409, "The present state forbids it"


class Exhausted(Conflict):
    """No free address or number is left."""

    code, title = "exhausted", "Nothing is left to allocate"


class Stale(Problem):
    """If-Match names a revision that is not the present one."""

    code, status, title = "stale", 412, "The resource has changed in the meantime"


class IdempotencyMismatch(Problem):
    """The Idempotency-Key was used before with a different request."""

    code, status, title = "idempotency-mismatch", 422, "Idempotency-Key used for another request"


class NotRealized(Problem):
    """The write is stored, but not every host acknowledged it within the time asked for."""

    code, status, title = "not-realized", 504, "Stored, but not yet realised on every host"


class Unavailable(Problem):
    """A part that is needed does not answer now; try again."""

    code, status, title = "unavailable", 503, "A part that is needed does not answer now"
