import stat
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.store.conftest import ADMIN, World
from vpcctl.model.problems import (
    Conflict,
    Forbidden,
    IdempotencyMismatch,
    Invalid,
    NotFound,
    Unauthenticated,
)
from vpcctl.services.facade import StoredResponse
from vpcctl.services.views import (
    Actor,
    AttachmentView,
    Listing,
    PortChange,
    PortCreate,
    VpcCreate,
    VpcView,
)

RED, BLUE = Actor("tenant", "red"), Actor("tenant", "blue")


def test_a_token_stands_for_its_owner_until_revoked(world: World) -> None:
    tokens = world.services.tokens
    host = world.host()
    view, secret = tokens.create(ADMIN, "tenant", tenant_id="red", description="ci")
    assert secret.startswith("vpc_")
    assert tokens.authenticate(secret) == Actor("tenant", "red", None, view.id)
    _, agent = tokens.create(ADMIN, "host", host_id=host.meta.id)
    assert tokens.authenticate(agent).host_id == host.meta.id
    assert {token.role for token in tokens.list(ADMIN, Listing()).items} == {"tenant", "host"}
    tokens.revoke(ADMIN, view.id)
    for bad in (secret, agent[:-1] + ("a" if agent[-1] != "a" else "b"), "", "vpc_x_y", "\ud800"):
        with pytest.raises(Unauthenticated):
            tokens.authenticate(bad)
    with pytest.raises(NotFound):
        tokens.revoke(ADMIN, view.id)
    with pytest.raises(Forbidden):
        tokens.create(RED, "tenant", tenant_id="red")


def test_secrets_are_not_in_the_database(world: World) -> None:
    _, secret = world.services.tokens.create(ADMIN, "admin")
    rows = world.database.read(lambda c: c.execute(text("SELECT * FROM tokens")).all())
    assert secret.split("_", 2)[2] not in repr(rows)


def test_a_token_expires(world: World) -> None:
    end = world.clock.now + timedelta(hours=1)
    view, secret = world.services.tokens.create(ADMIN, "admin", expires_at=end)
    assert view.expires_at == end
    world.services.tokens.authenticate(secret)
    world.clock.forward(3600)
    with pytest.raises(Unauthenticated):
        world.services.tokens.authenticate(secret)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"role": "tenant"}, "tenant_id"),
        ({"role": "tenant", "tenant_id": "a b"}, "tenant_id"),
        ({"role": "admin", "tenant_id": "red"}, "tenant_id"),
        ({"role": "host"}, "host_id"),
        ({"role": "host", "host_id": "host-00000000000000000"}, "host_id"),
        ({"role": "king"}, "role"),
        ({"role": "admin", "expires_at": datetime(2030, 1, 1)}, "expires_at"),
    ],
)
def test_a_token_of_nobody_is_refused(world: World, values: dict, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        world.services.tokens.create(ADMIN, **values)
    assert caught.value.field == field


def test_tokens_page(world: World) -> None:
    made = {world.services.tokens.create(ADMIN, "admin")[0].id for _ in range(5)}
    first = world.services.tokens.list(ADMIN, Listing(limit=3))
    second = world.services.tokens.list(ADMIN, Listing(limit=3, cursor=first.next_cursor))
    assert {token.id for token in (*first.items, *second.items)} == made
    assert second.next_cursor is None


def test_the_first_token_is_made_once_for_its_owner_alone(world: World, tmp_path: Path) -> None:
    path = tmp_path / "new" / "admin-token"
    threads = [
        threading.Thread(target=world.services.tokens.bootstrap, args=(path,)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    secret = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["admin-token"]
    assert world.services.tokens.authenticate(secret).role == "admin"
    assert len(world.services.tokens.list(ADMIN, Listing()).items) == 1
    path.unlink()
    world.services.tokens.bootstrap(path)
    assert not path.exists()


def test_the_same_request_gets_the_same_answer(world: World) -> None:
    records = world.services.idempotency
    answer = StoredResponse(201, {"ETag": '"5"'}, b"{}")
    assert records.replay(RED, "k", "hash") is None
    with pytest.raises(Conflict):
        records.replay(RED, "k", "hash")
    assert records.replay(BLUE, "k", "hash") is None
    with records.keeping(RED, "k", lambda _view: answer):
        world.services.vpcs.create(RED, VpcCreate(("10.0.0.0/16",)))
    assert records.replay(RED, "k", "hash") == answer
    with pytest.raises(IdempotencyMismatch):
        records.replay(RED, "k", "other")
    world.clock.forward(86_400)
    assert records.replay(RED, "k", "other") is None


def test_a_failed_request_may_be_tried_again(world: World) -> None:
    records = world.services.idempotency
    assert records.replay(RED, "k", "hash") is None
    records.release(RED, "k")
    assert records.replay(RED, "k", "hash") is None
    world.clock.forward(61)  # the process died meanwhile
    assert records.replay(RED, "k", "hash") is None
    for key in ("", "a b", "x" * 256, "\0"):
        with pytest.raises(Invalid):
            records.replay(RED, key, "hash")


def test_a_resource_and_its_answer_are_made_together_or_not_at_all(world: World) -> None:
    records, vpcs = world.services.idempotency, world.services.vpcs

    def names() -> list[str]:
        return [view.meta.name for view in vpcs.list(RED, Listing()).items]

    def respond(view: VpcView) -> StoredResponse:
        return StoredResponse(201, {}, view.meta.id.encode())

    assert records.replay(RED, "k", "hash") is None
    with pytest.raises(ZeroDivisionError), records.keeping(RED, "k", lambda _view: 1 / 0):
        vpcs.create(RED, VpcCreate(("10.0.0.0/16",), name="no answer"))
    assert names() == []
    with records.keeping(RED, "k", respond) as kept:
        vpcs.create(RED, VpcCreate(("10.0.0.0/16",), name="first"))
    # The process may die here: nothing is left to be written.
    assert records.replay(RED, "k", "hash") == kept.response
    with pytest.raises(Conflict), records.keeping(RED, "k", respond):
        vpcs.create(RED, VpcCreate(("10.0.0.0/16",), name="late"))
    assert names() == ["first"]
    vpcs.create(RED, VpcCreate(("10.0.0.0/16",), name="without a key"))
    assert names() == ["first", "without a key"]


def test_only_one_of_many_equal_requests_goes_ahead(world: World) -> None:
    outcomes: list[str] = []

    def request() -> None:
        try:
            world.services.idempotency.replay(RED, "k", "hash")
            outcomes.append("go")
        except Conflict:
            outcomes.append("wait")

    threads = [threading.Thread(target=request) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["go"] + ["wait"] * 15
    world.clock.forward(86_401)
    world.services.maintain()
    count = text("SELECT count(*) FROM idempotency")
    assert world.database.read(lambda c: c.execute(count).scalar_one()) == 0


def test_only_admins_name_an_ovs_interface_of_a_host(world: World) -> None:
    ports, subnet = world.services.ports, world.subnet()  # of tenant red
    port = ports.create(RED, PortCreate(subnet_id=subnet.meta.id))
    wanted = AttachmentView("interface", None, "tap0", None)
    with pytest.raises(Forbidden):
        ports.change(RED, port.meta.id, PortChange(attachment=wanted))
    with pytest.raises(Forbidden):
        ports.create(RED, PortCreate(subnet_id=subnet.meta.id, attachment=wanted))
    nameless = AttachmentView("interface", None, None, None)
    ports.change(RED, port.meta.id, PortChange(attachment=nameless))
    assert ports.change(ADMIN, port.meta.id, PortChange(attachment=wanted)).attachment == wanted
