"""Floods stay small enough to be sent, however many members a subnet has."""

import ipaddress

from tests.support.networks import at, host, network, port, put, subnet, vpc
from vpcctl.compile import compile_host, plan_changes
from vpcctl.flows import fields as f
from vpcctl.flows.actions import SetField
from vpcctl.flows.contract import MAX_FLOW_MOD, check, encoded_length
from vpcctl.flows.cookie import Feature, split
from vpcctl.model.changes import ChangeBatch
from vpcctl.pipeline import flood

SUBNET = subnet(7, vpc(1), "10.0.0.0/16")


def test_a_long_list_goes_on_in_chunks() -> None:
    keys = list(range(16, 16 + 16 * 2500, 16))
    flows = list(flood.branch(SUBNET, 2, 0, keys))
    assert len(flows) == 3
    for flow in flows:
        check(flow)
        assert encoded_length(flow) <= MAX_FLOW_MOD
    copied = [
        action.value
        for flow in flows
        for action in flow.actions
        if isinstance(action, SetField) and action.field is f.FLOOD_NODE
    ]
    assert copied == keys


def test_remote_copies_of_both_families_never_name_two_hosts_at_once() -> None:
    vteps = [ipaddress.ip_address(text) for text in ("192.0.2.1", "2001:db8::1", "192.0.2.2")]
    (flow,) = flood.remote(SUBNET, 3, vteps)
    check(flow)
    tunnel = {f.TUN_DST: 0, f.TUN_IPV6_DST: 0}
    for action in flow.actions:
        if isinstance(action, SetField) and action.field in tunnel:
            tunnel[action.field] = action.value
        elif not isinstance(action, SetField):
            assert sum(1 for value in tunnel.values() if value) == 1


def test_an_empty_shard_has_no_flow() -> None:
    assert list(flood.local(SUBNET, 0, ())) == []
    assert list(flood.remote(SUBNET, 0, ())) == []


def one_change(size: int) -> tuple[int, int, int]:
    """What moving one of *size* ports costs: pieces looked at, flows and bytes that are sent."""
    hosts, owner = [host(1), host(2), host(3)], vpc(1)
    home = subnet(7, owner, "10.0.0.0/16")
    ports = [
        port(i, home, f"0e:00:00:00:{i >> 8:02x}:{i & 255:02x}", f"10.0.{i >> 8}.{i & 255}")
        for i in range(256, 256 + size)
    ]
    places = [at(one, hosts[i % 3], 10 + i) for i, one in enumerate(ports)]
    net = network(*hosts, owner, home, *ports, *places)
    moved = ChangeBatch(2, (put(at(ports[70], hosts[2], 60_000)),))
    transition = plan_changes(net, moved)
    sent = [
        flow
        for change in transition.hosts.values()
        for flows in (*change.removed, *change.written)
        for flow in flows
    ]
    return len(transition.touched), len(sent), sum(map(encoded_length, sent))


def test_a_change_of_one_port_costs_the_same_however_many_there_are() -> None:
    assert one_change(320) == one_change(20_000)


def test_no_flow_grows_with_the_number_of_local_ports() -> None:
    home, one = subnet(7, vpc(1), "10.0.0.0/16"), host(1)
    ports = [
        port(i, home, f"0e:00:00:00:{i >> 8:02x}:{i & 255:02x}", f"10.0.{i >> 8}.{i & 255}")
        for i in range(256, 256 + 9_000)
    ]
    places = [at(guest, one, 10 + i) for i, guest in enumerate(ports)]
    net = network(one, vpc(1), home, *ports, *places)
    floods = [
        flow
        for flows in compile_host(net, one.id)
        for flow in flows
        if split(flow.cookie).feature == Feature.FLOOD
    ]
    assert max(map(encoded_length, floods)) < 4_200
    copied = [
        action.value
        for flow in floods
        for action in flow.actions
        if isinstance(action, SetField) and action.field is f.DEST_PORT and action.value
    ]
    assert sorted(copied) == [guest.key for guest in ports]
