"""Flows are canonical and comparable, their text is what ovs-ofctl reads, contracts are kept."""

import itertools
from ipaddress import ip_address

import pytest

from vpcctl.flows import fields as f
from vpcctl.flows import tables as t
from vpcctl.flows.actions import (
    BundleLoad,
    CheckLarger,
    Commit,
    Conjunction,
    Learn,
    Load,
    Move,
    Multipath,
    Nat,
    Output,
    Resubmit,
    SetField,
    Track,
)
from vpcctl.flows.contract import BrokenContract, check, encoded_length
from vpcctl.flows.cookie import Feature, cookie, is_ours, split
from vpcctl.flows.flow import Flow, match
from vpcctl.flows.meter import Meter, by_number
from vpcctl.flows.reasons import Reason
from vpcctl.flows.text import format_action, format_flow

OURS = cookie(Feature.PORT, 0x101)
GOOD = Flow(
    t.SWITCH,
    100,
    match((f.ETH_DST, 0x0E0000000001), (f.VNI, 5)),
    (SetField(f.DEST_PORT, 7),),
    t.OUTPUT,
    OURS,
)


def test_a_match_is_canonical_however_it_is_written() -> None:
    block = (f.IPV4_DST, 0x0A000107, 0xFFFFFF00)
    ip = (f.ETH_TYPE, 0x0800)
    assert match(block, ip) == match(ip, (f.IPV4_DST, 0x0A000100, 0xFFFFFF00))
    assert match((f.VNI, 5, 0xFFFFFFFF)) == ((f.VNI, 5, None),)
    assert match((f.VNI, 5, 0)) == ()


def test_four_registers_are_one_wide_register() -> None:
    address = 0xFD00_0001 << 96 | 0x10
    parts = zip(f.REGS[8:12], (0xFD000001, 0, 0, 0x10), strict=True)
    assert match(*parts, (f.VNI, 5)) == match((f.VNI, 5), (f.LOOKUP_IPV6, address))
    assert len(match((f.REGS[8], 1), (f.REGS[9], 1), (f.REGS[10], 1))) == 3


@pytest.mark.parametrize("terms", [((f.ARP_OP, 1 << 16),), ((f.VNI, 1), (f.VNI, 1))])
def test_a_match_that_means_nothing_is_refused(terms) -> None:
    with pytest.raises(ValueError, match=r"bits|once"):
        match(*terms)


def test_equal_flows_are_equal_and_hash_alike() -> None:
    again = GOOD._replace()
    assert again == GOOD
    assert hash(again) == hash(GOOD)
    assert GOOD._replace(cookie=OURS + 1) != GOOD
    assert GOOD._replace(actions=(Output(7),)) != GOOD
    assert SetField(f.VNI, 7) != Output(7)


def test_cookies_say_whose_a_flow_is() -> None:
    assert OURS == 0x7663_0500_0000_0101
    assert split(OURS) == (Feature.PORT, 0x101)
    assert is_ours(OURS)
    assert not is_ours(0x7664_0500_0000_0101)


def test_text_names_tables_for_people_and_numbers_them_for_the_tool() -> None:
    assert format_flow(GOOD, cookie=False) == (
        "table=Switch,priority=100,reg2=0x5,eth_dst=0e:00:00:00:00:01"
        " actions=set_field:0x7->reg1,goto_table:Output"
    )
    assert f"table={t.SWITCH.number}," in format_flow(GOOD, names=False)


def test_text_of_actions() -> None:
    actions = (
        Load(f.IS_ARP, 1),
        Move(f.FOUND_MAC, f.ETH_DST, 48),
        Resubmit(t.FLOOD),
        Output(0xFFFFFFF8),
        Output(9),
    )
    flow = Flow(t.FLOOD, 1, (), actions, None, OURS)
    assert format_flow(flow, cookie=False).partition("actions=")[2] == (
        "load:0x1->reg5[1..1],move:xxreg3[0..47]->eth_dst[0..47],resubmit(,Flood),IN_PORT,output:9"
    )


def test_text_of_the_longer_actions() -> None:
    terms = ((f.ETH_TYPE, 0x0800), (f.OUTSIDE, f.OUTSIDE), (f.LOOKUP_IPV4, f.ARP_SPA))
    learn = Learn(t.OUTSIDE_NEIGHBOUR, 9, 30, 60, 5, terms, ((f.ETH_DST, f.ARP_SHA),), back=True)
    ranged = Nat(True, ip_address("203.0.113.7"), ip_address("203.0.113.9"), (1024, 65535))
    six = Nat(False, ip_address("2001:db8::1"), None, (80, 80))
    assert [format_action(one) for one in (learn, BundleLoad((3, 65000), f.CHOICE))] == [
        "learn(table=OutsideNeighbour,idle_timeout=30,hard_timeout=60,priority=9,cookie=0x5,"
        "eth_type=0x800,reg7[0..31]=reg7[0..31],reg4[0..31]=arp_spa[0..31],"
        "load:arp_sha[0..47]->eth_dst[0..47],output:in_port[0..15])",
        "bundle_load(eth_src,0,active_backup,ofport,reg13[0..15],members:3,65000)",
    ]
    assert [
        format_action(one)
        for one in (
            CheckLarger(1464, f.TOO_LARGE),
            Multipath("nw_src", 3, f.CHOICE),
            Track(f.JUDGED_ZONE, t.NAT_IN, translate=True),
            Commit(f.JUDGED_ZONE, t.NAT_OUT, nat=ranged),
            Commit(f.JUDGED_ZONE, t.NAT_IN, nat=six),
        )
    ] == [
        "check_pkt_larger(1464)->reg5[24]",
        "multipath(nw_src,0,hrw,3,0,reg13[0..15])",
        "ct(table=NatIn,zone=reg14[0..15],nat)",
        "ct(commit,table=NatOut,zone=reg14[0..15],nat(src=203.0.113.7-203.0.113.9:1024-65535))",
        "ct(commit,table=NatIn,zone=reg14[0..15],nat(dst=[2001:db8::1]:80))",
    ]


def test_a_meter_comes_first() -> None:
    meter = Meter(30, "pktps", 20, 40)
    assert format_flow(GOOD._replace(meter=meter)).partition("actions=")[2] == (
        "meter:30,set_field:0x7->reg1,goto_table:Output"
    )
    assert str(meter) == "meter=30 pktps burst bands=type=drop rate=20 burst_size=40"
    check(GOOD._replace(meter=meter))


def test_two_meters_of_one_number_are_one() -> None:
    meter = Meter(30, "pktps", 20, 40)
    assert by_number((meter, meter._replace())) == {30: meter}
    with pytest.raises(ValueError, match="two meters of one number"):
        by_number((meter, meter._replace(rate=21)))


def test_tables_are_in_order_and_leave_room() -> None:
    numbers = [table.number for table in t.TABLES]
    assert numbers == sorted(numbers)
    gaps = [after - before for before, after in itertools.pairwise(numbers)]
    assert 0 not in gaps
    assert gaps.count(1) <= 2, "tables need room between them"
    assert t.CLASSIFY.number == 0
    assert numbers[-1] < 0xFE
    for table in t.TABLES:
        assert all(name in t.BY_NAME for name in table.successors)


def test_reasons_have_distinct_names() -> None:
    assert Reason.NO_ROUTE.text == "no-route"
    assert len({reason.text for reason in Reason}) == len(Reason)


def test_no_two_fields_have_one_place_in_a_match() -> None:
    assert len({field.order for field in f.FIELDS.values()}) == len(f.FIELDS)


def test_oxm_headers() -> None:
    assert f.VNI.header == 0x00010404
    assert f.ETH_DST.masked_header == 0x8000070C
    assert f.LOOKUP_IPV6.header == 0x0001E210
    assert f.ND_OPTIONS_TYPE.header == 0x10000401
    assert f.VLAN_VID.n_bytes == 2


def test_a_good_flow_keeps_its_contract() -> None:
    check(GOOD)
    assert encoded_length(GOOD) < 200


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cookie": 5}, "mark"),
        ({"match": ((f.ETH_DST, 1, None), (f.VNI, 5, None))}, "canonical"),
        ({"match": ((f.IN_PORT, 5, None),)}, "does not read in_port"),
        ({"actions": (SetField(f.VNI, 5),)}, "does not write reg2"),
        ({"actions": (SetField(f.DEST_PORT, 1 << 32),)}, "bits"),
        ({"actions": (Output(5),)}, "sends nothing out"),
        ({"actions": (Resubmit(t.ROUTE),)}, "not to Route"),
        ({"goto": t.ROUTE}, "lead to Route"),
        ({"actions": (SetField(f.DEST_PORT, 5),) * 5000}, "too long"),
        ({"priority": 1 << 16}, "priority"),
        ({"actions": (Learn(t.SWITCH, 1, 0, 9, 5, (), ()),)}, "no learned flows"),
        ({"actions": (Learn(t.OUTSIDE_NEIGHBOUR, 1, 9, 0, 5, (), ()),)}, "has an end"),
        ({"actions": (Learn(t.OUTSIDE_NEIGHBOUR, 1, 9, 9, OURS, (), ()),)}, "is not ours"),
        ({"meter": Meter(3, "kbps", 9, 9)}, "not one of ours"),
        ({"meter": Meter(4, "kbps", 0, 9)}, "rate 0"),
        ({"meter": Meter(4, "kbps", 9, 1 << 32)}, "burst"),
        ({"actions": (Conjunction(1, 1),), "goto": None, "meter": Meter(4, "kbps", 9, 9)}, "else"),
        (
            {"table": t.OUTPUT, "match": (), "actions": (Output(0xFFFFFFFD),), "goto": None},
            "real ports",
        ),
        (
            {"table": t.ROUTE, "match": ((f.IPV4_DST, 1, None),), "actions": (), "goto": None},
            "requires",
        ),
        (
            {
                "table": t.RESPOND,
                "match": (),
                "actions": (SetField(f.ARP_OP, 2),),
                "goto": None,
            },
            "requires",
        ),
    ],
)
def test_a_flow_that_breaks_its_contract_is_found(change, why: str) -> None:
    with pytest.raises(BrokenContract, match=why):
        check(GOOD._replace(**change))


@pytest.mark.parametrize("port", [0xFFFFFFFD, 0xFFFFFFFA, 0xFFFFFFFB, 0xFFFFFFFE, 0xFFFF, 0])
def test_no_flow_reaches_controller_normal_flood_or_local(port: int) -> None:
    flow = Flow(t.OUTPUT, 1, (), (Output(port),), None, OURS)
    with pytest.raises(BrokenContract, match="only real ports"):
        check(flow)
