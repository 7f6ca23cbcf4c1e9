"""What every service is built from."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from vpcctl.model.problems import Blocker, Conflict, Exhausted, Invalid
from vpcctl.services import rules
from vpcctl.services.settings import ServiceSettings
from vpcctl.services.views import Listing, Meta, Page
from vpcctl.store import usage
from vpcctl.store.rows import Query, Repository
from vpcctl.store.units import Unit, Units

V = TypeVar("V")

MAX_LIMIT = 500
MAX_BLOCKERS = 100


@dataclass(frozen=True, slots=True)
class Context:
    """Units of work and settings."""

    units: Units
    settings: ServiceSettings


def meta(row: Any, tenant_id: str) -> Meta:
    """Return what every resource has, of a row."""
    return Meta(
        row.id,
        row.name,
        row.description,
        dict(row.tags),
        tenant_id,
        row.created_at,
        row.updated_at,
        row.revision,
    )


def born(unit: Unit) -> dict[str, Any]:
    """Return the columns that say when a new row was made."""
    return {"created_at": unit.now, "updated_at": unit.now, "revision": unit.revision}


def changed(unit: Unit) -> dict[str, Any]:
    """Return the columns that say when a row was changed."""
    return {"updated_at": unit.now, "revision": unit.revision}


def query(listing: Listing, repository: Repository[Any], tenant_id: str | None) -> Query:
    """Return the page that *listing* asks for, with one row more to see whether another follows.

    Raises:
        Invalid: limit, cursor, a filter or a tag is malformed or unknown.
    """
    if not 1 <= listing.limit <= MAX_LIMIT:
        raise Invalid(
            f"limit is {listing.limit}.", field="limit", accepted=f"a number from 1 to {MAX_LIMIT}"
        )
    for field in listing.filters:
        if field not in repository.filters:
            raise Invalid(
                f"There is no filter {rules.printable(field)}.",
                field=rules.printable(field),
                accepted=", ".join(sorted(repository.filters)),
            )
    for field, value in {**listing.filters, **listing.tags}.items():
        filter_value(field, value)
    for tag in listing.tags:
        rules.tag_key(tag)
    after = decode_cursor(listing.cursor)
    return Query(after, listing.limit + 1, tenant_id, listing.filters, listing.tags)


def filter_value(field: str, value: str) -> str:
    """Return a filter's value that a database can take."""
    if "\0" in value or not value.isprintable():
        raise Invalid(
            f"The value for {rules.printable(field)} holds control characters.",
            field=rules.printable(field),
            accepted="printable characters",
        )
    return value


def fetch(unit: Any, repository: Repository[Any], asked: Query) -> Sequence[Any]:
    """Return the rows of a page; a filter value that cannot be read is the client's."""
    try:
        return repository.page(unit, asked)
    except ValueError as error:
        fields = ", ".join(sorted(asked.filters))
        raise Invalid(
            f"A filter's value cannot be read: {rules.printable(str(error))}",
            field=fields,
            accepted="an IP address, a MAC, or true or false, as the filter says",
        ) from error


def page(views: Sequence[V], keys: Sequence[int], limit: int) -> Page[V]:
    """Return a page of at most *limit* of *views*; *keys* are their rows' order numbers."""
    more = len(keys) > limit
    return Page(tuple(views[:limit]), encode_cursor(keys[limit - 1]) if more else None)


def listed(
    units: Units,
    repository: Repository[Any],
    asked: Query,
    show: Callable[[Any, Sequence[Any]], Sequence[V]],
) -> Page[V]:
    """Read the page that :func:`query` asked for; *show* makes the views of its rows."""

    def work(connection: Any) -> Page[V]:
        rows = fetch(connection, repository, asked)
        limit = asked.limit - 1  # one more was asked for
        numbers = [getattr(row, repository.order) for row in rows]
        return page(show(connection, rows[:limit]), numbers, limit)

    return units.read(work)


def encode_cursor(key: int) -> str:
    """Return the cursor that leads past the row with order number *key*."""
    return base64.urlsafe_b64encode(f"v1:{key}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> int:
    """Return the order number in a cursor, 0 without one.

    Raises:
        Invalid: it is not one that we gave out.
    """
    if cursor is None:
        return 0
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        version, _, key = base64.b64decode(padded, b"-_", validate=True).decode().partition(":")
        if version != "v1" or not key.isascii() or not key.isdecimal() or len(key) > 18:
            raise ValueError(version)
        return int(key)
    except (ValueError, binascii.Error) as error:
        raise Invalid(
            "The cursor is not one that a list gave.",
            field="cursor",
            accepted="next_cursor of the previous page",
        ) from error


def refuse_blocked(what: str, blockers: Sequence[Blocker]) -> None:
    """Refuse to go on when something stands in the way.

    Raises:
        Conflict: with the blockers (the first hundred).
    """
    if blockers:
        more = "more than " if len(blockers) > MAX_BLOCKERS else ""
        count = min(len(blockers), MAX_BLOCKERS)
        raise Conflict(
            f"{what}: {more}{count} in the way.", blockers=tuple(blockers[:MAX_BLOCKERS])
        )


def spend(unit: Unit, context: Context, tenant_id: str, what: Any) -> None:
    """Count one more of *what* for the tenant.

    Raises:
        Exhausted: it has as many as it may.
    """
    quota = getattr(context.settings.quotas, what)
    if usage.count(unit.connection, tenant_id, what, 1) > quota:
        named = what.replace("_", " ")
        raise Exhausted(
            f"The tenant has its quota of {quota} {named}.", accepted=f"{quota} {named}"
        )


def require_at_most(count: int, quota: int, what: str, field: str | None) -> None:
    """Refuse a list that would get too long.

    Raises:
        Exhausted: *count* is more than *quota*.
    """
    if count > quota:
        raise Exhausted(
            f"There would be {count} {what}.", field=field, accepted=f"at most {quota} {what}"
        )


def moment(value: datetime | None) -> datetime | None:
    """Return *value*, which must know its time zone.

    Raises:
        Invalid: it does not.
    """
    if value is not None and value.tzinfo is None:
        raise Invalid(
            "The time has no time zone.",
            field="expires_at",
            accepted="a time with its zone, such as 2030-01-01T00:00:00Z",
        )
    return value
