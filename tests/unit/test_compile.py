"""What a batch does to whom: shared, no more than needed, in the right order."""

import dataclasses

from tests.support.networks import at, batch, gone, host, ip, network, port, put, subnet, vpc
from vpcctl.compile import compile_host, host_pieces, plan_changes
from vpcctl.flows.cookie import Feature, cookie, split
from vpcctl.pipeline.pieces import BasePiece, EdgePiece, PortPiece, StaticPiece, SubnetPiece

HOSTS = [host(n) for n in (1, 2, 3)]
RED, BLUE = vpc(1), vpc(2)
WEB = subnet(1, RED, "10.0.1.0/24")
OTHER = subnet(2, BLUE, "10.0.1.0/24")
WEBS = [port(n, WEB, f"0e:00:00:00:00:0{n}", f"10.0.1.1{n}") for n in (1, 2, 3)]
GUEST = port(9, OTHER, "0e:00:00:00:00:01", "10.0.1.11")


def start():
    """Red is on hosts 1 and 2, blue on host 3."""
    places = (at(WEBS[0], HOSTS[0], 11), at(WEBS[1], HOSTS[1], 11), at(GUEST, HOSTS[2], 11))
    return network(*HOSTS, RED, BLUE, WEB, OTHER, *WEBS, GUEST, *places)


def test_a_new_port_concerns_only_its_vpcs_hosts_and_shares_its_flows() -> None:
    net = start()
    transition = plan_changes(net, batch(put(at(WEBS[2], HOSTS[1], 12)), revision=5))
    assert transition.revision == 5
    assert set(transition.hosts) == {HOSTS[0].id, HOSTS[1].id}
    first, second = (transition.hosts[one.id] for one in HOSTS[:2])
    shared = {id(flows) for flows in first.written}
    assert shared <= {id(flows) for flows in second.written}
    kinds = {split(flow.cookie).feature for flows in first.written for flow in flows}
    assert kinds == {Feature.PORT}
    here = {split(flow.cookie).feature for flows in second.written for flow in flows}
    assert here == {Feature.PORT, Feature.EDGE, Feature.FLOOD}
    assert not first.removed
    assert not list(first.program())


def test_a_change_that_changes_no_flow_concerns_nobody() -> None:
    net = start()
    changed = dataclasses.replace(RED, tenant_id="someone-else")
    assert plan_changes(net, batch(put(changed))).hosts == {}
    assert plan_changes(net, batch(put(WEBS[0]))).hosts == {}
    unplaced = port(4, WEB, "0e:00:00:00:00:04", "10.0.1.14")
    assert plan_changes(net, batch(put(unplaced))).hosts == {}


def test_the_first_port_of_a_vpc_brings_it_to_the_host_the_port_first() -> None:
    net = start()
    guest = port(10, OTHER, "0e:00:00:00:00:02", "10.0.1.12")
    transition = plan_changes(net, batch(put(guest), put(at(guest, HOSTS[0], 12))))
    arrival = transition.hosts[HOSTS[0].id]
    order = [split(flows[0].cookie) for flows in arrival.written]
    assert order[:3] == [
        (Feature.SUBNET, OTHER.vni),
        (Feature.EDGE, guest.key),
        (Feature.PORT, guest.key),
    ]
    rest = [split(flows[0].cookie) for flows in arrival.program()]
    assert (Feature.PORT, GUEST.key) in rest
    assert not set(rest) & set(order[:3])


def test_the_last_port_of_a_vpc_takes_it_away() -> None:
    net = start()
    transition = plan_changes(net, batch(gone(at(WEBS[1], HOSTS[1], 11))))
    leaving = transition.hosts[HOSTS[1].id]
    assert {
        cookie(Feature.SUBNET, WEB.vni),
        cookie(Feature.FLOOD, WEB.vni),
        cookie(Feature.EDGE, WEBS[1].key),
        *(cookie(Feature.PORT, one.key) for one in WEBS),
    } <= set(leaving.departed)
    assert not leaving.written
    assert not list(leaving.program())


def test_a_new_host_gets_a_whole_program_and_its_peers_one_flow() -> None:
    net = start()
    newcomer = host(4)
    transition = plan_changes(net, batch(put(newcomer)))
    mine = [flow for flows in transition.hosts[newcomer.id].program() for flow in flows]
    whole = [flow for flows in compile_host(net, newcomer.id) for flow in flows]
    assert mine == whole
    (flows,) = transition.hosts[HOSTS[0].id].written
    assert [split(flow.cookie) for flow in flows] == [(Feature.PEER, newcomer.key)]


def test_a_host_that_goes_is_named_and_its_peers_forget_it() -> None:
    net = start()
    transition = plan_changes(net, batch(gone(HOSTS[2])))
    assert transition.gone == (HOSTS[2].id,)
    assert HOSTS[2].id not in transition.hosts
    assert len(transition.hosts[HOSTS[0].id].removed) == 1


def test_a_vtep_that_changes_rewrites_what_leads_there() -> None:
    net = start()
    moved = dataclasses.replace(HOSTS[1], vtep=ip("192.0.2.200"))
    change = plan_changes(net, batch(put(moved))).hosts[HOSTS[0].id]
    written = {split(flow.cookie) for flows in change.written for flow in flows}
    assert written == {
        (Feature.PEER, HOSTS[1].key),
        (Feature.PORT, WEBS[1].key),
        (Feature.FLOOD, WEB.vni),
    }


def test_pieces_are_in_order_and_a_named_port_comes_first() -> None:
    net = start()
    net.apply([put(at(WEBS[2], HOSTS[0], 13))])
    pieces = list(host_pieces(net, HOSTS[0].id, first=[WEBS[2].id]))
    assert len(pieces) == len(set(pieces))
    assert pieces[:2] == [StaticPiece(), BasePiece(HOSTS[0].id)]
    assert pieces[4:7] == [
        SubnetPiece(WEB.id),
        EdgePiece(HOSTS[0].id, WEBS[2].id),
        PortPiece(WEBS[2].id),
    ]
    assert list(host_pieces(net, "host-unknown")) == []
