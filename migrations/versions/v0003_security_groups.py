"""Security groups, address groups and network ACLs.

Each VPC gets its default group, and each port that is filtered joins its VPC's.
"""

import time
import uuid
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COUNTED = ("security_groups", "address_groups", "network_acls")


def upgrade() -> None:
    op.add_column("ledger", _counter("acl_key"))
    for name in COUNTED:
        op.add_column("usage", _counter(name))
    create_groups()
    create_acls()
    # SQLite takes a foreign key into a table that exists only like this.
    op.execute(
        "ALTER TABLE subnets ADD COLUMN acl_id VARCHAR(64) CONSTRAINT fk_subnets_acl_id"
        " REFERENCES network_acls (id)"
    )
    op.create_index("ix_subnets_acl_id", "subnets", ["acl_id"])
    fill()


def _counter(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def _described() -> list[sa.Column[Any]]:
    return [
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("description", sa.String(length=1024), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
    ]


def _traffic() -> list[sa.Column[Any]]:
    return [
        sa.Column("protocol", sa.SmallInteger(), nullable=True),
        sa.Column("port_first", sa.Integer(), nullable=True),
        sa.Column("port_last", sa.Integer(), nullable=True),
        sa.Column("icmp_type", sa.SmallInteger(), nullable=True),
        sa.Column("icmp_code", sa.SmallInteger(), nullable=True),
    ]


def _reference(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=name, ondelete="RESTRICT")


def create_groups() -> None:
    op.create_table(
        "address_groups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        *_described(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_address_groups")),
        sa.UniqueConstraint("key", name=op.f("uq_address_groups_key")),
    )
    op.create_index("ix_address_groups_tenant_id_key", "address_groups", ["tenant_id", "key"])
    op.create_table(
        "address_group_cidrs",
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("cidr", sa.String(length=43), nullable=False),
        _reference("address_group_cidrs", "group_id", "address_groups"),
        sa.PrimaryKeyConstraint("group_id", "cidr", name=op.f("pk_address_group_cidrs")),
    )
    op.create_table(
        "security_groups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("default_of", sa.String(length=64), nullable=True),
        sa.Column("stateful", sa.Boolean(), nullable=False),
        sa.Column("keep_established", sa.Boolean(), nullable=False),
        *_described(),
        _reference("security_groups", "vpc_id", "vpcs"),
        _reference("security_groups", "default_of", "vpcs"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_groups")),
        sa.UniqueConstraint("key", name=op.f("uq_security_groups_key")),
        sa.UniqueConstraint("default_of", name=op.f("uq_security_groups_default_of")),
    )
    op.create_index("ix_security_groups_tenant_id_key", "security_groups", ["tenant_id", "key"])
    op.create_index("ix_security_groups_vpc_id_key", "security_groups", ["vpc_id", "key"])
    create_rules()
    op.create_table(
        "port_groups",
        sa.Column("port_id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        _reference("port_groups", "port_id", "ports"),
        _reference("port_groups", "group_id", "security_groups"),
        sa.PrimaryKeyConstraint("port_id", "group_id", name=op.f("pk_port_groups")),
    )
    op.create_index("ix_port_groups_group_id_port_id", "port_groups", ["group_id", "port_id"])


def create_rules() -> None:
    table = "security_group_rules"
    op.create_table(
        table,
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("family", sa.SmallInteger(), nullable=False),
        *_traffic(),
        sa.Column("remote_cidr", sa.String(length=43), nullable=True),
        sa.Column("remote_group_id", sa.String(length=64), nullable=True),
        sa.Column("remote_address_group_id", sa.String(length=64), nullable=True),
        sa.Column("meaning", sa.String(length=160), nullable=False),
        sa.Column("description", sa.String(length=1024), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        _reference(table, "group_id", "security_groups"),
        _reference(table, "remote_group_id", "security_groups"),
        _reference(table, "remote_address_group_id", "address_groups"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_security_group_rules")),
        sa.UniqueConstraint("key", name=op.f("uq_security_group_rules_key")),
        sa.UniqueConstraint(
            "group_id", "meaning", name=op.f("uq_security_group_rules_group_id_meaning")
        ),
    )
    op.create_index("ix_security_group_rules_group_id_key", table, ["group_id", "key"])
    for column in ("remote_group_id", "remote_address_group_id"):
        op.create_index(f"ix_security_group_rules_{column}", table, [column])


def create_acls() -> None:
    op.create_table(
        "network_acls",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("tenant_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        *_described(),
        _reference("network_acls", "vpc_id", "vpcs"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_acls")),
        sa.UniqueConstraint("key", name=op.f("uq_network_acls_key")),
    )
    op.create_index("ix_network_acls_tenant_id_key", "network_acls", ["tenant_id", "key"])
    op.create_index("ix_network_acls_vpc_id_key", "network_acls", ["vpc_id", "key"])
    op.create_table(
        "network_acl_entries",
        sa.Column("acl_id", sa.String(length=64), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("allow", sa.Boolean(), nullable=False),
        sa.Column("cidr", sa.String(length=43), nullable=False),
        *_traffic(),
        sa.Column("description", sa.String(length=1024), nullable=False),
        _reference("network_acl_entries", "acl_id", "network_acls"),
        sa.PrimaryKeyConstraint(
            "acl_id", "direction", "number", name=op.f("pk_network_acl_entries")
        ),
    )


# What a default group holds: direction, family, whether the remote is the group itself.
DEFAULT_RULES = (
    ("ingress", 4, True),
    ("ingress", 6, True),
    ("egress", 4, False),
    ("egress", 6, False),
)


def fill() -> None:
    """Give every VPC its default group, and make its filtered ports members."""
    bind = op.get_bind()
    vpcs = bind.execute(sa.text("SELECT id, tenant_id FROM vpcs ORDER BY key")).all()
    if not vpcs:
        return
    made = bind.execute(sa.text("UPDATE ledger SET value = value + 1 RETURNING value")).scalar_one()
    now = time.time_ns() // 1_000
    groups: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = []
    key = 0
    for vpc_id, tenant_id in vpcs:
        key += 1
        group_id = _new_id("sg")
        columns = {"id": group_id, "vpc_id": vpc_id, "tenant_id": tenant_id, "key": key}
        groups.append({**columns, "now": now, "revision": made})
        for direction, family, itself in DEFAULT_RULES:
            key += 1
            remote = group_id if itself else None
            rules.append(
                {
                    "id": _new_id("sgr"),
                    "group_id": group_id,
                    "key": key,
                    "direction": direction,
                    "family": family,
                    "remote": remote,
                    "meaning": f"{direction} {family} any {remote or 'any'}",
                    "now": now,
                }
            )
    _insert(bind, groups, rules, key)


def _insert(bind: Any, groups: list[Any], rules: list[Any], key: int) -> None:
    bind.execute(
        sa.text(
            "INSERT INTO security_groups (id, vpc_id, tenant_id, key, default_of, stateful,"
            " keep_established, name, description, tags, created_at, updated_at, revision)"
            " VALUES (:id, :vpc_id, :tenant_id, :key, :vpc_id, true, false, 'default', '', '{}',"
            " :now, :now, :revision)"
        ),
        groups,
    )
    bind.execute(
        sa.text(
            "INSERT INTO security_group_rules (id, group_id, key, direction, family,"
            " remote_group_id, meaning, description, created_at) VALUES (:id, :group_id, :key,"
            " :direction, :family, :remote, :meaning, '', :now)"
        ),
        rules,
    )
    bind.execute(
        sa.text(
            "INSERT INTO port_groups (port_id, group_id) SELECT ports.id, security_groups.id FROM"
            " ports JOIN security_groups ON default_of = ports.vpc_id WHERE ports.port_security"
        )
    )
    bind.execute(
        sa.text(
            "INSERT INTO changes (revision, sequence, kind, resource_id, tenant_id, action, detail,"
            " time) VALUES (:revision, :key, 'sg', :id, :tenant_id, 'created', '', :now)"
        ),
        groups,
    )
    bind.execute(sa.text("UPDATE ledger SET acl_key = :key"), {"key": key})


def _new_id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:17]}"


def downgrade() -> None:
    op.drop_index("ix_subnets_acl_id", table_name="subnets")
    op.drop_column("subnets", "acl_id")
    for table in (
        "network_acl_entries",
        "network_acls",
        "port_groups",
        "security_group_rules",
        "security_groups",
        "address_group_cidrs",
        "address_groups",
    ):
        op.drop_table(table)
    for name in COUNTED:
        op.drop_column("usage", name)
    op.drop_column("ledger", "acl_key")
    op.execute("DELETE FROM changes WHERE kind IN ('sg', 'ag', 'nacl')")
