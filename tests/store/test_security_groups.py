"""Security groups, their rules and members: what is kept, and what is refused."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from tests.store.conftest import ADMIN, World
from vpcctl.model.problems import Conflict, Exhausted, Invalid, NotFound, Problem, Stale
from vpcctl.model.security_group import AnyRemote, GroupRemote, SecurityGroup
from vpcctl.services.facade import Quotas, Services, ServiceSettings
from vpcctl.services.security_views import (
    RuleCreate,
    SecurityGroupChange,
    SecurityGroupCreate,
    SecurityGroupView,
)
from vpcctl.services.views import (
    Actor,
    Listing,
    PortChange,
    PortCreate,
    SubnetView,
    VpcChange,
    VpcView,
)
from vpcctl.store.tables import (
    GroupRuleRow,
    MembershipRow,
    SecurityGroupRow,
)

HTTPS = RuleCreate("ingress", protocol="tcp", ports="443", cidr="0.0.0.0/0")


def group(world: World, vpc: VpcView, *rules: RuleCreate, **more: Any) -> SecurityGroupView:
    values = SecurityGroupCreate(vpc_id=vpc.meta.id, rules=rules, **more)
    return world.services.security_groups.create(ADMIN, values)


def default(world: World, vpc: VpcView) -> SecurityGroupView:
    listing = Listing(filters={"vpc_id": vpc.meta.id, "name": "default"})
    (found,) = world.services.security_groups.list(ADMIN, listing).items
    return world.services.security_groups.get(ADMIN, found.meta.id)


def held(world: World, kind: str) -> dict[str, Any]:
    return {c.id: c.resource for c in world.feed.load().changes if c.kind == kind}


def vpc_of(world: World, subnet: SubnetView) -> VpcView:
    return world.services.vpcs.get(ADMIN, subnet.vpc_id)


def test_a_vpc_comes_with_its_default_group(world: World) -> None:
    vpc = world.vpc()
    found = default(world, vpc)
    assert (found.meta.name, found.default, found.stateful) == ("default", True, True)
    assert found.established == "revoke"
    shown = [(r.direction, r.family, r.protocol, r.security_group_id) for r in found.rules or ()]
    assert shown == [
        ("ingress", 4, None, found.meta.id),
        ("ingress", 6, None, found.meta.id),
        ("egress", 4, None, None),
        ("egress", 6, None, None),
    ]
    model = held(world, "sg")[found.meta.id]
    assert isinstance(model, SecurityGroup)
    assert [rule.remote for rule in model.rules] == [GroupRemote(model.id)] * 2 + [AnyRemote()] * 2
    numbers = [model.key, *(rule.key for rule in model.rules)]
    assert numbers == sorted(set(numbers))


def test_the_default_group_stays_with_its_vpc(world: World) -> None:
    vpc = world.vpc()
    ours = default(world, vpc)
    service = world.services.security_groups
    with pytest.raises(Conflict) as caught:
        service.delete(ADMIN, ours.meta.id)
    assert [(b.kind, b.id) for b in caught.value.blockers] == [("vpc", vpc.meta.id)]
    with pytest.raises(Invalid, match="keeps its name"):
        service.change(ADMIN, ours.meta.id, SecurityGroupChange(name="other"))
    with pytest.raises(Invalid, match="a VPC's own group"):
        group(world, vpc, name="default")
    other = group(world, vpc, name="web")
    with pytest.raises(Invalid, match="a VPC's own group"):
        service.change(ADMIN, other.meta.id, SecurityGroupChange(name="default"))
    changed = service.change(ADMIN, ours.meta.id, SecurityGroupChange(description="ours"))
    assert changed.meta.description == "ours"
    for rule in ours.rules or ():
        world.services.group_rules.delete(ADMIN, ours.meta.id, rule.id)
    assert default(world, vpc).rules == ()
    world.services.group_rules.add(ADMIN, ours.meta.id, [HTTPS])
    with pytest.raises(Conflict) as caught:
        world.services.vpcs.delete(ADMIN, vpc.meta.id)
    assert [(b.kind, b.id) for b in caught.value.blockers] == [("sg", other.meta.id)]
    service.delete(ADMIN, other.meta.id)
    world.services.vpcs.delete(ADMIN, vpc.meta.id)
    assert held(world, "sg") == {}


def test_a_port_gets_the_default_group_or_those_it_names(world: World) -> None:
    subnet = world.subnet()
    vpc = vpc_of(world, subnet)
    ours, web, db = default(world, vpc), group(world, vpc), group(world, vpc)
    plain = world.port(subnet)
    assert plain.security_groups == (ours.meta.id,)
    both = world.port(subnet, security_groups=(web.meta.id, db.meta.id))
    assert both.security_groups == tuple(sorted((web.meta.id, db.meta.id)))
    none = world.port(subnet, security_groups=())
    assert none.security_groups == ()
    off = world.port(subnet, port_security=False)
    assert off.security_groups is None
    ports = held(world, "port")
    for port in (plain, both, none, off):
        assert ports[port.meta.id].groups == port.security_groups
        assert world.look(port).security_groups == port.security_groups
    listing = Listing(filters={"security_group_id": web.meta.id})
    assert [p.meta.id for p in world.services.ports.list(ADMIN, listing).items] == [both.meta.id]


def test_a_ports_groups_follow_its_port_security(world: World) -> None:
    subnet = world.subnet()
    web = group(world, vpc_of(world, subnet))
    ours = default(world, vpc_of(world, subnet))
    port = world.port(subnet, security_groups=(web.meta.id,))

    def change(**values: Any) -> tuple[str, ...] | None:
        changed = world.services.ports.change(ADMIN, port.meta.id, PortChange(**values))
        assert held(world, "port")[port.meta.id].groups == changed.security_groups
        return changed.security_groups

    assert change(name="renamed") == (web.meta.id,)
    assert change(port_security=True) == (web.meta.id,)
    assert change(port_security=False) is None
    assert change(name="still off") is None
    for ids in ((web.meta.id,), ()):
        with pytest.raises(Invalid, match="Port security is off") as caught:
            change(security_groups=ids)
        assert caught.value.field == "security_groups"
        with pytest.raises(Invalid, match="Port security is off"):
            world.port(subnet, port_security=False, security_groups=ids)
    assert change(port_security=True) == (ours.meta.id,)
    assert change(port_security=False) is None
    assert change(port_security=True, security_groups=(web.meta.id,)) == (web.meta.id,)
    assert change(security_groups=()) == ()
    with pytest.raises(Invalid):
        change(port_security=False, security_groups=(web.meta.id,))
    assert change(security_groups=(ours.meta.id,)) == (ours.meta.id,)


def test_groups_of_a_port_are_its_vpcs_own(world: World) -> None:
    subnet = world.subnet()
    vpc, elsewhere = vpc_of(world, subnet), world.vpc("10.0.0.0/16")
    other, web = group(world, elsewhere), group(world, vpc)
    many = tuple(f"sg-{number:017x}" for number in range(17))
    for ids, field in (
        ((web.meta.id, other.meta.id), "security_groups.1"),
        (("sg-00000000000000000",), "security_groups.0"),
        (("web",), "security_groups.0"),
        ((web.meta.id, web.meta.id), "security_groups.1"),
        (many, "security_groups"),
    ):
        with pytest.raises(Invalid) as caught:
            world.port(subnet, security_groups=ids)
        assert (caught.value.field, caught.value.accepted is None) == (field, False)
    port = world.port(subnet)
    with pytest.raises(Invalid):
        world.services.ports.change(
            ADMIN, port.meta.id, PortChange(name="x", security_groups=(other.meta.id,))
        )
    assert world.look(port) == port
    sixteen = tuple(group(world, vpc).meta.id for _ in range(16))
    assert world.port(subnet, security_groups=sixteen).security_groups == tuple(sorted(sixteen))


def test_a_group_is_made_with_its_rules_or_not_at_all(world: World) -> None:
    vpc = world.vpc()
    itself = RuleCreate("ingress", family=4, security_group_id="self")
    made = group(world, vpc, HTTPS, itself, name="web", stateful=False)
    assert [(r.protocol, r.ports, r.security_group_id) for r in made.rules or ()] == [
        (6, (443, 443), None),
        (None, None, made.meta.id),
    ]
    assert (made.rule_count, made.stateful) == (2, False)
    before = held(world, "sg")
    with pytest.raises(Invalid) as caught:
        group(
            world, vpc, HTTPS, RuleCreate("egress", protocol="tcp", ports="0-70000", at="rules.1")
        )
    assert caught.value.field == "rules.1.ports"
    with pytest.raises(Invalid) as caught:
        group(world, vpc, HTTPS, RuleCreate("egress", security_group_id="sg-none", at="rules.1"))
    assert caught.value.field == "rules.1.remote.security_group_id"
    assert held(world, "sg") == before
    # One of another VPC of the same tenant is none either.
    elsewhere = group(world, world.vpc()).meta.id
    before = held(world, "sg")
    for name in (elsewhere, "sg-none"):
        rule = RuleCreate("ingress", security_group_id=name, at="rules.0")
        with pytest.raises(Invalid) as caught:
            world.services.group_rules.add(ADMIN, made.meta.id, [rule])
        assert caught.value.field == "rules.0.remote.security_group_id"
    assert held(world, "sg") == before
    listed = world.services.security_groups.list(ADMIN, Listing(filters={"name": "web"})).items
    assert [(one.rules, one.rule_count) for one in listed] == [(None, 2)]


def test_one_rule_is_made_for_each_family_that_is_not_said(world: World) -> None:
    web = group(world, world.vpc())
    for values, families in (
        (RuleCreate("ingress", protocol="tcp", ports="80"), [4, 6]),
        (RuleCreate("ingress", family=6, protocol="tcp", ports="81"), [6]),
        (RuleCreate("ingress", protocol="icmp"), [4]),
        (RuleCreate("ingress", protocol="icmpv6"), [6]),
        (RuleCreate("ingress", cidr="fd00::/8"), [6]),
        (RuleCreate("ingress", security_group_id="self"), [4, 6]),
    ):
        made = world.services.group_rules.add(ADMIN, web.meta.id, [values])
        assert [rule.family for rule in made.rules] == families


def test_an_equal_rule_is_refused_by_name(world: World) -> None:
    web = group(world, world.vpc(), HTTPS)
    (first,) = web.rules or ()
    rules = world.services.group_rules
    equals = (
        HTTPS,
        RuleCreate("ingress", protocol=6, ports="443-443", cidr="0.0.0.0/0", description="again"),
        RuleCreate("ingress", family=4, protocol="6", ports="443"),
        RuleCreate("ingress", protocol="tcp", ports="443"),  # the IPv4 one of the two
    )
    for equal in equals:
        fine = RuleCreate("egress", protocol="udp")
        with pytest.raises(Conflict, match=first.id) as caught:
            rules.add(ADMIN, web.meta.id, [fine, equal])
        assert [(b.kind, b.id) for b in caught.value.blockers] == [("sgr", first.id)]
    twice = [RuleCreate("egress", family=4, at="0"), RuleCreate("egress", cidr="0.0.0.0/0", at="1")]
    with pytest.raises(Conflict, match="the one at 0") as caught:
        rules.add(ADMIN, web.meta.id, twice)
    assert caught.value.field == "1"
    listed = rules.list(ADMIN, web.meta.id, Listing()).items
    assert [rule.id for rule in listed] == [first.id]
    for other in (
        RuleCreate("egress", protocol="tcp", ports="443", cidr="0.0.0.0/0"),
        RuleCreate("ingress", protocol="tcp", ports="443", cidr="::/0"),
        RuleCreate("ingress", protocol="tcp", ports="443-444", cidr="0.0.0.0/0"),
        RuleCreate("ingress", protocol="tcp", cidr="0.0.0.0/0"),
        RuleCreate("ingress", protocol="icmp", icmp_type=4),
        RuleCreate("ingress", protocol="icmp", icmp_type=4, icmp_code=3),
        RuleCreate("ingress", protocol="icmp"),
    ):
        rules.add(ADMIN, web.meta.id, [other])


def test_a_change_of_rules_is_a_change_of_the_group(world: World) -> None:
    web = group(world, world.vpc(), HTTPS)
    rules, revision = world.services.group_rules, web.meta.revision
    made = rules.add(ADMIN, web.meta.id, [RuleCreate("egress", family=4)], revision)
    assert made.meta.revision > revision
    batch = world.feed.changes(revision)
    assert batch is not None
    assert [(c.kind, c.id) for c in batch.changes] == [("sg", web.meta.id)]
    assert len(batch.changes[0].resource.rules) == 2  # type: ignore[union-attr]
    with pytest.raises(Stale):
        rules.delete(ADMIN, web.meta.id, made.rules[0].id, revision)
    described = rules.describe(ADMIN, web.meta.id, made.rules[0].id, "out")
    assert described.rules[0].description == "out"
    assert rules.get(ADMIN, web.meta.id, made.rules[0].id).rules == described.rules
    rules.delete(ADMIN, web.meta.id, made.rules[0].id)
    with pytest.raises(NotFound):
        rules.delete(ADMIN, web.meta.id, made.rules[0].id)
    other = group(world, world.vpc())
    with pytest.raises(NotFound):
        rules.get(ADMIN, other.meta.id, (web.rules or ())[0].id)
    kinds = {event.kind for event in world.services.events.since(ADMIN, (revision, 9))}
    assert "sgr" not in kinds


def test_what_is_in_use_blocks_a_delete_by_name(world: World) -> None:
    subnet = world.subnet()
    vpc = vpc_of(world, subnet)
    web = group(world, vpc)
    db = group(world, vpc, RuleCreate("ingress", security_group_id=web.meta.id))
    port = world.port(subnet, security_groups=(web.meta.id,))
    with pytest.raises(Conflict) as caught:
        world.services.security_groups.delete(ADMIN, web.meta.id)
    naming = {rule.id for rule in db.rules or ()}
    assert [(b.kind, b.id) for b in caught.value.blockers] == [
        ("port", port.meta.id),
        *[("sg", db.meta.id)] * 2,
    ]
    assert all(any(id in b.reason for id in naming) for b in caught.value.blockers[1:])
    world.services.ports.delete(ADMIN, port.meta.id)
    world.services.security_groups.delete(ADMIN, db.meta.id)
    world.services.security_groups.delete(ADMIN, web.meta.id)


def test_quotas_bound_groups_and_rules(world: World) -> None:
    settings = ServiceSettings(quotas=Quotas(security_groups=2, rules=3))
    world.services = Services(world.database, settings=settings)
    vpc = world.vpc()  # its default group has four rules, and does not count
    web = group(world, vpc, HTTPS)
    with pytest.raises(Exhausted, match="4 rules"):
        group(world, vpc, *(RuleCreate("egress", family=4, protocol=n) for n in range(4)))
    db = group(world, vpc)
    with pytest.raises(Exhausted, match="2 security groups"):
        group(world, vpc)
    rules = world.services.group_rules
    rules.add(ADMIN, web.meta.id, [RuleCreate("egress")])
    with pytest.raises(Exhausted):
        rules.add(ADMIN, web.meta.id, [RuleCreate("egress", cidr="10.0.0.0/8")])
    world.services.security_groups.delete(ADMIN, db.meta.id)
    group(world, vpc)


def test_stateless_groups_keep_nothing(world: World) -> None:
    vpc = world.vpc()
    with pytest.raises(Invalid) as caught:
        group(world, vpc, stateful=False, established="keep")
    assert caught.value.field == "established"
    kept = group(world, vpc, established="keep")
    with pytest.raises(Invalid):
        world.services.security_groups.change(
            ADMIN, kept.meta.id, SecurityGroupChange(stateful=False)
        )
    changed = world.services.security_groups.change(
        ADMIN, kept.meta.id, SecurityGroupChange(stateful=False, established="revoke")
    )
    assert (changed.stateful, changed.established) == (False, "revoke")
    model = held(world, "sg")[kept.meta.id]
    assert (model.stateful, model.keep_established) == (False, False)


def at_once(*calls: Callable[[], Any]) -> list[Problem | None]:
    """Run calls at the same time; return what each raised."""
    results: list[Problem | None] = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(number: int, call: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            call()
        except Problem as problem:
            results[number] = problem

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_of_equal_rules_at_once_one_is_made(world: World) -> None:
    web = group(world, world.vpc())
    add = world.services.group_rules.add
    raised = at_once(*[lambda: add(ADMIN, web.meta.id, [HTTPS])] * 6)
    (made,) = world.services.group_rules.list(ADMIN, web.meta.id, Listing()).items
    refused = [problem for problem in raised if problem]
    assert len(refused) == 5
    assert all(isinstance(p, Conflict) and made.id in p.detail for p in refused)


def test_a_port_joins_or_the_group_goes(world: World) -> None:
    subnet = world.subnet()
    vpc = vpc_of(world, subnet)
    for _ in range(8):
        web = group(world, vpc)
        values = PortCreate(subnet_id=subnet.meta.id, security_groups=(web.meta.id,))
        join, drop = at_once(
            lambda v=values: world.services.ports.create(ADMIN, v),
            lambda g=web: world.services.security_groups.delete(ADMIN, g.meta.id),
        )
        assert (join is None) != (drop is None)
        assert isinstance(join or drop, Invalid if join else Conflict)


def test_keys_are_handed_out_once(world: World) -> None:
    vpc = world.vpc()
    web = group(world, vpc, HTTPS)
    used = _numbers(world)
    world.services.security_groups.delete(ADMIN, web.meta.id)
    group(world, vpc, HTTPS, RuleCreate("egress"))
    assert min(_numbers(world) - used) > max(used)


def test_keys_go_round_and_skip_those_in_use(world: World) -> None:
    vpc = world.vpc()  # 1 … 5
    largest = 2**31 - 1
    statement = text("UPDATE ledger SET acl_key = :value")
    world.database.write(lambda c: c.execute(statement, {"value": largest - 2}))
    web = group(world, vpc, HTTPS, RuleCreate("egress"))
    assert web.key == largest - 1
    assert {rule.key for rule in web.rules or ()} == {largest, 6, 7}
    assert group(world, vpc, HTTPS).key == 8
    before = _numbers(world)
    world.vpc()
    assert len(_numbers(world)) == len(before) + 5


def _numbers(world: World) -> set[int]:
    groups = held(world, "sg").values()
    numbers = [n for g in groups for n in (g.key, *(rule.key for rule in g.rules))]
    assert len(numbers) == len(set(numbers))
    return set(numbers)


def test_the_schema_itself_refuses_what_services_would(world: World) -> None:
    subnet = world.subnet()
    vpc = vpc_of(world, subnet)
    web = group(world, vpc, HTTPS)
    port = world.port(subnet, security_groups=(web.meta.id,))
    equal = select(GroupRuleRow.__table__).where(GroupRuleRow.group_id == web.meta.id)
    rule = world.database.read(lambda c: c.execute(equal).one()._asdict())
    again = {"port_id": port.meta.id, "group_id": web.meta.id}
    ours = default(world, vpc)
    second = update(SecurityGroupRow).where(SecurityGroupRow.id == web.meta.id)
    for statement in (
        insert(GroupRuleRow).values({**rule, "id": "sgr-x", "key": 999}),
        insert(MembershipRow).values(again),
        delete(SecurityGroupRow).where(SecurityGroupRow.id == web.meta.id),
        delete(SecurityGroupRow).where(SecurityGroupRow.id == ours.meta.id),
        second.values(default_of=vpc.meta.id),
        text("DELETE FROM ports"),
    ):
        with (
            pytest.raises(IntegrityError),
            world.database.engine.execution_options(vpcctl_write=True).begin() as connection,
        ):
            connection.execute(statement)


def test_tenants_see_their_own_alone(world: World) -> None:
    red, blue = Actor("tenant", "red"), Actor("tenant", "blue")
    vpc = world.vpc(tenant="red")
    web = group(world, vpc, HTTPS)
    services = world.services
    assert services.security_groups.get(red, web.meta.id).meta.tenant_id == "red"
    assert services.security_groups.list(blue, Listing()).items == ()
    for call in (
        lambda: services.security_groups.get(blue, web.meta.id),
        lambda: services.security_groups.delete(blue, web.meta.id),
        lambda: services.security_groups.change(blue, web.meta.id, SecurityGroupChange()),
        lambda: services.group_rules.add(blue, web.meta.id, [RuleCreate("egress")]),
        lambda: services.group_rules.list(blue, web.meta.id, Listing()),
        lambda: services.group_rules.delete(blue, web.meta.id, (web.rules or ())[0].id),
    ):
        with pytest.raises(NotFound):
            call()
    with pytest.raises(Invalid, match="There is no VPC"):
        services.security_groups.create(blue, SecurityGroupCreate(vpc_id=vpc.meta.id))
    kinds = [event.kind for event in services.events.since(blue, (0, 0))]
    assert "sg" not in kinds


def test_lists_page_and_count(world: World) -> None:
    vpc = world.vpc()
    made = [default(world, vpc), *(group(world, vpc, name=f"g{n}") for n in range(5))]
    seen, cursor = [], None
    while True:
        page = world.services.security_groups.list(ADMIN, Listing(limit=2, cursor=cursor))
        seen += [one.meta.id for one in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [one.meta.id for one in made]
    rules = [RuleCreate("egress", family=4, protocol=n) for n in range(5)]
    world.services.group_rules.add(ADMIN, made[1].meta.id, rules)
    first = world.services.group_rules.list(ADMIN, made[1].meta.id, Listing(limit=3))
    rest = world.services.group_rules.list(
        ADMIN, made[1].meta.id, Listing(limit=3, cursor=first.next_cursor)
    )
    assert [rule.protocol for rule in (*first.items, *rest.items)] == list(range(5))
    ingress = Listing(filters={"direction": "ingress"})
    assert world.services.group_rules.list(ADMIN, made[1].meta.id, ingress).items == ()


def test_changing_a_vpc_leaves_its_groups(world: World) -> None:
    vpc = world.vpc()
    before = held(world, "sg")
    world.services.vpcs.change(ADMIN, vpc.meta.id, VpcChange(name="renamed"))
    assert held(world, "sg") == before
