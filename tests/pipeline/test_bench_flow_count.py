"""The bench's cheap count of a switch's flows, held against Open vSwitch's own."""

import contextlib

import pytest

from bench.flow_count import FlowCount
from tests.support.dummy_ovs import DummyOvs


def test_it_counts_what_the_switch_lists_and_follows_it(ovs: DummyOvs) -> None:
    ovs.add_bridge("count", 1, [])
    lines = [f"table={n % 60},priority={n},dl_type=0x0800 actions=drop" for n in range(1, 500)]
    with contextlib.closing(FlowCount(ovs.directory / "count.mgmt")) as present:
        ovs.replace_flows("count", lines)
        assert present.now() == len(ovs.dump_flows("count")) == len(lines)
        ovs.replace_flows("count", lines[:7])
        assert present.now() == 7
        ovs.delete_bridges(["count"])
        with pytest.raises(OSError, match=r"closed|Broken pipe"):
            present.now()
