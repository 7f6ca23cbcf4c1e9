"""What the bench's guests ask, how their answers are told apart, and how the goals are judged."""

import struct

import dns.message
import pytest

from agent.decide.guest.answering import answer
from agent.decide.guest.book import Book
from agent.decide.guest.frames import Refused
from bench.guest_crowd import LOST_MS, Answered, local_port
from bench.guest_frames import Asker, Discover, Lookup
from bench.guest_targets import judge_guests
from bench.stats import Sample, summarise
from bench.targets import Medians

ASKER = Asker("e0", "0e:02:00:00:00:01", "10.1.240.1", "0e:76:70:63:00:01")


def test_a_discover_is_one_that_the_agent_reads() -> None:
    frame = Discover(1000).frame(ASKER, 7)
    # br-int puts the key of the asking port in place of the target.
    with pytest.raises(Refused, match="unknown-port"):
        answer(b"\x0e\x76\x00\x00\x00\x05" + frame[6:], Book())


def test_an_offer_is_told_by_its_transaction() -> None:
    asked = Discover(1000)
    frame = bytearray(asked.frame(ASKER, 7))
    assert asked.answered(bytes(frame)) is None, "it is a question"
    frame[34:38] = struct.pack("!HH", 67, 68)
    assert asked.answered(bytes(frame)) == 7


def test_names_are_asked_in_turn_from_ports_of_their_own() -> None:
    asked = Lookup(("a.vpc.internal", "b.vpc.internal"))
    frames = [asked.frame(ASKER, number) for number in range(3)]
    messages = [dns.message.from_wire(frame[42:]) for frame in frames]
    assert [str(one.question[0].name) for one in messages] == [
        "a.vpc.internal.",
        "b.vpc.internal.",
        "a.vpc.internal.",
    ]
    assert len({frame[34:36] for frame in frames}) == 3


@pytest.mark.parametrize(("flags", "answers", "number"), [(0x8180, 1, 5), (0x8183, 0, None)])
def test_only_an_address_is_an_answer(flags: int, answers: int, number: int | None) -> None:
    asked = Lookup(("a.vpc.internal",))
    frame = bytearray(asked.frame(ASKER, 5))
    frame[34:38] = struct.pack("!HH", 53, 40_000)
    frame[44:50] = struct.pack("!HHH", flags, 1, answers)
    assert asked.answered(bytes(frame)) == number


def test_a_lost_question_counts_as_slow() -> None:
    answered = Answered(100, tuple([1.0] * 98))
    assert answered.lost == 2
    assert (answered.at(0.5), answered.at(0.99)) == (1.0, LOST_MS)


def test_ports_of_the_host_are_all_different() -> None:
    ports = [local_port(number) for number in range(600)]
    assert len({port.mac for port in ports}) == len({port.address for port in ports}) == 600


def sample(variant: str, value: float, size: int = 500) -> Sample:
    return Sample("guests", variant, size, "ours", value, "ms")


def test_a_flood_is_judged_by_the_calm_rounds() -> None:
    calm = [sample("DNS of others, p99", value) for value in (1.0, 2.0, 1.5)]
    goals = {
        verdict.goal: verdict.met
        for value, variant in ((1.9, "DHCP"), (2.5, "DNS"))
        for verdict in judge_guests(
            Medians(
                summarise([*calm, sample(f"DNS of others, beside a {variant} flood, p99", value)])
            )
        )
    }
    assert list(goals.values()) == [True, False]
