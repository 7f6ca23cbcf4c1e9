"""The process for names: whom it asks, what it cannot say, and how far its answers go."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import dns.flags
import dns.message
import dns.rcode
import pytest

from agent.decide import marks
from tests.support.names_process import NamesProcess, guest, names_process, zone
from tests.support.resolvers import Manner, Resolver, resolver
from tests.support.waiting import wait_until
from tests.traffic.site import inside
from vpcctl.model.names import Service

ADDRESSES = ("127.0.0.1", "::1")
FIRST, SECOND = "203.0.113.1", "203.0.113.2"
PORT, SILENT_PORT = 0x1_0001, 0x1_0002
GUESTS = [guest(PORT), guest(SILENT_PORT)]
_ALL = 3  # ETH_P_ALL


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamesProcess]:
    """Two ports: of the second, the agent has not got yet what its owner has said."""
    records = [
        {"name": f"{name}.one.test", "type": kind, "ttl": 60, "values": [said]}
        for name, kind, said in (
            ("wrong", "TXT", '"without an end'),
            ("away", "CNAME", "www.example.com."),
        )
    ]
    with names_process(tmp_path_factory.mktemp("names")) as made:
        made.write(zone("one", ("web", ["10.0.1.10"]), records=records))
        made.write_port(f"port-{SILENT_PORT:017x}", revision=0)
        made.serve(GUESTS, forwarders=ADDRESSES)
        yield made


@pytest.fixture(scope="module")
def resolvers(process: NamesProcess) -> Iterator[tuple[Resolver, Resolver]]:
    """One over IPv4 that is asked first, and one over IPv6."""
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(resolver(process.netns, address, value))
            for address, value in zip(ADDRESSES, (FIRST, SECOND), strict=True)
        )
        yield first, second


def counted(process: NamesProcess, what: str) -> int:
    """Return how often it has counted something by now."""
    process.order(GUESTS, forwarders=ADDRESSES)
    return process.done()[what]


def asked(
    process: NamesProcess,
    name: str = "www.example.com",
    *,
    tcp: bool = False,
    flags: int = 0,
    dnssec: bool = False,
) -> dns.message.Message:
    """Ask for an address, with flags beside that recursion is wanted."""
    question = dns.message.make_query(name, "A", want_dnssec=dnssec)
    question.flags |= flags
    wire = question.to_wire()
    if not tcp:
        with process.datagrams(PORT) as opened:
            opened.settimeout(10)
            opened.send(wire)
            return dns.message.from_wire(opened.recv(4096))
    with process.stream(PORT, "dns") as opened, opened.makefile("rb") as stream:
        opened.settimeout(10)
        opened.sendall(struct.pack("!H", len(wire)) + wire)
        return dns.message.from_wire(stream.read(*struct.unpack("!H", stream.read(2))))


def values(answer: dns.message.Message) -> list[str]:
    return [one.to_text() for found in answer.answer for one in found]


@pytest.mark.parametrize(
    ("manners", "code", "expected"),
    [
        (("good", "good"), "NOERROR", [FIRST]),
        (("REFUSED", "good"), "NOERROR", [SECOND]),
        (("SERVFAIL", "good"), "NOERROR", [SECOND]),
        (("wrong-question", "good"), "NOERROR", [SECOND]),
        (("SERVFAIL", "REFUSED"), "REFUSED", []),
        (("REFUSED", "wrong-question"), "REFUSED", []),
        (("wrong-question", "wrong-question"), "SERVFAIL", []),
    ],
)
def test_the_first_resolver_that_can_answer_is_heard(
    process: NamesProcess,
    resolvers: tuple[Resolver, Resolver],
    manners: tuple[Manner, Manner],
    code: str,
    expected: list[str],
) -> None:
    for one, manner in zip(resolvers, manners, strict=True):
        one.manner = manner
    answer = asked(process)
    assert dns.rcode.to_text(answer.rcode()) == code
    assert values(answer) == expected


def test_the_next_one_is_asked_when_nothing_has_come_in_time(
    process: NamesProcess, resolvers: tuple[Resolver, Resolver]
) -> None:
    resolvers[0].manner, resolvers[1].manner = "wrong-id", "good"
    assert values(asked(process)) == [SECOND]


def test_what_is_too_long_is_fetched_over_tcp_for_who_asks_over_tcp(
    process: NamesProcess, resolvers: tuple[Resolver, Resolver]
) -> None:
    for one in resolvers:
        one.manner = "truncated"
    answer = asked(process)
    assert (values(answer), bool(answer.flags & dns.flags.TC)) == ([], True)
    answer = asked(process, tcp=True)
    assert (values(answer), bool(answer.flags & dns.flags.TC)) == ([FIRST], False)


@pytest.mark.parametrize(
    ("name", "flags", "dnssec", "proved"),
    [
        ("www.example.com", 0, False, False),
        ("www.example.com", 0, True, True),
        ("www.example.com", dns.flags.AD, False, True),
        ("www.example.com", dns.flags.CD, True, True),
        ("away.one.test", 0, True, False),  # nobody has proved the alias
    ],
)
def test_what_a_guest_wants_of_dnssec_is_asked_for_it(
    process: NamesProcess,
    resolvers: tuple[Resolver, Resolver],
    name: str,
    flags: int,
    dnssec: bool,
    proved: bool,
) -> None:
    resolvers[0].manner = "good"
    answer = asked(process, name, flags=flags, dnssec=dnssec)
    assert values(answer)[-1] == FIRST
    heard = resolvers[0].asked[-1]
    for bit in (dns.flags.CD, dns.flags.AD):
        assert heard.flags & bit == flags & bit
    assert bool(heard.ednsflags & dns.flags.DO) == dnssec
    assert bool(answer.flags & dns.flags.AD) == proved
    assert answer.flags & dns.flags.CD == flags & dns.flags.CD
    assert bool(answer.ednsflags & dns.flags.DO) == dnssec


def test_a_record_that_cannot_be_said_is_counted(process: NamesProcess) -> None:
    before = counted(process, "dns-failed")
    with process.datagrams(PORT) as opened:
        opened.send(dns.message.make_query("wrong.one.test", "TXT").to_wire())
    wait_until(lambda: counted(process, "dns-failed") == before + 1, what="it is counted")


def said(process: NamesProcess, key: int, service: Service, version: int, wanted: bytes) -> bytes:
    """Return all that a service says to a port."""
    heard = b""
    with process.stream(key, service, version) as opened, contextlib.suppress(OSError):
        opened.sendall(wanted)
        opened.shutdown(socket.SHUT_WR)
        while chunk := opened.recv(4096):
            heard += chunk
    return heard


WHO = b"GET /latest/meta-data/instance-id HTTP/1.1\r\nHost: x\r\n\r\n"


def test_metadata_that_are_not_here_yet_are_not_said_to_be_none(process: NamesProcess) -> None:
    assert said(process, SILENT_PORT, "metadata", 4, WHO).startswith(b"HTTP/1.1 503 ")
    assert counted(process, "metadata-503") == 1


@pytest.mark.parametrize("version", [4, 6])
def test_who_is_no_guest_here_hears_nothing(process: NamesProcess, version: int) -> None:
    for service in ("metadata", "dns"):
        before = counted(process, f"{service}-unknown-port")
        assert said(process, 0x1_0099, service, version, WHO) == b""
        assert counted(process, f"{service}-unknown-port") == before + 1


@pytest.mark.parametrize("version", [4, 6])
def test_metadata_go_no_further_than_the_guest(process: NamesProcess, version: int) -> None:
    """Each packet that has an answer in it, or begins a connection, has a hop limit of one."""
    tap = inside(process.netns, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM))
    with tap:
        tap.bind((marks.SERVICES, _ALL))
        tap.settimeout(5)
        assert said(process, PORT, "metadata", version, WHO).startswith(b"HTTP/1.1 200 ")
        with process.stream(PORT, "dns", version):
            names = hops(tap, version, 53, 1)
        assert names[0] > 1, "what is not secret goes as far as anything"
        assert said(process, PORT, "metadata", version, WHO).startswith(b"HTTP/1.1 200 ")
        assert set(hops(tap, version, 80, 3)) == {1}


def hops(tap: socket.socket, version: int, port: int, number: int) -> list[int]:
    """Return the hop limits of the next packets that come from a port."""
    found: list[int] = []
    start, at = (20, 8) if version == 4 else (40, 7)
    while len(found) < number:
        packet = tap.recv(4096)
        is_tcp = packet[0] >> 4 == version and packet[9 if version == 4 else 6] == 6
        if is_tcp and struct.unpack_from("!H", packet, start)[0] == port:
            found.append(packet[at])
    return found
