"""The schema's version: Alembic, run from the program, installed or from a checkout."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import migrations

_LOCK = 0x76706363  # PostgreSQL advisory lock: one process upgrades at a time


def config() -> Config:
    """Return Alembic's configuration, which finds the migrations beside their package."""
    result = Config()
    result.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return result


def head() -> str | None:
    """Return the newest version that this program knows."""
    return ScriptDirectory.from_config(config()).get_current_head()


def current(connection: Connection) -> str | None:
    """Return the version that the database has, None when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection, target: str = "head") -> None:
    """Run what is missing up to *target* within the caller's transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    settings = config()
    settings.attributes["connection"] = connection
    command.upgrade(settings, target)


def downgrade(connection: Connection, target: str) -> None:
    """Go back to *target* within the caller's transaction."""
    settings = config()
    settings.attributes["connection"] = connection
    command.downgrade(settings, target)
