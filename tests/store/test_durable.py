"""What an embedded database keeps when the machine loses power."""

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from vpcctl.store import durable
from vpcctl.store.database import Database
from vpcctl.store.units import Units, present_revision


def opened(path: Path) -> Database:
    database = Database.open(f"sqlite:///{path}")
    database.upgrade()
    return database


def write(database: Database, *, wait: bool = True) -> int:
    return Units(database).write(lambda unit: unit.revision, durable=wait)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vpcctl.db"


def rebooted(path: Path) -> None:
    path.with_name(path.name + ".boot").write_text("another boot")


def test_the_first_start_of_a_boot_leaves_a_gap_in_the_revisions(path: Path) -> None:
    database = opened(path)
    seen = write(database)
    database.close()
    rebooted(path)
    database = opened(path)
    assert write(database) == seen + durable.GAP + 1
    database.close()


def test_further_starts_and_new_databases_leave_none(path: Path) -> None:
    database = opened(path)
    assert database.read(present_revision) == 0
    first = write(database)
    database.close()
    database = opened(path)
    assert write(database) == first + 1
    database.close()


def test_only_what_is_acknowledged_waits_for_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = opened(path)
    flushed: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (flushed.append(fd), real(fd))[1])
    write(database, wait=False)
    assert flushed == []
    write(database)
    assert len(flushed) == 1
    database.close()


def test_whoever_acts_on_a_write_is_woken_before_the_disk_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = opened(path)
    order: list[str] = []

    class Heard:
        def wake(self, topic: str) -> None:
            order.append(topic)

    monkeypatch.setattr(database, "flush", lambda: order.append("flushed"))
    units = Units(database, Heard())  # type: ignore[arg-type]
    units.write(lambda unit: unit.tell("vpc", "vpc-1", "acme", "created"))
    assert order == ["network", "network", "flushed"]  # before it is written, and then
    database.close()


def test_flushing_without_a_log_is_nothing(path: Path) -> None:
    durable.Log(path).flush()


def test_the_log_holds_what_was_flushed(path: Path, tmp_path: Path) -> None:
    """A copy of the files as they are after a flush has everything acknowledged."""
    database = opened(path)
    revision = write(database)
    copy = tmp_path / "after" / path.name
    copy.parent.mkdir()
    for suffix in ("", "-wal"):
        copy.with_name(copy.name + suffix).write_bytes(
            path.with_name(path.name + suffix).read_bytes()
        )
    database.close()
    found = Database.open(f"sqlite:///{copy}")
    assert found.read(lambda c: c.execute(text("SELECT value FROM ledger")).scalar()) == revision
    found.close()
