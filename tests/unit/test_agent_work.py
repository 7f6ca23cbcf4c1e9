"""What to do next about attachments, and the iface-ids of others' interfaces."""

from dataclasses import replace

import pytest
from msgspec import convert, structs

from agent.decide import marks, work
from agent.decide.backoff import Backoff
from agent.decide.rows import IfaceIdWish, InterfaceRow
from agent.wire.state import Attachment

OWNER = "host-00000000000000001"


def attachment(number: int, **changes: object) -> Attachment:
    values: dict[str, object] = {
        "port_id": f"port-{number:017x}",
        "kind": "namespace",
        "interface": "eth0",
        "netns": f"n{number}",
        "mac": "0E:00:00:00:00:02",
        "addresses": (),
        "mtu": 1450,
    }
    return convert({**values, **changes}, Attachment)


ONE, TWO = attachment(1), attachment(2)


def test_only_what_differs_is_made() -> None:
    ledger = work.Ledger()
    ledger.want([ONE, TWO])
    assert ledger.to_make(0) == [ONE, TWO]
    ledger.succeeded(ONE)
    assert ledger.to_make(0) == [TWO]
    changed = attachment(1, mtu=1400)
    ledger.want([changed, TWO])
    assert set(ledger.to_make(0)) == {changed, TWO}


def test_new_attachments_come_before_those_looked_at_again() -> None:
    ledger = work.Ledger()
    ledger.want([ONE, TWO])
    ledger.succeeded(ONE)
    ledger.suspect.add(ONE.port_id)
    assert ledger.to_make(0) == [TWO, ONE]


def test_failure_waits_and_doubles_and_a_changed_wish_is_tried_at_once() -> None:
    ledger = work.Ledger()
    ledger.want([ONE])
    ledger.failure(ONE.port_id, "no", now=100.0, jitter=1.0)
    assert ledger.to_make(100.1) == []
    assert ledger.to_make(100.3) == [ONE]
    first = ledger.next_retry()
    ledger.failure(ONE.port_id, "no", now=100.3, jitter=1.0)
    second = ledger.next_retry()
    assert first is not None
    assert second is not None
    assert second - 100.3 == 2 * (first - 100.0)
    assert ledger.problems() == {ONE.port_id: "no"}
    ledger.want([attachment(1, mtu=1400)])
    assert len(ledger.to_make(100.3)) == 1


def test_what_is_wanted_no_more_is_removed_and_leftovers_too() -> None:
    ledger = work.Ledger()
    ledger.want([ONE, TWO])
    ledger.succeeded(ONE)
    ledger.leftover.update({TWO.port_id, "port-0000000000000000f"})
    assert ledger.to_remove() == ["port-0000000000000000f"]
    ledger.want([])
    assert ledger.to_remove() == [ONE.port_id, TWO.port_id, "port-0000000000000000f"]
    for port_id in ledger.to_remove():
        ledger.removed(port_id)
    assert ledger.to_remove() == []


def test_problem_of_an_attachment_that_is_gone_is_forgotten() -> None:
    ledger = work.Ledger()
    ledger.want([ONE])
    ledger.failure(ONE.port_id, "no", now=0.0, jitter=0.0)
    ledger.want([])
    assert ledger.problems() == {}


def row(name: str, **ids: str) -> InterfaceRow:
    return InterfaceRow(
        "u-" + name, name, external_ids={k.replace("_", "-"): v for k, v in ids.items()}
    )


PLUGGED = attachment(7, kind="interface", netns=None, interface="tap0")


def test_interface_without_an_iface_id_gets_one() -> None:
    (wish,) = work.iface_ids([PLUGGED], [row("tap0"), row("tap1")], OWNER)
    assert wish == IfaceIdWish("tap0", PLUGGED.port_id, "0e:00:00:00:00:02", OWNER)


def test_iface_ids_of_others_are_not_touched() -> None:
    rows = [row("tap0", iface_id="port-00000000000000099"), row("tap1", iface_id="theirs")]
    assert work.iface_ids([PLUGGED], rows, OWNER) == []


@pytest.mark.parametrize(
    "own",
    [
        InterfaceRow("u", marks.TUNNEL),
        InterfaceRow("u", "br-underlay", external_ids={marks.OWNER_KEY: OWNER}),
        InterfaceRow("u", "eth0", foreign=True),
    ],
    ids=lambda own: own.name,
)
def test_what_is_not_for_guests_gets_no_iface_id(own: InterfaceRow) -> None:
    wanted = structs.replace(PLUGGED, interface=own.name)
    assert work.iface_ids([wanted], [own], OWNER) == []
    named = {**own.external_ids, "iface-id": wanted.port_id, marks.NAMED_KEY: OWNER}
    before = replace(own, external_ids=named)
    assert work.iface_ids([wanted], [before], OWNER) == [IfaceIdWish(own.name, None, None, OWNER)]


def test_only_our_own_iface_id_is_taken_away() -> None:
    mine = row("tap0", iface_id=PLUGGED.port_id, vpcctl_named=OWNER)
    by_hand = row("tap1", iface_id=PLUGGED.port_id, vpcctl_named=marks.by_hand(OWNER))
    assert work.iface_ids([PLUGGED], [mine, by_hand], OWNER) == []
    assert work.iface_ids([], [mine, by_hand], OWNER) == [IfaceIdWish("tap0", None, None, OWNER)]


def test_port_of_an_attachment_carries_id_mac_and_mark() -> None:
    wish = work.plug(ONE, "br-int", OWNER)
    assert wish.port.name == marks.host_end(ONE.port_id)
    assert wish.port.external_ids == {
        "iface-id": ONE.port_id,
        "attached-mac": "0e:00:00:00:00:02",
    }
    assert wish.port.owner == OWNER


def test_backoff_doubles_up_to_its_limit() -> None:
    delays = [Backoff(1.0, 10.0).delay(count, 1.0) for count in (1, 2, 3, 4, 5, 400)]
    assert delays == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert Backoff(1.0, 10.0).delay(1, 0.0) == 0.5


def test_what_is_no_workloads_gets_no_iface_id_and_the_reason_is_told() -> None:
    for bad in (
        replace(row("tap0"), external_ids={marks.OWNER_KEY: OWNER}),
        replace(row("tap0"), external_ids={marks.OWNER_KEY: "host-somebody-else"}),
        replace(row("tap0"), foreign=True),
        replace(row("tap0"), type="vxlan"),
        replace(row("tap0"), type="patch"),
        replace(row("tap0"), ofport=65534),
    ):
        assert work.iface_ids([PLUGGED], [bad], OWNER) == []
        assert work.refusals([PLUGGED], [bad], OWNER).keys() == {PLUGGED.port_id}


def test_an_interface_with_another_iface_id_is_told_of() -> None:
    other = replace(row("tap0"), external_ids={"iface-id": "port-of-somebody"})
    assert work.refusals([PLUGGED], [other], OWNER).keys() == {PLUGGED.port_id}
    same = replace(row("tap0"), external_ids={"iface-id": PLUGGED.port_id})
    assert work.refusals([PLUGGED], [same, row("tap1")], OWNER) == {}
