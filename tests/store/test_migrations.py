import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from vpcctl.store import schema
from vpcctl.store.database import Database, parse_url
from vpcctl.store.tables import metadata


def differences(database: Database) -> list:
    def work(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    return database.read(work)


@pytest.fixture
def fresh(url: str) -> Iterator[Database]:
    opened = Database.open(url)
    opened.upgrade()
    yield opened
    opened.close()


def test_models_match_the_newest_migration(fresh: Database) -> None:
    assert differences(fresh) == []
    assert fresh.read(schema.current) == schema.head()


def test_the_comparison_notices_a_difference(fresh: Database) -> None:
    with fresh.engine.begin() as connection:
        connection.execute(text("ALTER TABLE vpcs ADD COLUMN colour INTEGER"))
    assert differences(fresh) != []


def test_upgrading_twice_changes_nothing(fresh: Database) -> None:
    fresh.write(lambda connection: connection.execute(text("UPDATE ledger SET value = 7")))
    fresh.upgrade()
    read = fresh.read(lambda c: c.execute(text("SELECT value FROM ledger")).scalars().all())
    assert read == [7]


def test_two_upgrades_at_once_make_one_schema(url: str) -> None:
    databases = [Database.open(url) for _ in range(4)]
    failures: list[BaseException] = []

    def upgrade(database: Database) -> None:
        try:
            database.upgrade()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=upgrade, args=(one,)) for one in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert databases[0].read(schema.current) == schema.head()
    for database in databases:
        database.close()


def test_downgrading_leaves_nothing(fresh: Database) -> None:
    fresh.write(lambda connection: schema.downgrade(connection, "base"))
    names = fresh.read(lambda connection: inspect(connection).get_table_names())
    assert set(names) <= {"alembic_version"}
    fresh.upgrade()
    assert differences(fresh) == []


def test_a_database_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state" / "vpcctl.db"
    mask = os.umask(0)
    try:
        database = Database.open(f"sqlite:///{path}")
        database.upgrade()
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    pragmas = {
        name: database.read(lambda c, n=name: c.exec_driver_sql(f"PRAGMA {n}").scalar())
        for name in ("journal_mode", "foreign_keys", "synchronous")
    }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1}
    database.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected sqlite:///<path> or postgresql://"):
        parse_url(url)


@pytest.mark.parametrize("url", ["postgresql://u@h/d", "postgresql+psycopg://u@h/d"])
def test_both_spellings_of_postgresql_are_accepted(url: str) -> None:
    assert parse_url(url).drivername == "postgresql+psycopg"
