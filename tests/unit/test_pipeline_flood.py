"""Floods stay small enough to be sent, however many members a subnet has."""

import ipaddress

from tests.support.networks import subnet, vpc
from vpcctl.flows import fields as f
from vpcctl.flows.actions import SetField
from vpcctl.flows.contract import MAX_FLOW_MOD, check, encoded_length
from vpcctl.pipeline import flood

SUBNET = subnet(7, vpc(1), "10.0.0.0/16")


def test_a_long_shard_goes_on_in_chunks() -> None:
    keys = list(range(16, 16 + 16 * 2500, 16))
    flows = list(flood.local(SUBNET, 0, keys))
    assert len(flows) == 3
    for flow in flows:
        check(flow)
        assert encoded_length(flow) <= MAX_FLOW_MOD
    copied = [
        action.value
        for flow in flows
        for action in flow.actions
        if isinstance(action, SetField) and action.field is f.DEST_PORT
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
