"""Indexes by which the hosts of a VPC or subnet are found, however many ports these have."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_INDEXES = (
    ("locations", "vpc_id", "host_id"),
    ("locations", "subnet_id", "host_id"),
    ("ports", "subnet_id", "attach_host_id"),
)


def upgrade() -> None:
    subnet = sa.Column("subnet_id", sa.String(length=64), nullable=False, server_default="")
    op.add_column("locations", subnet)
    op.execute(
        "UPDATE locations SET subnet_id ="
        " (SELECT ports.subnet_id FROM ports WHERE ports.id = locations.port_id)"
    )
    for table, *columns in _INDEXES:
        op.create_index(_name(table, columns), table, columns)


def downgrade() -> None:
    for table, *columns in reversed(_INDEXES):
        op.drop_index(_name(table, columns), table_name=table)
    op.drop_column("locations", "subnet_id")


def _name(table: str, columns: list[str]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"
