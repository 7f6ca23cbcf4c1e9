import random
import sqlite3
import threading

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from tests.store.conftest import ADMIN, World
from tests.store.reporting import Agent, link
from vpcctl.model.problems import Problem, Unavailable
from vpcctl.services.views import PortCreate
from vpcctl.store.database import Database
from vpcctl.store.tables import metadata
from vpcctl.store.units import Units


def contents(world: World) -> dict[str, list]:
    """Return every row of every table."""

    def work(connection):
        return {
            table.name: sorted(map(repr, connection.execute(table.select())))
            for table in metadata.sorted_tables
        }

    return world.database.read(work)


class Deadlock:
    """Fails one statement in *every*, as a database does that chose us as the deadlock's victim."""

    def __init__(self, database: Database, every: int) -> None:
        self._random, self._every, self.count = random.Random(1), every, 0
        self._engine = database.engine
        event.listen(self._engine, "before_cursor_execute", self._fail)

    def _fail(self, connection, cursor, statement, *_: object) -> None:
        if self._random.randrange(self._every) == 0:
            self.count += 1
            raise OperationalError(statement, {}, psycopg.errors.DeadlockDetected("injected"))

    def stop(self) -> None:
        event.remove(self._engine, "before_cursor_execute", self._fail)


def test_one_deadlock_in_fifty_statements_is_not_noticed(world: World) -> None:
    subnet = world.subnet("10.0.0.0/20")
    agent = Agent(world, world.host())
    fault = Deadlock(world.database, 50)
    ports = []
    for number in range(60):
        ports.append(world.port(subnet))
        agent.report(*(link(port, n + 1) for n, port in enumerate(ports)))
        if number % 5 == 4:
            gone = ports.pop(0)
            world.services.ports.delete(ADMIN, gone.meta.id)
    fault.stop()
    assert fault.count > 20
    assert len(ports) == 48
    agent.report(*(link(port, n + 1) for n, port in enumerate(ports)))
    changes = world.feed.load().changes
    assert sum(change.kind == "port" for change in changes) == 48
    assert sum(change.kind == "location" for change in changes) == 48
    left = world.services.subnets.get(ADMIN, subnet.meta.id).free_addresses
    assert left == 4096 - 3 - 48


def test_a_lasting_fault_is_unavailable_and_leaves_nothing_half_done(world: World) -> None:
    subnet = world.subnet()
    before = contents(world)
    for skip in range(20):
        left = [skip]

        def fail(connection, cursor, statement, *_: object, left: list[int] = left) -> None:
            if statement.startswith("BEGIN"):
                return
            left[0] -= 1
            if left[0] < 0:
                raise OperationalError(statement, {}, sqlite3.OperationalError("disk I/O error"))

        event.listen(world.database.engine, "before_cursor_execute", fail)
        try:
            with pytest.raises(Unavailable):
                world.port(subnet)
        except pytest.fail.Exception:
            # More statements allowed than a creation has: it went through.
            break
        finally:
            event.remove(world.database.engine, "before_cursor_execute", fail)
        assert contents(world) == before
    else:
        pytest.fail("a creation with more than twenty statements")


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_full_disk_is_unavailable_and_leaves_nothing_half_done(world: World) -> None:
    subnet = world.subnet("10.0.0.0/16")
    world.database.engine.dispose()

    def limit(connection, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 4}").close()

    event.listen(world.database.engine, "connect", limit)
    made = 0

    def fill() -> None:
        nonlocal made
        for _ in range(2000):
            world.port(subnet)
            made += 1

    with pytest.raises(Unavailable):
        fill()
    event.remove(world.database.engine, "connect", limit)
    world.database.engine.dispose()
    batch = world.feed.load()
    assert sum(change.kind == "port" for change in batch.changes) == made > 0
    assert world.services.subnets.get(ADMIN, subnet.meta.id).free_addresses == 65533 - made
    world.port(subnet)


def test_a_locked_database_file_is_waited_for(world: World) -> None:
    if world.database.dialect != "sqlite":
        lock = "LOCK TABLE ledger IN ACCESS EXCLUSIVE MODE"
    else:
        lock = "UPDATE ledger SET value = value"
    subnet = world.subnet()
    other = Database.open(world.database.url.render_as_string(hide_password=False))
    holding, done = threading.Event(), threading.Event()

    def hold(connection) -> None:
        connection.execute(text(lock))
        holding.set()
        done.wait(0.3)

    thread = threading.Thread(target=other.write, args=(hold,))
    thread.start()
    assert holding.wait(10)
    assert world.port(subnet).meta.id
    done.set()
    thread.join()
    other.close()


def test_a_unit_that_raises_leaves_nothing(world: World) -> None:
    subnet = world.subnet()
    before = contents(world)
    values = PortCreate(subnet_id=subnet.meta.id, fixed_ips=("10.0.1.7", "10.0.1.1"))
    with pytest.raises(Problem):
        world.services.ports.create(ADMIN, values)
    assert contents(world) == before


def test_revisions_are_in_the_order_of_commits(world: World) -> None:
    """Whoever has read revision R never finds anything new at or below R later."""
    units = Units(world.database)
    stop = threading.Event()
    seen: list[tuple[int, int]] = []
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for number in range(40):
                units.write(lambda unit, n=number: unit.tell("vpc", f"vpc-{n}", "", "warning"))
        except BaseException as error:
            failures.append(error)

    def read() -> None:
        statement = text("SELECT (SELECT value FROM ledger), (SELECT count(*) FROM changes)")
        while not stop.is_set():
            row = world.database.read(lambda c: c.execute(statement).one())
            seen.append((row[0], row[1]))

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write) for _ in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert failures == []
    assert all(revision == count for revision, count in seen)


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_lost_connections_are_made_anew(world: World) -> None:
    subnet = world.subnet()
    kill = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'vpcctl' AND pid <> pg_backend_pid()"
    )
    for act in (lambda: world.port(subnet), world.feed.load, world.services.status.ready):
        other = Database.open(world.database.url.render_as_string(hide_password=False))
        other.write(lambda connection: connection.execute(kill).all())
        other.close()
        act()


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_server_that_is_not_there_is_unavailable(world: World, tmp_path) -> None:
    nobody = Database.open(f"postgresql://vpcctl@/postgres?host={tmp_path}")
    for act in (nobody.read, nobody.write):
        with pytest.raises(Unavailable):
            act(lambda connection: connection.execute(text("SELECT 1")))
    nobody.close()
