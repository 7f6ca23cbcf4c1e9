"""Addresses that ports gave back, and which of them others have since."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "former_addresses",
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=39), nullable=False),
        sa.Column("freed", sa.BigInteger(), nullable=False),
        sa.Column("taken", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["vpc_id"], ["vpcs.id"], name=op.f("fk_former_addresses_vpc_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("vpc_id", "address", name=op.f("pk_former_addresses")),
    )
    op.create_index("ix_former_addresses_vpc_id_taken", "former_addresses", ["vpc_id", "taken"])
    op.create_index("ix_former_addresses_at", "former_addresses", ["at"])


def downgrade() -> None:
    op.drop_index("ix_former_addresses_at", "former_addresses")
    op.drop_index("ix_former_addresses_vpc_id_taken", "former_addresses")
    op.drop_table("former_addresses")
