"""Enrolments of hosts and the certificates that they were given."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "enrollments",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_enrollments_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollments")),
    )
    op.create_index(op.f("ix_enrollments_expires_at"), "enrollments", ["expires_at"])
    op.create_index("ix_enrollments_host_id", "enrollments", ["host_id"])
    op.create_table(
        "host_certificates",
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_host_certificates_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_host_certificates")),
    )
    op.create_index("ix_host_certificates_host_id", "host_certificates", ["host_id"])
    op.create_index(op.f("ix_host_certificates_not_after"), "host_certificates", ["not_after"])


def downgrade() -> None:
    op.drop_table("host_certificates")
    op.drop_table("enrollments")
