"""Private zones: what moves them, and what hosts and guests are told."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import delete, update

from api.zone_polls import ZoneHub
from tests.store.conftest import ADMIN, World
from tests.store.reporting import Agent, link
from vpcctl.model.dhcp_options import DhcpOptions
from vpcctl.model.problems import Exhausted
from vpcctl.services.dhcp_values import DhcpOptionsCreate
from vpcctl.services.dns_views import DnsRecordChange, DnsRecordCreate
from vpcctl.services.views import AttachmentView, PortChange, VpcChange
from vpcctl.store.database import Database
from vpcctl.store.tables import ChangeRow, LedgerRow, VpcRow
from vpcctl.wire.zones import digest_of


def revision(world: World, vpc_id: str) -> int:
    return world.services.zones.revisions(ADMIN, 0)[vpc_id]


def test_every_write_that_changes_names_moves_the_zone_and_no_other_does(world: World) -> None:
    services, subnet = world.services, world.subnet()
    vpc_id = subnet.vpc_id
    port = world.port(subnet, name="a")
    other = world.subnet(vpc=world.vpc("10.0.0.0/16")).vpc_id
    made: list[str] = []

    def record() -> None:
        values = DnsRecordCreate(vpc_id, "db", "A", ("10.0.0.1",))
        made.append(services.dns_records.create(ADMIN, values).meta.id)

    moving: list[Callable[[], object]] = [
        lambda: world.port(subnet, name="b"),
        lambda: services.ports.change(ADMIN, port.meta.id, PortChange(name="c")),
        lambda: services.ports.change(ADMIN, port.meta.id, PortChange(fixed_ips=("10.0.1.77",))),
        record,
        lambda: services.dns_records.change(ADMIN, made[0], DnsRecordChange(ttl=9)),
        lambda: services.dns_records.delete(ADMIN, made[0]),
        lambda: services.vpcs.change(ADMIN, vpc_id, VpcChange(dns_domain="new.test")),
        lambda: services.vpcs.change(ADMIN, vpc_id, VpcChange(dns_enabled=False)),
        lambda: services.ports.delete(ADMIN, port.meta.id),
    ]
    elsewhere = revision(world, other)
    for write in moving:
        before = revision(world, vpc_id)
        write()
        assert revision(world, vpc_id) > before
    plain = world.port(subnet)
    before = revision(world, vpc_id)
    services.vpcs.change(ADMIN, vpc_id, VpcChange(name="x"))
    services.ports.change(ADMIN, plain.meta.id, PortChange(description="x"))
    assert revision(world, vpc_id) == before
    assert revision(world, other) == elsewhere
    assert vpc_id not in services.zones.revisions(ADMIN, before)


def test_a_document_has_whole_names(world: World) -> None:
    services, subnet = world.services, world.subnet()
    agent = Agent(world, world.host())
    place = AttachmentView("namespace", agent.host.meta.id, None, "n")
    world.port(subnet, name="Web 1", attachment=place)
    world.port(subnet)
    for name, kind, values in (
        ("*.app", "A", ("10.0.0.1",)),
        ("@", "MX", ("010 mail",)),
        ("alias", "CNAME", ("web.example.com.",)),
        ("10.0.1.9", "PTR", ("printer",)),
        ("note", "TXT", ('say "hi"' + "x" * 300,)),
    ):
        services.dns_records.create(ADMIN, DnsRecordCreate(subnet.vpc_id, name, kind, values))
    zone = services.zones.zone(ADMIN, agent.host.meta.id, subnet.vpc_id)
    assert zone.digest == digest_of(zone)
    assert [named and named[0] for named in zone.ports.values()] == ["web-1", ""]
    found = {record.name: record.values for record in zone.records}
    assert found["*.app.vpc.internal"] == ("10.0.0.1",)
    assert found["vpc.internal"] == ("10 mail.vpc.internal.",)
    assert found["alias.vpc.internal"] == ("web.example.com.",)
    assert found["9.1.0.10.in-addr.arpa"] == ("printer.vpc.internal.",)
    (text,) = found["note.vpc.internal"]
    assert text.startswith('"say \\"hi\\"xxx')
    assert text.count('" "') == 1


def test_guests_are_told_the_resolver_unless_something_says_otherwise(world: World) -> None:
    services, subnet = world.services, world.subnet()
    agent = Agent(world, world.host())
    place = AttachmentView("namespace", agent.host.meta.id, None, "n")
    port = world.port(subnet, attachment=place)

    def told() -> tuple[tuple[str, ...], str | None]:
        state = services.hosts.state(ADMIN, agent.host.meta.id)
        options = state.guests[0].options or state.guest_subnets[0].options
        return options.dns_servers, options.domain

    assert told() == (("169.254.169.253",), "vpc.internal")
    own = DhcpOptions(domain_name="own.test")
    services.ports.change(ADMIN, port.meta.id, PortChange(dhcp_options=own))
    assert told() == (("169.254.169.253",), "own.test")
    tenant_id = services.vpcs.get(ADMIN, subnet.vpc_id).meta.tenant_id
    values = DhcpOptionsCreate(DhcpOptions(dns_servers=("10.0.0.2",)), tenant_id=tenant_id)
    chosen = services.dhcp_options.create(ADMIN, values)
    services.vpcs.change(ADMIN, subnet.vpc_id, VpcChange(dhcp_options_id=chosen.meta.id))
    assert told() == (("10.0.0.2",), "own.test")
    services.vpcs.change(ADMIN, subnet.vpc_id, VpcChange(dhcp_options_id=None, dns_enabled=False))
    assert told() == ((), "own.test")


def test_records_have_a_quota(world: World) -> None:
    services, subnet = world.services, world.subnet()
    service = services.dns_records
    service._quota = 1  # the deployment's setting, as small as it can be
    service.create(ADMIN, DnsRecordCreate(subnet.vpc_id, "a", "A", ("10.0.0.1",)))
    with pytest.raises(Exhausted):
        service.create(ADMIN, DnsRecordCreate(subnet.vpc_id, "b", "A", ("10.0.0.1",)))


def test_all_records_of_a_vpc_have_so_many_characters(world: World) -> None:
    services, subnet = world.services, world.subnet()
    service = services.dns_records
    service._most = 3_000
    long = DnsRecordCreate(subnet.vpc_id, "a", "TXT", ("x" * 900, "y" * 900))
    made = service.create(ADMIN, long).meta.id
    with pytest.raises(Exhausted) as refused:
        service.create(ADMIN, DnsRecordCreate(subnet.vpc_id, "b", "TXT", long.values))
    assert (refused.value.field, "3000" in str(refused.value.accepted)) == ("values", True)
    change = DnsRecordChange(values=("x" * 900, "y" * 900, "z" * 900, "!" * 900))
    with pytest.raises(Exhausted):
        service.change(ADMIN, made, change)
    assert services.dns_records.get(ADMIN, made).values == long.values


def test_a_host_hears_of_the_vpcs_of_its_guests_alone(world: World) -> None:
    services = world.services
    attached, located, absent = (world.subnet(vpc=world.vpc("10.0.0.0/16")) for _ in range(3))
    agent = Agent(world, world.host())
    host_id = agent.host.meta.id
    world.port(attached, attachment=AttachmentView("namespace", host_id, None, "n"))
    agent.report(link(world.port(located)))
    world.port(absent)
    all_three = [one.vpc_id for one in (attached, located, absent)]
    assert services.zones.on_host(ADMIN, host_id, all_three) == {attached.vpc_id, located.vpc_id}


def test_polls_hear_of_an_older_copy_under_a_running_api(world: World, database: Database) -> None:
    vpc_id = world.subnet().vpc_id
    world.services.vpcs.change(ADMIN, vpc_id, VpcChange(dns_domain="lost.test"))

    async def aside(call: Callable[..., Any], *given: Any) -> Any:
        return call(*given)

    async def scenario() -> None:
        hub = ZoneHub(cast("Any", SimpleNamespace(services=world.services, aside=aside)))
        assert await hub._look({vpc_id: revision(world, vpc_id)}) == {}

        def restore(connection: Any) -> None:
            connection.execute(update(VpcRow).values(names_revision=1))
            connection.execute(update(LedgerRow).values(value=1))
            connection.execute(delete(ChangeRow).where(ChangeRow.revision > 1))

        before = revision(world, vpc_id)
        database.write(restore)
        assert await hub._look({vpc_id: before}) == {vpc_id: 1}
        world.services.vpcs.change(ADMIN, vpc_id, VpcChange(dns_domain="new.test"))
        assert await hub._look({vpc_id: 1}) == {vpc_id: 2}

    asyncio.run(scenario())
