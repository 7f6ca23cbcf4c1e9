"""The world outside: external networks, gateways, EIPs, route tables, limits.

Each VPC gets its main route table, which is empty: nothing leaves a VPC that did not before.
"""

import time
import uuid
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COUNTERS = ("ext_key", "eip_key", "nat_key", "rtb_key", "limit_number")
COUNTED = ("internet_gateways", "nat_gateways", "eips", "route_tables")
TABLES = (
    "port_forwards",
    "eips",
    "route_targets",
    "routes",
    "route_tables",
    "gateway_hosts",
    "nat_gateways",
    "internet_gateways",
    "freed_eips",
    "pool_ranges",
    "external_pools",
    "external_networks",
)
HOST_COLUMNS = ("gateway", "drained", "providers", "outside", "watches", "meters")
LIMITS = ("ingress_kbps", "egress_kbps", "ingress_pps", "egress_pps")


def upgrade() -> None:
    for name in COUNTERS:
        op.add_column("ledger", _counter(name))
    for name in COUNTED:
        op.add_column("usage", _counter(name))
    create_networks()
    create_gateways()
    create_eips()
    create_forwards()
    create_route_tables()
    add_columns()
    fill()


def _counter(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def _text(name: str, length: int = 64, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=nullable)


def _int(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _described() -> list[sa.Column[Any]]:
    return [
        _text("name", 128),
        _text("description", 1024),
        sa.Column("tags", sa.JSON(), nullable=False),
        _number("created_at"),
        _number("updated_at"),
        _number("revision"),
    ]


def _limits() -> list[sa.Column[Any]]:
    number = sa.Column("limit_number", sa.Integer(), nullable=True)
    return [number, *(_number(name, nullable=True) for name in LIMITS)]


def _reference(
    table: str, column: str, to: str, ondelete: str = "RESTRICT"
) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=name, ondelete=ondelete)


def _primary(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def create_networks() -> None:
    op.create_table(
        "external_networks",
        _text("id"),
        _int("key"),
        _text("provider"),
        _int("vlan"),
        _text("cidr", 18, nullable=True),
        _text("gateway", 39, nullable=True),
        _text("ipv6_cidr", 43, nullable=True),
        _text("ipv6_gateway", 39, nullable=True),
        _int("mtu"),
        *_described(),
        _primary("external_networks", "id"),
        _unique("external_networks", "key"),
        _unique("external_networks", "provider", "vlan"),
    )
    for table, key, other in (
        ("external_pools", "first", "last"),
        ("pool_ranges", "last", "first"),
        ("freed_eips", "address", "revision"),
    ):
        more = [sa.Column("hosts", sa.JSON(), nullable=False)] if table == "freed_eips" else []
        op.create_table(
            table,
            _text("network_id"),
            _number(key),
            _number(other),
            *more,
            _reference(table, "network_id", "external_networks", "CASCADE"),
            _primary(table, "network_id", key),
        )
    op.create_index("ix_freed_eips_order", "freed_eips", ["network_id", "revision", "address"])


def create_gateways() -> None:
    for table, key in (("internet_gateways", []), ("nat_gateways", [_int("key")])):
        unique = _unique(table, "key") if key else _unique(table, "vpc_id", "external_network_id")
        op.create_table(
            table,
            _text("id"),
            _text("vpc_id"),
            _text("tenant_id"),
            _text("external_network_id"),
            _int("vni"),
            *key,
            *_described(),
            _reference(table, "vpc_id", "vpcs"),
            _reference(table, "external_network_id", "external_networks"),
            _primary(table, "id"),
            _unique(table, "vni"),
            unique,
        )
        _index(table, "external_network_id")
    _index("internet_gateways", "tenant_id", "vni")
    _index("nat_gateways", "tenant_id", "key")
    _index("nat_gateways", "vpc_id")
    op.create_table(
        "gateway_hosts",
        _text("gateway_id"),
        sa.Column("place", sa.SmallInteger(), autoincrement=False, nullable=False),
        _text("host_id"),
        _number("since"),
        _reference("gateway_hosts", "host_id", "hosts"),
        _primary("gateway_hosts", "gateway_id", "place"),
    )
    _index("gateway_hosts", "host_id")


def create_eips() -> None:
    op.create_table(
        "eips",
        _text("id"),
        _text("tenant_id"),
        _number("key"),
        _text("external_network_id"),
        _text("address", 39),
        _text("port_id", nullable=True),
        _text("subnet_id", nullable=True),
        _text("vpc_id", nullable=True),
        _text("fixed_ip", 39, nullable=True),
        _text("nat_gateway_id", nullable=True),
        _number("left_revision"),
        sa.Column("left_hosts", sa.JSON(), nullable=False),
        *_limits(),
        *_described(),
        _reference("eips", "external_network_id", "external_networks"),
        _reference("eips", "port_id", "ports"),
        _reference("eips", "vpc_id", "vpcs"),
        _reference("eips", "nat_gateway_id", "nat_gateways"),
        sa.ForeignKeyConstraint(
            ["subnet_id", "fixed_ip"],
            ["addresses.subnet_id", "addresses.address"],
            name=op.f("fk_eips_subnet_id_fixed_ip"),
            deferrable=True,
            initially="DEFERRED",
        ),
        _primary("eips", "id"),
        _unique("eips", "key"),
        _unique("eips", "external_network_id", "address"),
        _unique("eips", "subnet_id", "fixed_ip"),
    )
    _index("eips", "tenant_id", "key")
    _index("eips", "port_id")
    _index("eips", "vpc_id", "external_network_id")
    _index("eips", "nat_gateway_id")
    op.create_index("ix_eips_limit_number", "eips", ["limit_number"], unique=True)


def create_forwards() -> None:
    table = "port_forwards"
    op.create_table(
        table,
        _text("id"),
        _text("nat_gateway_id"),
        _text("eip_id"),
        _number("key"),
        sa.Column("protocol", sa.SmallInteger(), nullable=False),
        _int("port_first"),
        _int("port_last"),
        _text("target", 39),
        _int("target_port"),
        _text("target_port_id"),
        _text("description", 1024),
        _number("created_at"),
        _reference(table, "nat_gateway_id", "nat_gateways"),
        _reference(table, "eip_id", "eips"),
        _reference(table, "target_port_id", "ports"),
        _primary(table, "id"),
        _unique(table, "eip_id", "protocol", "port_first"),
    )
    _index(table, "nat_gateway_id", "key")
    _index(table, "target_port_id")


def create_route_tables() -> None:
    op.create_table(
        "route_tables",
        _text("id"),
        _text("vpc_id"),
        _text("tenant_id"),
        _number("key"),
        _text("main_of", nullable=True),
        *_described(),
        _reference("route_tables", "vpc_id", "vpcs"),
        _reference("route_tables", "main_of", "vpcs"),
        _primary("route_tables", "id"),
        _unique("route_tables", "key"),
        _unique("route_tables", "main_of"),
    )
    _index("route_tables", "tenant_id", "key")
    _index("route_tables", "vpc_id", "key")
    op.create_table(
        "routes",
        _text("table_id"),
        _text("destination", 43),
        _text("description", 1024),
        _reference("routes", "table_id", "route_tables"),
        _primary("routes", "table_id", "destination"),
    )
    op.create_table(
        "route_targets",
        _text("table_id"),
        _text("destination", 43),
        _text("target_id"),
        _text("kind", 16),
        sa.ForeignKeyConstraint(
            ["table_id", "destination"],
            ["routes.table_id", "routes.destination"],
            name=op.f("fk_route_targets_table_id_destination"),
            ondelete="CASCADE",
        ),
        _primary("route_targets", "table_id", "destination", "target_id"),
    )
    _index("route_targets", "target_id")


def add_columns() -> None:
    # Written out: a constraint with a new column is one statement on SQLite, too.
    op.execute(
        "ALTER TABLE subnets ADD COLUMN route_table_id VARCHAR(64) "
        "CONSTRAINT fk_subnets_route_table_id REFERENCES route_tables (id)"
    )
    _index("subnets", "route_table_id")
    yes, no, nothing = sa.true(), sa.false(), sa.text("'[]'")
    check = sa.Column("source_dest_check", sa.Boolean(), nullable=False, server_default=yes)
    op.add_column("ports", check)
    for column in _limits():
        op.add_column("ports", column)
    op.create_index("ix_ports_limit_number", "ports", ["limit_number"], unique=True)
    for name in ("gateway", "drained"):
        op.add_column("hosts", sa.Column(name, sa.Boolean(), nullable=False, server_default=no))
    for name in ("providers", "outside", "watches"):
        op.add_column("hosts", sa.Column(name, sa.JSON(), nullable=False, server_default=nothing))
    op.add_column("hosts", _counter("meters"))


def fill() -> None:
    """Give every VPC its main route table."""
    bind = op.get_bind()
    vpcs = bind.execute(sa.text("SELECT id, tenant_id FROM vpcs ORDER BY key")).all()
    if not vpcs:
        return
    made = bind.execute(sa.text("UPDATE ledger SET value = value + 1 RETURNING value")).scalar_one()
    now = time.time_ns() // 1_000
    tables = [
        {
            "id": f"rtb-{uuid.uuid4().hex[:17]}",
            "vpc_id": vpc_id,
            "tenant_id": tenant_id,
            "key": key,
            "now": now,
            "revision": made,
        }
        for key, (vpc_id, tenant_id) in enumerate(vpcs, 1)
    ]
    bind.execute(
        sa.text(
            "INSERT INTO route_tables (id, vpc_id, tenant_id, key, main_of, name, description,"
            " tags, created_at, updated_at, revision) VALUES (:id, :vpc_id, :tenant_id, :key,"
            " :vpc_id, 'main', '', '{}', :now, :now, :revision)"
        ),
        tables,
    )
    bind.execute(
        sa.text(
            "INSERT INTO changes (revision, sequence, kind, resource_id, tenant_id, action, detail,"
            " time) VALUES (:revision, :key, 'rtb', :id, :tenant_id, 'created', '', :now)"
        ),
        tables,
    )
    bind.execute(sa.text("UPDATE ledger SET rtb_key = :key"), {"key": len(tables)})


def downgrade() -> None:
    for name in HOST_COLUMNS:
        op.drop_column("hosts", name)
    op.drop_index("ix_ports_limit_number", "ports")
    for name in ("limit_number", *LIMITS, "source_dest_check"):
        op.drop_column("ports", name)
    op.drop_index("ix_subnets_route_table_id", "subnets")
    op.drop_column("subnets", "route_table_id")
    for table in TABLES:
        op.drop_table(table)
    for name in COUNTED:
        op.drop_column("usage", name)
    for name in COUNTERS:
        op.drop_column("ledger", name)
    op.execute("DELETE FROM changes WHERE kind IN ('ext', 'igw', 'nat', 'eip', 'rtb')")
