"""The process for names under hogs and noise, over its real sockets: others notice nothing."""

import http.client
import json
import re
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.names_process import FREEBIND, NamesProcess, guest, names_process, zone
from tests.support.waiting import wait_until
from tests.traffic.site import inside
from vpcctl.model.names import Service

HOGS = range(1, 41)
SMALL, BIG = 0x2_0001, 0x3_0001
_SO_RCVBUFFORCE = 33  # Python has no name for it
SECRET = "only-two-may-know"
ADDRESS = "10.0.1.10"
RESOLVER = "127.0.0.1"
NAME = "web.two.test"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NamesProcess]:
    """Forty ports of tenant one, and one of tenant two; what is in no zone has a resolver."""
    secret = {"name": "secret.two.test", "type": "TXT", "ttl": 60, "values": [f'"{SECRET}"']}
    with names_process(tmp_path_factory.mktemp("names")) as made:
        made.write(zone("one", ("web", [ADDRESS])))
        made.write(zone("two", ("web", [ADDRESS, "fd00:1::10"]), records=[secret]))
        made.write_port(f"port-{SMALL:017x}", user_data=SECRET.encode())
        made.serve(GUESTS, forwarders=(RESOLVER,))
        yield made


GUESTS = [*(guest(key) for key in HOGS), guest(SMALL, "two")]


def again(process: NamesProcess) -> Counter[str]:
    """Tell the process the same again, and return what it has counted."""
    process.order(GUESTS, forwarders=(RESOLVER,))
    return process.done()


def asked(opened: socket.socket, name: str = NAME, kind: str = "A") -> list[str]:
    """Ask over UDP or TCP; return the values."""
    question = dns.message.make_query(name, kind)
    wire = question.to_wire()
    stream = opened.type == socket.SOCK_STREAM
    opened.sendall(struct.pack("!H", len(wire)) + wire if stream else wire)
    answer = dns.message.from_wire(opened.recv(4096)[2 if stream else 0 :])
    assert answer.id == question.id
    return [one.to_text() for found in answer.answer for one in found]


def is_answered(opened: socket.socket) -> bool:
    try:
        return asked(opened, "web.one.test") == [ADDRESS]
    except TimeoutError:
        return False


def fetched(opened: socket.socket, path: str = "/latest/meta-data/instance-id") -> str:
    """Ask over HTTP, who is asking by default; return all that is said."""
    opened.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    said = b""
    while chunk := opened.recv(4096):
        said += chunk
    return said.decode()


class Client:
    """Asks for one path after the other on one connection."""

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened

    def asks(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Return status and body."""
        said = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        self._opened.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{said}\r\n".encode())
        answer = http.client.HTTPResponse(self._opened, method=method)
        answer.begin()
        return answer.status, answer.read().decode()


INSTANCE_ID, USER_DATA = "/latest/meta-data/instance-id", "/latest/user-data"
TOKEN, LIFE = "/latest/api/token", {"X_aws_ec2_metadata_token_ttl_seconds": "60"}


def test_a_connection_takes_several_requests_of_all_kinds(process: NamesProcess) -> None:
    whole = f"http://169.254.169.254{INSTANCE_ID}?x=y"
    with process.stream(SMALL, "metadata") as opened:
        client = Client(opened)
        assert client.asks(INSTANCE_ID) == (200, f"port-{SMALL:017x}")
        assert client.asks(INSTANCE_ID, "HEAD") == (200, "")
        assert client.asks("/latest/nothing", "HEAD") == (404, "")
        assert client.asks(TOKEN)[0] == client.asks(TOKEN, "HEAD")[0] == 405
        status, token = client.asks(TOKEN, "PUT", **LIFE)
        assert status == 200
        assert client.asks(whole, X_aws_ec2_metadata_token=token) == (200, f"port-{SMALL:017x}")
        assert client.asks(USER_DATA, X_aws_ec2_metadata_token=token) == (200, SECRET)


def test_a_token_ends_with_the_process_that_made_it(tmp_path: Path) -> None:
    """The same guest gets another one then."""

    def uses(process: NamesProcess, token: str) -> int:
        with process.stream(SMALL, "metadata") as opened:
            return Client(opened).asks(INSTANCE_ID, X_aws_ec2_metadata_token=token)[0]

    def gets(process: NamesProcess) -> str:
        with process.stream(SMALL, "metadata") as opened:
            return Client(opened).asks(TOKEN, "PUT", **LIFE)[1]

    tokens = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        with names_process(tmp_path / name) as process:
            process.serve([guest(SMALL, "two")])
            assert [uses(process, token) for token in tokens] == [401] * len(tokens)
            tokens.append(gets(process))
            assert uses(process, tokens[-1]) == 200


def answers_others(process: NamesProcess) -> None:
    """Demand that the port of the other tenant gets its own answers, by all ways."""
    for version in (4, 6):
        with process.datagrams(SMALL, version) as opened:
            assert asked(opened) == [ADDRESS]
            assert asked(opened, "secret.two.test", "TXT") == [f'"{SECRET}"']
        with process.stream(SMALL, "dns", version) as opened:
            assert asked(opened, kind="AAAA") == ["fd00:1::10"]
        with process.stream(SMALL, "metadata", version) as opened:
            assert fetched(opened).endswith(f"port-{SMALL:017x}")
        with process.stream(SMALL, "metadata", version) as opened:
            assert fetched(opened, "/latest/user-data").endswith(SECRET)


def test_each_is_answered_as_what_its_addresses_say(process: NamesProcess) -> None:
    answers_others(process)
    with process.datagrams(1) as opened:
        assert asked(opened, "web.one.test") == [ADDRESS]
        assert asked(opened, "secret.one.test", "TXT") == []
    with process.datagrams(99) as opened:
        opened.send(dns.message.make_query(NAME, "A").to_wire())
    wait_until(lambda: again(process)["dns-unknown-port"] == 1, what="it is counted")


def nowhere(process: NamesProcess, version: int) -> None:
    """Ask from UDP port 0, to which no answer can be sent."""
    with process.datagrams(SMALL, version) as bound:
        own, server = bound.getsockname()[0], bound.getpeername()[0]
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    kind = socket.SOCK_RAW, socket.IPPROTO_UDP
    wire = dns.message.make_query(NAME, "A").to_wire()
    with inside(process.netns, lambda: socket.socket(family, *kind)) as raw:
        if version == 6:
            raw.setsockopt(socket.IPPROTO_IPV6, FREEBIND, 1)
            raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_CHECKSUM, 6)
        raw.bind((own, 0))
        raw.sendto(struct.pack("!HHHH", 0, 53, 8 + len(wire), 0) + wire, (server, 0))


@pytest.mark.parametrize("version", [4, 6])
def test_questions_from_no_port_are_counted_and_cost_nothing(
    process: NamesProcess, version: int
) -> None:
    before = again(process)
    answered = before["dns-answered"] + before["dns-answered-again"]
    seen = before["dns-source-port"] + 20
    for _ in range(20):
        nowhere(process, version)
    wait_until(lambda: again(process)["dns-source-port"] == seen, what="they are counted")
    assert process.counts["dns-answered"] + process.counts["dns-answered-again"] == answered
    assert process.errors() == ""


@contextmanager
def resolver(process: NamesProcess) -> Iterator[None]:
    """A resolver that never answers what hogs ask."""
    opened = inside(process.netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 22)
    opened.bind((RESOLVER, 53))

    def run() -> None:
        while data := opened.recvfrom(4096):
            if not data[0]:
                return
            question = dns.message.from_wire(data[0])
            name = question.question[0].name
            if b"hog" not in name.labels:
                answer = dns.message.make_response(question)
                answer.answer = [dns.rrset.from_text(name, 60, "IN", "A", "203.0.113.7")]
                opened.sendto(answer.to_wire(), data[1])

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        with inside(process.netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as end:
            end.sendto(b"", (RESOLVER, 53))
        thread.join()
        opened.close()


def test_a_tenant_that_has_all_asked_elsewhere_leaves_others_a_place(process: NamesProcess) -> None:
    wire = dns.message.make_query("a.hog", "A").to_wire()

    def is_limited() -> bool:
        for _ in range(65):
            hogs[0].send(wire)
        return again(process)["dns-forwarding-port-limit"] > 0

    def is_full() -> bool:
        for opened in hogs:
            for _ in range(64):
                opened.send(wire)
        with process.datagrams(SMALL) as small:
            assert asked(small, "www.example.com") == ["203.0.113.7"]
        return again(process)["dns-forwarding-crowded-out"] > 0

    with ExitStack() as stack:
        stack.enter_context(resolver(process))
        hogs = [stack.enter_context(process.datagrams(key)) for key in HOGS[:9]]
        wait_until(is_limited, what="a port has its limit")
        wait_until(is_full, what="there is no place left but others'")


@pytest.mark.parametrize("service", ["dns", "metadata"])
def test_a_tenant_that_holds_all_connections_leaves_others_one(
    process: NamesProcess, service: Service
) -> None:
    with ExitStack() as stack:
        for key in HOGS[:33]:
            for _ in range(17 if key == 1 else 16):
                stack.enter_context(process.stream(key, service))
        answers_others(process)
        counts = again(process)
    assert counts[f"{service}-connections-port-limit"] == 1
    assert counts[f"{service}-connections-crowded-out"] >= 2


def test_a_tenant_that_asks_for_all_the_time_leaves_others_some(process: NamesProcess) -> None:
    whole = dns.message.make_query("n0000.one.test", "TXT", use_edns=0).to_wire()
    with ExitStack() as stack:
        hogs = [stack.enter_context(process.datagrams(key)) for key in HOGS]
        for number in range(2_400):
            hogs[number % len(hogs)].send(whole.replace(b"n0000", b"n%04d" % number))
        answers_others(process)
    wait_until(lambda: again(process)["dns-tenant-limited"] > 0, what="they are limited")


def test_asking_others_for_a_tenant_takes_of_its_share(process: NamesProcess) -> None:
    wires = [dns.message.make_query(f"w{at}.example.com", "A").to_wire() for at in range(60)]
    before = again(process)["dns-tenant-limited"]

    def is_limited() -> bool:
        for wire in wires:
            for opened in hogs:
                opened.send(wire)
        return again(process)["dns-tenant-limited"] > before

    with ExitStack() as stack:
        stack.enter_context(resolver(process))
        hogs = [stack.enter_context(process.datagrams(key)) for key in HOGS[:4]]
        wait_until(is_limited, what="four ports have used their tenant's share of the time")


def test_one_port_has_so_many_questions_a_second(process: NamesProcess) -> None:
    wire = dns.message.make_query("web.one.test", "A").to_wire()
    before = again(process)["dns-limited"]

    def is_limited() -> bool:
        for _ in range(1_200):
            hog.send(wire)
        answers_others(process)
        return again(process)["dns-limited"] > before

    with process.datagrams(1) as hog, process.datagrams(2) as neighbour:
        wait_until(is_limited, what="more than 1,024 questions are not answered")
        # All that time counts for their tenant, too, whose share may be used up for a moment.
        wait_until(lambda: is_answered(neighbour), what="another port of the tenant is answered")


def test_one_port_and_one_tenant_have_so_many_requests_a_second(process: NamesProcess) -> None:
    """Who asks for too much is told so, and others are answered."""
    wanted = b"GET /latest/meta-data/ HTTP/1.1\r\nHost: x\r\n\r\n" * 20

    def is_limited(reason: str, keys: list[int]) -> bool:
        told: Counter[bytes] = Counter()
        with ExitStack() as stack:
            hogs = [stack.enter_context(process.stream(key, "metadata")) for key in keys]
            for hog in hogs:
                hog.sendall(wanted)
            answers_others(process)
            for hog in hogs:
                told.update(re.findall(rb"HTTP/1.1 (\d+)", received(hog)))
        assert set(told) <= {b"200", b"429"}
        assert told.total() == 20 * len(keys)
        return again(process)[reason] > 0

    wait_until(lambda: is_limited("metadata-limited", [1] * 15), what="the port is limited")
    wait_until(lambda: is_limited("metadata-tenant-limited", [*HOGS]), what="the tenant is")


def test_a_long_zone_is_taken_in_while_others_are_answered(process: NamesProcess) -> None:
    ports = [(f"n{at}", [f"10.{at >> 16}.{at >> 8 & 255}.{at & 255}"]) for at in range(20_000)]
    process.write(zone("big", *ports))
    with process.datagrams(SMALL) as small, process.datagrams(BIG) as big:
        process.order([*GUESTS, guest(BIG, "big")], forwarders=(RESOLVER,))
        is_done = False
        while not is_done:
            assert asked(small) == [ADDRESS]
            is_done = process.is_done()
        assert asked(big, "n19999.big.test") == ["10.0.78.31"]


QUESTIONS = [
    dns.message.make_query("web.one.test", "A", use_edns=0).to_wire(),
    dns.message.make_query("secret.two.test", "TXT").to_wire(),
]
REQUESTS = [
    b"PUT /latest/api/token HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX: y\r\n\r\nabc",
    b"GET /latest/user-data HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.1.10\r\n\r\n",
    b"GET /openstack/latest/user_data HTTP/1.1\r\nHost: a\r\n\r\n",
]
THROWN = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def damaged(draw: st.DrawFn, any_of: list[bytes]) -> bytes:
    """Something that is well formed, was so once, or never."""
    whole = draw(st.sampled_from(any_of))
    at = draw(st.integers(0, len(whole)))
    noise = draw(st.binary(max_size=20))
    kept = whole[:at] + noise
    return draw(st.sampled_from([whole, kept, kept + whole[at:], kept + whole[at + len(noise) :]]))


def received(opened: socket.socket) -> bytes:
    """Return all that comes until the other side has no more to say."""
    said = b""
    try:
        opened.shutdown(socket.SHUT_WR)
        while chunk := opened.recv(65_536):
            said += chunk
    except ConnectionError:
        return said
    return said


def test_noise_at_all_sockets_changes_nothing(process: NamesProcess) -> None:
    with ExitStack() as stack:
        hogs = [stack.enter_context(process.datagrams(key, 4 + 2 * (key % 2))) for key in HOGS]
        turn = iter(range(1_000_000))

        @given(st.one_of(damaged(QUESTIONS), st.binary(max_size=1_400)), damaged(REQUESTS))
        @THROWN
        def throw(noise: bytes, request: bytes) -> None:
            at = next(turn)
            hogs[at % len(hogs)].send(noise or b"\0")
            key = HOGS[at % len(HOGS)]
            with process.stream(key, "dns") as opened:
                opened.sendall(struct.pack("!H", len(noise)) + noise)
                assert SECRET.encode() not in received(opened)
            with process.stream(key, "metadata") as opened:
                opened.sendall(request)
                assert SECRET.encode() not in received(opened)

        throw()
        counts = again(process)
        before = process.resident()
        throw()
        answers_others(process)
        assert process.resident() < before + 4 * 1024
        for opened in hogs:
            opened.setblocking(False)
            while select.select([opened], [], [], 0)[0]:
                assert SECRET.encode() not in opened.recv(4096)
    for reason in ("dns-malformed", "dns-length", "dns-response", "metadata-broken-off"):
        assert counts[reason], json.dumps(counts)
