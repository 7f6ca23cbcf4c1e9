"""What Alembic runs: it works on the connection it is given, or on VPCCTL_DATABASE_URL."""

import os

from alembic import context
from sqlalchemy import Connection, create_engine

from vpcctl.store.tables import metadata


def run(connection: Connection) -> None:
    """Run the migrations asked for on *connection*."""
    context.configure(connection=connection, target_metadata=metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    from vpcctl.store.database import parse_url

    engine = create_engine(parse_url(os.environ["VPCCTL_DATABASE_URL"]))
    with engine.begin() as opened:
        run(opened)
