"""The bench's security groups: what they say to each system, and how the goals are judged."""

import re

import pytest

from bench.addressing import guest_port, mass_port
from bench.cases.group_scale import rules_of
from bench.judging import judge
from bench.plan import FULL, QUICK
from bench.policies.base import ANYTHING_OUT, Memberships, Rule
from bench.policies.ovn import DROP, acl, drop
from bench.run import cases_at
from bench.stats import Sample, summarise
from bench.systems.static_tracked import tracked

ONE, OTHER = guest_port("a0", 0, 1), guest_port("b0", 0, 2)


def test_a_rule_becomes_an_acl_of_its_direction():
    web = acl("db-servers", Rule("ingress", "tcp", 5432, group="app"))
    assert web["match"] == (
        "outport == @pg_db_servers && ip4 && ip4.src == $pg_app_ip4 && tcp && tcp.dst == 5432"
    )
    assert (web["direction"], web["action"]) == ("to-lport", "allow-related")
    ping = acl("a", Rule("egress", "icmp", cidr="10.0.0.0/8"))
    assert ping["match"] == "inport == @pg_a && ip4 && ip4.dst == 10.0.0.0/8 && icmp4"
    assert ping["direction"] == "from-lport"
    assert acl("a", ANYTHING_OUT)["match"] == "inport == @pg_a && ip4"


def test_what_no_rule_allows_is_dropped_below_every_rule():
    for direction in ("ingress", "egress"):
        default = drop(direction)
        assert default["priority"] < acl("a", Rule("ingress"))["priority"]
        assert f"@{DROP}" in default["match"]
    assert drop("ingress")["direction"] == acl("a", Rule("ingress"))["direction"]


def test_memberships_tell_who_is_new_to_filtering_and_who_is_free_of_it():
    found = Memberships()
    assert found.join("a", [ONE]) == [ONE]
    assert found.join("b", [ONE, OTHER]) == [OTHER]
    assert found.groups_of(ONE) == {"a", "b"}
    assert found.members("b") == {"a0", "b0"}
    assert found.leave("b", [ONE, OTHER]) == [OTHER]
    assert found.leave("a", [ONE]) == [ONE]
    assert found.members("a") == frozenset()


def test_the_large_group_has_as_many_different_rules_as_is_said():
    rules = rules_of(9, 10)
    assert len(set(rules)) == 19
    assert sum(rule.group is not None for rule in rules) == 10
    assert len({rule.port for rule in rules}) == 19


FORWARDING = [
    "in_port=9,tun_id=100,dl_dst=0e:00:00:00:00:01,actions=output:3",
    "in_port=3,dl_dst=0e:00:00:00:00:02,"
    "actions=set_field:100->tun_id,set_field:172.31.0.2->tun_dst,output:9",
    "in_port=4,dl_dst=0e:00:00:00:00:01,actions=output:3",
    "in_port=9,tun_id=100,dl_dst=0e:00:00:00:00:04,actions=output:4",
]


def test_whatever_leaves_or_gets_to_a_port_is_tracked_in_its_zone():
    flows = tracked(FORWARDING)
    starts = [flow for flow in flows if flow.startswith("table=0,") and "in_port" in flow]
    assert sorted(int(re.findall(r"in_port=(\d+)", flow)[0]) for flow in starts) == [3, 4]
    for flow in flows:
        # Nothing reaches a port but through the last table.
        assert not re.search(r"output:[34]\b", flow)
    assert sum("output:9" in flow and "tun_dst" in flow for flow in flows) == 1
    assert sum("set_field:3->reg0,set_field:3->reg1,ct(table=3" in flow for flow in flows) == 2
    assert len(flows) == 2 + 1 + 2 + len(FORWARDING) + 2


def verdicts(*rows: tuple[str, str, int, str, float]) -> dict[str, bool | None]:
    samples = [Sample(*row, "") for row in rows]
    return {verdict.goal: verdict.met for verdict in judge(summarise(samples))}


def test_a_rule_is_held_against_ovns_and_against_its_own_in_a_small_network():
    found = verdicts(
        ("rule_ms", "added, of a group", 100, "ovn", 20.0),
        ("rule_ms", "added, of a group", 100, "ours", 19.0),
        ("rule_ms", "added, of a group", 10_000, "ours", 23.0),
        ("rule_ms", "added, of a group", 20_000, "ours", 90.0),
    )
    assert found["rule_ms, added, of a group: median at most OVN's at 100 ports"] is True
    goal = "rule_ms, added, of a group: at 10,000 ports at most 1.2 times its own at 100"
    assert found[goal] is False


def test_a_member_and_a_large_group_are_held_against_ovns():
    found = verdicts(
        ("member_ms", "joins a group of 1,000", 1_000, "ovn", 20.0),
        ("member_ms", "joins a group of 1,000", 1_000, "ours", 30.0),
        ("member_ms", "joins a group of 1,000", 5_000, "ours", 300.0),
        ("member_ms", "joins a group of 1,000", 10_000, "ours", 37.0),
        ("member_ms", "joins a group of 1,000", 20_000, "ours", 30.0),
        ("group_scale", "x: flows of a host", 1_000, "ovn", 20_000.0),
        ("group_scale", "x: flows of a host", 1_000, "ours", 2_000.0),
        ("group_scale", "x: CPU of the switches", 1_000, "ours", 2_000.0),
    )
    assert found == found | {
        "member_ms, joins a group of 1,000: median at most OVN's at 1,000 ports": False,
        "member_ms, joins a group of 1,000: at 10,000 ports at most 1.2 times its own at 1,000": (
            False
        ),
        "group_scale, x: flows of a host: at most OVN's at 1,000 ports": True,
    }
    assert not any("switches" in goal for goal in found)


def test_tracking_is_held_against_our_own_without_it():
    path = "TCP throughput, routed, across hosts"
    rtt = "UDP round trip, routed, across hosts"
    found = verdicts(
        ("dataplane_groups_without", path, 100, "ours", 1.0),
        ("dataplane_groups", path, 100, "static", 0.93),
        ("dataplane_groups", path, 100, "ours", 0.91),
        ("dataplane_groups", path, 100, "ovn", 0.95),
        ("dataplane_groups_without", rtt, 100, "ours", 100.0),
        ("dataplane_groups", rtt, 100, "static", 107.0),
        ("dataplane_groups", rtt, 100, "ours", 112.0),
    )
    assert found[f"{path}, with stateful groups: 0.9 of our own without"] is True
    assert found[f"{path}, with stateful groups: better than OVN's"] is False
    hand = "with stateful groups: 0.97 of tracking flows written by hand"
    assert found[f"{path}, {hand}"] is True
    assert found[f"{rtt}, {hand}"] is False
    assert found[f"{rtt}, with stateful groups: 0.9 of our own without"] is False
    assert found[f"{rtt}, with stateful groups: better than OVN's"] is None


@pytest.mark.parametrize("plan", [FULL, QUICK])
def test_every_plan_measures_groups_at_its_sizes(plan):
    assert "rule" not in cases_at(plan, 0)
    for size in filter(None, plan.sizes):
        cases = cases_at(plan, size)
        assert "rule" in cases
        assert ("member" in cases) == (size >= plan.group_members)
        last = {"restart", "cold_start"} & cases.keys()
        assert set(list(cases)[len(cases) - len(last) :]) == last
    assert any("group_scale" in cases_at(plan, size) for size in plan.sizes)
    # The crowd is made of mass ports that exist.
    assert min(plan.group_scale_sizes) >= plan.group_members
    assert mass_port(plan.group_members - 1).name != ""
