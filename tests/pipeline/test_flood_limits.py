"""How many members of a subnet one host can give a copy to, within Open vSwitch's own limits."""

import pytest

from tests.support.dummy_ovs import DummyOvs
from tests.support.networks import allow, at, group, group_id, host, network, port, subnet, vpc
from vpcctl.compile import compile_host
from vpcctl.flows.text import format_unmetered

pytestmark = [pytest.mark.ovs, pytest.mark.slow]
HOST, VPC = host(1), vpc(1)
HOME = subnet(7, VPC, "10.0.0.0/16")
TRACKED = group(1, VPC, allow("ingress", group_id(1)), allow("egress"))
PLAIN = group(2, VPC, allow("ingress", "10.0.0.0/16"), allow("egress"), stateful=False)
SIXTEEN = [
    group(
        number,
        VPC,
        *(allow("ingress", remote, protocol=17) for remote in ("192.168.0.0/16", group_id(1))),
        stateful=False,
    )
    for number in range(3, 18)
] + [PLAIN]
"""The last one alone lets the flood in, and each before it is asked twice."""
FIRST = 256


@pytest.mark.parametrize(
    ("groups", "members", "protocol"),
    [
        (None, 2000, "udp"),
        ((TRACKED.id,), 2000, "udp"),
        ((TRACKED.id,), 500, "ip,nw_proto=132"),
        ((PLAIN.id,), 500, "udp"),
        (tuple(one.id for one in SIXTEEN), 80, "udp"),
    ],
)
def test_a_broadcast_reaches_all_members(
    groups: tuple[str, ...] | None, members: int, protocol: str, ovs: DummyOvs
) -> None:
    ports = [
        port(
            key,
            HOME,
            f"0e:00:00:00:{key >> 8:02x}:{key & 255:02x}",
            f"10.0.{key >> 8}.{key & 255}",
            groups=groups if key > FIRST else None,
        )
        for key in range(FIRST, FIRST + members)
    ]
    places = [at(one, HOST, 100 + n) for n, one in enumerate(ports)]
    net = network(HOST, VPC, TRACKED, *SIXTEEN, HOME, *ports, *places)
    flows = [flow for some in compile_host(net, HOST.id) for flow in some]
    ovs.add_bridge("br-flood", 1, [100])
    try:
        ovs.replace_flows("br-flood", [format_unmetered(flow) for flow in flows])
        packet = (
            f"{protocol},in_port=100,dl_src=0e:00:00:00:01:00,dl_dst=ff:ff:ff:ff:ff:ff,"
            "nw_src=10.0.1.0,nw_dst=10.0.255.255,nw_ttl=64"
        )
        shown = ovs.control.call("ofproto/trace", "br-flood", packet)
    finally:
        ovs.delete_bridges(["br-flood"])
    assert "over 4096 resubmit actions" not in shown
    assert "over max translation depth" not in shown
    assert f"reg1={FIRST + members - 1:#x}" in shown
