"""How long a token that was accepted is believed, without its being asked for at each request."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.auth import Authenticator
from api.config import ApiConfig
from tests.api.support import ADMIN
from vpcctl.model.problems import Forbidden, Problem, Unauthenticated, Unavailable
from vpcctl.services.facade import Services
from vpcctl.store.database import Database
from vpcctl.store.units import utc_now


class Desk:
    """An authenticator on a real database, with a clock that a test moves."""

    def __init__(self, database: Database) -> None:
        self.later = 0.0
        self.questions = 0
        self.is_away = False
        self.services = Services(database, clock=lambda: utc_now() + timedelta(seconds=self.later))
        context: Any = SimpleNamespace(
            services=self.services, config=ApiConfig(), call=self._ask, aside=self._ask
        )
        self.authenticator = Authenticator(context, lambda: self.later)

    async def _ask(self, function: Any, *values: Any) -> Any:
        self.questions += 1
        if self.is_away:
            raise Unavailable("the database is away")
        return function(*values)

    def new(self, **options: Any) -> tuple[str, str]:
        view, secret = self.services.tokens.create(ADMIN, "admin", **options)
        return view.id, secret

    def who(self, secret: str) -> str:
        return asyncio.run(self.authenticator.actor(secret)).token_id

    def look_again(self) -> None:
        asyncio.run(self.authenticator.look_again())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    database = Database.open(f"sqlite:///{tmp_path / 'vpcctl.db'}")
    database.upgrade()
    yield Desk(database)
    database.close()


def test_no_request_waits_for_a_token_in_use(desk: Desk) -> None:
    tokens = dict(desk.new() for _ in range(3))
    assert {desk.who(secret) for secret in tokens.values()} == set(tokens)
    for second in range(1, 100):
        desk.later = second
        desk.look_again()
        asked = desk.questions
        assert {desk.who(secret) for secret in tokens.values()} == set(tokens)
        assert desk.questions == asked
    assert desk.questions == len(tokens) + 99  # one question a second for all of them


def test_a_token_that_another_process_revokes_ends_with_the_next_look(desk: Desk) -> None:
    (gone, secret), (id, other) = desk.new(), desk.new()
    desk.who(secret)
    desk.who(other)
    desk.services.tokens.revoke(ADMIN, gone)
    desk.look_again()
    with pytest.raises(Unauthenticated):
        desk.who(secret)
    assert desk.who(other) == id


def test_a_token_ends_when_its_time_is_over(desk: Desk) -> None:
    id, secret = desk.new(expires_at=utc_now() + timedelta(seconds=90))
    for second in (0, 1, 60, 89):
        desk.later = second
        desk.look_again()
        assert desk.who(secret) == id
    desk.later = 91
    with pytest.raises(Unauthenticated):
        desk.who(secret)


def test_while_the_database_is_away_nobody_is_believed_for_long(desk: Desk) -> None:
    id, secret = desk.new()
    desk.who(secret)
    desk.is_away = True
    desk.later = 2.0
    with pytest.raises(Unavailable):
        desk.look_again()
    assert desk.who(secret) == id
    desk.later = ApiConfig().token_cache_s + 0.1
    with pytest.raises(Unavailable):
        desk.who(secret)
    desk.is_away = False
    assert desk.who(secret) == id


def test_what_is_revoked_during_a_look_is_not_believed_after_it(desk: Desk) -> None:
    id, secret = desk.new()
    desk.who(secret)

    async def both() -> None:
        looking = asyncio.create_task(desk.authenticator.look_again())
        with desk.authenticator.revoking():
            await asyncio.sleep(0)
            desk.services.tokens.revoke(ADMIN, id)
        await looking

    asyncio.run(both())
    with pytest.raises(Unauthenticated):
        desk.who(secret)


@pytest.mark.parametrize(
    ("outcome", "more"),
    [(None, 1), (Forbidden("not yours"), 0), (Unavailable("in the middle"), 1), (OSError(), 1)],
)
def test_who_is_refused_to_revoke_makes_nobody_wait(
    desk: Desk, outcome: Exception | None, more: int
) -> None:
    _, secret = desk.new()
    desk.who(secret)
    asked = desk.questions
    with contextlib.suppress(Problem, OSError), desk.authenticator.revoking():
        if outcome is not None:
            raise outcome
    desk.who(secret)
    assert desk.questions == asked + more


def test_a_token_that_nobody_uses_is_not_asked_about(desk: Desk) -> None:
    id, secret = desk.new()
    desk.who(secret)
    desk.later = 61.0
    desk.look_again()
    asked = desk.questions
    assert desk.who(secret) == id
    assert desk.questions == asked + 1
