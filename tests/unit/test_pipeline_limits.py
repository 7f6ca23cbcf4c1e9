"""Which meters the limits of a port are, and which flows name them."""

import dataclasses

from tests.support import networks as n
from vpcctl.compile import compile_host
from vpcctl.flows.actions import Output
from vpcctl.flows.contract import check
from vpcctl.flows.cookie import Feature, cookie
from vpcctl.flows.flow import Flow
from vpcctl.flows.meter import LIMITS, OUTSIDE, Meter
from vpcctl.flows.tables import (
    CLASSIFY,
    GATEWAY,
    GUEST_ADDRESS,
    GUEST_SERVICES,
    OUTPUT,
    OUTSIDE_IN,
    OUTSIDE_NEIGHBOUR,
)
from vpcctl.model.host import GUEST_SERVICE_OFPORT, QUESTION_SLOTS, Question
from vpcctl.model.limits import Limits
from vpcctl.pipeline import limits
from vpcctl.pipeline.outside_questions import meter

HOST, VPC = n.host(1), n.vpc(1)
SUBNET = n.subnet(1, VPC, "10.0.0.0/24")
PORT = n.port(5, SUBNET, "0e:00:00:00:00:05", "10.0.0.5")


def metered(ofport: int, some: Limits | None) -> list[Flow]:
    """The flows of a host with one port that have meters."""
    port = dataclasses.replace(PORT, limits=some)
    net = n.network(HOST, VPC, SUBNET, port, n.at(port, HOST, ofport))
    flows = [flow for flows in compile_host(net, HOST.id) for flow in flows]
    for flow in flows:
        check(flow)
    return [flow for flow in flows if flow.meter is not None]


def test_a_port_that_is_down_has_no_flow_in_place_of_one_that_let_packets_pass() -> None:
    """Open vSwitch would go on with that one's count; and what is left of it lets nothing pass."""
    for some in (None, Limits(1, 1, 2, 3), Limits(1, 1, 2, 3, 4)):
        up, down = (
            [flow for flow in edge_flows(some, admin_up=up) if flow.table is CLASSIFY]
            for up in (True, False)
        )
        (cut_off,) = down
        assert all(cut_off.priority > flow.priority for flow in up)
        assert all(set(cut_off.match) <= set(flow.match) for flow in up)


def edge_flows(some: Limits | None, *, admin_up: bool) -> list[Flow]:
    """The flows that a port has on its own host."""
    port = dataclasses.replace(PORT, limits=some, admin_up=admin_up)
    net = n.network(HOST, VPC, SUBNET, port, n.at(port, HOST, 10))
    owner = cookie(Feature.EDGE, port.key)
    return [flow for flows in compile_host(net, HOST.id) for flow in flows if flow.cookie == owner]


def test_a_limit_has_four_meters_of_its_own() -> None:
    most = Limits(2**15 - 1, 10, 20, 30, 40)
    assert [meter.id for meter in limits.ingress(most) if meter] == [131_068, 131_070]
    assert [meter.id for meter in limits.egress(most) if meter] == [131_069, 131_071]
    assert limits.ingress(Limits(1, egress_pps=5)) == (None, None)
    assert limits.egress(Limits(1, egress_pps=5)) == (Meter(7, "pktps", 5, 20), None)
    assert limits.egress(None) == limits.ingress(None) == (None, None)


def test_a_bucket_holds_a_tenth_of_a_second_and_at_least_one_large_packet() -> None:
    assert limits.ingress(Limits(1, 1_000_000)) == (Meter(4, "kbps", 1_000_000, 100_000), None)
    assert limits.ingress(Limits(1, 500)) == (Meter(4, "kbps", 500, 1024), None)


def test_each_kind_of_question_has_a_meter_by_interface() -> None:
    for ofport, first in ((10, 131_112), (10 | 0x8000, 131_112), (0x3FFF, 196_604)):
        flows = metered(ofport, None)
        meters = {(flow.table, flow.meter) for flow in flows}
        assert meters == {
            (GUEST_SERVICES, Meter(first, "pktps", 20, 40)),
            (GUEST_SERVICES, Meter(first + 1, "pktps", 20, 40)),
            (GUEST_ADDRESS, Meter(first + 2, "pktps", 1024, 2048)),
            (GUEST_ADDRESS, Meter(first + 3, "pktps", 500, 1000)),
        }


def test_a_second_limit_costs_a_flow_more() -> None:
    def counts(some: Limits) -> tuple[int, int]:
        flows = metered(10, some)
        tables = [flow.table for flow in flows]
        return tables.count(CLASSIFY), tables.count(OUTPUT)

    assert counts(Limits(1, egress_pps=5)) == (1, 0)
    assert counts(Limits(1, ingress_kbps=5, egress_pps=5)) == (1, 1)
    assert counts(Limits(1, 5, 5, 5, 5)) == (2, 2)


def at_gateway(limited: Limits | None) -> list[Flow]:
    """What a host has for an EIP that it has to be the active one for."""
    outside = n.outside(7, "203.0.113.0/24")
    here = n.watching(n.reaching(n.host(1), (outside, 9)), (n.host(2), 8))
    there = n.reaching(n.host(2), (outside, 9))
    vpc = n.vpc(1)
    subnet = n.subnet(0x11, vpc, "10.0.1.0/24")
    port = n.port(0x101, subnet, "0e:00:00:00:00:01", "10.0.1.11")
    eip = n.eip(0x71, outside, "203.0.113.10", port)
    net = n.network(
        *(outside, here, there, n.host(3), vpc, subnet, port),
        n.igw(1, vpc, outside, there, here),
        dataclasses.replace(eip, limits=limited),
        n.at(port, n.host(3), 11),
    )
    flows = [flow for some in compile_host(net, here.id) for flow in some]
    for flow in flows:
        check(flow)
    return [flow for flow in flows if flow.meter is not None and flow.table is not GUEST_SERVICES]


def ours(flows: list[Flow]) -> list[Flow]:
    """Without what the agent is asked."""
    return [flow for flow in flows if flow.meter and flow.meter.id in LIMITS]


def test_an_eips_limits_are_where_it_is_translated() -> None:
    assert not ours(at_gateway(None))
    one = ours(at_gateway(Limits(5, ingress_kbps=1000)))
    assert [(flow.table, flow.meter and flow.meter.id) for flow in one] == [(OUTSIDE_IN, 20)]
    both = ours(at_gateway(Limits(5, 1000, 2000, 30, 40)))
    found = sorted((str(flow.table), flow.meter.id) for flow in both if flow.meter)
    assert found == [("Gateway", 21), ("Gateway", 23), ("OutsideIn", 20), ("OutsideIn", 22)]


def test_whatever_the_agent_is_asked_about_outside_has_a_meter() -> None:
    asks = Output(GUEST_SERVICE_OFPORT)
    asking = [flow for flow in town() if asks in flow.actions and flow.table is not GUEST_SERVICES]
    assert {flow.table for flow in asking} == {OUTSIDE_IN, OUTSIDE_NEIGHBOUR, GATEWAY}
    numbers = {flow.meter.id for flow in asking if flow.meter is not None}
    assert all(flow.meter is not None for flow in asking)
    assert len(numbers) == 3  # resolution of an EIP and of a port, errors of the EIP
    assert numbers < set(OUTSIDE)


def town() -> list[Flow]:
    """What a host has for an EIP and a global address of a port."""
    outside = n.outside(7, "203.0.113.0/24", "2001:db8:77::/64")
    host, vpc = n.reaching(n.host(1), (outside, 9)), n.vpc(1)
    subnet = n.subnet(0x11, vpc, "10.0.1.0/24", "2001:db8:1::/64")
    port = n.port(0x101, subnet, "0e:00:00:00:00:01", "10.0.1.11", "2001:db8:1::11")
    gateway = n.igw(1, vpc, outside)
    net = n.network(
        *(outside, host, vpc, subnet, port, gateway),
        n.table(1, vpc, n.route("0.0.0.0/0", gateway), n.route("::/0", gateway)),
        n.eip(0x71, outside, "203.0.113.10", port),
        n.at(port, host, 11),
    )
    flows = [flow for some in compile_host(net, host.id) for flow in some]
    for flow in flows:
        check(flow)
    return flows


def test_errors_do_not_use_up_what_next_hops_need() -> None:
    one, kinds = 0x0A76_0000_0071, list(Question)
    shared = {meter(one, kind) for kind in kinds}
    assert len(shared) == 2
    assert meter(one, Question.UNRESOLVED) not in {
        meter(one, kind) for kind in (Question.ERROR_IN, Question.ERROR_OUT)
    }
    assert shared.isdisjoint(meter(one + 1, kind) for kind in kinds)
    assert shared == {meter(one + QUESTION_SLOTS, kind) for kind in kinds}
    every = {meter(mac, kind).id for mac in range(QUESTION_SLOTS) for kind in kinds}
    assert every == set(OUTSIDE)
