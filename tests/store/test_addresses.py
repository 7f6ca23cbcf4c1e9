import threading
from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, insert, update

from tests.store.conftest import ADMIN, World
from vpcctl.model.addresses import GATEWAY_MAC, Mac, is_unicast
from vpcctl.model.ids import new_id
from vpcctl.model.problems import Conflict, Exhausted, Invalid
from vpcctl.services.addressing import Addressing
from vpcctl.services.views import PortChange, PortCreate, SubnetView
from vpcctl.store import usage
from vpcctl.store.ports import PORTS
from vpcctl.store.subnets import SUBNETS
from vpcctl.store.tables import AddressRow, LedgerRow, PortRow
from vpcctl.store.units import Unit, Units

_MAC = 0x02_00_00_00_00_00


def addresses(subnet: SubnetView, world: World, count: int) -> list[str]:
    return [str(world.port(subnet).fixed_ips[0]) for _ in range(count)]


def test_the_reserved_ones_are_never_given_out_and_then_it_is_full(world: World) -> None:
    subnet = world.subnet("10.0.1.0/29", gateway="10.0.1.3")
    assert subnet.free_addresses == 5
    assert addresses(subnet, world, 5) == [f"10.0.1.{n}" for n in (1, 2, 4, 5, 6)]
    before = world.feed.load()
    with pytest.raises(Exhausted) as caught:
        world.port(subnet)
    assert "10.0.1.0/29" in caught.value.detail
    assert world.feed.load() == before
    assert world.services.subnets.get(ADMIN, subnet.meta.id).free_addresses == 0


def test_freed_addresses_go_out_last_and_the_oldest_first(world: World) -> None:
    subnet = world.subnet("10.0.1.0/29")
    ports = [world.port(subnet) for _ in range(3)]  # .2 .3 .4
    for port in (ports[1], ports[0]):
        world.services.ports.delete(ADMIN, port.meta.id)
    assert addresses(subnet, world, 4) == ["10.0.1.5", "10.0.1.6", "10.0.1.3", "10.0.1.2"]


def test_a_chosen_address_is_honoured_once(world: World) -> None:
    subnet = world.subnet("10.0.1.0/24")
    first = world.port(subnet, fixed_ips=("10.0.1.77",))
    assert str(first.fixed_ips[0]) == "10.0.1.77"
    with pytest.raises(Conflict) as caught:
        world.port(subnet, fixed_ips=("10.0.1.77",))
    assert first.meta.id in caught.value.detail
    assert caught.value.field == "fixed_ips.0"
    assert caught.value.blockers[0].id == first.meta.id
    world.services.ports.delete(ADMIN, first.meta.id)
    again = world.port(subnet, fixed_ips=("10.0.1.77",))
    assert str(again.fixed_ips[0]) == "10.0.1.77"


@pytest.mark.parametrize(
    "address", ["10.0.1.0", "10.0.1.1", "10.0.1.255", "10.0.2.1", "fd00::5", "x", "10.0.1.5/32"]
)
def test_an_address_that_no_port_may_have_is_refused(world: World, address: str) -> None:
    subnet = world.subnet("10.0.1.0/24")
    with pytest.raises(Invalid) as caught:
        world.port(subnet, fixed_ips=("10.0.1.9", address))
    assert caught.value.field == "fixed_ips.1"
    assert caught.value.accepted


def test_both_families_are_allocated(world: World) -> None:
    vpc = world.vpc("10.0.0.0/16", "fd00:1::/48")
    subnet = world.subnet(vpc=vpc, ipv6_cidr="fd00:1:0:7::/64")
    port = world.port(subnet)
    assert port.fixed_ips == (ip_address("10.0.1.2"), ip_address("fd00:1:0:7::2"))
    chosen = world.port(subnet, fixed_ips=("fd00:1:0:7:ffff:ffff:ffff:ffff",))
    assert [str(a) for a in chosen.fixed_ips] == ["10.0.1.3", "fd00:1:0:7:ffff:ffff:ffff:ffff"]
    world.services.ports.delete(ADMIN, chosen.meta.id)
    assert str(world.port(subnet).fixed_ips[1]) == "fd00:1:0:7::3"


def test_changing_addresses_takes_and_gives_back(world: World) -> None:
    subnet = world.subnet("10.0.1.0/24")
    port, other = world.port(subnet), world.port(subnet)
    change = PortChange(fixed_ips=("10.0.1.50", "10.0.1.2"))
    changed = world.services.ports.change(ADMIN, port.meta.id, change)
    assert [str(a) for a in changed.fixed_ips] == ["10.0.1.50", "10.0.1.2"]
    assert world.services.subnets.get(ADMIN, subnet.meta.id).free_addresses == 250
    taken = PortChange(fixed_ips=("10.0.1.3",))
    with pytest.raises(Conflict, match=other.meta.id):
        world.services.ports.change(ADMIN, port.meta.id, taken)
    with pytest.raises(Invalid, match="at least one"):
        world.services.ports.change(ADMIN, port.meta.id, PortChange(fixed_ips=()))


def test_macs_are_local_unicast_and_unique(world: World) -> None:
    subnet = world.subnet("10.0.1.0/24")
    macs = [world.port(subnet).mac for _ in range(20)]
    assert len(set(macs)) == 20
    assert all(is_unicast(mac) and mac >> 41 & 1 and mac != GATEWAY_MAC for mac in macs)
    first = world.port(subnet, mac="06:00:00:00:00:01")
    with pytest.raises(Conflict, match=first.meta.id):
        world.port(subnet, mac="06:00:00:00:00:01")
    other = world.subnet("10.0.2.0/24")
    assert world.port(other, mac="06:00:00:00:00:01").mac == first.mac


@pytest.mark.parametrize(
    "mac", ["", "06:00", "01:00:00:00:00:01", "00:00:00:00:00:00", "0e:76:70:63:00:01", "g" * 17]
)
def test_a_mac_that_no_port_may_have_is_refused(world: World, mac: str) -> None:
    with pytest.raises(Invalid) as caught:
        world.port(world.subnet(), mac=mac)
    assert caught.value.field == "mac_address"


def test_64_clients_at_once_never_get_the_same(world: World) -> None:
    subnet = world.subnet("10.0.1.0/24")
    found: list[str] = []
    failures: list[BaseException] = []
    start = threading.Barrier(64)

    def client() -> None:
        try:
            start.wait()
            for _ in range(5):
                try:
                    found.append(str(world.port(subnet).fixed_ips[0]))
                except Exhausted:
                    return
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=client) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert Counter(found).most_common(1)[0][1] == 1
    assert len(found) == 253
    assert world.services.subnets.get(ADMIN, subnet.meta.id).free_addresses == 0


class Meter:
    """Counts statements, and on SQLite the steps of its virtual machine.

    Args:
        world: whose database it is.
        threads: how the names of the threads begin that count; empty: all.
    """

    def __init__(self, world: World, threads: str = "") -> None:
        self.statements = self.steps = 0
        self._threads = threads
        engine = world.database.engine
        event.listen(engine, "before_cursor_execute", self._count)
        if world.database.dialect == "sqlite":
            event.listen(engine, "checkout", self._watch)

    def _counts(self) -> bool:
        return threading.current_thread().name.startswith(self._threads)

    def _count(self, *_: object) -> None:
        self.statements += self._counts()

    def _watch(self, connection, *_: object) -> None:
        connection.set_progress_handler(self._step, 200)

    def _step(self) -> int:
        self.steps += 200 * self._counts()
        return 0

    def take(self) -> tuple[int, int]:
        taken = self.statements, self.steps
        self.statements = self.steps = 0
        return taken


def fill(world: World, subnet: SubnetView, count: int) -> None:
    """Make *count* ports as creation does, in one transaction."""

    def work(unit: Unit) -> None:
        row = SUBNETS.get(unit.connection, subnet.meta.id)
        assert row is not None
        ledger = update(LedgerRow).values(port_key=LedgerRow.port_key + count)
        last = unit.connection.execute(ledger.returning(LedgerRow.port_key)).scalar_one()
        addressing = Addressing(unit, row, Mac(1))
        taken = [addressing.take((), fill=True) for _ in range(count)]
        pattern = dict(PORTS.all(unit.connection)[0]._mapping)  # type: ignore[attr-defined]
        ports = [
            {**pattern, "id": new_id("port"), "key": last - number, "mac": _MAC + last - number}
            for number in range(count)
        ]
        unit.connection.execute(insert(PortRow), ports)
        rows = [
            {
                "subnet_id": subnet.meta.id,
                "address": str(addresses[0]),
                "port_id": port["id"],
                "family": 4,
                "place": 0,
            }
            for port, addresses in zip(ports, taken, strict=True)
        ]
        unit.connection.execute(insert(AddressRow), rows)
        usage.count(unit.connection, row.tenant_id, "ports", count)

    Units(world.database).write(work)


def test_ten_thousand_allocations_cost_the_same_each(world: World) -> None:
    subnet = world.subnet("10.0.0.0/16")
    meter = Meter(world)
    costs = []
    for before in (0, 9_940):
        if before:
            for _ in range(20):
                fill(world, subnet, (before - 60) // 20)
        meter.take()
        for number in range(60):
            port = world.port(subnet)
            costs.append(meter.take())
            assert port.fixed_ips == (ip_address("10.0.0.2") + before + number,)
    assert {statements for statements, _ in costs[1:]} == {costs[1][0]}
    early = sum(steps for _, steps in costs[10:60])
    late = sum(steps for _, steps in costs[-50:])
    assert late <= early * 1.1 + 200


ACTIONS = st.lists(
    st.one_of(
        st.just(("next", 0)),
        st.tuples(st.just("choose"), st.integers(0, 15)),
        st.tuples(st.just("free"), st.integers(0, 15)),
    ),
    max_size=40,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(actions=ACTIONS)
def test_allocation_is_as_a_simple_model_says(world: World, actions: list) -> None:
    """The model: a list of the free ones, in the order in which they go out."""
    subnet = world.subnet("10.0.1.0/28")
    free = [f"10.0.1.{n}" for n in range(2, 15)]
    owners: dict[str, str] = {}
    for action, number in actions:
        address = f"10.0.1.{number}"
        if action == "free":
            if address in owners:
                world.services.ports.delete(ADMIN, owners.pop(address))
                free.append(address)
            continue
        chosen = (address,) if action == "choose" else ()
        expected = (address if address in free else None) if chosen else next(iter(free), None)
        try:
            port = world.services.ports.create(
                ADMIN, PortCreate(subnet_id=subnet.meta.id, fixed_ips=chosen)
            )
        except (Conflict, Invalid):
            assert expected is None
            continue
        got = str(port.fixed_ips[0])
        assert got == expected
        free.remove(got)
        owners[got] = port.meta.id
    assert world.services.subnets.get(ADMIN, subnet.meta.id).free_addresses == len(free)
