"""Which hosts are lost to those that watch them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    no = sa.false()
    op.add_column("liveness", sa.Column("lost", sa.Boolean(), nullable=False, server_default=no))


def downgrade() -> None:
    op.drop_column("liveness", "lost")
