"""A VPC's zone and DNS messages: what is answered, what is not, and that noise does nothing."""

import struct

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.decide.names.cache import Cache
from agent.decide.names.dns import (
    MAX_QUESTION,
    MAX_UDP,
    Ignored,
    Onward,
    Reply,
    completed,
    refused,
    resolve,
)
from agent.decide.names.limits import Limits
from agent.decide.names.zone import Zone

VPC, OTHER = "vpc-00000000000000001", "vpc-00000000000000002"


SOA = "one.test. 5 IN SOA"


def record(name: str, kind: str, *values: str) -> dict:
    return {"name": name, "type": kind, "ttl": 60, "values": list(values)}


def zone(*records: dict, vpc_id: str = VPC, domain: str = "one.test") -> Zone:
    return Zone(
        {
            "vpc_id": vpc_id,
            "revision": 7,
            "domain": domain,
            "cidrs": ["10.0.0.0/16", "fd00:1::/48"],
            "ports": {
                "a": ["web", ["10.0.1.10", "fd00:1::10"]],
                "b": ["web", ["10.0.1.11"]],
                "c": ["", ["10.0.1.12", "fd00:1::12"]],
            },
            "records": list(records),
        }
    )


ZONE = zone(
    record("store.one.test", "CNAME", "web.one.test."),
    record("gone.one.test", "CNAME", "nobody.one.test."),
    record("away.one.test", "CNAME", "www.example.com."),
    record("loop.one.test", "CNAME", "loop.one.test."),
    record("*.app.one.test", "A", "10.0.9.9"),
    record("real.app.one.test", "TXT", '"a"'),
    record("_pg._tcp.one.test", "SRV", "1 2 5432 web.one.test."),
    record("long.one.test", "TXT", *(f'"{"x" * 250}{n}"' for n in range(8))),
)


def wire(name: str, kind: str = "A", **options: object) -> bytes:
    return dns.message.make_query(name, kind, **options).to_wire()  # type: ignore[arg-type]


def asked(
    name: str, kind: str = "A", *, tcp: bool = False, **options: object
) -> dns.message.Message:
    reply = resolve(ZONE, wire(name, kind), tcp=tcp)
    assert isinstance(reply, Reply)
    return dns.message.from_wire(reply.data)


def values(name: str, kind: str = "A") -> list[str]:
    return sorted(one.to_text() for found in asked(name, kind).answer for one in found)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("web.one.test", "A", ["10.0.1.10", "10.0.1.11"]),
        ("WEB.One.Test", "AAAA", ["fd00:1::10"]),
        ("ip-10-0-1-12.one.test", "A", ["10.0.1.12"]),
        ("ip-fd00-0001-0000-0000-0000-0000-0000-0012.one.test", "AAAA", ["fd00:1::12"]),
        ("10.1.0.10.in-addr.arpa", "PTR", ["web.one.test."]),
        ("12.1.0.10.in-addr.arpa", "PTR", ["ip-10-0-1-12.one.test."]),
        (f"0.1.{'0.' * 22}1.0.0.0.0.0.d.f.ip6.arpa", "PTR", ["web.one.test."]),
        ("store.one.test", "A", ["10.0.1.10", "10.0.1.11", "web.one.test."]),
        ("store.one.test", "CNAME", ["web.one.test."]),
        ("any.app.one.test", "A", ["10.0.9.9"]),
        ("deep.any.app.one.test", "A", ["10.0.9.9"]),
        ("_pg._tcp.one.test", "SRV", ["1 2 5432 web.one.test."]),
    ],
)
def test_names_that_are_there(name: str, kind: str, expected: list[str]) -> None:
    assert values(name, kind) == expected
    assert asked(name, kind).flags & dns.flags.AA


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("nobody.one.test", "A", dns.rcode.NXDOMAIN),
        ("13.1.0.10.in-addr.arpa", "PTR", dns.rcode.NXDOMAIN),
        ("ip-10-0-1-99.one.test", "A", dns.rcode.NXDOMAIN),
        ("under.real.app.one.test", "A", dns.rcode.NXDOMAIN),
        ("web.one.test", "MX", dns.rcode.NOERROR),
        ("_tcp.one.test", "A", dns.rcode.NOERROR),
        ("one.test", "A", dns.rcode.NOERROR),
        ("real.app.one.test", "A", dns.rcode.NOERROR),
    ],
)
def test_what_is_not_there_is_said_with_the_zones_authority(
    name: str, kind: str, code: dns.rcode.Rcode
) -> None:
    answer = asked(name, kind)
    assert (answer.rcode(), answer.answer) == (code, [])
    assert answer.authority[0].to_text().startswith(SOA)


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("gone.one.test", "A", dns.rcode.NXDOMAIN),
        ("gone.one.test", "TXT", dns.rcode.NXDOMAIN),
        ("store.one.test", "TXT", dns.rcode.NOERROR),
        ("loop.one.test", "A", dns.rcode.NOERROR),
    ],
)
def test_behind_an_alias_it_is_said_as_well(name: str, kind: str, code: dns.rcode.Rcode) -> None:
    answer = asked(name, kind)
    assert answer.rcode() == code
    assert {found.rdtype.name for found in answer.answer} == {"CNAME"}
    assert answer.authority[0].to_text().startswith(SOA)
    assert asked(name, "CNAME").authority == []


def test_other_names_are_asked_elsewhere_or_refused() -> None:
    onward = resolve(ZONE, wire("www.example.com", "AAAA"), tcp=False)
    assert isinstance(onward, Onward)
    assert (onward.name, onward.kind) == ("www.example.com.", "AAAA")
    code = dns.message.from_wire(refused(onward, tcp=False).data).rcode()
    assert code == dns.rcode.REFUSED
    assert dns.message.from_wire(completed(onward, None, tcp=False).data).rcode() == 2


def test_an_alias_that_leads_away_is_completed() -> None:
    onward = resolve(ZONE, wire("away.one.test"), tcp=False)
    assert isinstance(onward, Onward)
    assert onward.name == "www.example.com."
    told = dns.message.make_response(dns.message.make_query("www.example.com", "A"))
    told.answer = [dns.rrset.from_text("www.example.com.", 60, "IN", "A", "203.0.113.1")]
    answer = dns.message.from_wire(completed(onward, told, tcp=False).data)
    assert [found.rdtype.name for found in answer.answer] == ["CNAME", "A"]


@pytest.mark.parametrize("kind", ["ANY", "AXFR"])
def test_nobody_gets_a_whole_zone(kind: str) -> None:
    assert asked("one.test", kind, tcp=True).rcode() == dns.rcode.REFUSED


def test_a_vpc_without_a_zone_is_refused() -> None:
    reply = resolve(None, wire("web.one.test"), tcp=False)
    assert isinstance(reply, Reply)
    assert dns.message.from_wire(reply.data).rcode() == dns.rcode.REFUSED


def test_long_answers_say_to_come_again_over_tcp() -> None:
    for options, most in (({}, 512), ({"use_edns": 0, "payload": 4096}, MAX_UDP)):
        reply = resolve(ZONE, wire("long.one.test", "TXT", **options), tcp=False)
        assert isinstance(reply, Reply)
        assert len(reply.data) <= most
        assert dns.message.from_wire(reply.data).flags & dns.flags.TC
    whole = asked("long.one.test", "TXT", tcp=True)
    assert not whole.flags & dns.flags.TC
    assert len(whole.answer[0]) == 8


@pytest.mark.parametrize("payload", [0, 100, 511])
def test_a_payload_below_512_counts_as_512(payload: int) -> None:
    """RFC 6891, section 6.2.3."""
    some = zone(record("some.one.test", "TXT", *(f'"{"x" * 200}{n}"' for n in range(2))))
    for known, name, sizes in (
        (ZONE, "long.one.test", range(513)),
        (some, "some.one.test", range(402, 513)),
    ):
        question = wire(name, "TXT", use_edns=0, payload=payload)
        reply = resolve(known, question, tcp=False)
        assert isinstance(reply, Reply)
        assert len(reply.data) in sizes
        assert bool(dns.message.from_wire(reply.data).flags & dns.flags.TC) == (known is ZONE)


def test_a_newer_edns_is_told_the_version_that_is_spoken() -> None:
    """RFC 6891, section 6.1.3."""
    reply = resolve(ZONE, wire("web.one.test", use_edns=1), tcp=False)
    assert isinstance(reply, Reply)
    answer = dns.message.from_wire(reply.data)
    assert (answer.rcode(), answer.edns, answer.answer) == (dns.rcode.BADVERS, 0, [])
    assert reply.outcome == "dns-badvers"


@pytest.mark.parametrize("opcode", [1, 2, 3, 4, 5, 6, 15])
@pytest.mark.parametrize("edns", [-1, 0])
def test_what_is_no_question_is_not_implemented(opcode: int, edns: int) -> None:
    """RFC 1035, section 4.1.1: inverse questions, status, and notices and updates of zones."""
    question = wire("web.one.test", "SOA", use_edns=edns, id=3)
    reply = resolve(ZONE, question[:2] + bytes((opcode << 3,)) + question[3:], tcp=False)
    assert isinstance(reply, Reply)
    assert reply.data[:2] == b"\0\3"
    assert (reply.data[2] & 0xF8, reply.data[3] & 15) == (0x80 | opcode << 3, dns.rcode.NOTIMP)
    assert reply.outcome == "dns-notimp"


def test_tenants_records_stand_in_place_of_a_ports() -> None:
    own = zone(record("web.one.test", "A", "192.0.2.1"))
    assert own.find("web.one.test", "A").sets[0].values == ("192.0.2.1",)
    assert own.find("web.one.test", "AAAA").sets == ()


def test_kept_answers_are_one_vpcs_and_have_the_questions_id() -> None:
    cache, question = Cache(most=2), wire("web.one.test", id=1)
    cache.put(VPC, question, b"\0\1answer", tcp=False)
    assert cache.get(VPC, b"\7\7" + question[2:], tcp=False) == b"\7\7answer"
    assert cache.get(OTHER, question, tcp=False) is None
    for number in range(50):
        cache.put(OTHER, wire(f"n{number}.test"), b"\0\1x", tcp=False)
    assert len(cache) == 3
    cache.forget(VPC)
    assert cache.get(VPC, question, tcp=False) is None


def test_a_flood_of_one_port_is_cut_off_and_no_others() -> None:
    limits = Limits(rate=3)
    assert [limits.take(1, 5.0) for _ in range(4)] == [True, True, True, False]
    assert limits.take(2, 5.5)
    assert limits.take(1, 6.0)


SECRET = zone(record("secret.two.test", "TXT", '"tenants-own"'), vpc_id=OTHER, domain="two.test")
SECRETS = [wire("secret.two.test", "TXT"), wire("secret.two.test", "TXT", use_edns=0)]
QUESTION = wire("web.one.test", use_edns=0)


def shared() -> Cache:
    """A process's kept answers: what the other tenant has asked is among them."""
    cache = Cache()
    for question in SECRETS:
        reply = resolve(SECRET, question, tcp=False)
        assert isinstance(reply, Reply)
        assert b"tenants-own" in reply.data
        cache.put(OTHER, question, reply.data, tcp=False)
    return cache


CACHE = shared()


def harmless(data: bytes) -> None:
    """An answer to noise is to that noise, small, and has nothing of another tenant's."""
    for tcp in (False, True):
        assert CACHE.get(VPC, data, tcp=tcp) is None
        try:
            reply = resolve(ZONE, data, tcp=tcp)
        except Ignored:
            continue
        if isinstance(reply, Onward):
            reply = refused(reply, tcp=tcp)
        assert reply.data[:2] == data[:2]
        assert reply.data[2] & 0x80
        assert tcp or len(reply.data) <= MAX_UDP
        assert b"tenants-own" not in reply.data


@given(st.binary(max_size=MAX_QUESTION + 50))
@settings(max_examples=300, deadline=None)
def test_noise(data: bytes) -> None:
    harmless(data)


@given(st.sampled_from([QUESTION, *SECRETS]), st.integers(0, 60), st.binary(max_size=6))
@settings(max_examples=300, deadline=None)
def test_damaged_questions(whole: bytes, at: int, noise: bytes) -> None:
    harmless(whole)
    harmless(whole[:at] + noise + whole[at + len(noise) :])
    harmless(whole[:at])
    harmless(whole + noise)


def test_names_that_point_at_themselves_are_malformed() -> None:
    head = struct.pack("!HHHHHH", 9, 0x0100, 1, 0, 0, 0)
    reply = resolve(ZONE, head + b"\xc0\x0c\0\1\0\1", tcp=False)
    assert isinstance(reply, Reply)
    assert dns.message.from_wire(reply.data).rcode() == dns.rcode.FORMERR
    for wrong in (b"", head[:11], head[:2] + b"\x80" + head[3:], bytes(MAX_QUESTION + 1)):
        with pytest.raises(Ignored):
            resolve(ZONE, wrong, tcp=False)
