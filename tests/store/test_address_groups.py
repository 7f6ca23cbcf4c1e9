"""Address groups: sets of blocks that rules follow."""

from typing import Any

import pytest

from tests.store.conftest import ADMIN, World
from tests.store.reporting import Agent, link
from tests.store.test_security_groups import group, held, vpc_of
from vpcctl.model.problems import Conflict, Exhausted, Invalid, NotFound, Stale
from vpcctl.services.facade import Quotas, Services, ServiceSettings
from vpcctl.services.security_views import (
    AddressGroupChange,
    AddressGroupCreate,
    AddressGroupView,
    RuleCreate,
)
from vpcctl.services.views import Actor, Listing
from vpcctl.store.realisation import HostRealised


def make(world: World, *cidrs: str, tenant: str = "red") -> AddressGroupView:
    values = AddressGroupCreate(cidrs, tenant_id=tenant)
    return world.services.address_groups.create(ADMIN, values)


def change(world: World, made: AddressGroupView, **values: Any) -> list[str]:
    changed = world.services.address_groups.change(
        ADMIN, made.meta.id, AddressGroupChange(**values)
    )
    model = held(world, "ag")[made.meta.id]
    assert model.cidrs == changed.cidrs
    assert changed.cidr_count == len(model.cidrs)
    return [str(block) for block in model.cidrs]


def test_blocks_are_sorted_added_and_removed(world: World) -> None:
    made = make(world, "2001:db8::/32", "10.0.0.0/8", "9.0.0.1")
    assert [str(block) for block in made.cidrs or ()] == [
        "9.0.0.1/32",
        "10.0.0.0/8",
        "2001:db8::/32",
    ]
    assert change(world, made, add=("0.0.0.0/0",))[0] == "0.0.0.0/0"
    assert change(world, made, remove=("9.0.0.1", "2001:db8::/32")) == ["0.0.0.0/0", "10.0.0.0/8"]
    assert change(world, made, name="office") == ["0.0.0.0/0", "10.0.0.0/8"]
    assert change(world, made, cidrs=()) == []
    revision = world.feed.load().revision
    change(world, made, cidrs=("::/0",))
    batch = world.feed.changes(revision)
    assert batch is not None
    assert [(c.kind, c.id) for c in batch.changes] == [("ag", made.meta.id)]


def test_what_cannot_be_changes_nothing(world: World) -> None:
    made = make(world, "10.0.0.0/8", "11.0.0.0/8")
    refused: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"add": ("12.0.0.0/8", "10.0.0.0/8")}, Conflict, "cidrs.1"),
        ({"remove": ("10.0.0.0/8", "12.0.0.0/8")}, Conflict, "cidr.1"),
        ({"add": ("12.0.0.0/8", "12.0.0.0/8")}, Invalid, "cidrs.1"),
        ({"cidrs": ("12.0.0.1/8",)}, Invalid, "cidrs.0"),
        ({"cidrs": ("12.0.0.0/8", "office")}, Invalid, "cidrs.1"),
        ({"cidrs": ("12.0.0.0/255.0.0.0",)}, Invalid, "cidrs.0"),
        ({"cidrs": ("fe80::1%eth0/64",)}, Invalid, "cidrs.0"),
    ]
    for values, problem, field in refused:
        with pytest.raises(problem) as caught:
            change(world, made, **values)
        assert caught.value.field == field  # type: ignore[attr-defined]
    assert world.services.address_groups.get(ADMIN, made.meta.id) == made
    with pytest.raises(Stale):
        world.services.address_groups.change(ADMIN, made.meta.id, AddressGroupChange(), 0)


def test_a_rule_keeps_the_address_group_it_names(world: World) -> None:
    vpc, made = world.vpc(), make(world, "10.0.0.0/8")
    web = group(world, vpc, RuleCreate("ingress", family=4, address_group_id=made.meta.id))
    with pytest.raises(Conflict) as caught:
        world.services.address_groups.delete(ADMIN, made.meta.id)
    (blocker,) = caught.value.blockers
    assert (blocker.kind, blocker.id) == ("sg", web.meta.id)
    assert (web.rules or ())[0].id in blocker.reason
    foreign = make(world, tenant="blue")
    with pytest.raises(Invalid, match="There is no address group"):
        group(world, vpc, RuleCreate("ingress", address_group_id=foreign.meta.id))
    world.services.security_groups.delete(ADMIN, web.meta.id)
    world.services.address_groups.delete(ADMIN, made.meta.id)


def test_address_groups_are_their_tenants(world: World) -> None:
    made, blue = make(world), Actor("tenant", "blue")
    assert world.services.address_groups.list(blue, Listing()).items == ()
    with pytest.raises(NotFound):
        world.services.address_groups.get(blue, made.meta.id)
    (listed,) = world.services.address_groups.list(Actor("tenant", "red"), Listing()).items
    assert (listed.meta.id, listed.cidrs, listed.cidr_count) == (made.meta.id, None, 0)


def test_quotas_bound_address_groups_and_their_blocks(world: World) -> None:
    quotas = Quotas(address_groups=1, cidrs=3)
    world.services = Services(world.database, settings=ServiceSettings(quotas=quotas))
    blocks = tuple(f"10.{n}.0.0/16" for n in range(4))
    with pytest.raises(Exhausted, match="4 CIDRs"):
        make(world, *blocks)
    made = make(world, *blocks[:3])
    with pytest.raises(Exhausted, match="1 address groups"):
        make(world)
    with pytest.raises(Exhausted):
        change(world, made, add=blocks[3:])
    world.services.address_groups.delete(ADMIN, made.meta.id)
    make(world)


def test_it_concerns_the_hosts_of_every_vpc_that_names_it(world: World) -> None:
    made = make(world, "10.0.0.0/8")
    hosts = [world.host(f"h{n}") for n in range(3)]
    for number, host in enumerate(hosts, 1):
        subnet = world.subnet()
        if number < 3:
            rule = RuleCreate("ingress", family=4, address_group_id=made.meta.id)
            group(world, vpc_of(world, subnet), rule)
            group(world, vpc_of(world, subnet), rule)
        Agent(world, host, f"192.0.2.{number}").report(link(world.port(subnet), 1))
    concern = world.services.status.concern(ADMIN, "ag", made.meta.id)
    assert concern.hosts == {hosts[0].meta.id, hosts[1].meta.id}
    change(world, made, add=("11.0.0.0/8",))
    revision = world.feed.load().revision
    assert not world.services.status.progress(concern, revision).realized
    done = [HostRealised(host.meta.id, revision, "in_sync", None, 1) for host in hosts[:2]]
    world.realisation.record(revision, done)
    assert world.services.status.progress(concern, revision).realized
    status = world.services.address_groups.get(ADMIN, made.meta.id).status
    assert (status.state, status.hosts) == ("active", 2)
    unused = world.services.address_groups.get(ADMIN, make(world).meta.id).status
    assert (unused.state, unused.hosts) == ("pending", 0)
