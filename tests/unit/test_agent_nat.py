"""Connections of NAT gateways: what is counted of a listing, and what flows say of failures."""

import struct

import pytest

from agent.decide import aggregate, nat
from agent.wire.report import EipPorts

FIRST, SECOND = "203.0.113.20", "203.0.113.21"
LISTING = (
    r"tcp,orig=(src=10.0.2.12,dst=192.0.2.77,sport=5000,dport=53),"
    r"reply=(src=192.0.2.77,dst=203.0.113.20,sport=53,dport=5000),zone=32769,"
    r"protoinfo=(state=SYN_SENT)\n"
    r"tcp,orig=(src=10.0.2.13,dst=192.0.2.78,sport=5000,dport=53),"
    r"reply=(src=192.0.2.78,dst=203.0.113.20,sport=53,dport=5000),zone=32769,"
    r"protoinfo=(state=ESTABLISHED)\n"
    r"udp,orig=(src=10.0.2.13,dst=192.0.2.77,sport=5000,dport=53),"
    r"reply=(src=192.0.2.77,dst=203.0.113.20,sport=53,dport=5000),zone=32769\n"
    r"tcp,orig=(src=192.0.2.77,dst=203.0.113.20,sport=4000,dport=8080),"
    r"reply=(src=10.0.2.12,dst=192.0.2.77,sport=80,dport=4000),zone=32769,"
    r"protoinfo=(state=ESTABLISHED)\n"
    r"icmp,orig=(src=10.0.2.12,dst=192.0.2.77,id=7,type=8,code=0),"
    r"reply=(src=192.0.2.77,dst=203.0.113.20,id=7,type=0,code=0),zone=32769\n"
)
ANSWER = f'{{"id":0,"result":"{LISTING}","error":null}}'.encode()


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_connections_and_ports_are_counted_wherever_the_listing_is_cut(size: int) -> None:
    tally = nat.Tally((FIRST, SECOND))
    for start in range(0, len(ANSWER), size):
        tally.take(ANSWER[start : start + size])
    assert tally.connections == 5
    # One TCP port twice, to two places; one of UDP; one that is forwarded. ICMP has none.
    counted = (EipPorts(address=FIRST, ports=3), EipPorts(address=SECOND, ports=0))
    assert tally.ports() == counted


def test_the_number_alone_is_read_where_there_are_too_many() -> None:
    assert nat.total("Connections Stats:\n    Total: 200001\n\tTCP: 200001\n") == 200_001
    assert nat.total("") is None


def test_not_every_connection_is_looked_at_where_there_are_many() -> None:
    assert [nat.how(number) for number in (0, 20_000, 20_001, 200_000, 200_001)] == [
        *("each", "each", "number", "number", "not")
    ]


def test_counting_takes_a_fiftieth_of_the_time() -> None:
    assert nat.pause(0.01, 5.0) == 5.0
    assert nat.pause(1.0, 5.0) == 50.0


def test_the_active_host_is_the_first_that_lives() -> None:
    hosts = ("host-a", "host-b", "host-c")
    assert nat.is_active(hosts, "host-b", ["host-c"])
    assert not nat.is_active(hosts, "host-b", ["host-a"])
    assert not nat.is_active(("host-a",), "host-b", [])


def test_packets_are_asked_for_by_cookie() -> None:
    asked = aggregate.request([0x7663_1200_0000_0081])
    assert asked.endswith(struct.pack("!BBHI", 5, 20, 8, 0))
    assert struct.pack("!QQ", 0x7663_1200_0000_0081, 2**64 - 1) in asked
    assert len(asked) == 8 + 56 + 8
    answer = struct.pack("!HH4xQQI4x", 2, 0, 3, 300, 1)
    assert aggregate.packets(19, answer) == 3
    assert aggregate.packets(1, answer) is None
