"""Links of a report."""

import time

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from agent.decide import links as decide
from agent.decide import marks
from agent.decide.rows import InterfaceRow
from agent.decide.work import untouchable
from agent.host import Host, most_urgent
from agent.wire.report import Link, LinkCounters, digest
from agent.wire.state import Attachment

PORT = "port-0a1b2c3d4e5f60718"
OTHER = "port-0a1b2c3d4e5f60719"


def row(name: str = "tap0", port: str = PORT, **changes: object) -> InterfaceRow:
    values: dict[str, object] = {
        "uuid": f"uuid-{name}",
        "name": name,
        "ofport": 4,
        "admin_up": True,
        "oper_up": True,
        "mac_in_use": "0e:00:00:00:00:01",
        "external_ids": {"iface-id": port},
    }
    return InterfaceRow(**{**values, **changes})  # type: ignore[arg-type]


def wanted() -> Attachment:
    return Attachment(
        port_id=PORT, kind="namespace", interface="eth0", netns="red", mac="", addresses=(), mtu=1
    )


def test_interface_with_a_port_id_is_a_link_and_others_are_not() -> None:
    found = decide.links([row(), row("tap1", "theirs"), row("tap2", "")], {}, {})
    assert [link.interface for link in found] == ["tap0"]
    assert found[0].ofport == 4
    assert found[0].netns is None


def test_namespace_is_named_for_our_own_pair_only() -> None:
    ours, theirs = row(marks.host_end(PORT)), row("tap0")
    found = decide.links([ours, theirs], {PORT: wanted()}, {})
    assert {link.interface: link.netns for link in found} == {ours.name: "red", "tap0": None}


def test_attached_mac_goes_before_the_devices_and_garbage_is_skipped() -> None:
    def mac(text: str) -> str | None:
        ids = {"iface-id": PORT, "attached-mac": text}
        (link,) = decide.links([row(external_ids=ids)], {}, {})
        return link.mac

    assert mac("0E:AA:00:00:00:02") == "0e:aa:00:00:00:02"
    assert mac("zebra") == "0e:00:00:00:00:01"


def test_interface_on_another_bridge_has_an_error_and_no_ofport() -> None:
    (link,) = decide.links([row(foreign=True)], {}, {})
    assert link.ofport is None
    assert "not on the integration bridge" in (link.error or "")


def test_attachment_that_could_not_be_made_is_a_link_with_an_error() -> None:
    (link,) = decide.links([], {PORT: wanted()}, {PORT: "no such\nthing" + "x" * 300})
    assert (link.interface, link.netns, link.ofport) == (marks.host_end(PORT), "red", None)
    assert link.error is not None
    assert link.error.startswith("no such thing")
    assert len(link.error) == 255


def test_order_of_rows_does_not_matter() -> None:
    rows = [row("a"), row("b", OTHER), row("c")]
    assert decide.links(rows, {}, {}) == decide.links(rows[::-1], {}, {})


def test_ofport_out_of_range_is_none() -> None:
    (link,) = decide.links([row(ofport=65534)], {}, {})
    assert link.ofport is None


def test_an_ofport_whose_zone_is_a_nat_gateways_is_refused_with_what_is_accepted() -> None:
    last, first = (row(ofport=one) for one in (32767, 32768))
    (highest,) = decide.links([last], {}, {})
    assert highest == replace(*decide.links([row()], {}, {}), ofport=32767)
    (link,) = decide.links([first], {}, {})
    assert link.ofport is None
    assert "ofport 32768; a port's is 1 to 32767" in (link.error or "")
    assert untouchable(last) is None
    assert "a port's is 1 to 32767" in (untouchable(first) or "")


def test_counters_go_to_their_interface() -> None:
    found = decide.links([row("a"), row("b", OTHER)], {}, {})
    with_counters = decide.with_counters(found, {"uuid-b": LinkCounters(rx_packets=5)})
    assert [link.counters.rx_packets for link in with_counters] == [0, 5]


def host() -> Host:
    return Host("netdev", problems=dict)


def test_fresh_interface_waits_for_its_ofport_and_then_hurries() -> None:
    known = host()
    assert known.take_row(row(ofport=None)) == "soon"
    assert known.take_row(row()) == "now"
    assert known.take_row(row()) == "none"
    assert known.take_row(row(error="broken", ofport=None)) == "now"


def test_interfaces_that_are_no_links_are_not_worth_a_report() -> None:
    known = host()
    assert known.take_row(row(port="theirs")) == "none"
    assert known.take_row(row(port="")) == "none"


def test_tunnel_port_is_a_fact() -> None:
    known = host()
    assert known.take_row(row(marks.TUNNEL, "", ofport=9)) == "now"
    assert known.facts().tunnel_ofport == 9
    known.take_row(row(marks.TUNNEL, "", ofport=None, error="in use"))
    assert known.facts().errors == (f"{marks.TUNNEL}: in use",)


def test_most_urgent() -> None:
    assert most_urgent() == "none"
    assert most_urgent("none", "soon") == "soon"
    assert most_urgent("soon", "now", "none") == "now"


def test_a_change_costs_the_same_however_many_links_there_are() -> None:
    known = host()
    for at in range(5000):
        known.take_row(row(f"t{at}", f"port-{at:017x}"))
    known.look().take_change()
    known.take_row(row("t7", f"port-{7:017x}", ofport=99))
    best = min(_timed(known) for _ in range(5))
    assert best < 0.002
    known.take_row(row("t7", f"port-{7:017x}", ofport=98))
    links, gone = known.look().take_change() or ((), ())
    assert ([link.ofport for link in links], gone) == ([98], ())


def _timed(known: Host) -> float:
    started = time.perf_counter()
    known.look().digest(known.facts())
    return time.perf_counter() - started


def test_two_links_of_a_port_are_no_change() -> None:
    known = host()
    known.take_row(row("a"))
    known.take_row(row("b"))
    assert known.look().take_change() is None


ROWS = st.builds(
    lambda at, port, ofport: row(f"t{at}", port, ofport=ofport),
    st.integers(0, 4),
    st.sampled_from([PORT, OTHER, ""]),
    st.none() | st.integers(1, 3),
)
EVENTS = st.lists(
    st.tuples(st.sampled_from(["row", "row", "gone", "problem", "wanted"]), ROWS), max_size=25
)


@given(events=EVENTS)
def test_links_and_digest_kept_up_to_date_are_those_made_anew(events) -> None:
    problems: dict[str, str] = {}
    known = Host("netdev", problems=lambda: problems)
    before: dict[str, Link] = {}
    for kind, each in events:
        match kind:
            case "row":
                known.take_row(each)
            case "gone":
                known.forget_row(each.uuid)
            case "problem" if not problems.pop(PORT, None):
                problems[PORT] = f"failed {each.name}"
            case _:
                known.wanted = {} if known.wanted else {PORT: wanted()}
        anew = decide.links(known.shown.values(), known.wanted, problems)
        inventory = known.look()
        assert inventory.links() == anew
        assert inventory.digest(known.facts()) == digest(known.facts(), anew)
        change = inventory.take_change()
        after = {link.port_id: link for link in anew}
        if change is not None and len(after) == len(anew):
            links, gone = change
            kept = {id: link for id, link in before.items() if id not in gone}
            assert kept | {link.port_id: link for link in links} == after
        before = after


def test_tunnel_port_that_went_is_no_fact_any_more() -> None:
    known = host()
    known.take_row(row(marks.TUNNEL, "", ofport=9))
    known.forget_row(f"uuid-{marks.TUNNEL}")
    assert known.facts().tunnel_ofport is None
