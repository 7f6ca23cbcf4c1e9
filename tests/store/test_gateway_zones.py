"""Gateway hosts in zones: standbys make room for hosts of others, and who is active stays."""

from tests.store.conftest import ADMIN, World
from tests.store.outside import outside
from tests.store.test_gateway_hosts import change, order
from vpcctl.store.units import present_revision


def test_standbys_are_spread_when_hosts_of_other_zones_come(world: World) -> None:
    site = outside(world)
    for name in "abc":
        site.host(name, "one")
    nat, internet = site.nat(world.vpc()), site.internet(world.vpc())
    first, second, third = order(site, "nat", nat.meta.id)
    active = order(site, "igw", internet.meta.id)[0]
    site.host("d", "one")
    assert order(site, "nat", nat.meta.id) == [first, second, third]
    site.host("e", "two")
    assert order(site, "nat", nat.meta.id) == [first, second, "e"]
    before = world.database.read(present_revision)
    change(site, "d", availability_zone="three")
    assert order(site, "nat", nat.meta.id) == [first, "e", "d"]
    assert order(site, "igw", internet.meta.id) == [active, "e", "d"]
    assert world.services.nat_gateways.get(ADMIN, nat.meta.id).placement.active_host_id == site.id(
        first
    )
    news = world.feed.changes(before)
    assert news is not None
    assert {nat.meta.id, internet.meta.id} <= {one.id for one in news.changes}
    change(site, second, availability_zone="four")
    assert order(site, "nat", nat.meta.id) == [first, "e", "d"]
