"""What guests are told of their network: which hosts answer, subnets' IPv6 mode, DHCP options."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    no = sa.false()
    op.add_column(
        "hosts", sa.Column("guest_services", sa.Boolean(), nullable=False, server_default=no)
    )
    op.add_column("subnets", sa.Column("ipv6_mode", sa.String(length=24), nullable=True))
    op.execute("UPDATE subnets SET ipv6_mode = 'dhcpv6-stateful' WHERE ipv6_cidr IS NOT NULL")


def downgrade() -> None:
    op.drop_column("subnets", "ipv6_mode")
    op.drop_column("hosts", "guest_services")
