"""The agent answers solicitations for gateways, and nothing else, whatever it is sent."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.decide.advertisement import advertisement
from agent.decide.guest.frames import port_key
from agent.tap import Budget

GUEST, KEY = bytes.fromhex("0e0000000001"), bytes.fromhex("0e7600000103")
SOURCE, TARGET = bytes.fromhex("fd" + "00" * 14 + "10"), bytes.fromhex("fd" + "00" * 14 + "01")
GROUP = bytes.fromhex("ff0200000000000000000001ff000001")
ALL_NODES = bytes.fromhex("ff02" + "00" * 13 + "01")
NOBODY = bytes(16)


def internet_checksum(data: bytes) -> int:
    """RFC 1071, word by word."""
    total = 0
    for at in range(0, len(data), 2):
        total += (data[at] << 8) + (data[at + 1] if at + 1 < len(data) else 0)
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def checked(source: bytes, target: bytes, message: bytes) -> int:
    return internet_checksum(source + target + struct.pack("!II", len(message), 58) + message)


def solicitation(
    source: bytes = SOURCE,
    to: bytes = GROUP,
    *,
    hops: int = 255,
    kind: int = 135,
    options: bytes | None = None,
) -> bytes:
    if options is None:
        options = b"" if source == NOBODY else b"\x01\x01" + GUEST
    body = bytes((kind, 0, 0, 0)) + bytes(4) + TARGET + options
    body = body[:2] + struct.pack("!H", checked(source, to, body)) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), 58, hops) + source + to
    return KEY + GUEST + b"\x86\xdd" + header + body


def test_a_guest_is_told_the_gateways_mac() -> None:
    answer = advertisement(solicitation())
    assert answer is not None
    assert (answer[:6], answer[6:12], answer[12:14]) == (GUEST, KEY, b"\x86\xdd")
    assert (answer[21], answer[22:38], answer[38:54]) == (255, TARGET, SOURCE)
    body = answer[54:]
    assert (body[0], body[1], body[4:8]) == (136, 0, bytes.fromhex("e0000000"))
    assert (body[8:24], body[24:]) == (TARGET, bytes.fromhex("02010e7670630001"))
    assert checked(TARGET, SOURCE, body) == 0
    assert struct.unpack("!H", answer[18:20])[0] == len(body)


def test_a_guest_without_an_address_yet_is_answered_through_the_group() -> None:
    answer = advertisement(solicitation(NOBODY))
    assert answer is not None
    assert answer[:6] == bytes.fromhex("333300000001")
    assert answer[38:54] == bytes.fromhex("ff02" + "00" * 13 + "01")
    assert answer[58:62] == bytes.fromhex("a0000000")


@pytest.mark.parametrize("options", [b"", b"\x0e\x01" + bytes(6), b"\x0e\x02" + bytes(14)])
def test_options_that_say_nothing_of_the_sender_do_not_matter(options: bytes) -> None:
    """A nonce (RFC 3971), for one; a solicitation to one address needs none at all."""
    assert advertisement(solicitation(options=options)) == advertisement(solicitation())
    assert advertisement(solicitation(SOURCE, TARGET, options=options)) is not None


def test_the_port_is_known_by_its_key() -> None:
    assert port_key(solicitation()) == 0x103
    assert port_key(GUEST + solicitation()[6:]) is None


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        solicitation()[:60],
        solicitation(hops=64),
        solicitation(kind=136),
        GUEST + solicitation()[6:],
        solicitation()[:-1] + b"\x00",
        solicitation() + bytes(2000),
        solicitation(options=b"\x01\x00" + GUEST),
        solicitation(options=b"\x0e\x01" + bytes(6) + b"\x01\x00" + GUEST),
        solicitation(options=b"\x01\x02" + GUEST),
        solicitation(options=b"\x01"),
        solicitation(NOBODY, options=b"\x01\x01" + GUEST),
        solicitation(NOBODY, ALL_NODES),
        solicitation(NOBODY, TARGET),
    ],
    ids=[
        *("empty", "short", "from afar", "no question", "no key", "checksum", "oversize"),
        *("option of no length", "second option of no length", "option goes beyond", "half"),
        *("nobody's MAC", "nobody to all nodes", "nobody to one"),
    ],
)
def test_anything_else_is_not_answered(frame: bytes) -> None:
    assert advertisement(frame) is None


@given(st.integers(0, len(solicitation()) - 1), st.integers(0, 255))
def test_a_garbled_solicitation_never_gets_an_answer_about_another_address(
    at: int, value: int
) -> None:
    frame = bytearray(solicitation())
    frame[at] = value
    answer = advertisement(bytes(frame))
    assert answer is None or answer[22:38] == bytes(frame[62:78])


@given(st.binary(max_size=1600))
def test_garbage_is_survived(frame: bytes) -> None:
    assert advertisement(KEY + frame) is None


def test_one_port_cannot_use_up_what_another_may_ask() -> None:
    budget = Budget(total=10, port=3)
    assert [budget.take(1) for _ in range(5)] == [True, True, True, False, False]
    assert budget.take(2)
    assert (budget.total, budget.reads) == (6, 9_994)
    budget.renew()
    assert budget.take(1)


def test_a_tenant_with_many_ports_leaves_others_their_share() -> None:
    budget = Budget(total=100, port=1)
    answered = {
        tenant: sum(budget.take((tenant, port), tenant) for port in range(200))
        for tenant in ("one", "two", "three")
    }
    assert answered == {"one": 50, "two": 25, "three": 13}
