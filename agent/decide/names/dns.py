"""DNS messages: a question to its answer, or to what is to be asked elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from agent.decide.names import quick
from agent.decide.names.zone import Found, RecordSet, Zone

MAX_QUESTION = 1_232
"""Longest question that is looked at, bytes."""
MAX_UDP = 1_232
"""Longest answer over UDP, bytes: what passes every path (DNS flag day 2020)."""
_PLAIN_UDP = 512
MAX_TCP = 65_535
_HEADER = 12
_RESPONSE = 0x80

Ask = Callable[[str, str], Found]


class Ignored(Exception):
    """A message is not answered; the text is the reason that is counted."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        data: the message.
        outcome: for counting.
        lasting: whether the same question has the same answer until the zone changes.
    """

    data: bytes
    outcome: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Onward:
    """A question that is not the zone's.

    Attributes:
        question: the message.
        name: what has to be asked elsewhere, with a final dot.
        kind: type of the records.
        aliases: what the zone says before that.
    """

    question: dns.message.Message
    name: str
    kind: str
    aliases: tuple[RecordSet, ...] = ()


def resolve(zone: Zone | None, data: bytes, *, tcp: bool) -> Reply | Onward:
    """Return what *zone* says to a message, or what others have to be asked.

    Args:
        zone: of the VPC that asks; None: it has none.
        data: the message.
        tcp: whether it came over TCP.

    Raises:
        Ignored: it is not answered at all.
    """
    plain = None if zone is None else quick.answer(zone, data)
    if plain is not None:
        return Reply(plain, "dns-answered", lasting=True)
    return resolve_any(zone, data, tcp=tcp)


def resolve_any(zone: Zone | None, data: bytes, *, tcp: bool) -> Reply | Onward:
    """Return the same without the short way for plain questions.

    Raises:
        Ignored: it is not answered at all.
    """
    question = _parse(data)
    if isinstance(question, Reply):
        return question
    refusal = _refusal(question)
    if refusal is not None:
        return _failed(question, refusal, tcp=tcp)
    asked = question.question[0]
    name = asked.name.to_text(omit_final_dot=True).lower()
    kind = dns.rdatatype.to_text(asked.rdtype)
    if zone is None:
        return _failed(question, dns.rcode.REFUSED, tcp=tcp)
    if not zone.has(name):
        return Onward(question, asked.name.to_text(), kind)
    if kind == "SOA" and name == zone.domain:
        found = Found((zone.soa(),), exists=True)
    else:
        found = zone.find(name, kind)
    if found.onward is not None:
        return Onward(question, f"{found.onward}.", kind, found.sets)
    return _answered(question, zone, found, tcp=tcp)


def _parse(data: bytes) -> dns.message.Message | Reply:
    """Return a message taken apart, or the answer to one that cannot be.

    Raises:
        Ignored: it is too short, too long, or no question.
    """
    if not _HEADER <= len(data) <= MAX_QUESTION:
        raise Ignored("dns-length")
    if data[2] & _RESPONSE:
        raise Ignored("dns-response")
    try:
        return dns.message.from_wire(data)
    except (dns.exception.DNSException, ValueError, IndexError):
        # Only the id is known for certain: a bare header says that the rest is not understood.
        opcode = data[2] & 0x78
        head = data[:2] + bytes((_RESPONSE | opcode, dns.rcode.FORMERR)) + bytes(8)
        return Reply(head, "dns-malformed")


def _refusal(question: dns.message.Message) -> dns.rcode.Rcode | None:
    """Return why a message is not one to look up, if it is not."""
    if question.opcode() != dns.opcode.QUERY:
        return dns.rcode.NOTIMP
    if len(question.question) != 1 or question.answer or question.authority:
        return dns.rcode.FORMERR
    if question.edns > 0:
        return dns.rcode.BADVERS
    asked = question.question[0]
    if asked.rdclass != dns.rdataclass.IN:
        return dns.rcode.REFUSED
    if asked.rdtype in _NEVER:
        return dns.rcode.REFUSED
    return None


_NEVER = frozenset((dns.rdatatype.ANY, dns.rdatatype.AXFR, dns.rdatatype.IXFR, dns.rdatatype.OPT))
"""What would give a whole zone away, or is no type of records."""


def _answered(question: dns.message.Message, zone: Zone, found: Found, *, tcp: bool) -> Reply:
    response = _response(question)
    response.flags |= dns.flags.AA
    response.answer = [rrset(one) for one in found.sets]
    if not found.exists:
        response.set_rcode(dns.rcode.NXDOMAIN)
    if not found.sets or found.sets[-1].kind != dns.rdatatype.to_text(question.question[0].rdtype):
        # Behind aliases, too, it is said how long to remember that there is nothing (RFC 2308).
        response.authority = [rrset(zone.soa())]
    outcome = "dns-answered" if found.exists else "dns-no-name"
    return Reply(encode(response, question, tcp=tcp), outcome, lasting=True)


def completed(onward: Onward, answer: dns.message.Message | None, *, tcp: bool) -> Reply:
    """Return the answer to a question of which others were asked the last part.

    Args:
        onward: the question.
        answer: what they said; None: nothing in time.
        tcp: whether the question came over TCP.
    """
    if answer is None:
        return _failed(onward.question, dns.rcode.SERVFAIL, tcp=tcp)
    response = _response(onward.question)
    response.set_rcode(answer.rcode())
    response.flags |= answer.flags & dns.flags.TC
    if not onward.aliases and _is_secure(onward.question):  # of aliases nobody has a proof
        response.flags |= answer.flags & dns.flags.AD
    response.answer = [*map(rrset, onward.aliases), *answer.answer]
    response.authority = list(answer.authority)
    return Reply(encode(response, onward.question, tcp=tcp), "dns-forwarded")


def question_for(onward: Onward, id: int) -> dns.message.Message:
    """Return what other resolvers are asked, with what the guest wants of DNSSEC (RFC 4035, 6840).

    Args:
        onward: what is to be asked.
        id: of the message.
    """
    asked = onward.question
    made = dns.message.make_query(
        onward.name,
        onward.kind,
        use_edns=0,
        payload=MAX_UDP,
        want_dnssec=bool(asked.ednsflags & dns.flags.DO),
        id=id,
    )
    made.flags |= asked.flags & (dns.flags.CD | dns.flags.AD)
    return made


def _is_secure(question: dns.message.Message) -> bool:
    """Tell whether who asks understands that an answer has been proved."""
    return bool(question.flags & dns.flags.AD or question.ednsflags & dns.flags.DO)


def refused(onward: Onward, *, tcp: bool) -> Reply:
    """Return the answer to a question that nobody can be asked: its aliases, or a refusal."""
    if not onward.aliases:
        return _failed(onward.question, dns.rcode.REFUSED, tcp=tcp)
    response = _response(onward.question)
    response.answer = [rrset(one) for one in onward.aliases]
    return Reply(encode(response, onward.question, tcp=tcp), "dns-answered")


def _failed(question: dns.message.Message, code: dns.rcode.Rcode, *, tcp: bool) -> Reply:
    response = _response(question)
    response.set_rcode(code)
    named = dns.rcode.to_text(code).lower()
    return Reply(encode(response, question, tcp=tcp), f"dns-{named}")


def _response(question: dns.message.Message) -> dns.message.Message:
    """Return the beginning of an answer, by hand: dnspython refuses what it takes for odd."""
    response = dns.message.QueryMessage(id=question.id)
    response.flags = dns.flags.QR | dns.flags.RA | (question.flags & _COPIED)
    response.set_opcode(question.opcode())
    response.question = list(question.question[:1])
    if question.edns >= 0:
        response.use_edns(0, question.ednsflags & dns.flags.DO, MAX_UDP)
    return response


_COPIED = dns.flags.RD | dns.flags.CD
"""Flags of a question that its answer has as well."""


def encode(response: dns.message.Message, question: dns.message.Message, *, tcp: bool) -> bytes:
    """Return an answer as bytes; one that does not fit says to come again over TCP."""
    most = MAX_TCP if tcp else _PLAIN_UDP
    if not tcp and question.edns >= 0:
        most = min(max(question.payload, _PLAIN_UDP), MAX_UDP)
    try:
        return response.to_wire(max_size=most)
    except dns.exception.TooBig:
        response.answer, response.authority = [], []
        response.flags |= dns.flags.TC
        return response.to_wire(max_size=most)


def rrset(one: RecordSet) -> dns.rrset.RRset:
    """Return records as dnspython has them."""
    return dns.rrset.from_text(f"{one.name}.", one.ttl, "IN", one.kind, *one.values)
