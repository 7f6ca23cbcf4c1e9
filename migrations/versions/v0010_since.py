"""Since when hosts reach what they reach, and since when EIPs are what the outside sees."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    nothing = sa.text("'{}'")
    reach = sa.Column("reach_revisions", sa.JSON(), nullable=False, server_default=nothing)
    op.add_column("hosts", reach)
    seen = sa.Column("seen_revision", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("eips", seen)
    op.execute("UPDATE eips SET seen_revision = revision")


def downgrade() -> None:
    op.drop_column("eips", "seen_revision")
    op.drop_column("hosts", "reach_revisions")
