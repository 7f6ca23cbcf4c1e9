"""What the underlay bridge takes over and gives back."""

from hypothesis import given
from hypothesis import strategies as st

from agent.decide.underlay import (
    Device,
    Record,
    Route,
    bridge_wish,
    dump,
    follow,
    parse,
    plan_return,
    plan_take,
    take_over,
    vtep,
)

DEFAULT = Route("0.0.0.0/0", "192.0.2.1", 100, 16)
LOCAL = Route("198.51.100.0/24", scope=253)
ETH = Device(
    "eth0",
    2,
    "0e:00:00:00:00:01",
    1500,
    up=True,
    addresses=(("192.0.2.7", 24), ("2001:db8::7", 64)),
    routes=(DEFAULT, LOCAL),
)
BARE = Device("eth0", 2, "0e:00:00:00:00:01", 1500, up=True)
BRIDGE = Device("br-underlay", 9, "0e:00:00:00:00:01", 1500, up=False)


def test_first_start_takes_everything_and_links_come_before_gateways() -> None:
    record = take_over(None, ETH)
    assert record.addresses == ETH.addresses
    assert record.routes == (LOCAL, DEFAULT)
    move = plan_take(record, ETH, BRIDGE)
    assert move.take == ETH.addresses
    assert move.give == ETH.addresses
    assert move.routes == (LOCAL, DEFAULT)


def test_after_a_restart_of_vswitchd_the_record_is_all_there_is() -> None:
    record = take_over(None, ETH)
    again = take_over(record, BARE)
    assert again == record
    move = plan_take(again, BARE, BRIDGE)
    assert (move.take, move.give) == ((), ETH.addresses)


def test_nothing_to_do_when_all_has_moved() -> None:
    record = take_over(None, ETH)
    there = Device("br-underlay", 9, "", 1500, True, record.addresses, record.routes)
    assert plan_take(record, BARE, there).is_empty()


def test_lease_renewed_on_the_device_is_taken_over_too() -> None:
    record = take_over(None, ETH)
    renewed = Device("eth0", 2, "", 1500, True, (("192.0.2.8", 24),))
    assert ("192.0.2.8", 24) in take_over(record, renewed).addresses


def test_changes_by_hand_on_the_bridge_are_followed_but_its_loss_is_not() -> None:
    record = take_over(None, ETH)
    changed = Device("br-underlay", 9, "", 1500, True, (("192.0.2.99", 24),), (DEFAULT,))
    assert follow(record, changed).addresses == (("192.0.2.99", 24),)
    assert follow(record, BRIDGE) == record


def test_everything_goes_back() -> None:
    record = take_over(None, ETH)
    move = plan_return(record, BARE)
    assert move.give == record.addresses
    assert move.routes == record.routes
    assert plan_return(record, ETH).is_empty()


def test_bridge_keeps_switching_without_a_controller() -> None:
    wish = bridge_wish("br-underlay", take_over(None, ETH), "host-1")
    assert (wish.fail_mode, wish.controllers, wish.datapath_type) == ("standalone", (), "netdev")
    assert wish.other_config["hwaddr"] == ETH.mac


def test_vtep_prefers_ipv4() -> None:
    assert vtep((("2001:db8::7", 64), ("192.0.2.7", 24))) == "192.0.2.7"
    assert vtep((("2001:db8::7", 64),)) == "2001:db8::7"
    assert vtep(()) is None


routes = st.builds(
    Route,
    destination=st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "::/0"]),
    gateway=st.sampled_from(["", "192.0.2.1"]),
    metric=st.integers(0, 2**32 - 1),
)


@given(
    st.builds(
        Record,
        device=st.text(max_size=15),
        mac=st.text(max_size=17),
        addresses=st.lists(
            st.tuples(st.sampled_from(["192.0.2.7", "2001:db8::7"]), st.integers(0, 128))
        ).map(tuple),
        routes=st.lists(routes).map(tuple),
    )
)
def test_record_survives_its_text_form(record: Record) -> None:
    assert parse(dump(record)) == record


@given(st.text())
def test_any_text_parses_to_a_record_or_none(text: str) -> None:
    assert parse(text) is None or isinstance(parse(text), Record)


def test_texts_of_the_wrong_shape_are_no_records() -> None:
    for text in ("[]", "{}", "7", '{"device":"x","mac":"y","addresses":[1],"routes":[]}', None):
        assert parse(text) is None
