"""Whether a refused request has left everything as it was."""

import contextlib
from collections.abc import Iterator

from sqlalchemy import MetaData, select

from tests.api.support import Api


class Contents:
    """All rows of all tables of an API's database, whenever they are asked for."""

    def __init__(self, api: Api) -> None:
        self._engine, self._tables = api.database.engine, MetaData()
        self._tables.reflect(self._engine)

    def __call__(self) -> dict[str, list[str]]:
        with self._engine.connect() as connection:
            return {
                table.name: sorted(map(repr, connection.execute(select(table))))
                for table in self._tables.sorted_tables
            }


@contextlib.contextmanager
def unchanged(api: Api) -> Iterator[None]:
    """Hold that a block has changed not one row."""
    contents = Contents(api)
    before = contents()
    yield
    assert contents() == before
