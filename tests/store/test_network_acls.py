"""Network ACLs: their entries, and the subnets that have them."""

from ipaddress import ip_network
from typing import Any

import pytest

from tests.store.conftest import ADMIN, World
from tests.store.test_security_groups import at_once, held, vpc_of
from vpcctl.model.network_acl import AclRule
from vpcctl.model.problems import Conflict, Exhausted, Invalid, NotFound
from vpcctl.services.facade import Quotas, Services, ServiceSettings
from vpcctl.services.security_views import (
    AclEntry,
    NetworkAclChange,
    NetworkAclCreate,
    NetworkAclView,
)
from vpcctl.services.views import Actor, Listing, SubnetChange, VpcView


def make(world: World, vpc: VpcView, *entries: AclEntry) -> NetworkAclView:
    return world.services.network_acls.create(ADMIN, NetworkAclCreate(vpc.meta.id, entries))


def allow(number: int, cidr: str = "0.0.0.0/0", **more: Any) -> AclEntry:
    return AclEntry(number, "ingress", "allow", cidr, **more)


def change(world: World, acl: NetworkAclView, **values: Any) -> list[tuple[str, int, bool]]:
    service = world.services.network_acls
    changed = service.change(ADMIN, acl.meta.id, NetworkAclChange(**values))
    rules = held(world, "nacl")[acl.meta.id].rules
    assert [(e.direction, e.number) for e in changed.entries or ()] == [
        (rule.direction, rule.number) for rule in rules
    ]
    return [(rule.direction, rule.number, rule.allow) for rule in rules]


def test_entries_are_kept_in_order(world: World) -> None:
    acl = make(
        world,
        world.vpc(),
        allow(200, protocol="tcp", ports="443"),
        AclEntry(100, "egress", "deny", "fd00::/8", protocol="icmpv6", icmp_type=128, icmp_code=0),
        allow(100, "10.0.0.0/8"),
    )
    assert held(world, "nacl")[acl.meta.id].rules == (
        AclRule(100, "egress", False, ip_network("fd00::/8"), 58, None, 128, 0),
        AclRule(100, "ingress", True, ip_network("10.0.0.0/8")),
        AclRule(200, "ingress", True, ip_network("0.0.0.0/0"), 6, (443, 443)),
    )
    (listed,) = world.services.network_acls.list(ADMIN, Listing()).items
    assert (listed.entries, listed.entry_count) == (None, 3)


def test_entries_are_added_replaced_and_removed_whole(world: World) -> None:
    acl = make(world, world.vpc(), allow(1))
    one, two, three = (("ingress", number, True) for number in (1, 2, 3))
    assert change(world, acl, add=(allow(2), allow(3))) == [one, two, three]
    with pytest.raises(Conflict) as caught:
        change(world, acl, add=(allow(4, at="0"), allow(3, "10.0.0.0/8", at="1")))
    assert caught.value.field == "1.number"
    assert str(caught.value) == f"{acl.meta.id} has an ingress entry 3 already."
    with pytest.raises(Conflict, match="The request has an ingress entry 4 already"):
        change(world, acl, add=(allow(4), allow(4)))
    denied = AclEntry(2, "ingress", "deny", "0.0.0.0/0")
    assert change(world, acl, put=denied) == [one, ("ingress", 2, False), three]
    assert change(world, acl, put=allow(2), remove=("ingress", 3)) == [one, two]
    with pytest.raises(NotFound):
        change(world, acl, remove=("egress", 1))
    assert change(world, acl, entries=(allow(3),)) == [three]
    with pytest.raises(Conflict):
        change(world, acl, entries=(allow(3), allow(3)))
    assert change(world, acl, name="edge") == [three]
    assert change(world, acl, entries=()) == []


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (allow(0), "number"),
        (allow(32767), "number"),
        (allow(1, "10.0.0.1/8"), "cidr"),
        (allow(1, "any"), "cidr"),
        (allow(1, "::/0", protocol="icmp"), "cidr"),
        (allow(1, protocol="icmpv6"), "cidr"),
        (allow(1, protocol="quic"), "protocol"),
        (allow(1, ports="443"), "ports"),
        (allow(1, protocol="udp", icmp_type=8), "icmp_type"),
        (allow(1, description="\0"), "description"),
    ],
)
def test_an_entry_that_cannot_be_changes_nothing(world: World, entry: AclEntry, field: str) -> None:
    acl = make(world, world.vpc(), allow(7))
    for values in ({"add": (allow(8), entry)}, {"put": entry}, {"entries": (entry,)}):
        with pytest.raises(Invalid) as caught:
            change(world, acl, **values)
        assert caught.value.field == field
        assert caught.value.accepted
    assert world.services.network_acls.get(ADMIN, acl.meta.id) == acl


def test_a_subnet_has_an_acl_of_its_vpc(world: World) -> None:
    subnet = world.subnet()
    vpc = vpc_of(world, subnet)
    acl, foreign = make(world, vpc), make(world, world.vpc())
    subnets = world.services.subnets

    def give(id: str | None) -> str | None:
        changed = subnets.change(ADMIN, subnet.meta.id, SubnetChange(network_acl_id=id))
        assert held(world, "subnet")[subnet.meta.id].acl_id == changed.network_acl_id
        return changed.network_acl_id

    assert subnet.network_acl_id is None
    assert give(acl.meta.id) == acl.meta.id
    subnets.change(ADMIN, subnet.meta.id, SubnetChange(name="other"))
    assert subnets.get(ADMIN, subnet.meta.id).network_acl_id == acl.meta.id
    for id in (foreign.meta.id, "nacl-00000000000000000", "edge"):
        with pytest.raises(Invalid) as caught:
            give(id)
        assert caught.value.field == "network_acl_id"
        with pytest.raises(Invalid):
            world.subnet("10.0.2.0/24", vpc, network_acl_id=id)
    with pytest.raises(Conflict) as caught_conflict:
        world.services.network_acls.delete(ADMIN, acl.meta.id)
    assert [b.id for b in caught_conflict.value.blockers] == [subnet.meta.id]
    second = world.subnet("10.0.2.0/24", vpc, network_acl_id=acl.meta.id)
    listing = Listing(filters={"network_acl_id": acl.meta.id})
    assert [s.meta.id for s in subnets.list(ADMIN, listing).items] == [
        subnet.meta.id,
        second.meta.id,
    ]
    subnets.delete(ADMIN, second.meta.id)
    assert give(None) is None
    world.services.network_acls.delete(ADMIN, acl.meta.id)
    assert acl.meta.id not in held(world, "nacl")


def test_a_subnet_gets_the_acl_or_it_goes(world: World) -> None:
    subnet = world.subnet()
    vpc = vpc_of(world, subnet)
    for _ in range(6):
        acl = make(world, vpc)
        wanted = SubnetChange(network_acl_id=acl.meta.id)
        give, drop = at_once(
            lambda w=wanted: world.services.subnets.change(ADMIN, subnet.meta.id, w),
            lambda a=acl: world.services.network_acls.delete(ADMIN, a.meta.id),
        )
        assert (give is None) != (drop is None)
        none = SubnetChange(network_acl_id=None)
        world.services.subnets.change(ADMIN, subnet.meta.id, none)


def test_quotas_bound_acls_and_entries(world: World) -> None:
    quotas = Quotas(network_acls=1, entries=2)
    world.services = Services(world.database, settings=ServiceSettings(quotas=quotas))
    vpc = world.vpc()
    with pytest.raises(Exhausted, match="3 entries"):
        make(world, vpc, allow(1), allow(2), allow(3))
    acl = make(world, vpc, allow(1), allow(2))
    with pytest.raises(Exhausted, match="1 network acls"):
        make(world, vpc)
    with pytest.raises(Exhausted):
        change(world, acl, add=(allow(3),))
    assert len(change(world, acl, put=allow(2, "10.0.0.0/8"))) == 2
    world.services.network_acls.delete(ADMIN, acl.meta.id)
    make(world, vpc)


def test_acls_are_their_tenants(world: World) -> None:
    acl, blue = make(world, world.vpc(tenant="red")), Actor("tenant", "blue")
    assert world.services.network_acls.list(blue, Listing()).items == ()
    for call in (world.services.network_acls.get, world.services.network_acls.delete):
        with pytest.raises(NotFound):
            call(blue, acl.meta.id)
    with pytest.raises(Invalid):
        world.services.network_acls.create(blue, NetworkAclCreate(acl.vpc_id))
