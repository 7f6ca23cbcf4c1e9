"""Names and contents of DNS records as tenants write them, checked; and as guests are told them."""

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from vpcctl.model.problems import Invalid
from vpcctl.services import rules
from vpcctl.wire.zones import RecordType, ZoneRecord

TYPES: tuple[RecordType, ...] = ("A", "AAAA", "CNAME", "MX", "PTR", "SRV", "TXT")
TTL_S = (1, 604_800)
MAX_VALUES, MAX_TEXT = 50, 1_024
MAX_CHARACTERS = 4_096
"""Of all values of a record: each question for it is answered from all of them."""
MAX_IN_ALL = 2_000_000
"""Characters of all values of all records of a VPC: each host of it holds them in memory."""
_MAX_DOMAIN, _LONGEST, _LONGEST_WITHIN = 100, 200, 150
"""Characters of a zone's domain, of a whole name, and of one within the domain: a name has at most
253 with the domain behind it (RFC 1035, section 2.3.4)."""
APEX = "@"
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_ARPA = (".in-addr.arpa", ".ip6.arpa")
_CHUNK = 255
"""Longest string of a TXT record, bytes (RFC 1035, section 3.3)."""
_ACCEPTED = "labels of 1 to 63 letters, digits, - and _ with dots between"


def domain(field: str, text: str) -> str:
    """Return the domain of a zone, in lower case and without a final dot.

    Raises:
        Invalid: naming the field.
    """
    name = text.removesuffix(".").lower()
    if len(name) > _MAX_DOMAIN or not _NAME.fullmatch(name) or name.endswith(".arpa"):
        raise _refused(field, text, f"{_ACCEPTED}, {_MAX_DOMAIN} characters in all, not under arpa")
    return name


def record_name(kind: str, text: str) -> str:
    """Return a record's name as the row keeps it.

    It is relative to the VPC's domain; ``@`` is the domain itself, and the first label may be
    ``*``. A PTR record's may be an address, whose reverse name it gets.

    Raises:
        Invalid: naming the field.
    """
    if kind == "PTR":
        try:
            return ip_address(text).reverse_pointer
        except ValueError:
            pass
    name = text.lower()
    plain = name.removeprefix("*.") if name != "*" else "any"
    is_arpa = name.endswith(_ARPA)
    if name == APEX or (len(name) <= 128 and _NAME.fullmatch(plain) and (kind == "PTR") >= is_arpa):
        return name
    says = f"@, or {_ACCEPTED}, 128 characters in all; the first label may be *"
    raise _refused("name", text, says if kind != "PTR" else f"an address; {says}")


def ttl(value: int) -> int:
    """Return a TTL, seconds.

    Raises:
        Invalid: it is out of range.
    """
    shortest, longest = TTL_S
    if not shortest <= value <= longest:
        accepted = f"seconds from {shortest} to {longest}"
        raise Invalid(f"A TTL of {value} s cannot be.", field="ttl", accepted=accepted)
    return value


def content(kind: str, values: Sequence[str]) -> list[str]:
    """Return a record's values as the row keeps them, none twice.

    Raises:
        Invalid: naming the field.
    """
    most = 1 if kind == "CNAME" else MAX_VALUES
    if not 1 <= len(values) <= most:
        accepted = "one value" if most == 1 else f"1 to {most} values"
        raise Invalid(f"There are {len(values)} values.", field="values", accepted=accepted)
    found = [_CHECKS[kind](f"values.{at}", text) for at, text in enumerate(values)]
    if sum(map(len, found)) > MAX_CHARACTERS:
        accepted = f"{MAX_CHARACTERS} characters in all values"
        raise Invalid("The values are too long together.", field="values", accepted=accepted)
    return list(dict.fromkeys(found))


def kind_of(text: str) -> RecordType:
    """Return a record's type.

    Raises:
        Invalid: it is none that can be made.
    """
    for one in TYPES:
        if one == text.upper():
            return one
    raise _refused("type", text, ", ".join(TYPES))


def on_wire(record: tuple[str, str, int, list[str]], domain: str) -> ZoneRecord:
    """Return a record as guests are told it: with whole names."""
    name, kind, seconds, values = record
    say = _SAY.get(kind, lambda text, _: text)
    told = tuple(say(text, domain) for text in values)
    return ZoneRecord(name=whole(name, domain), type=kind_of(kind), ttl=seconds, values=told)


def whole(name: str, domain: str) -> str:
    """Return a record's whole name, without a final dot."""
    if name == APEX:
        return domain
    return name if name.endswith(_ARPA) else f"{name}.{domain}"


def _target(field: str, text: str) -> str:
    """Return a name that a value leads to: relative to the domain, or whole with a final dot."""
    name = text.lower()
    plain = name.removesuffix(".")
    most = _LONGEST if name.endswith(".") else _LONGEST_WITHIN
    if name == APEX or (len(plain) <= most and _NAME.fullmatch(plain)):
        return name
    raise _refused(field, text, f"{_ACCEPTED}; a whole name ends with a dot, @ is the domain")


def _say_target(text: str, domain: str) -> str:
    return text if text.endswith(".") else f"{whole(text, domain)}."


def _address(version: int) -> Callable[[str, str], str]:
    def check(field: str, text: str) -> str:
        address = rules.address(field, text)
        if address.version != version:
            raise _refused(field, text, f"an IPv{version} address")
        return str(address)

    return check


def _numbered(count: int) -> Callable[[str, str], str]:
    """Return the check of a value that has *count* numbers of 16 bits and then a name."""

    def check(field: str, text: str) -> str:
        *numbers, target = text.split() or [""]
        fits = all(one.isascii() and one.isdecimal() and len(one) <= 5 for one in numbers)
        if len(numbers) != count or not fits or any(int(one) > 65_535 for one in numbers):
            said = "priority, weight, port and target" if count == 3 else "preference and target"
            raise _refused(field, text, f"{said}, numbers up to 65535")
        return " ".join([*(str(int(one)) for one in numbers), _target(field, target)])

    return check


def _say_numbered(text: str, domain: str) -> str:
    *numbers, target = text.split()
    return " ".join([*numbers, _say_target(target, domain)])


def _text(field: str, text: str) -> str:
    if not 1 <= len(text) <= MAX_TEXT or not text.isascii() or not text.isprintable():
        raise _refused(field, text, f"1 to {MAX_TEXT} printable ASCII characters")
    return text


def _say_text(text: str, _domain: str) -> str:
    parts = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
    escaped = (re.sub(r'(["\\])', r"\\\1", part) for part in parts)
    return " ".join(f'"{part}"' for part in escaped)


def _refused(field: str, text: str, accepted: str) -> Invalid:
    return Invalid(f"{rules.printable(text)!r} cannot be here.", field=field, accepted=accepted)


_CHECKS: dict[str, Callable[[str, str], str]] = {
    "A": _address(4),
    "AAAA": _address(6),
    "CNAME": _target,
    "MX": _numbered(1),
    "PTR": _target,
    "SRV": _numbered(3),
    "TXT": _text,
}
_SAY: dict[str, Callable[[str, str], str]] = {
    "CNAME": _say_target,
    "MX": _say_numbered,
    "PTR": _say_target,
    "SRV": _say_numbered,
    "TXT": _say_text,
}
