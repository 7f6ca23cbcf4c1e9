"""A fixed address or a port's own MAC takes over from allowed pairs, and gives back."""

import dataclasses

import pytest

from tests.support.networks import at, batch, gone, host, network, pair, port, put, subnet, vpc
from vpcctl.compile import compile_host, plan_changes
from vpcctl.model.addresses import format_mac, link_local
from vpcctl.model.port import Port

HOST, VPC = host(1), vpc(1)
SUBNET = subnet(1, VPC, "10.0.1.0/24", "fd00:1::/64")
VMAC = "0e:00:5e:00:01:07"
FIRST = port(1, SUBNET, "0e:00:00:00:00:01", "10.0.1.10")
NEWCOMER = port(2, SUBNET, "0e:00:00:00:00:02", "10.0.1.11")


@pytest.mark.parametrize(
    ("claimed", "newcomer"),
    [
        (pair("10.0.1.11/32"), NEWCOMER),
        (pair("10.0.1.99/32", VMAC), dataclasses.replace(NEWCOMER, mac=0x0E005E000107)),
        (pair(f"{link_local(NEWCOMER.mac)}/128"), NEWCOMER),
    ],
    ids=["fixed address", "own MAC", "link-local address"],
)
def test_what_a_port_owns_wins_over_a_pair(claimed: object, newcomer: Port) -> None:
    holder = dataclasses.replace(FIRST, allowed_pairs=(claimed,))
    net = network(HOST, VPC, SUBNET, holder, at(holder, HOST, 10))
    before = {flow for flows in compile_host(net, HOST.id) for flow in flows}
    program = {flow.key: flow for flow in before}
    for changes in (
        (put(newcomer),),
        (put(at(newcomer, HOST, 11)),),
        (gone(newcomer), gone(at(newcomer, HOST, 11))),
    ):
        change = plan_changes(net, batch(*changes)).hosts.get(HOST.id)
        if change is not None:
            for flow in (flow for flows in change.removed for flow in flows):
                program.pop(flow.key)
            program |= {flow.key: flow for flows in change.written for flow in flows}
        whole = [flow for flows in compile_host(net, HOST.id) for flow in flows]
        assert len({flow.key for flow in whole}) == len(whole)
        assert set(program.values()) == set(whole), format_mac(newcomer.mac)
    assert set(program.values()) == before
