"""The bench's external networks: what they say to a system, when they run, how they are judged."""

import math

import pytest

from bench.__main__ import parse
from bench.addressing import guest_port
from bench.cases.gateway_failover import require_failover
from bench.external.ovn import gateway_port, nat
from bench.host import Host
from bench.judging import judge
from bench.outside import FAR_EIP, OWN_EIP, REACH, inbound, outbound
from bench.plan import FULL, QUICK
from bench.run import cases_at
from bench.simulated.cloud import HOSTS_PER_VPC, PORTS_PER_VPC
from bench.stats import Sample, Silence, summarise
from bench.waiting import TooLongError
from bench.world import Guest


@pytest.fixture
def guest(tmp_path):
    return Guest(guest_port("b1", 1, 5), Host(1, "vb0", tmp_path), "vb0g5", "vb0g5")


def rows(operations, table):
    return [each["row"] for each in operations if each["op"] == "insert" and each["table"] == table]


def test_an_eip_of_ovns_is_distributed_by_its_port_and_a_mac_of_its_own(guest):
    (own,) = rows(nat(OWN_EIP, guest, distributed=True), "NAT")
    assert own == {
        "type": "dnat_and_snat",
        "external_ip": OWN_EIP.address,
        "logical_ip": guest.spec.address,
        "logical_port": "b1",
        "external_mac": OWN_EIP.mac,
    }
    (far,) = rows(nat(FAR_EIP, guest, distributed=False), "NAT")
    assert not {"logical_port", "external_mac"} & far.keys()


def test_ovns_gateway_port_has_a_chassis_for_each_host_in_their_order():
    operations = gateway_port()
    chassis = rows(operations, "Gateway_Chassis")
    assert [row["chassis_name"] for row in chassis] == list(REACH)
    priorities = [row["priority"] for row in chassis]
    assert priorities == sorted(priorities, reverse=True)
    assert len(set(priorities)) == len(REACH)
    (port,) = rows(operations, "Logical_Router_Port")
    assert len(port["gateway_chassis"][1]) == len(REACH)


def test_probes_between_the_router_and_a_port_are_addressed_as_each_side_sees_them(guest):
    there, back = inbound(OWN_EIP.address, OWN_EIP.mac, 7), outbound(guest.spec, 8)
    assert (there.source, there.target) == (back.target, OWN_EIP.address)
    assert (there.next_mac, back.source) == (OWN_EIP.mac, guest.spec.address)


def test_silence_says_something_about_a_failover_only_if_there_was_one():
    require_failover(Silence(500.0, 500, 2_000), resumed=True)
    for silence, resumed in (
        (Silence(0.0, 0, 2_000), True),
        (Silence(math.inf, 2_000, 2_000), True),
        (Silence(500.0, 500, 2_000), False),
    ):
        with pytest.raises(TooLongError):
            require_failover(silence, resumed=resumed)


@pytest.mark.parametrize("plan", [FULL, QUICK])
def test_every_plan_measures_external_networks_at_its_sizes(plan):
    found = {size: cases_at(plan, size) for size in plan.sizes}
    attached = {size for size in plan.sizes if "attach" in found[size]}
    measured = {size for size in plan.sizes if "eip" in found[size]}
    assert measured == (attached if plan.eip_sizes is None else set(plan.eip_sizes))
    assert plan.dataplane_size in measured
    assert [size for size in found if "gateway_failover" in found[size]] == [plan.dataplane_size]
    # Every EIP of a simulated host has a port.
    assert plan.eip_counts[-1] % PORTS_PER_VPC == 0
    assert plan.eip_hosts >= HOSTS_PER_VPC


@pytest.mark.parametrize(
    ("option", "text", "unknown", "known"),
    [("--cases", "attach,eips", "'eips'", "eip"), ("--systems", "our", "'our'", "ours")],
)
def test_an_unknown_name_is_refused_with_those_there_are(option, text, unknown, known, capsys):
    with pytest.raises(SystemExit):
        parse([option, text])
    said = capsys.readouterr().err
    assert option in said
    assert f"there is no {unknown}" in said
    assert known in said.partition("accepted: ")[2].strip().split(", ")


def test_known_names_are_taken():
    options = parse(["--cases", "eip, simulated_eips", "--systems", "ours"])
    assert (options.cases, options.systems) == (("eip", "simulated_eips"), ("ours",))


def verdicts(*found):
    samples = [Sample(*row, "") for row in found]
    return {verdict.goal: verdict.met for verdict in judge(summarise(samples))}


def test_an_eip_is_held_against_ovns_and_against_its_own_in_a_small_network():
    found = verdicts(
        ("eip_ms", "associated, distributed", 100, "ovn", 9.0),
        ("eip_ms", "associated, distributed", 100, "ours", 10.0),
        ("eip_ms", "associated, distributed", 20_000, "ours", 11.0),
    )
    goal = "eip_ms, associated, distributed: "
    assert found[f"{goal}median at most OVN's at 100 ports"] is False
    assert found[f"{goal}at 20,000 ports at most 1.2 times its own at 100"] is True


def test_traffic_with_the_outside_is_held_against_static_flows_and_ovns():
    eip, nat_gateway = "TCP throughput, EIP, distributed", "ICMP round trip, NAT gateway"
    found = verdicts(
        ("eip_dataplane", eip, 100, "static", 1.0),
        ("eip_dataplane", eip, 100, "ours", 0.92),
        ("eip_dataplane", eip, 100, "ovn", 0.9),
        ("eip_dataplane", nat_gateway, 100, "static", 100.0),
        ("eip_dataplane", nat_gateway, 100, "ours", 109.0),
    )
    assert found[f"eip_dataplane, {eip}: 0.93 of static NAT flows"] is False
    assert found[f"eip_dataplane, {eip}: better than OVN's"] is True
    assert found[f"eip_dataplane, {nat_gateway}: 0.9 of static NAT flows"] is True
    assert found[f"eip_dataplane, {nat_gateway}: better than OVN's"] is None


def test_a_failover_takes_a_second_and_no_longer_than_ovns():
    found = verdicts(
        ("gateway_failover_ms", "NAT gateway", 100, "ours", 900.0),
        ("gateway_failover_ms", "NAT gateway", 100, "ovn", 800.0),
    )
    goal = "gateway_failover_ms, NAT gateway: "
    assert found[f"{goal}silence of at most 1 s at 100 ports"] is True
    assert found[f"{goal}at most OVN's at 100 ports"] is False


def test_one_association_among_many_costs_what_it_does_among_few():
    found = verdicts(
        ("simulated_eips", "one association", 10, "ours", 20.0),
        ("simulated_eips", "one association", 10_000, "ours", 23.0),
        ("simulated_eips", "one association, CPU of the controller", 10, "ours", 20.0),
        ("simulated_eips", "one association, CPU of the controller", 10_000, "ours", 25.0),
        ("simulated_eips", "first convergence", 10, "ours", 1.0),
        ("simulated_eips", "first convergence", 10_000, "ours", 9.0),
    )
    at = "with 10,000 EIPs at most 1.2 times its own with 10"
    assert found[f"simulated_eips, one association: {at}"] is True
    assert found[f"simulated_eips, one association, CPU of the controller: {at}"] is False
    assert not any("first convergence" in goal for goal in found)
