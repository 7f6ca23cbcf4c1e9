"""ICMP errors through an EIP, against errors built from scratch on the other side of it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.decide.guest.frames import Refused
from agent.decide.world.icmp import inwards, outwards
from tests.support.icmp_errors import ICMP, SCTP, TCP, UDP, Inner, error, packet

EIP, FIXED = bytes((198, 51, 100, 7)), bytes((10, 0, 1, 20))
ROUTER, PEER = bytes((203, 0, 113, 1)), bytes((192, 0, 2, 9))

addresses = st.binary(min_size=4, max_size=4)
options = st.integers(0, 10).map(lambda words: bytes([1]) * (4 * words))
quotes = st.fixed_dictionaries(
    {
        "protocol": st.sampled_from([ICMP, TCP, UDP, SCTP]),
        "body": st.binary(max_size=60),
        "options": options,
        "offset": st.sampled_from([0, 0, 0, 185]),
        "summed": st.booleans(),
    }
)
kinds = st.sampled_from([3, 11, 12])
cuts = st.integers(0, 100).filter(lambda cut: cut not in (7, 17))
"""Nobody quotes half a checksum, of UDP or TCP, which nobody could translate."""


def _cut(inner: Inner, cut: int) -> bytes:
    """The quote of a packet: its header and some bytes more."""
    return packet(inner)[: 20 + len(inner.options) + cut]


@given(quotes, kinds, addresses, addresses, cuts, options)
def test_an_error_comes_in_as_if_it_were_about_what_the_port_has_sent(
    quote: dict, kind: int, eip: bytes, fixed: bytes, cut: int, outer: bytes
) -> None:
    outside = _cut(Inner(source=eip, target=PEER, **quote), cut)
    inside = _cut(Inner(source=fixed, target=PEER, **quote), cut)
    found = inwards(error(kind, (ROUTER, eip), outside, outer), eip, fixed)
    assert found == error(kind, (ROUTER, fixed), inside, outer)


@given(quotes, kinds, addresses, addresses, cuts, options)
def test_an_error_goes_out_as_if_it_were_about_what_the_peer_has_sent(
    quote: dict, kind: int, eip: bytes, fixed: bytes, cut: int, outer: bytes
) -> None:
    inside = _cut(Inner(source=PEER, target=fixed, **quote), cut)
    outside = _cut(Inner(source=PEER, target=eip, **quote), cut)
    found = outwards(error(kind, (fixed, PEER), inside, outer), eip, fixed)
    assert found == error(kind, (eip, PEER), outside, outer)


@pytest.mark.parametrize("protocol", [TCP, UDP])
@pytest.mark.parametrize("near", [EIP, FIXED])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_checksums_around_zero(protocol: int, near: bytes, more: int) -> None:
    """On one side of the EIP or the other; UDP writes zero in another way."""
    word = int.from_bytes(_sum(packet(Inner(protocol, near, PEER, b"\0\0"))), "big") + more
    body = (word % 0x10000).to_bytes(2, "big")
    outside = packet(Inner(protocol, EIP, PEER, body))
    inside = packet(Inner(protocol, FIXED, PEER, body))
    if more == 0:
        seen = _sum(outside if near == EIP else inside)
        assert seen == (b"\0\0" if protocol == TCP else b"\xff\xff")
    found = inwards(error(3, (ROUTER, EIP), outside), EIP, FIXED)
    assert found == error(3, (ROUTER, FIXED), inside)


def _sum(whole: bytes) -> bytes:
    at = 20 + (16 if whole[9] == TCP else 6)
    return whole[at : at + 2]


@given(quotes, cuts)
def test_there_and_back_is_nothing(quote: dict, cut: int) -> None:
    before = error(11, (ROUTER, EIP), _cut(Inner(source=EIP, target=PEER, **quote), cut))
    assert inwards(inwards(before, EIP, FIXED), FIXED, EIP) == before


def test_padding_behind_a_packet_goes() -> None:
    before = error(3, (ROUTER, EIP), packet(Inner(UDP, EIP, PEER)))
    assert inwards(before + bytes(9), EIP, FIXED) == inwards(before, EIP, FIXED)


GOOD = error(3, (ROUTER, EIP), packet(Inner(UDP, EIP, PEER, b"hello")))
FOREIGN = error(3, (ROUTER, EIP), packet(Inner(UDP, PEER, EIP, b"hello")))
ECHO = packet(Inner(ICMP, ROUTER, EIP, b"hello"))
SHORT = error(3, (ROUTER, EIP), packet(Inner(UDP, EIP, PEER))[:19])


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (b"", "malformed"),
        (GOOD[:-1], "malformed"),
        (ECHO, "malformed"),
        (SHORT, "malformed"),
        (GOOD[:-1] + b"!", "checksum"),
        (FOREIGN, "foreign"),
    ],
)
def test_what_is_not_an_error_about_the_eips_own_packets_is_refused(
    before: bytes, reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        inwards(before, EIP, FIXED)


@given(st.binary(max_size=200), st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@example(b"", 0, 0x4F)
@example(b"", 28, 0x4F)
def test_noise_and_damage_are_survived(noise: bytes, at: int, value: int) -> None:
    damaged = bytearray(GOOD)
    damaged[at] = value
    for before in (noise, bytes(damaged), GOOD[:at], GOOD[:at] + noise):
        for translate in (inwards, outwards):
            try:
                found = translate(before, EIP, FIXED)
            except Refused:
                continue
            assert len(found) <= len(before)
