"""A real switch takes the whole program and then has exactly that."""

import pytest

from tests.support.dummy_ovs import DummyOvs
from tests.support.showcase import HOST_1, HOST_2
from tests.support.tracing import Fabric
from vpcctl.compile import compile_host
from vpcctl.flows.tables import TABLES
from vpcctl.flows.text import format_unmetered
from vpcctl.pipeline.example import HERE, example

pytestmark = pytest.mark.ovs


@pytest.mark.parametrize(("bridge", "host_id"), [("br-0", HOST_1.id), ("br-1", HOST_2.id)])
def test_the_switch_has_what_was_compiled(
    bridge: str, host_id: str, ovs: DummyOvs, fabric: Fabric
) -> None:
    flows = fabric.flows(host_id)
    assert ovs.differences(bridge, (format_unmetered(flow) for flow in flows)) == set()
    assert len(ovs.dump_flows(bridge)) == len(flows)


def test_the_switch_has_what_was_compiled_for_filters(ovs: DummyOvs) -> None:
    net = example()
    flows = [flow for one in compile_host(net, HERE) for flow in one]
    assert {flow.table for flow in flows} == set(TABLES)
    lines = [format_unmetered(flow) for flow in flows]
    ovs.add_bridge("br-example", 1, [11, 14])
    try:
        ovs.replace_flows("br-example", lines)
        assert ovs.differences("br-example", lines) == set()
        assert len(ovs.dump_flows("br-example")) == len(flows)
    finally:
        ovs.delete_bridges(["br-example"])


def test_a_difference_would_be_seen(ovs: DummyOvs, fabric: Fabric) -> None:
    lines = [format_unmetered(flow) for flow in fabric.flows(HOST_1.id)]
    assert len(ovs.differences("br-0", lines[1:])) == 1
