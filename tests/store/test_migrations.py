import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, column, inspect, table, text

from vpcctl.model.problems import Conflict
from vpcctl.model.security_group import AnyRemote, GroupRemote
from vpcctl.services.facade import Services
from vpcctl.services.security_views import RuleCreate
from vpcctl.services.views import (
    Actor,
    HostCreate,
    Listing,
    PortCreate,
    SubnetCreate,
    VpcCreate,
)
from vpcctl.store import schema
from vpcctl.store.database import Database, parse_url
from vpcctl.store.feed import Feed
from vpcctl.store.tables import metadata


def differences(database: Database) -> list:
    def work(connection):
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata)

    return database.read(work)


@pytest.fixture
def fresh(url: str) -> Iterator[Database]:
    opened = Database.open(url)
    opened.upgrade()
    yield opened
    opened.close()


def test_models_match_the_newest_migration(fresh: Database) -> None:
    assert differences(fresh) == []
    assert fresh.read(schema.current) == schema.head()


def test_the_comparison_notices_a_difference(fresh: Database) -> None:
    with fresh.engine.begin() as connection:
        connection.execute(text("ALTER TABLE vpcs ADD COLUMN colour INTEGER"))
    assert differences(fresh) != []


def test_upgrading_twice_changes_nothing(fresh: Database) -> None:
    fresh.write(lambda connection: connection.execute(text("UPDATE ledger SET value = 7")))
    fresh.upgrade()
    read = fresh.read(lambda c: c.execute(text("SELECT value FROM ledger")).scalars().all())
    assert read == [7]


def test_two_upgrades_at_once_make_one_schema(url: str) -> None:
    databases = [Database.open(url) for _ in range(4)]
    failures: list[BaseException] = []

    def upgrade(database: Database) -> None:
        try:
            database.upgrade()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=upgrade, args=(one,)) for one in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert databases[0].read(schema.current) == schema.head()
    for database in databases:
        database.close()


def test_downgrading_leaves_nothing(fresh: Database) -> None:
    fresh.write(lambda connection: schema.downgrade(connection, "base"))
    names = fresh.read(lambda connection: inspect(connection).get_table_names())
    assert set(names) <= {"alembic_version"}
    fresh.upgrade()
    assert differences(fresh) == []


def test_a_database_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state" / "vpcctl.db"
    mask = os.umask(0)
    try:
        database = Database.open(f"sqlite:///{path}")
        database.upgrade()
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    pragmas = {
        name: database.read(lambda c, n=name: c.exec_driver_sql(f"PRAGMA {n}").scalar())
        for name in ("journal_mode", "foreign_keys", "synchronous")
    }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1}
    database.close()


def insert(connection: Connection, into: str, **values: object) -> None:
    connection.execute(table(into, *map(column, values)).insert().values(values))


def fill_0002(connection: Connection) -> None:
    """Two VPCs, one of them with a subnet and four ports, as version 0002 kept them."""
    described = {"name": "n", "description": "", "tags": "{}", "created_at": 1, "updated_at": 1}
    for key, tenant in ((1, "red"), (2, "blue")):
        row = {"id": f"vpc-{key:017x}", "key": key, "tenant_id": tenant, "cidrs": '["10.0.0.0/16"]'}
        insert(connection, "vpcs", **row, **described, revision=key)
    where = {"vpc_id": f"vpc-{1:017x}", "tenant_id": "red"}
    subnet = {"id": f"subnet-{1:017x}", "vni": 1, "cidr": "10.0.1.0/24", "gateway": "10.0.1.1"}
    insert(connection, "subnets", **subnet, **where, used=0, **described, revision=3)
    for key in range(1, 5):
        port = {"id": f"port-{key:017x}", "subnet_id": subnet["id"], "key": key, "mac": key}
        more = {"port_security": key != 4, "pairs": "[]", "admin_up": True}
        insert(connection, "ports", **port, **where, **more, **described, revision=3 + key)
    insert(connection, "usage", tenant_id="red", vpcs=1, subnets=1, ports=4)
    insert(connection, "usage", tenant_id="blue", vpcs=1, subnets=0, ports=0)
    connection.execute(text("UPDATE ledger SET value = 7, vpc_key = 2, vni = 1, port_key = 4"))


@pytest.fixture
def filled(url: str) -> Iterator[Database]:
    """A database of version 0002 with a network in it, upgraded."""
    opened = Database.open(url)
    opened.write(lambda connection: schema.upgrade(connection, "0002"))
    opened.write(fill_0002)
    opened.upgrade()
    yield opened
    opened.close()


def test_what_was_there_gets_default_groups(filled: Database) -> None:
    batch = Feed(filled).load()
    groups = {c.resource.vpc_id: c.resource for c in batch.changes if c.kind == "sg"}
    assert sorted(groups) == [f"vpc-{1:017x}", f"vpc-{2:017x}"]
    keys = [n for g in groups.values() for n in (g.key, *(rule.key for rule in g.rules))]
    assert sorted(keys) == list(range(1, 11))
    ours = groups[f"vpc-{1:017x}"]
    assert [(r.direction, r.family, r.remote) for r in ours.rules] == [
        ("ingress", 4, GroupRemote(ours.id)),
        ("ingress", 6, GroupRemote(ours.id)),
        ("egress", 4, AnyRemote()),
        ("egress", 6, AnyRemote()),
    ]
    ports = [change.resource for change in batch.changes if change.kind == "port"]
    assert [port.groups for port in sorted(ports, key=lambda port: port.key)] == [
        *[(ours.id,)] * 3,
        None,
    ]
    changes = Feed(filled).changes(7)
    assert changes is not None
    told = {change.id for change in changes.changes if change.kind == "sg"}
    assert told == {group.id for group in groups.values()}


def test_what_was_there_gets_main_route_tables(filled: Database) -> None:
    changes = Feed(filled).changes(7)
    assert changes is not None
    tables = [change.resource for change in changes.changes if change.kind == "rtb"]
    assert sorted((t.vpc_id, t.key, t.is_main, t.routes) for t in tables) == [
        (f"vpc-{key:017x}", key, True, ()) for key in (1, 2)
    ]


def test_migrated_groups_are_like_new_ones(filled: Database) -> None:
    services, admin = Services(filled), Actor("admin")
    old, new = f"vpc-{1:017x}", services.vpcs.create(admin, VpcCreate(("10.9.0.0/16",)))

    def shown(vpc_id: str) -> list[tuple]:
        page = services.security_groups.list(admin, Listing(filters={"vpc_id": vpc_id}))
        one = services.security_groups.get(admin, page.items[0].meta.id)
        described = (one.meta.name, one.meta.tags, one.default, one.stateful, one.established)
        rules = [
            (r.direction, r.family, r.protocol, r.ports, r.cidr, r.security_group_id == one.meta.id)
            for r in one.rules or ()
        ]
        return [described, *rules]

    assert shown(old) == shown(new.meta.id)
    page = services.security_groups.list(admin, Listing(filters={"vpc_id": old}))
    again = RuleCreate("ingress", family=4, security_group_id="self")
    with pytest.raises(Conflict, match="An equal rule is there: sgr-"):
        services.group_rules.add(admin, page.items[0].meta.id, [again])
    for key in range(1, 5):
        services.ports.delete(admin, f"port-{key:017x}")
    services.subnets.delete(admin, f"subnet-{1:017x}")
    for vpc_id in (old, f"vpc-{2:017x}", new.meta.id):
        services.vpcs.delete(admin, vpc_id)
    assert Feed(filled).load().changes == ()


def test_a_network_survives_the_way_back_and_forth(filled: Database) -> None:
    filled.write(lambda connection: schema.downgrade(connection, "0002"))
    left = filled.read(
        lambda c: c.execute(text("SELECT id FROM ports ORDER BY id")).scalars().all()
    )
    assert left == [f"port-{key:017x}" for key in range(1, 5)]
    filled.upgrade()
    assert differences(filled) == []
    assert len([c for c in Feed(filled).load().changes if c.kind == "sg"]) == 2


def test_eips_that_were_there_are_seen_since_their_newest_change(url: str) -> None:
    opened = Database.open(url)
    opened.write(lambda connection: schema.upgrade(connection, "0009"))
    described = {"name": "n", "description": "", "tags": "{}", "created_at": 1, "updated_at": 1}

    def fill(connection: Connection) -> None:
        network = {"id": f"ext-{1:017x}", "key": 1, "provider": "isp", "vlan": 0, "mtu": 1500}
        insert(connection, "external_networks", **network, **described, revision=1)
        eip = {"id": f"eip-{1:017x}", "tenant_id": "red", "key": 1, "address": "203.0.113.9"}
        left = {"left_revision": 0, "left_hosts": "[]", "external_network_id": network["id"]}
        insert(connection, "eips", **eip, **left, **described, revision=42)

    opened.write(fill)
    opened.upgrade()
    seen = opened.read(lambda c: c.execute(text("SELECT seen_revision FROM eips")).scalars().all())
    assert seen == [42]
    opened.close()


def test_locations_that_were_there_are_in_their_ports_subnets(url: str) -> None:
    opened = Database.open(url)
    opened.upgrade()
    services, admin = Services(opened), Actor("admin")
    vpc = services.vpcs.create(admin, VpcCreate(("10.0.0.0/16",)))
    host = services.hosts.create(admin, HostCreate(name="h1"))
    places: dict[str, str] = {}
    for number in (1, 2):
        values = SubnetCreate(vpc_id=vpc.meta.id, cidr=f"10.0.{number}.0/24")
        subnet = services.subnets.create(admin, values).meta.id
        places[services.ports.create(admin, PortCreate(subnet_id=subnet)).meta.id] = subnet
    opened.write(lambda connection: schema.downgrade(connection, "0010"))
    for number, port_id in enumerate(places):
        row = {"port_id": port_id, "host_id": host.meta.id, "vpc_id": vpc.meta.id}
        opened.write(lambda c, n=number, r=row: insert(c, "locations", **r, ofport=n, revision=9))
    opened.upgrade()
    pairs = opened.read(lambda c: c.execute(text("SELECT port_id, subnet_id FROM locations")).all())
    assert dict(pairs) == places
    assert differences(opened) == []
    opened.close()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected sqlite:///<path> or postgresql://"):
        parse_url(url)


@pytest.mark.parametrize("url", ["postgresql://u@h/d", "postgresql+psycopg://u@h/d"])
def test_both_spellings_of_postgresql_are_accepted(url: str) -> None:
    assert parse_url(url).drivername == "postgresql+psycopg"
