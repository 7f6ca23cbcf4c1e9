from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from tests.store.conftest import ADMIN, World
from tests.store.outside import outside
from tests.store.reporting import Agent, link
from vpcctl.model.problems import Conflict
from vpcctl.services.routing_views import ForwardWanted, RouteTableCreate, RouteWanted
from vpcctl.services.security_views import (
    AclEntry,
    AddressGroupCreate,
    NetworkAclCreate,
    RuleCreate,
    SecurityGroupCreate,
)
from vpcctl.services.views import (
    Actor,
    AttachmentView,
    Listing,
    PortView,
    SubnetChange,
    VpcView,
)
from vpcctl.store.realisation import HostRealised
from vpcctl.store.tables import HostRow, SubnetRow, VpcRow, metadata

KEPT = {"ledger", "progress", "changes", "idempotency", "tokens"}


def counts(world: World) -> dict[str, int]:
    def work(connection):
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
            if table.name not in KEPT
        }

    return world.database.read(work)


def lead_outside(world: World, vpc: VpcView, port: PortView) -> list[tuple[Any, str]]:
    """Make all there is of the world outside; return services and ids to delete it in order."""
    services, site = world.services, outside(world)
    nat, internet = site.nat(vpc), site.internet(vpc)
    forward = ForwardWanted("tcp", "443", str(port.fixed_ips[0]))
    services.nat_gateways.add_forward(ADMIN, nat.meta.id, forward)
    out = RouteWanted("0.0.0.0/0", (nat.meta.id, internet.meta.id, port.meta.id))
    table = services.route_tables.create(ADMIN, RouteTableCreate(vpc.meta.id, (out,)))
    return [
        (services.route_tables, table.meta.id),
        (services.internet_gateways, internet.meta.id),
        (services.nat_gateways, nat.meta.id),
        (services.eips, nat.eips[0].id),
        (services.external_networks, site.network.meta.id),
    ]


def test_after_deleting_everything_no_row_is_left(world: World) -> None:
    services = world.services
    vpc = world.vpc("10.0.0.0/16", "fd00:1::/48")
    subnet = world.subnet(vpc=vpc, ipv6_cidr="fd00:1:0:1::/64")
    hosts = [world.host(f"h{n}") for n in range(2)]
    attachment = AttachmentView("namespace", hosts[0].meta.id, "eth0", "ns1")
    office = services.address_groups.create(
        ADMIN, AddressGroupCreate(("198.51.100.0/24", "2001:db8::/32"), tenant_id="red")
    )
    rules = (RuleCreate("ingress", address_group_id=office.meta.id),)
    web = services.security_groups.create(ADMIN, SecurityGroupCreate(vpc.meta.id, rules=rules))
    entries = (AclEntry(1, "ingress", "allow", "0.0.0.0/0"),)
    acl = services.network_acls.create(ADMIN, NetworkAclCreate(vpc.meta.id, entries))
    services.subnets.change(ADMIN, subnet.meta.id, SubnetChange(network_acl_id=acl.meta.id))
    ports = [
        world.port(subnet, attachment=attachment, security_groups=(web.meta.id,)),
        world.port(subnet),
    ]
    ways_out = lead_outside(world, vpc, ports[1])
    agents = [Agent(world, host, f"192.0.2.{n}") for n, host in enumerate(hosts, 1)]
    agents[0].report(link(ports[0], 1), link(ports[1], 2))
    agents[1].report(link(ports[1], 2))
    services.tokens.create(ADMIN, "host", host_id=hosts[0].meta.id)
    world.realisation.record(5, [HostRealised(hosts[0].meta.id, 5, "in_sync", None, 9)])
    services.maintain()

    with pytest.raises(Conflict) as caught:
        services.vpcs.delete(ADMIN, vpc.meta.id)
    assert [(b.kind, b.id) for b in caught.value.blockers] == [
        ("subnet", subnet.meta.id),
        ("sg", web.meta.id),
        ("nacl", acl.meta.id),
        *((id.partition("-")[0], id) for _, id in ways_out[:3]),
    ]
    with pytest.raises(Conflict) as caught:
        services.address_groups.delete(ADMIN, office.meta.id)
    assert {b.id for b in caught.value.blockers} == {web.meta.id}
    with pytest.raises(Conflict) as caught:
        services.subnets.delete(ADMIN, subnet.meta.id)
    assert [b.id for b in caught.value.blockers] == [port.meta.id for port in ports]
    with pytest.raises(Conflict) as caught:
        services.hosts.delete(ADMIN, hosts[0].meta.id)
    assert {b.id for b in caught.value.blockers} == {ports[0].meta.id}

    for service, id in ways_out:
        service.delete(ADMIN, id)
    for port in ports:
        services.ports.delete(ADMIN, port.meta.id)
    services.subnets.delete(ADMIN, subnet.meta.id)
    services.security_groups.delete(ADMIN, web.meta.id)
    services.network_acls.delete(ADMIN, acl.meta.id)
    services.address_groups.delete(ADMIN, office.meta.id)
    services.vpcs.delete(ADMIN, vpc.meta.id)
    for host in hosts:
        services.hosts.delete(ADMIN, host.meta.id)
    assert {name: n for name, n in counts(world).items() if n} == {}
    assert world.feed.load().changes == ()
    assert services.tokens.list(ADMIN, Listing(filters={"role": "host"})).items == ()
    services.maintain()


@pytest.mark.parametrize("row", [VpcRow, SubnetRow, HostRow])
def test_the_schema_itself_refuses_to_orphan(world: World, row) -> None:
    host = world.host()
    attachment = AttachmentView("namespace", host.meta.id, None, None)
    world.port(world.subnet(), attachment=attachment)
    with (
        pytest.raises(IntegrityError),
        world.database.engine.execution_options(vpcctl_write=True).begin() as connection,
    ):
        connection.execute(row.__table__.delete())


def test_other_tenants_resources_do_not_exist(world: World) -> None:
    red, blue = Actor("tenant", "red"), Actor("tenant", "blue")
    vpc = world.vpc(tenant="red")
    subnet = world.subnet(vpc=vpc)
    port = world.port(subnet)
    for service, id in (
        (world.services.vpcs, vpc.meta.id),
        (world.services.subnets, subnet.meta.id),
        (world.services.ports, port.meta.id),
    ):
        assert service.get(red, id).meta.tenant_id == "red"
        assert service.list(blue, Listing()).items == ()
        assert [one.meta.id for one in service.list(red, Listing()).items] == [id]
        for call in (service.get, service.delete):
            with pytest.raises(Exception, match="There is no") as caught:
                call(blue, id)
            assert caught.value.status == 404  # type: ignore[attr-defined]
