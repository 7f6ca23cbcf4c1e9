"""EIPs and port forwards say when nothing that comes in is answered: no route leads back."""

from tests.store.conftest import ADMIN, ON_SQLITE, World
from tests.store.outside import outside
from tests.store.test_eips import associate, reachable
from tests.store.test_route_tables import change, main, port_id, table
from vpcctl.services.routing_views import ForwardWanted, RouteWanted
from vpcctl.services.views import Listing, SubnetChange


@ON_SQLITE
def test_a_forward_says_that_no_route_leads_back(world: World) -> None:
    outer, vpc = outside(world), world.vpc()
    subnet = world.subnet(vpc=vpc)
    server = world.port(subnet, fixed_ips=("10.0.1.20",))
    other = world.port(subnet, source_dest_check=False)
    nat, second = outer.nat(vpc), outer.nat(vpc)
    service = world.services.nat_gateways
    made = service.add_forward(ADMIN, nat.meta.id, ForwardWanted("tcp", "443", "10.0.1.20"))

    def warning() -> str | None:
        (forward,) = service.get(ADMIN, nat.meta.id).forwards or ()
        return forward.warning

    first = main(world, vpc)
    expected = (
        f"{first.meta.id}, the route table of {port_id(server)}, has no IPv4 route to"
        f" {nat.meta.id}: what the port answers does not leave by it"
    )
    assert made.forwards[0].warning == warning() == expected
    change(world, first, put=(RouteWanted("0.0.0.0/0", (second.meta.id,)),))
    assert warning() == expected
    change(world, first, put=(RouteWanted("192.0.2.0/24", (nat.meta.id,)),))
    assert warning() is None
    own = table(world, vpc)
    to_own = SubnetChange(route_table_id=own.meta.id)
    world.services.subnets.change(ADMIN, subnet.meta.id, to_own)
    assert warning() == expected.replace(first.meta.id, own.meta.id)
    change(world, own, put=(RouteWanted("192.0.2.0/24", (port_id(other),)),))
    assert warning() is None  # that port may hand on what it gets, to the gateway too


@ON_SQLITE
def test_an_eip_says_that_no_route_leads_back(world: World) -> None:
    outer, vpc = reachable(world)
    (internet,) = world.services.internet_gateways.list(ADMIN, Listing()).items
    server = world.port(world.subnet(vpc=vpc))
    eip, idle, shared = outer.eip(), outer.eip(), outer.eip()
    outer.nat(vpc, shared)
    associated = associate(world, eip, server)
    first = main(world, vpc).meta.id
    assert associated.warning is not None
    for one in (first, port_id(server), internet.meta.id):
        assert one in associated.warning

    def warned() -> set[str]:
        listed = world.services.eips.list(ADMIN, Listing()).items
        assert {one.meta.id for one in listed} == {one.meta.id for one in (eip, idle, shared)}
        return {one.meta.id for one in listed if one.warning is not None}

    assert warned() == {eip.meta.id}
    change(world, main(world, vpc), put=(RouteWanted("0.0.0.0/0", (internet.meta.id,)),))
    assert warned() == set()
