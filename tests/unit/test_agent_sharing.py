"""Host states share with the one before what is the same in both."""

from msgspec import convert

from agent.decide.sharing import sharing
from agent.wire.state import Attachment, Guest, HostState


def state(revision: int, mtu: int, *keys: int) -> HostState:
    attachment = {
        "port_id": "port-00000000000000001",
        "kind": "interface",
        "interface": "eth0",
        "mac": "0e:00:00:00:00:01",
        "addresses": (),
        "mtu": mtu,
    }
    guests = tuple(
        Guest(
            key=key,
            port_id=f"port-{key:017x}",
            subnet_id="subnet-00000000000000001",
            mac="0e:00:00:00:00:01",
            addresses=(f"10.0.0.{key}",),
        )
        for key in keys
    )
    return HostState(
        revision=revision,
        host_id="host-00000000000000001",
        name="one",
        dpid=1,
        openflow_targets=(),
        attachments=(convert(attachment, Attachment),),
        guests=guests,
    )


def test_what_is_the_same_is_the_same_object_and_what_is_not_is_new() -> None:
    first, second = state(1, 1_500, 1, 2), state(2, 1_400, 2, 3)
    shared = sharing(second, first)
    assert shared == second
    assert shared.guests[0] is first.guests[1]
    assert shared.guests[1] is second.guests[1]
    assert shared.attachments[0] is second.attachments[0]
    assert sharing(state(3, 1_400, 2), shared).attachments[0] is second.attachments[0]


def test_the_first_state_is_taken_as_it_is() -> None:
    first = state(1, 1_500, 1)
    assert sharing(first, None) is first
