"""DHCP, DHCPv6 and ND on the agent's own socket, under noise: other guests notice nothing."""

import select
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support import guest_frames as g
from tests.support.guests_process import GuestsProcess, guests_process
from tests.support.waiting import wait_until
from tests.unit.test_guest_frames import DISCOVER, NEIGHBOUR, QUESTIONS, ROUTER, SOLICIT
from vpcctl.model.host import QUESTION_BURST, QUESTION_RATE

NOISY = range(0x200, 0x2C8)
QUIET = 0x900
TENANTS = 10
ADDRESS = "10.0.1.77"
THROWN = settings(max_examples=600, derandomize=True, database=None)


@pytest.fixture(scope="module")
def process() -> Iterator[GuestsProcess]:
    quiet = g.guest(QUIET, g.MAC, ADDRESS, "fd00:1::77", subnet_id="subnet-quiet")
    noisy = [g.guest(key, subnet_id=f"subnet-{key % TENANTS}") for key in NOISY]
    names = [str(number) for number in range(TENANTS)] + ["quiet"]
    blocks = tuple(g.block(subnet_id=f"subnet-{name}", tenant_id=name) for name in names)
    state = replace(g.state(*noisy, quiet), guest_subnets=blocks)
    with guests_process(state) as made:
        wait_until(lambda: made.counts()["ra-sent"] > 0, what="it listens")
        yield made


def service(key: int) -> bytes:
    """The destination MAC that says which port asks."""
    return b"\x0e\x76" + key.to_bytes(4, "big")


def asked_by(key: int, frame: bytes) -> bytes:
    return service(key) + frame[6:]


def heard(wire: socket.socket) -> list[bytes]:
    """Return all frames that have come."""
    found: list[bytes] = []
    while select.select([wire], [], [], 0)[0]:
        found.append(wire.recv(4096))
    return found


def answered(process: GuestsProcess, frame: bytes, kind: int) -> bytes:
    """Ask for the quiet guest; return what of its answer is above IP and UDP."""
    process.wire.send(asked_by(QUIET, frame))
    while True:
        answer = process.wire.recv(4096)
        if answer[6:12] == service(QUIET):
            found = g.opened(answer).payload
            if found[0] == kind:  # else it is sent unasked
                return found


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A question that has been cut, changed, or made of nothing behind its head."""
    whole = draw(st.sampled_from(QUESTIONS))
    at = draw(st.integers(14, len(whole)))
    noise = draw(st.binary(max_size=300))
    kept = whole[:at] + noise
    return draw(st.sampled_from([kept, whole[:at], kept + whole[at + len(noise) :]]))


def test_each_reason_is_counted(process: GuestsProcess) -> None:
    loop = g.from_dhcp6(1, (1, g.DUID), (3, b"\xff" * 3))
    wrong = [
        ("dhcp4-wrong-mac", g.from_dhcp4(g.dhcp4(1, chaddr=b"\x06\0\0\0\0\x09"))),
        ("dhcp4-relayed", g.from_dhcp4(g.dhcp4(1, giaddr="10.0.0.1"))),
        ("nd-malformed", NEIGHBOUR[:-9]),
        ("dhcp6-malformed", loop),
        ("dhcp6-wrong-mac", SOLICIT[:6] + b"\x06\0\0\0\0\x09" + SOLICIT[12:]),
        ("no-service", g.frame(g.udp("10.0.1.20", "10.0.1.1", (68, 69), b"x"))),
        ("length", DISCOVER[:30]),
        ("length", DISCOVER + bytes(3_000)),
        ("checksum", DISCOVER[:-1] + b"\x07"),
    ]
    before = process.counts()
    for at, (_, frame) in enumerate(wrong):
        process.wire.send(asked_by(NOISY[at], frame))
    process.wire.send(asked_by(0xDEAD, DISCOVER))
    expected = Counter(reason for reason, _ in wrong) + Counter({"unknown-port": 1})
    wait_until(lambda: process.counts() - before >= expected, what=f"{expected} is counted")


def test_one_that_floods_leaves_others_their_answers(process: GuestsProcess) -> None:
    heard(process.wire)
    noise, question = asked_by(NOISY[0], DISCOVER), asked_by(QUIET, DISCOVER)
    answers = 0
    for number in range(30_000):
        process.wire.send(noise)
        if number % 2_000 == 1_999:
            process.wire.send(question)
            answers += _answers(process)
    wait_until(lambda: _answers(process) == 0, what="what is under way")
    assert answers >= 10


def _answers(process: GuestsProcess) -> int:
    """How many frames for the quiet guest come in the next milliseconds."""
    select.select([process.wire], [], [], 0.02)
    return sum(each[6:12] == service(QUIET) for each in heard(process.wire))


@pytest.mark.parametrize("flood", [DISCOVER, ROUTER], ids=["DHCP", "routers"])
def test_a_flood_of_one_kind_takes_nothing_from_the_other(
    process: GuestsProcess, flood: bytes
) -> None:
    """What flows meter apart is counted apart; all that a meter lets through is answered."""
    key = NOISY[100] if flood is DISCOVER else NOISY[101]
    other, name = (ROUTER, "rs-answered") if flood is DISCOVER else (DISCOVER, "dhcp4-answered")
    before = process.counts()
    for frame in (*[flood] * 200, *[other] * QUESTION_BURST):
        process.wire.send(asked_by(key, frame))
    wait_until(
        lambda: (process.counts() - before)[name] == QUESTION_BURST, what="all of them are answered"
    )
    counted = process.counts() - before
    assert counted["limited"] > 0  # and then the kernel drops the rest unseen
    flooded = "dhcp4-answered" if flood is DISCOVER else "rs-answered"
    assert counted[flooded] <= 2 * (QUESTION_BURST + QUESTION_RATE)


def test_noise_changes_nothing_for_other_guests(process: GuestsProcess) -> None:
    turn = iter(range(1_000_000))
    heard(process.wire)
    seen: list[bytes] = []

    @given(damaged())
    @THROWN
    def throw(frame: bytes) -> None:
        process.wire.send(asked_by(NOISY[next(turn) % len(NOISY)], frame))
        seen.extend(heard(process.wire))

    throw()
    before = process.resident()
    throw()
    offer = answered(process, DISCOVER, 2)
    assert g.options4(offer)[53] == b"\2"
    assert offer[16:20] == socket.inet_aton(ADDRESS)
    for frame, kind in ((SOLICIT, 2), (ROUTER, 134), (NEIGHBOUR, 136)):
        assert answered(process, frame, kind)
    assert process.resident() < before + 4 * 1024
    for each in seen:
        assert each[6:12] != service(QUIET) or each[54] == 134, "nothing but what is sent unasked"
        assert socket.inet_aton(ADDRESS) not in each
