"""EIPs: allocated, associated, moved, released, and never two of one address."""

import threading
from ipaddress import ip_address
from typing import Any

import pytest
from sqlalchemy import update

from tests.store.conftest import ADMIN, ON_SQLITE, World
from tests.store.outside import Outside, outside
from tests.store.reporting import link
from tests.store.test_faults import contents
from tests.store.test_security_groups import held
from vpcctl.model.eip import Eip
from vpcctl.model.limits import Limits
from vpcctl.model.problems import Conflict, Exhausted, Invalid, NotFound, Problem
from vpcctl.services.facade import Quotas, Services, ServiceSettings
from vpcctl.services.outside_views import (
    Association,
    EipChange,
    EipCreate,
    EipView,
    ExternalNetworkChange,
    ExternalNetworkCreate,
)
from vpcctl.services.views import (
    Actor,
    HostChange,
    LimitValues,
    Listing,
    PortChange,
    PortCreate,
    PortView,
    VpcView,
)
from vpcctl.store.realisation import HostRealised
from vpcctl.store.tables import AddressRow, EipRow

TENANT = Actor("tenant", "red")


def associate(
    world: World, eip: EipView, port: PortView | str, fixed_ip: str | None = None, **more: Any
) -> EipView:
    port_id = port if isinstance(port, str) else port.meta.id
    wanted = EipChange(association=Association(port_id, fixed_ip, **more))
    return world.services.eips.change(ADMIN, eip.meta.id, wanted)


def disassociate(world: World, eip: EipView) -> EipView:
    return world.services.eips.change(ADMIN, eip.meta.id, EipChange(association=None))


def release(world: World, *eips: EipView) -> None:
    for eip in eips:
        world.services.eips.delete(ADMIN, eip.meta.id)


def confirm(world: World, revision: int, **states: str) -> None:
    """Let the southbound say how far hosts have come, by the host's id with ``_`` for ``-``."""
    rows = [
        HostRealised(id.replace("_", "-"), revision, state, None, 1)  # type: ignore[arg-type]
        for id, state in states.items()
    ]
    world.realisation.record(revision, rows)


def reachable(world: World) -> tuple[Outside, VpcView]:
    """Return an external network, and a VPC that leads there."""
    outer = outside(world)
    vpc = world.vpc()
    outer.internet(vpc)
    return outer, vpc


def addresses(outer: Outside, count: int) -> list[int]:
    return [int(outer.eip().address) & 0xFF for _ in range(count)]


def test_addresses_go_out_once_and_freed_ones_last(world: World) -> None:
    outer = outside(world)
    first, second = outer.eip(), outer.eip()
    chosen = outer.eip(address="203.0.113.20")
    assert [str(one.address)[-2:] for one in (first, second, chosen)] == ["16", "17", "20"]
    release(world, chosen, first)
    assert addresses(outer, 15) == [18, 19, *range(21, 32), 20, 16]
    with pytest.raises(Exhausted) as caught:
        outer.eip()
    assert caught.value.field == "external_network_id"
    release(world, second)
    assert addresses(outer, 1) == [17]


@pytest.mark.parametrize("cidr", [None, "198.51.100.0/24"])
def test_a_network_without_pools_has_no_eips(world: World, cidr: str | None) -> None:
    values = ExternalNetworkCreate("isp", cidr=cidr, ipv6_cidr="2001:db8::/64")
    made = world.services.external_networks.create(ADMIN, values)
    with pytest.raises(Invalid) as caught:
        world.services.eips.create(ADMIN, EipCreate(made.meta.id, tenant_id="red"))
    assert made.meta.id in caught.value.detail
    assert (caught.value.field, caught.value.accepted) == (
        "external_network_id",
        "an external network with pools; IPv6 needs no EIP",
    )


def test_a_chosen_address_is_one_of_a_pool_and_free(world: World) -> None:
    outer = outside(world)
    for address in ("203.0.113.15", "203.0.113.32", "198.51.100.1", "2001:db8::1", "x", ""):
        with pytest.raises(Invalid) as caught:
            outer.eip(address=address)
        assert caught.value.field == "address"
    taken = outer.eip(address="203.0.113.30")
    with pytest.raises(Conflict) as mine:
        outer.eip(address="203.0.113.30")
    assert (mine.value.field, mine.value.blockers[0].id) == ("address", taken.meta.id)
    values = EipCreate(outer.network.meta.id, "203.0.113.30")
    with pytest.raises(Conflict) as others:
        world.services.eips.create(Actor("tenant", "blue"), values)
    assert (others.value.blockers, taken.meta.id in others.value.detail) == ((), False)
    release(world, taken)
    assert str(outer.eip(address="203.0.113.30").address) == "203.0.113.30"


def test_32_clients_at_once_never_get_the_same(world: World) -> None:
    outer = outside(world)
    found: list[str] = []
    start = threading.Barrier(32)

    def client(number: int) -> None:
        start.wait()
        try:
            # Some choose what others are about to be given.
            wanted = f"203.0.113.{16 + number}" if number < 8 else None
            eip = outer.eip(address=wanted)
            if number % 4 == 3:
                release(world, eip)
            else:
                found.append(str(eip.address))
        except Conflict:
            return

    threads = [threading.Thread(target=client, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found))
    rest = 16 - len(found)
    assert len({*found, *(str(outer.eip().address) for _ in range(rest))}) == 16
    with pytest.raises(Exhausted):
        outer.eip()


def test_the_database_itself_guards_addresses(world: World) -> None:
    outer, vpc = reachable(world)
    first, second = outer.eip(), outer.eip()
    port = world.port(world.subnet(vpc=vpc))
    associate(world, first, port)
    same = {"subnet_id": port.subnet_id, "fixed_ip": str(port.fixed_ips[0])}
    for values in ({"address": str(first.address)}, same, {**same, "fixed_ip": "10.0.1.99"}):
        statement = update(EipRow).where(EipRow.id == second.meta.id).values(**values)
        with pytest.raises(Problem):
            world.database.write(lambda c, s=statement: c.execute(s))
    with pytest.raises(Problem):
        world.database.write(lambda c: c.execute(AddressRow.__table__.delete()))


def test_pools_change_around_what_is_used(world: World) -> None:
    outer = outside(world)
    kept, gone = outer.eip(), outer.eip()

    def pools(*texts: str) -> None:
        wanted = ExternalNetworkChange(pools=texts)
        world.services.external_networks.change(ADMIN, outer.network.meta.id, wanted)

    with pytest.raises(Conflict) as caught:
        pools("203.0.113.17-203.0.113.40")
    assert caught.value.field == "pools"
    assert [blocker.id for blocker in caught.value.blockers] == [kept.meta.id]
    release(world, gone)
    pools("203.0.113.16", "203.0.113.50-203.0.113.51")  # 17, which was given back, is in none
    assert addresses(outer, 2) == [50, 51]
    with pytest.raises(Exhausted):
        outer.eip()
    pools("203.0.113.16-203.0.113.18", "203.0.113.50-203.0.113.51")
    assert addresses(outer, 2) == [18, 17]


def test_an_association_is_kept_told_and_ended(world: World) -> None:
    outer, vpc = reachable(world)
    eip = outer.eip()
    port = world.port(world.subnet(vpc=vpc), fixed_ips=("10.0.1.20", "10.0.1.21"))
    assert (eip.status.state, eip.placement.mode) == ("active", None)
    found = associate(world, eip, port)
    assert (found.port_id, str(found.fixed_ip), found.vpc_id) == (
        port.meta.id,
        "10.0.1.20",
        vpc.meta.id,
    )
    assert held(world, "eip")[eip.meta.id] == Eip(
        eip.meta.id,
        outer.network.meta.id,
        eip.key,
        eip.address,
        port.meta.id,
        ip_address("10.0.1.20"),
    )
    second = associate(world, outer.eip(), port, "10.0.1.21")
    assert str(second.fixed_ip) == "10.0.1.21"
    service = world.services.eips
    assert len(service.list(TENANT, Listing(filters={"port_id": port.meta.id})).items) == 2
    named = service.list(ADMIN, Listing(filters={"address": str(eip.address)})).items
    assert [one.meta.id for one in named] == [eip.meta.id]
    with pytest.raises(NotFound):
        service.get(Actor("tenant", "blue"), eip.meta.id)
    with pytest.raises(Conflict) as used:
        release(world, found)
    assert [blocker.id for blocker in used.value.blockers] == [port.meta.id]
    ended = disassociate(world, eip)
    assert (ended.port_id, ended.fixed_ip, ended.vpc_id) == (None, None, None)
    assert disassociate(world, eip).port_id is None
    release(world, ended)


def test_what_an_eip_cannot_stand_for(world: World) -> None:
    outer, vpc = reachable(world)
    subnet = world.subnet(vpc=vpc)
    port = world.port(subnet)
    eip = associate(world, outer.eip(), port)
    other = world.port(subnet)
    blue = world.vpc(tenant="blue")
    outer.internet(blue)
    foreign = world.port(world.subnet(vpc=blue))
    shut = world.port(world.subnet(vpc=world.vpc()))
    free = outer.eip()
    before = contents(world)
    cases: tuple[tuple[EipView, PortView | str, str | None, type[Problem], str], ...] = (
        (free, "port-00000000000000000", None, Invalid, "port_id"),
        (free, foreign, None, Invalid, "port_id"),
        (free, shut, None, Conflict, "port_id"),
        (free, port, "10.0.1.77", Invalid, "fixed_ip"),
        (free, port, "x", Invalid, "fixed_ip"),
        (free, port, None, Conflict, "fixed_ip"),
        (eip, other, None, Conflict, "move"),
    )
    for one, to, fixed_ip, problem, field in cases:
        with pytest.raises(problem) as caught:
            associate(world, one, to, fixed_ip)
        assert (caught.value.field, bool(caught.value.accepted)) == (field, True)
    assert contents(world) == before


def test_a_move_is_one_call(world: World) -> None:
    outer, vpc = reachable(world)
    subnet = world.subnet(vpc=vpc)
    one, other = world.port(subnet), world.port(subnet)
    eip = associate(world, outer.eip(), one)
    before = world.feed.load().revision
    moved = associate(world, eip, other, move=True)
    assert (moved.port_id, moved.meta.revision) == (other.meta.id, before + 1)
    # To where it is already it goes without saying that it moves.
    assert associate(world, eip, other).port_id == other.meta.id


def test_what_an_eip_stands_for_stays(world: World) -> None:
    outer, vpc = reachable(world)
    port = world.port(world.subnet(vpc=vpc), fixed_ips=("10.0.1.20", "10.0.1.21"))
    eip = associate(world, outer.eip(), port)
    ports = world.services.ports
    with pytest.raises(Conflict) as caught:
        ports.delete(ADMIN, port.meta.id)
    assert caught.value.blockers[0].id == eip.meta.id
    with pytest.raises(Conflict) as lost:
        ports.change(ADMIN, port.meta.id, PortChange(fixed_ips=("10.0.1.21",)))
    assert (lost.value.field, lost.value.blockers[0].id) == ("fixed_ips", eip.meta.id)
    kept = PortChange(fixed_ips=("10.0.1.22", "10.0.1.20"))
    assert len(ports.change(ADMIN, port.meta.id, kept).fixed_ips) == 2
    internet = held(world, "igw")
    with pytest.raises(Conflict) as needed:
        world.services.internet_gateways.delete(ADMIN, *internet)
    assert [blocker.id for blocker in needed.value.blockers] == [eip.meta.id]
    disassociate(world, eip)
    world.services.internet_gateways.delete(ADMIN, *internet)
    ports.delete(ADMIN, port.meta.id)


def test_an_address_is_held_back_while_a_host_may_answer_for_it(world: World) -> None:
    outer, vpc = reachable(world)
    here, there = outer.host("h1", gateway=False), outer.host("h2", gateway=False)
    port = world.port(world.subnet(vpc=vpc))
    outer.agents["h1"].report(link(port))
    eip = associate(world, outer.eip(), port)
    now = world.feed.load().revision
    confirm(world, now, **{here.replace("-", "_"): "in_sync", there.replace("-", "_"): "in_sync"})
    # The port moves while its host is away, and the EIP is given back.
    confirm(world, now, **{here.replace("-", "_"): "disconnected"})
    outer.agents["h2"].report(link(port, uuid="u2"))
    release(world, disassociate(world, eip))
    confirm(world, world.feed.load().revision, **{there.replace("-", "_"): "in_sync"})
    with pytest.raises(Conflict) as caught:
        outer.eip(address=str(eip.address))
    assert [blocker.id for blocker in caught.value.blockers] == [here]
    others = [outer.eip() for _ in range(15)]
    with pytest.raises(Exhausted) as full:
        outer.eip()
    assert [blocker.id for blocker in full.value.blockers] == [here]
    release(world, others[0])
    assert outer.eip().address == others[0].address
    confirm(world, world.feed.load().revision, **{here.replace("-", "_"): "in_sync"})
    assert outer.eip().address == eip.address


@pytest.mark.parametrize(
    ("state", "why"),
    [
        ("disconnected", "is not connected and may still answer"),
        ("degraded", "is degraded and may still answer"),
        ("pending", "has not confirmed yet that it answers"),
    ],
)
def test_a_network_is_not_deleted_and_made_again_while_a_host_may_answer(
    world: World, state: str, why: str
) -> None:
    outer, vpc = reachable(world)
    here = outer.host("h1")
    port = world.port(world.subnet(vpc=vpc))
    outer.agents["h1"].report(link(port))
    eip = associate(world, outer.eip(), port)
    host = here.replace("-", "_")
    confirm(world, world.feed.load().revision, **{host: "in_sync"})
    confirm(world, world.feed.load().revision, **{host: state})
    release(world, disassociate(world, eip))
    (internet,) = world.services.internet_gateways.list(ADMIN, Listing()).items
    world.services.internet_gateways.delete(ADMIN, internet.meta.id)
    networks = world.services.external_networks
    for pools in (("203.0.113.16/28",), ()):  # also when its pool has gone
        networks.change(ADMIN, outer.network.meta.id, ExternalNetworkChange(pools=pools))
        with pytest.raises(Conflict) as caught:
            networks.delete(ADMIN, outer.network.meta.id)
        assert [(one.kind, one.id) for one in caught.value.blockers] == [("host", here)]
        assert caught.value.blockers[0].reason.startswith(why)
        assert str(eip.address) in caught.value.blockers[0].reason
    confirm(world, world.feed.load().revision, **{host: "in_sync"})
    networks.delete(ADMIN, outer.network.meta.id)


def test_a_host_that_is_deleted_holds_nothing_back(world: World) -> None:
    outer, vpc = reachable(world)
    here = outer.host("h1")
    port = world.port(world.subnet(vpc=vpc))
    outer.agents["h1"].report(link(port))
    eip = associate(world, outer.eip(), port)
    confirm(world, 1, **{here.replace("-", "_"): "disconnected"})
    release(world, disassociate(world, eip))
    with pytest.raises(Conflict):
        outer.eip(address=str(eip.address))
    world.services.ports.delete(ADMIN, port.meta.id)
    world.clock.forward(60)
    world.services.hosts.delete(ADMIN, here)
    assert outer.eip(address=str(eip.address)).address == eip.address


def test_it_says_where_it_is_realised(world: World) -> None:
    outer, vpc = reachable(world)
    gate, plain = outer.host("gw"), outer.host("plain", gateway=False)
    outer.tell("plain", providers=(), outside=())
    port = world.port(world.subnet(vpc=vpc))
    eip = associate(world, outer.eip(limits=LimitValues(egress_kbps=1000)), port)

    def look() -> tuple[str | None, str | None, bool, bool | None, str]:
        shown = world.services.eips.get(ADMIN, eip.meta.id)
        where, status = shown.placement, shown.status
        confirmed = where.since_revision is not None
        return where.mode, where.host_id, confirmed, where.limits_enforced, status.state

    assert look() == (None, None, False, None, "pending")
    outer.agents["plain"].report(link(port))
    assert look() == ("gateway", gate, False, False, "degraded")
    both = {id.replace("-", "_"): "in_sync" for id in (gate, plain)}
    confirm(world, world.feed.load().revision, **both)
    assert look() == ("gateway", gate, True, False, "active")
    outer.tell("gw", meters=100)
    outer.agents["plain"].report()
    outer.agents["gw"].report(link(port, uuid="u2"))
    confirm(world, world.feed.load().revision, **both)
    assert look() == ("distributed", gate, True, True, "active")
    concern = world.services.status.concern(ADMIN, "eip", eip.meta.id)
    assert gate in concern.hosts


@ON_SQLITE
def test_it_says_why_it_is_realised_nowhere_and_waits_until_it_is(world: World) -> None:
    outer, vpc = reachable(world)
    gate, plain = outer.host("gw", gateway=False), outer.host("plain", gateway=False)
    outer.tell("plain", providers=(), outside=())
    port, network = world.port(world.subnet(vpc=vpc)), outer.network.meta.id
    eip = associate(world, outer.eip(), port)
    concern = world.services.status.concern(ADMIN, "eip", eip.meta.id)

    def lacking() -> str | None:
        revision = world.feed.load().revision
        both = {id.replace("-", "_"): "in_sync" for id in (gate, plain)}
        confirm(world, revision, **both)
        progress = world.services.status.progress(concern, revision)
        status = world.services.eips.get(ADMIN, eip.meta.id).status
        assert progress.realized == (progress.lacking is None) == (status.state == "active")
        assert status.reason == progress.lacking
        return progress.lacking

    assert lacking() == f"{port.meta.id} is on no host"
    outer.agents["plain"].report(link(port))
    place = f"{port.meta.id} is on {plain}, which does not reach {network}"
    assert lacking() == f"{place}, and no host with the gateway label reaches {network}"
    drained = HostChange(gateway=True, drained=True)
    world.services.hosts.change(ADMIN, gate, drained)
    assert lacking() == (
        f"{place}, and every gateway host that lives and reaches {network} is drained;"
        f" 'vpcctl host undrain {gate}' ends that"
    )
    world.services.hosts.change(ADMIN, gate, HostChange(drained=False))
    assert lacking() is None
    disassociate(world, eip)
    assert lacking() is None


def test_limits_are_checked_numbered_and_kept(world: World) -> None:
    outer, vpc = reachable(world)
    eip = outer.eip(limits=LimitValues(ingress_kbps=100, egress_pps=5))
    port = world.services.ports.create(
        ADMIN,
        PortCreate(world.subnet(vpc=vpc).meta.id, limits=LimitValues(egress_kbps=7)),
    )
    assert (port.limits, port.limits_enforced) == (LimitValues(egress_kbps=7), None)
    assert held(world, "eip")[eip.meta.id].limits == Limits(1, 100, None, None, 5)
    assert held(world, "port")[port.meta.id].limits == Limits(2, None, 7)
    eips, ports = world.services.eips, world.services.ports
    eips.change(ADMIN, eip.meta.id, EipChange(limits=LimitValues(ingress_pps=9)))
    assert held(world, "eip")[eip.meta.id].limits == Limits(1, ingress_pps=9)
    assert eips.change(ADMIN, eip.meta.id, EipChange(limits=None)).limits is None
    assert eips.change(ADMIN, eip.meta.id, EipChange(limits=LimitValues())).limits is None
    ports.change(ADMIN, port.meta.id, PortChange(limits=None, source_dest_check=False))
    kept = held(world, "port")[port.meta.id]
    assert (kept.limits, kept.checks_addresses) == (None, False)
    for wrong in (0, -1, 2**32):
        with pytest.raises(Invalid) as caught:
            outer.eip(limits=LimitValues(ingress_pps=wrong))
        assert caught.value.field == "limits.ingress_pps"


def test_quotas_and_networks_are_asked(world: World) -> None:
    outer = outside(world)
    poor = Services(world.database, settings=ServiceSettings(quotas=Quotas(eips=1))).eips
    values = EipCreate(outer.network.meta.id, tenant_id="red")
    made = poor.create(ADMIN, values)
    with pytest.raises(Exhausted, match="quota of 1 eips"):
        poor.create(ADMIN, values)
    with pytest.raises(Conflict) as caught:
        world.services.external_networks.delete(ADMIN, outer.network.meta.id)
    assert [blocker.id for blocker in caught.value.blockers] == [made.meta.id]
    release(world, made)
    poor.create(ADMIN, values)
    for network in ("ext-00000000000000000", "x"):
        with pytest.raises(Invalid) as refused:
            world.services.eips.create(ADMIN, EipCreate(network))
        assert refused.value.field == "external_network_id"
