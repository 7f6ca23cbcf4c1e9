"""Which flows of a saved program are put back, by how the host is wired now."""

from agent.decide import program

SAVED = {1: ("vpcctl-vxlan", ""), 2: ("vp01", "port-a"), 3: ("vp02", "port-b")}
BASE = [
    " cookie=0x7663010000000000, priority=200,reg5=0/0x1,in_port=1 actions=resubmit(,0)\n",
    " cookie=0x7663010000000000, priority=0 actions=set_field:0x1->reg6,goto_table:70\n",
    " cookie=0x7663040000000001, table=5, priority=100,tun_id=0x1 actions=goto_table:50\n",
    " cookie=0x7663010000000000, table=65, priority=50 actions=move:NXM_NX_REG2[]->NXM_NX_TUN_ID"
    "[0..31],output:1\n",
]


def _edge(ofport: int) -> list[str]:
    return [
        f" cookie=0x7663060000000002, priority=100,in_port={ofport} actions=goto_table:10\n",
        f" cookie=0x7663060000000002, table=65, priority=100,reg1=0x2 actions=output:{ofport}\n",
    ]


def test_everything_comes_back_where_nothing_changed() -> None:
    lines = [*BASE, *_edge(2), *_edge(3)]
    back = program.put_back(["OFPST_FLOW reply (OF1.4) (xid=0x6):\n", *lines], SAVED, SAVED)
    assert back == program.PutBack(lines, 0, frozenset())
    assert program.is_complete(back.lines)


def test_an_ofport_of_another_interface_or_port_or_of_none_is_left_out() -> None:
    lines = [*BASE, *_edge(2), *_edge(3)]
    for other in (("vp09", "port-a"), ("vp01", "port-c"), None):
        now = {**SAVED, 2: other} if other else {1: SAVED[1], 3: SAVED[3]}
        back = program.put_back(lines, SAVED, now)
        assert back.lines == [*BASE, *_edge(3)]
        assert (back.left_out, back.changed) == (2, {2})


def test_a_port_plugged_again_at_another_ofport_is_not_wired_to_the_old_one() -> None:
    now = {1: SAVED[1], 2: SAVED[3], 3: SAVED[2]}
    assert program.put_back([*BASE, *_edge(2), *_edge(3)], SAVED, now).lines == BASE


def test_a_flow_that_names_an_unknown_ofport_is_left_out() -> None:
    line = " cookie=0x7663060000000002, priority=100,in_port=LOCAL actions=drop\n"
    assert program.put_back([line, *_edge(9)], SAVED, SAVED).lines == []


def test_ports_to_choose_from_are_named_and_fields_are_not() -> None:
    choose = (
        " cookie=0x7663060000000002, table=8, priority=100,arp actions=bundle_load(eth_src,0,"
        "active_backup,ofport,NXM_NX_REG13[0..15],members:3,65000),resubmit(,8)\n"
    )
    learn = (
        " cookie=0x7663060000000002, table=8, priority=90,arp actions=learn(table=9,"
        "cookie=0x766c000000000007,load:NXM_NX_ARP_SHA[]->NXM_OF_ETH_DST[],"
        "output:NXM_OF_IN_PORT[]),IN_PORT\n"
    )
    saved = {**SAVED, 65000: ("vpcctl-guests", "")}
    assert program.put_back([choose, learn], saved, saved).lines == [choose, learn]
    back = program.put_back([choose, learn], saved, {**saved, 3: ("vp03", "")})
    assert back == program.PutBack([learn], 1, frozenset({3}))


def test_nothing_without_our_mark_is_put_back() -> None:
    others = [
        " cookie=0x0, priority=0 actions=NORMAL\n",
        " cookie=0x17663010000000000, priority=0 actions=NORMAL\n",
        "delete\n",
        "# comment\n",
        "\n",
    ]
    assert program.put_back(others, SAVED, SAVED).lines == []


def test_a_program_without_its_catch_all_flow_is_not_whole() -> None:
    assert not program.is_complete([BASE[0], *BASE[2:]])
    deeper = " cookie=0x7663010000000000, table=5, priority=0 actions=drop\n"
    assert not program.is_complete([deeper])


def test_headers_are_read_as_written_and_garbage_is_none() -> None:
    header = program.Header("host-1", 42, SAVED)
    assert program.read_header(program.write_header(header)) == header
    for text in (
        "",
        "# ",
        "# 1",
        "# []",
        '# {"version": 2}',
        '# {"version": 1, "ports": {"x": 1}}',
    ):
        assert program.read_header(text) is None


def test_ports_are_read_as_they_are_listed() -> None:
    text = (
        "OFPST_PORT_DESC reply (OF1.4) (xid=0x2):\n"
        " 1(vpcctl-vxlan): addr:1a:10:6b:c3:4f:35\n     config:     0\n"
        " 12(vp01): addr:52:24:5b:aa:ed:66\n"
        " LOCAL(br-int): addr:32:29:91:0a:7c:40\n"
    )
    assert program.listed(text) == {1: "vpcctl-vxlan", 12: "vp01"}
