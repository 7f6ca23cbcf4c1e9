"""Plans for one namespace attachment."""

import dataclasses

import pytest
from msgspec import convert

from agent.decide import marks
from agent.decide.attachment import (
    DeleteLink,
    Facts,
    GuestEnd,
    HostEnd,
    MakeNamespace,
    MakePair,
    SetAddresses,
    SetGuestEnd,
    SetHostEnd,
    Unfit,
    check,
    plan,
)
from agent.wire.state import Attachment, InterfaceAddress

PORT = "port-0a1b2c3d4e5f60718"
NAME = marks.host_end(PORT)
NOTHING = Facts(host=None, netns_exists=False, guest=None)


def wanted(**changes: object) -> Attachment:
    values: dict[str, object] = {
        "port_id": PORT,
        "kind": "namespace",
        "interface": "eth0",
        "netns": "red",
        "mac": "0E:00:00:00:00:02",
        "addresses": (
            InterfaceAddress(address="10.0.0.2", prefix_length=24, gateway="10.0.0.1"),
            InterfaceAddress(address="fd00::2", prefix_length=64, gateway="fd00::1"),
        ),
        "mtu": 1450,
    }
    return convert({**values, **changes}, Attachment)


def made(**changes: object) -> Facts:
    """The facts after the plan for ``wanted()`` was carried out."""
    alias = marks.link_alias(PORT)
    host = HostEnd(5, "veth", marks.LINK_GROUP, alias, 1450, up=True)
    guest = GuestEnd(
        index=2,
        peer=5,
        alias=alias,
        mac="0e:00:00:00:00:02",
        mtu=1450,
        up=True,
        addresses=frozenset({("10.0.0.2", 24), ("fd00::2", 64)}),
        other_addresses=frozenset({("fe80::c00:ff:fe00:2", 64)}),
        gateways=frozenset({"10.0.0.1", "fd00::1"}),
    )
    return dataclasses.replace(Facts(host, netns_exists=True, guest=guest), **changes)


def guest(**changes: object) -> GuestEnd:
    present = made().guest
    assert present is not None
    return dataclasses.replace(present, **changes)


def host(**changes: object) -> HostEnd:
    present = made().host
    assert present is not None
    return dataclasses.replace(present, **changes)


def test_nothing_there_makes_everything_in_order() -> None:
    kinds = [type(step) for step in plan(wanted(), NOTHING)]
    assert kinds == [MakeNamespace, MakePair, SetHostEnd, SetGuestEnd, SetAddresses]


def test_everything_there_needs_no_step() -> None:
    assert plan(wanted(), made()) == ()


def test_namespace_that_exists_is_used() -> None:
    steps = plan(wanted(), Facts(None, netns_exists=True, guest=None))
    assert MakeNamespace not in {type(step) for step in steps}


def test_changed_mtu_sets_both_ends_only() -> None:
    steps = plan(wanted(mtu=1400), made())
    assert [type(step) for step in steps] == [SetHostEnd, SetGuestEnd]
    assert {step.mtu for step in steps if isinstance(step, SetHostEnd | SetGuestEnd)} == {1400}


def test_admin_state_is_the_host_ends() -> None:
    (step,) = plan(wanted(admin_up=False), made())
    assert isinstance(step, SetHostEnd)
    assert not step.up


def test_addresses_that_are_not_ours_stay() -> None:
    facts = made(guest=guest(other_addresses=frozenset({("10.0.0.77", 24)})))
    assert plan(wanted(), facts) == ()


def test_address_given_by_the_guest_itself_is_not_added_again() -> None:
    facts = made(
        guest=guest(
            addresses=frozenset({("fd00::2", 64)}), other_addresses=frozenset({("10.0.0.2", 24)})
        )
    )
    assert plan(wanted(), facts) == ()


def test_changed_address_adds_removes_and_renews_routes() -> None:
    changed = wanted(
        addresses=(InterfaceAddress(address="10.0.0.9", prefix_length=24, gateway="10.0.0.1"),)
    )
    (step,) = plan(changed, made())
    assert isinstance(step, SetAddresses)
    assert set(step.add) == {("10.0.0.9", 24)}
    assert set(step.remove) == {("10.0.0.2", 24), ("fd00::2", 64)}
    assert step.add_gateways == ("10.0.0.1",)
    assert step.remove_gateways == ("fd00::1",)


def test_ipv6_addresses_compare_by_value() -> None:
    odd = wanted(
        addresses=(
            InterfaceAddress(address="10.0.0.2", prefix_length=24, gateway="10.0.0.1"),
            InterfaceAddress(address="FD00:0::0:2", prefix_length=64, gateway="fd00:0::1"),
        )
    )
    assert plan(odd, made()) == ()


def test_guest_that_was_set_down_gets_its_addresses_and_routes_again() -> None:
    steps = plan(wanted(), made(guest=guest(up=False, gateways=frozenset())))
    assert [type(step) for step in steps] == [SetGuestEnd, SetAddresses]
    assert isinstance(steps[1], SetAddresses)
    assert len(steps[1].add_gateways) == 2


def test_pair_whose_namespace_vanished_is_made_again() -> None:
    steps = plan(wanted(), made(netns_exists=False, guest=None))
    assert isinstance(steps[0], DeleteLink)
    assert [type(step) for step in steps[1:3]] == [MakeNamespace, MakePair]


def test_guest_end_of_another_pair_is_replaced_only_when_it_is_ours() -> None:
    steps = plan(wanted(), made(guest=guest(peer=99)))
    assert isinstance(steps[0], DeleteLink)
    with pytest.raises(Unfit, match="exists already"):
        plan(wanted(), made(guest=guest(peer=99, alias="theirs")))


def test_device_of_somebody_else_with_our_name_is_not_touched() -> None:
    for theirs in (host(group=0), host(kind="dummy"), host(alias="theirs")):
        with pytest.raises(Unfit, match=NAME):
            plan(wanted(), made(host=theirs))


def test_half_made_pair_is_finished() -> None:
    facts = made(host=host(alias=None), guest=guest(alias=None))
    assert [type(step) for step in plan(wanted(), facts)] == [SetHostEnd, SetGuestEnd]


@pytest.mark.parametrize(
    "changes",
    [
        {"netns": "a/b"},
        {"netns": ".."},
        {"netns": ""},
        {"netns": None},
        {"interface": "lo"},
        {"interface": "sixteen-letters-"},
        {"interface": "with space"},
        {"mtu": 1279},
        {"mtu": 70000},
        {"addresses": (InterfaceAddress(address="ten", prefix_length=8),)},
    ],
)
def test_values_that_the_kernel_would_refuse(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check(wanted(**changes))


def test_host_ends_are_short_distinct_and_stable() -> None:
    names = {marks.host_end(f"port-{at:017x}") for at in range(2000)}
    assert len(names) == 2000
    assert {len(name) for name in names} == {15}
    assert marks.host_end(PORT) == NAME


def test_aliases_name_their_port_and_nothing_else_does() -> None:
    assert marks.port_of_alias(marks.link_alias(PORT)) == PORT
    for text in (None, "", "vpcctl:", "vpcctl:eth0", marks.netns_alias(PORT), "eth0"):
        assert marks.port_of_alias(text) is None
