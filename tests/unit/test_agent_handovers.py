"""Addresses that changed hands: what is forgotten where, when, and that it is done once."""

from msgspec.structs import replace

from agent.decide.handovers import Finder, Handovers, Search
from agent.decide.zones import Use
from agent.wire.report import ReportAnswer
from agent.wire.state import Guest, GuestSubnet, HandedOver, HostState, NatGatewayState

ONE, TWO, THREE = (f"port-{at:017x}" for at in range(1, 4))
RED, BLUE = "vpc-00000000000000001", "vpc-00000000000000002"
SUBNETS = {RED: "subnet-00000000000000001", BLUE: "subnet-00000000000000002"}
USES = {5: Use(ONE, "a"), 6: Use(TWO, "b"), 7: Use(THREE, "c"), 8: None}


def guest(port: str, vpc: str, *addresses: str) -> Guest:
    mac = f"02:00:00:00:00:0{port[-1]}"
    return Guest(port_id=port, key=1, subnet_id=SUBNETS[vpc], mac=mac, addresses=addresses)


def state(revision: int, *handed_over: HandedOver) -> HostState:
    values = {"host_id": "host-00000000000000001", "name": "h", "dpid": 1, "openflow_targets": ()}
    more = {"cidr": "10.0.0.0/24", "gateway": "10.0.0.1", "mtu": 1400}
    return HostState(
        revision=revision,
        handed_over=handed_over,
        guests=(guest(ONE, RED, "10.0.0.11"), guest(TWO, RED, "10.0.0.12"), guest(THREE, BLUE)),
        guest_subnets=tuple(
            GuestSubnet(subnet_id=SUBNETS[vpc], vpc_id=vpc, **more) for vpc in (RED, BLUE)
        ),
        **values,
    )


def handed(address: str, freed: int, revision: int, vpc: str = RED) -> HandedOver:
    return HandedOver(vpc_id=vpc, address=address, freed=freed, revision=revision)


def reached(handovers: Handovers, revision: int | None) -> None:
    handovers.answered(ReportAnswer(accepted=True, revision=1, reached_revision=revision))


def test_zones_of_ports_of_the_vpc_forget_the_address_once_its_flows_are_gone() -> None:
    handovers = Handovers(done=10)
    handovers.want(state(20, handed("10.0.0.9", 15, 20)))
    assert handovers.due(USES) is None, "the switch has said nothing"
    reached(handovers, 14)
    assert handovers.due(USES) is None, "flows of the port before may still be there"
    reached(handovers, 15)
    gone = frozenset({"10.0.0.9"})
    assert handovers.due(USES) == Search(20, {5: gone, 6: gone})


def test_zones_of_nat_gateways_of_the_vpc_forget_it_too() -> None:
    gateway = {"gateway_id": "nat-00000000000000001", "zone": 65_000, "exhausted_cookie": 0}
    told = state(20, handed("10.0.0.11", 15, 20))
    for vpc, expected in ((RED, {65_000: frozenset({"10.0.0.11"})}), (BLUE, {})):
        handovers = Handovers(done=10)
        stands = NatGatewayState(vpc_id=vpc, **gateway)
        handovers.want(replace(told, nat_gateways=(stands,)))
        reached(handovers, 20)
        assert handovers.due({}) == Search(20, expected)


def test_zones_of_ports_that_are_elsewhere_forget_it_too_for_these_may_come_back() -> None:
    told = state(20, handed("10.0.0.9", 15, 20), handed("10.0.0.8", 15, 20, BLUE))
    handovers = Handovers(done=10)
    handovers.want(replace(told, guests=told.guests[1:], released=(ONE,)))
    reached(handovers, 19)  # not yet what lets zones of released ports be emptied
    red, blue = frozenset({"10.0.0.9"}), frozenset({"10.0.0.8"})
    assert handovers.due(USES) == Search(20, {5: red | blue, 6: red, 7: blue})


def test_the_new_port_keeps_what_it_has_itself() -> None:
    handovers = Handovers(done=10)
    handovers.want(state(20, handed("10.0.0.11", 15, 20), handed("fe80::ff:fe00:2", 15, 20)))
    reached(handovers, 20)
    assert handovers.due(USES) == Search(
        20, {5: frozenset({"fe80::ff:fe00:2"}), 6: frozenset({"10.0.0.11"})}
    )


def test_what_is_done_is_done_once_and_also_for_the_next_agent() -> None:
    told = state(20, handed("10.0.0.9", 15, 20))
    handovers = Handovers(done=10)
    handovers.want(told)
    reached(handovers, 20)
    search = handovers.due(USES)
    assert search is not None
    handovers.finished(search)
    handovers.want(told)
    assert handovers.due(USES) is None
    assert not handovers.is_pending()
    later = Handovers(handovers.done)
    later.want(told)
    assert not later.is_pending()
    later.want(state(30, handed("10.0.0.9", 15, 20), handed("10.0.0.8", 2, 30, BLUE)))
    reached(later, 30)
    assert later.due(USES) == Search(30, {7: frozenset({"10.0.0.8"})})


def test_a_zone_that_is_done_is_not_looked_at_again_because_another_one_fails() -> None:
    handovers = Handovers(done=10)
    handovers.want(state(20, handed("10.0.0.9", 15, 20)))
    reached(handovers, 20)
    search = handovers.due(USES)
    assert search is not None
    handovers.looked(search, 5)
    gone = frozenset({"10.0.0.9"})
    assert handovers.due(USES) == Search(20, {6: gone})
    handovers.want(state(21, handed("10.0.0.9", 15, 20), handed("10.0.0.8", 15, 21)))
    both = Search(21, {5: frozenset({"10.0.0.8"}), 6: gone | {"10.0.0.8"}})
    assert handovers.due(USES) == both
    handovers.finished(both)
    assert handovers.due(USES) is None


def test_without_a_record_what_the_first_state_tells_counts_as_done() -> None:
    handovers = Handovers()
    handovers.want(state(20, handed("10.0.0.9", 15, 20)))
    assert not handovers.is_pending()
    handovers.want(state(21, handed("10.0.0.9", 15, 20), handed("10.0.0.8", 15, 21)))
    assert handovers.is_pending()


def test_what_comes_later_waits_for_what_came_first_and_one_revision_goes_as_a_whole() -> None:
    handovers = Handovers(done=10)
    told = [handed("10.0.0.7", 1, 11), handed("10.0.0.8", 1, 12), handed("10.0.0.9", 12, 12)]
    handovers.want(state(20, *told, handed("10.0.0.6", 1, 20)))
    reached(handovers, 11)
    assert handovers.due({5: USES[5]}) == Search(11, {5: frozenset({"10.0.0.7"})})
    reached(handovers, 12)
    all_of_it = frozenset({"10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.9"})
    assert handovers.due({5: USES[5]}) == Search(20, {5: all_of_it})


def test_a_host_without_such_ports_has_nothing_to_look_at() -> None:
    handovers = Handovers(done=10)
    handovers.want(state(20, handed("10.0.0.9", 15, 20, "vpc-00000000000000003")))
    reached(handovers, 20)
    assert handovers.due(USES) == Search(20, {})


def test_a_controller_restored_from_a_copy_is_followed_to_its_lower_revisions() -> None:
    handovers = Handovers(done=1000)
    handovers.want(state(1000))
    handovers.want(state(500, handed("10.0.0.9", 400, 450)))
    assert not handovers.is_pending()
    handovers.want(state(501, handed("10.0.0.9", 400, 450), handed("10.0.0.8", 400, 501)))
    reached(handovers, 501)
    assert handovers.due({5: USES[5]}) == Search(501, {5: frozenset({"10.0.0.8"})})


def test_ends_are_found_in_a_listing_however_it_is_cut() -> None:
    line = (
        r"tcp,orig=(src=10.0.0.9,dst=10.0.0.11,sport=1,dport=80),"
        r"reply=(src=10.0.0.11,dst=10.0.0.9,sport=80,dport=1),zone=5\n"
        r"icmpv6,orig=(src=fd00::1,dst=fd00::19,id=1,type=128,code=0),zone=5\n"
    )
    text = f'{{"id":0,"result":"{line}","error":null}}'.encode()
    for size in (1, 7, len(text)):
        finder = Finder(["10.0.0.9", "10.0.0.1", "0.0.0.9", "fd00::19", "fd00::"])
        for at in range(0, len(text), size):
            finder.take(text[at : at + size])
        assert finder.found == {"10.0.0.9", "fd00::19"}
