"""What ports' owners have said for their guests, in the database."""

from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from vpcctl.store.rows import chunks
from vpcctl.store.tables import LocationRow, PortMetadataRow, PortRow

_TABLE = PortMetadataRow.__table__
_ONE = select(_TABLE).where(PortMetadataRow.port_id == bindparam("id_"))
_MANY = select(_TABLE).where(PortMetadataRow.port_id.in_(bindparam("ids", expanding=True)))
_REVISIONS = select(PortMetadataRow.port_id, PortMetadataRow.revision).where(
    PortMetadataRow.port_id.in_(bindparam("ids", expanding=True))
)
_DELETE = delete(PortMetadataRow).where(PortMetadataRow.port_id == bindparam("id_"))
_UPDATE = update(PortMetadataRow).where(PortMetadataRow.port_id == bindparam("id_"))
_HERE = (
    select(PortRow.id)
    .join(LocationRow, LocationRow.port_id == PortRow.id, isouter=True)
    .where(
        PortRow.id == bindparam("id_"),
        (PortRow.attach_host_id == bindparam("host_id_"))
        | (LocationRow.host_id == bindparam("host_id_")),
    )
)


def get(connection: Connection, port_id: str) -> PortMetadataRow | None:
    """Return what was said for a port, or None."""
    found = connection.execute(_ONE, {"id_": port_id}).one_or_none()
    return cast("PortMetadataRow | None", found)


def get_many(connection: Connection, port_ids: Iterable[str]) -> dict[str, PortMetadataRow]:
    """Return what was said for these ports, by port id."""
    found: dict[str, PortMetadataRow] = {}
    for part in chunks(port_ids):
        for row in connection.execute(_MANY, {"ids": part}):
            found[row.port_id] = cast("PortMetadataRow", row)
    return found


def revisions(connection: Connection, port_ids: Iterable[str]) -> dict[str, int]:
    """Return the revisions of what was said for these ports, by port id."""
    found: dict[str, int] = {}
    for part in chunks(port_ids):
        rows = connection.execute(_REVISIONS, {"ids": part})
        found.update((row.port_id, row.revision) for row in rows)
    return found


def put(connection: Connection, port_id: str, values: dict[str, Any]) -> None:
    """Write what is said for a port, in place of what was said before."""
    if connection.execute(_UPDATE.values(**values), {"id_": port_id}).rowcount == 0:
        connection.execute(insert(PortMetadataRow), {"port_id": port_id, **values})


def drop(connection: Connection, port_id: str) -> None:
    """Forget what was said for a port."""
    connection.execute(_DELETE, {"id_": port_id})


def is_on(connection: Connection, port_id: str, host_id: str) -> bool:
    """Tell whether a port is attached to a host or located on it."""
    keys = {"id_": port_id, "host_id_": host_id}
    return connection.execute(_HERE, keys).first() is not None
