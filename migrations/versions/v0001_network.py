"""The logical network: VPCs, subnets, ports, hosts, and what orders their changes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_tables()
    op.execute("INSERT INTO ledger VALUES (1, 0, 0, 0, 0, 0, 0, '')")
    op.execute("INSERT INTO progress VALUES (1, 0)")


def create_tables() -> None:
    op.create_table(
        "changes",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.String(length=1024), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("revision", "sequence", name=op.f("pk_changes")),
    )
    op.create_index(
        "ix_changes_tenant_id_revision", "changes", ["tenant_id", "revision"], unique=False
    )
    op.create_index("ix_changes_time", "changes", ["time"], unique=False)
    op.create_table(
        "hosts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("availability_zone", sa.String(length=64), nullable=True),
        sa.Column("pinned_vtep", sa.String(length=39), nullable=True),
        sa.Column("vtep", sa.String(length=39), nullable=True),
        sa.Column("tunnel_ofport", sa.Integer(), nullable=True),
        sa.Column("nd_extensions", sa.Boolean(), nullable=False),
        sa.Column("inner_mtu", sa.Integer(), nullable=True),
        sa.Column("reported_dpid", sa.String(length=16), nullable=True),
        sa.Column("agent_id", sa.String(length=32), nullable=True),
        sa.Column("agent_version", sa.String(length=64), nullable=True),
        sa.Column("ovs_version", sa.String(length=64), nullable=True),
        sa.Column("datapath_type", sa.String(length=16), nullable=True),
        sa.Column("errors", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=True),
        sa.Column("state_revision", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("description", sa.String(length=1024), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hosts")),
        sa.UniqueConstraint("key", name=op.f("uq_hosts_key")),
        sa.UniqueConstraint("vtep", name=op.f("uq_hosts_vtep")),
    )
    op.create_index(op.f("ix_hosts_inner_mtu"), "hosts", ["inner_mtu"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("scope", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_hash", sa.String(length=128), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("pruned", sa.BigInteger(), nullable=False),
        sa.Column("vpc_key", sa.BigInteger(), nullable=False),
        sa.Column("vni", sa.BigInteger(), nullable=False),
        sa.Column("port_key", sa.BigInteger(), nullable=False),
        sa.Column("host_key", sa.BigInteger(), nullable=False),
        sa.Column("settings", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger")),
    )
    op.create_table(
        "progress",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("processed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_progress")),
    )
    op.create_table(
        "usage",
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("vpcs", sa.BigInteger(), nullable=False),
        sa.Column("subnets", sa.BigInteger(), nullable=False),
        sa.Column("ports", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_usage")),
    )
    op.create_table(
        "vpcs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("cidrs", sa.JSON(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("description", sa.String(length=1024), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vpcs")),
        sa.UniqueConstraint("key", name=op.f("uq_vpcs_key")),
    )
    op.create_index("ix_vpcs_tenant_id_key", "vpcs", ["tenant_id", "key"], unique=False)
    op.create_table(
        "links",
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("port_id", sa.String(length=64), nullable=False),
        sa.Column("interface", sa.String(length=255), nullable=False),
        sa.Column("interface_uuid", sa.String(length=36), nullable=False),
        sa.Column("ofport", sa.Integer(), nullable=True),
        sa.Column("mac", sa.String(length=17), nullable=True),
        sa.Column("netns", sa.String(length=255), nullable=True),
        sa.Column("admin_up", sa.Boolean(), nullable=False),
        sa.Column("oper_up", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(length=255), nullable=True),
        sa.Column("counters", sa.JSON(), nullable=False),
        sa.Column("claimed_revision", sa.BigInteger(), nullable=False),
        sa.Column("reported_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_links_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("host_id", "port_id", name=op.f("pk_links")),
    )
    op.create_index("ix_links_port_id", "links", ["port_id"], unique=False)
    op.create_table(
        "liveness",
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("boot", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("last_report_at", sa.BigInteger(), nullable=True),
        sa.Column("announced", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_liveness_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_liveness")),
    )
    op.create_table(
        "presence",
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("ports", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_presence_host_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["vpc_id"], ["vpcs.id"], name=op.f("fk_presence_vpc_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("vpc_id", "host_id", name=op.f("pk_presence")),
    )
    op.create_index("ix_presence_host_id", "presence", ["host_id"], unique=False)
    op.create_table(
        "realisation",
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("error", sa.String(length=1024), nullable=True),
        sa.Column("flows", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_realisation_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("host_id", name=op.f("pk_realisation")),
    )
    op.create_table(
        "subnets",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("vni", sa.Integer(), nullable=False),
        sa.Column("cidr", sa.String(length=18), nullable=False),
        sa.Column("gateway", sa.String(length=39), nullable=False),
        sa.Column("ipv6_cidr", sa.String(length=43), nullable=True),
        sa.Column("ipv6_gateway", sa.String(length=39), nullable=True),
        sa.Column("availability_zone", sa.String(length=64), nullable=True),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("description", sa.String(length=1024), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["vpc_id"], ["vpcs.id"], name=op.f("fk_subnets_vpc_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subnets")),
        sa.UniqueConstraint("vni", name=op.f("uq_subnets_vni")),
    )
    op.create_index("ix_subnets_tenant_id_vni", "subnets", ["tenant_id", "vni"], unique=False)
    op.create_index("ix_subnets_vpc_id_vni", "subnets", ["vpc_id", "vni"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=True),
        sa.Column("host_id", sa.String(length=64), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=1024), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_tokens_host_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
    )
    op.create_index("ix_tokens_host_id", "tokens", ["host_id"], unique=False)
    op.create_table(
        "free_ranges",
        sa.Column("subnet_id", sa.String(length=64), nullable=False),
        sa.Column("family", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["subnets.id"], name=op.f("fk_free_ranges_subnet_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subnet_id", "family", "last", name=op.f("pk_free_ranges")),
    )
    op.create_table(
        "freed_addresses",
        sa.Column("subnet_id", sa.String(length=64), nullable=False),
        sa.Column("family", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subnet_id"],
            ["subnets.id"],
            name=op.f("fk_freed_addresses_subnet_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subnet_id", "family", "position", name=op.f("pk_freed_addresses")),
    )
    op.create_index(
        "ix_freed_addresses_order",
        "freed_addresses",
        ["subnet_id", "family", "revision", "position"],
        unique=False,
    )
    op.create_table(
        "ports",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("subnet_id", sa.String(length=64), nullable=False),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.BigInteger(), nullable=False),
        sa.Column("port_security", sa.Boolean(), nullable=False),
        sa.Column("pairs", sa.JSON(), nullable=False),
        sa.Column("admin_up", sa.Boolean(), nullable=False),
        sa.Column("attach_kind", sa.String(length=16), nullable=True),
        sa.Column("attach_host_id", sa.String(length=64), nullable=True),
        sa.Column("attach_interface", sa.String(length=255), nullable=True),
        sa.Column("attach_netns", sa.String(length=255), nullable=True),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("description", sa.String(length=1024), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attach_host_id"],
            ["hosts.id"],
            name=op.f("fk_ports_attach_host_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["subnets.id"], name=op.f("fk_ports_subnet_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["vpc_id"], ["vpcs.id"], name=op.f("fk_ports_vpc_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ports")),
        sa.UniqueConstraint(
            "attach_host_id",
            "attach_netns",
            "attach_interface",
            name=op.f("uq_ports_attach_host_id_attach_netns_attach_interface"),
        ),
        sa.UniqueConstraint("key", name=op.f("uq_ports_key")),
        sa.UniqueConstraint("subnet_id", "mac", name=op.f("uq_ports_subnet_id_mac")),
    )
    op.create_index("ix_ports_subnet_id_key", "ports", ["subnet_id", "key"], unique=False)
    op.create_index("ix_ports_tenant_id_key", "ports", ["tenant_id", "key"], unique=False)
    op.create_index("ix_ports_vpc_id_key", "ports", ["vpc_id", "key"], unique=False)
    op.create_table(
        "addresses",
        sa.Column("subnet_id", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=39), nullable=False),
        sa.Column("port_id", sa.String(length=64), nullable=False),
        sa.Column("family", sa.SmallInteger(), nullable=False),
        sa.Column("place", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["port_id"], ["ports.id"], name=op.f("fk_addresses_port_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["subnets.id"], name=op.f("fk_addresses_subnet_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("subnet_id", "address", name=op.f("pk_addresses")),
    )
    op.create_index("ix_addresses_port_id", "addresses", ["port_id"], unique=False)
    op.create_table(
        "locations",
        sa.Column("port_id", sa.String(length=64), nullable=False),
        sa.Column("host_id", sa.String(length=64), nullable=False),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("ofport", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_id"], ["hosts.id"], name=op.f("fk_locations_host_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["port_id"], ["ports.id"], name=op.f("fk_locations_port_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["vpc_id"], ["vpcs.id"], name=op.f("fk_locations_vpc_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("port_id", name=op.f("pk_locations")),
    )
    op.create_index(
        "ix_locations_host_id_port_id", "locations", ["host_id", "port_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_locations_host_id_port_id", table_name="locations")
    op.drop_table("locations")
    op.drop_index("ix_addresses_port_id", table_name="addresses")
    op.drop_table("addresses")
    op.drop_index("ix_ports_vpc_id_key", table_name="ports")
    op.drop_index("ix_ports_tenant_id_key", table_name="ports")
    op.drop_index("ix_ports_subnet_id_key", table_name="ports")
    op.drop_table("ports")
    op.drop_index("ix_freed_addresses_order", table_name="freed_addresses")
    op.drop_table("freed_addresses")
    op.drop_table("free_ranges")
    op.drop_index("ix_tokens_host_id", table_name="tokens")
    op.drop_table("tokens")
    op.drop_index("ix_subnets_vpc_id_vni", table_name="subnets")
    op.drop_index("ix_subnets_tenant_id_vni", table_name="subnets")
    op.drop_table("subnets")
    op.drop_table("realisation")
    op.drop_index("ix_presence_host_id", table_name="presence")
    op.drop_table("presence")
    op.drop_table("liveness")
    op.drop_index("ix_links_port_id", table_name="links")
    op.drop_table("links")
    op.drop_index("ix_vpcs_tenant_id_key", table_name="vpcs")
    op.drop_table("vpcs")
    op.drop_table("usage")
    op.drop_table("progress")
    op.drop_table("ledger")
    op.drop_index(op.f("ix_idempotency_created_at"), table_name="idempotency")
    op.drop_table("idempotency")
    op.drop_index(op.f("ix_hosts_inner_mtu"), table_name="hosts")
    op.drop_table("hosts")
    op.drop_index("ix_changes_time", table_name="changes")
    op.drop_index("ix_changes_tenant_id_revision", table_name="changes")
    op.drop_table("changes")
