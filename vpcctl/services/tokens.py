"""Bearer tokens: ``vpc_<id>_<secret>``, of which only a hash is stored.

The secret has 256 random bits, so one round of SHA-256 protects it as well as a slow hash would.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from vpcctl.model.problems import Invalid, NotFound, Unauthenticated
from vpcctl.services import rules
from vpcctl.services.context import MAX_LIMIT, Context, filter_value, moment
from vpcctl.services.views import Actor, Listing, Page, Role, TokenView
from vpcctl.store import tokens
from vpcctl.store.hosts import HOSTS
from vpcctl.store.ledger import lock
from vpcctl.store.tables import TokenRow

_SECRET = re.compile(r"vpc_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_ID = re.compile(r"token-[0-9a-f]{16}")
_FILTERS = ("role", "tenant_id", "host_id")


class TokenService:
    """Use cases of tokens. Only admins make, list and revoke them."""

    def __init__(self, context: Context) -> None:
        self._units = context.units

    def create(
        self,
        actor: Actor,
        role: Role,
        tenant_id: str | None = None,
        host_id: str | None = None,
        description: str = "",
        expires_at: datetime | None = None,
    ) -> tuple[TokenView, str]:
        """Make a token; its secret is returned this once and never again.

        Raises:
            Problem: Forbidden, Invalid.
        """
        rules.require_admin(actor, "make tokens")
        _require_owner(role, tenant_id, host_id)
        values, secret = _new(role, rules.description(description))
        values |= {"tenant_id": tenant_id, "host_id": host_id, "expires_at": moment(expires_at)}

        def work(connection: Any) -> TokenView:
            if host_id is not None and HOSTS.find(connection, host_id) is None:
                raise Invalid(
                    f"There is no host {rules.printable(host_id)}.",
                    field="host_id",
                    accepted="the id of an existing host, host-…",
                )
            tokens.add(connection, {**values, "created_at": self._units.clock()})
            return _view(_found(tokens.get(connection, values["id"]), values["id"]))

        return self._units.write_aside(work), secret

    def get(self, actor: Actor, id: str) -> TokenView:
        """Return a token without its secret.

        Raises:
            Problem: Forbidden, NotFound.
        """
        rules.require_admin(actor, "see tokens")
        _require_id(id)
        return self._units.read(lambda connection: _view(_found(tokens.get(connection, id), id)))

    def list(self, actor: Actor, listing: Listing) -> Page[TokenView]:
        """Return a page of tokens, by id; filters: role, tenant_id, host_id.

        Raises:
            Problem: Forbidden, Invalid.
        """
        rules.require_admin(actor, "list tokens")
        after = _checked(listing)

        def work(connection: Any) -> Page[TokenView]:
            rows = tokens.page(connection, after, listing.limit + 1, listing.filters)
            views = tuple(map(_view, rows[: listing.limit]))
            more = len(rows) > listing.limit
            return Page(views, views[-1].id if more else None)

        return self._units.read(work)

    def revoke(self, actor: Actor, id: str) -> None:
        """Make a token worthless at once.

        Raises:
            Problem: Forbidden, NotFound.
        """
        rules.require_admin(actor, "revoke tokens")
        _require_id(id)
        if not self._units.write_aside(lambda connection: tokens.remove(connection, id)):
            raise NotFound(f"There is no token {rules.printable(id)}.")

    def authenticate(self, secret: str) -> Actor:
        """Return who a bearer token stands for.

        Raises:
            Unauthenticated: malformed, unknown, revoked or expired; which one is not told.
        """
        match = _SECRET.fullmatch(secret)
        if match is None:
            raise Unauthenticated("The token is not valid.")
        id = f"token-{match[1]}"
        row = self._units.read(lambda connection: tokens.get(connection, id))
        stored = row.digest if row else _hash("")
        same = hmac.compare_digest(stored, _hash(secret))
        if row is None or not same:
            raise Unauthenticated("The token is not valid.")
        actor = Actor(_role(row.role), row.tenant_id, row.host_id, row.id, row.expires_at)
        if actor.is_expired(self._units.clock()):
            raise Unauthenticated("The token is not valid.")
        return actor

    def standing(self, ids: Collection[str]) -> set[str]:
        """Return which of these tokens nobody has revoked; their time may be over.

        That is all that can happen to one: what a token says never changes.

        Raises:
            Unavailable: the database does not answer.
        """
        if not ids:
            return set()
        return self._units.read(lambda connection: tokens.present(connection, ids))

    def bootstrap(self, path: Path) -> None:
        """Make the first admin token into a new file that its owner alone can read.

        Nothing happens when an admin token exists. The file is complete before the token counts:
        a crash between leaves a file that the next start replaces.

        Raises:
            OSError: the file cannot be written.
        """
        if self._units.read(tokens.has_admin):
            return
        values, secret = _new("admin", "made at first start")

        def work(connection: Any) -> None:
            lock(connection)
            if tokens.has_admin(connection):
                return
            _write_secret(path, secret)
            tokens.add(connection, {**values, "created_at": self._units.clock()})

        self._units.write_aside(work)


def mint_host_token(connection: Any, host_id: str, now: datetime) -> str:
    """Make a token of a host within the caller's transaction; return its secret."""
    values, secret = _new("host", "made at enrolment")
    tokens.add(connection, {**values, "host_id": host_id, "created_at": now})
    return secret


def _new(role: Role, description: str) -> tuple[dict[str, Any], str]:
    number = secrets.token_hex(8)
    secret = f"vpc_{number}_{secrets.token_urlsafe(32)}"
    values = {
        "id": f"token-{number}",
        "role": role,
        "tenant_id": None,
        "host_id": None,
        "digest": _hash(secret),
        "description": description,
        "expires_at": None,
    }
    return values, secret


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _role(text: str) -> Role:
    if text == "admin":
        return "admin"
    return "tenant" if text == "tenant" else "host"


def _view(row: TokenRow) -> TokenView:
    return TokenView(
        row.id,
        _role(row.role),
        row.tenant_id,
        row.host_id,
        row.description,
        row.created_at,
        row.expires_at,
    )


def _found(row: TokenRow | None, id: str) -> TokenRow:
    if row is None:
        raise NotFound(f"There is no token {rules.printable(id)}.")
    return row


def _require_id(id: str) -> None:
    if not _ID.fullmatch(id):
        raise NotFound(f"There is no token {rules.printable(id)}.")


def _checked(listing: Listing) -> str:
    """Return the id after which the page begins."""
    if not 1 <= listing.limit <= MAX_LIMIT:
        says = f"a number from 1 to {MAX_LIMIT}"
        raise Invalid(f"limit is {listing.limit}.", field="limit", accepted=says)
    for name, value in listing.filters.items():
        if name not in _FILTERS:
            raise Invalid(
                f"There is no filter {rules.printable(name)}.",
                field=rules.printable(name),
                accepted=", ".join(_FILTERS),
            )
        filter_value(name, value)
    if listing.cursor is not None and not _ID.fullmatch(listing.cursor):
        raise Invalid(
            "The cursor is not one that a list gave.",
            field="cursor",
            accepted="next_cursor of the previous page",
        )
    return listing.cursor or ""


def _require_owner(role: Role, tenant_id: str | None, host_id: str | None) -> None:
    """Demand a tenant for a tenant's token, a host for a host's, and neither else."""
    if role not in ("admin", "tenant", "host"):
        raise Invalid("There is no such role.", field="role", accepted="admin, tenant or host")
    for field, value, owner in (("tenant_id", tenant_id, "tenant"), ("host_id", host_id, "host")):
        if (value is not None) != (role == owner):
            whose = "An admin's" if role == "admin" else f"A {role}'s"
            said = f"{whose} token {'needs' if role == owner else 'takes no'} {field}."
            needed = f"the {owner}'s id" if role == owner else "null"
            raise Invalid(said, field=field, accepted=needed)
    if tenant_id is not None:
        rules.tenant_id(tenant_id)


def _write_secret(path: Path, secret: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secret + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(draft)
        raise
