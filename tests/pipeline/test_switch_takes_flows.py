"""A real switch takes the whole program and then has exactly that."""

from pathlib import Path

import pytest

from tests.support.dummy_ovs import DummyOvs, Refused
from tests.support.showcase import HOST_1, HOST_2
from tests.support.tracing import Fabric
from vpcctl.flows.text import format_flow

pytestmark = pytest.mark.ovs


@pytest.mark.parametrize(("bridge", "host_id"), [("br-0", HOST_1.id), ("br-1", HOST_2.id)])
def test_the_switch_has_what_was_compiled(
    bridge: str, host_id: str, ovs: DummyOvs, fabric: Fabric, tmp_path: Path
) -> None:
    flows = fabric.flows(host_id)
    program = tmp_path / "program.flows"
    program.write_text("".join(f"{format_flow(flow, names=False)}\n" for flow in flows))
    assert ovs.ofctl("diff-flows", bridge, str(program)) == ""
    assert len(ovs.dump_flows(bridge)) == len(flows)


def test_a_difference_would_be_seen(ovs: DummyOvs, fabric: Fabric, tmp_path: Path) -> None:
    program = tmp_path / "program.flows"
    lines = [format_flow(flow, names=False) for flow in fabric.flows(HOST_1.id)]
    program.write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(Refused):
        ovs.ofctl("diff-flows", "br-0", str(program))
