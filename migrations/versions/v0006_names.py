"""Names and metadata for guests: VPCs' private zones, records in them, ports' user data."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

DOMAIN = "vpc.internal"


def upgrade() -> None:
    on = sa.true()
    enabled = sa.Column("dns_enabled", sa.Boolean(), nullable=False, server_default=on)
    domain = sa.Column("dns_domain", sa.String(length=253), nullable=False, server_default=DOMAIN)
    revision = sa.Column("names_revision", sa.BigInteger(), nullable=False, server_default="1")
    for column in (enabled, domain, revision):
        op.add_column("vpcs", column)
    op.create_index("ix_vpcs_names_revision", "vpcs", ["names_revision"])
    _records()
    op.create_table(
        "port_metadata",
        sa.Column("port_id", sa.String(length=64), nullable=False),
        sa.Column("user_data", sa.Text(), nullable=True),
        sa.Column("public_keys", sa.JSON(), nullable=False),
        sa.Column("metadata_tokens", sa.String(length=8), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["port_id"],
            ["ports.id"],
            name=op.f("fk_port_metadata_port_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("port_id", name=op.f("pk_port_metadata")),
    )


def _records() -> None:
    """Make the table of tenants' records."""
    op.create_table(
        "dns_records",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("ttl", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("description", sa.String(length=1024), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["vpc_id"], ["vpcs.id"], name=op.f("fk_dns_records_vpc_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dns_records")),
        sa.UniqueConstraint("key", name=op.f("uq_dns_records_key")),
        sa.UniqueConstraint("vpc_id", "name", "type", name=op.f("uq_dns_records_vpc_id_name_type")),
    )
    op.create_index("ix_dns_records_tenant_id_key", "dns_records", ["tenant_id", "key"])
    op.create_index("ix_dns_records_vpc_id_key", "dns_records", ["vpc_id", "key"])


def downgrade() -> None:
    op.drop_table("port_metadata")
    op.drop_table("dns_records")
    op.drop_index("ix_vpcs_names_revision", "vpcs")
    for name in ("names_revision", "dns_domain", "dns_enabled"):
        op.drop_column("vpcs", name)
