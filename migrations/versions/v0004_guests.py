"""What guests are told of their network: which hosts answer, IPv6 modes, DHCP options."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dhcp_options",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("description", sa.String(length=1024), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dhcp_options")),
        sa.UniqueConstraint("key", name=op.f("uq_dhcp_options_key")),
    )
    op.create_index("ix_dhcp_options_tenant_id_key", "dhcp_options", ["tenant_id", "key"])
    # Written out: a constraint with a new column is one statement on SQLite, too.
    op.execute(
        "ALTER TABLE vpcs ADD COLUMN dhcp_options_id VARCHAR(64) "
        "CONSTRAINT fk_vpcs_dhcp_options_id REFERENCES dhcp_options (id)"
    )
    op.create_index("ix_vpcs_dhcp_options_id", "vpcs", ["dhcp_options_id"])
    op.add_column("ports", sa.Column("dhcp_options", sa.JSON(), nullable=True))
    no = sa.false()
    column = sa.Column("guest_services", sa.Boolean(), nullable=False, server_default=no)
    op.add_column("hosts", column)
    op.add_column("subnets", sa.Column("ipv6_mode", sa.String(length=24), nullable=True))
    op.execute("UPDATE subnets SET ipv6_mode = 'dhcpv6-stateful' WHERE ipv6_cidr IS NOT NULL")


def downgrade() -> None:
    op.drop_column("subnets", "ipv6_mode")
    op.drop_column("hosts", "guest_services")
    op.drop_column("ports", "dhcp_options")
    op.drop_index("ix_vpcs_dhcp_options_id", "vpcs")
    op.drop_column("vpcs", "dhcp_options_id")
    op.drop_table("dhcp_options")
