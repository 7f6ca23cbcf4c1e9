"""A VPC's private zone: names of its ports, forward and reverse, and its tenant's records."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

PORT_TTL_S = 30
"""Of names and addresses of ports, which come and go."""
NEGATIVE_TTL_S = 5
"""How long a name that is not there may be taken to be absent: it may be made at any time."""
MAX_SHARED = 50
"""Addresses of a family that a name of ports has: as many as a record may have values."""
MAX_CHAIN = 8
"""CNAME records that are followed for one question."""

_IP4 = re.compile(r"ip-(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})")
_IP6 = re.compile(r"ip-((?:[0-9a-f]{4}-){7}[0-9a-f]{4})")
_ARPA4, _ARPA6 = ".in-addr.arpa", ".ip6.arpa"

Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class RecordSet:
    """Records of one name and type.

    Attributes:
        name: without a final dot, in lower case.
        kind: such as ``A``.
        ttl: seconds.
        values: as in a zone file; names in them are whole, with a final dot.
    """

    name: str
    kind: str
    ttl: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a zone says to a question.

    Attributes:
        sets: the answer, with the aliases that lead to it.
        exists: whether there is anything of the last name.
        onward: a name that an alias leads to and that is not the zone's; None: none.
    """

    sets: tuple[RecordSet, ...]
    exists: bool
    onward: str | None = None


class Zone:
    """What one VPC's guests are told of its names.

    Names of ports, of which there may be tens of thousands, are kept as bytes and strings alone:
    those cost little, and Python's garbage collector does not look through them.

    Args:
        document: see :class:`vpcctl.wire.zones.ZoneDocument`, or its beginning.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.vpc_id: str = document["vpc_id"]
        self.revision: int = document["revision"]
        self.domain: str = document["domain"]
        self._blocks = [ip_network(text) for text in document["cidrs"]]
        self._records: dict[str, dict[str, RecordSet]] = {}
        self._ports: dict[str, dict[str, bytes]] = {"A": {}, "AAAA": {}}  # by label, end to end
        self._labels: dict[bytes, str] = {}
        self._between: set[str] = set()
        self.take(document)

    def take(self, part: Mapping[str, Any]) -> None:
        """Take in ports and records, which documents of many names have in several parts."""
        for label, texts in part.get("ports", ()):
            for text in texts:
                self._take_address(label, text)
        for one in part.get("records", ()):
            made = RecordSet(one["name"], one["type"], one["ttl"], tuple(one["values"]))
            self._records.setdefault(made.name, {})[made.kind] = made
            self._between.update(_parents(made.name))

    def _take_address(self, label: str, text: str) -> None:
        address = IPv6Address(text) if ":" in text else IPv4Address(text)
        self._labels.setdefault(address.packed, label)
        if label:
            named = self._ports["A" if address.version == 4 else "AAAA"]
            before = named.get(label, b"")
            if len(before) < MAX_SHARED * len(address.packed):
                named[label] = before + address.packed

    def has(self, name: str) -> bool:
        """Tell whether a name is this zone's to answer for: nobody else is asked then."""
        if name == self.domain or name.endswith(f".{self.domain}"):
            return True
        if name in self._records:
            return True
        address = reverse_address(name)
        return address is not None and any(address in block for block in self._blocks)

    def find(self, name: str, kind: str) -> Found:
        """Return what there is of a name, which is in lower case and without a final dot."""
        chain: list[RecordSet] = []
        for _ in range(MAX_CHAIN):
            here = self._at(name)
            if here is None:
                return Found(tuple(chain), name in self._between or name == self.domain)
            if kind in here or "CNAME" not in here:
                return Found((*chain, *(one for one in [here.get(kind)] if one)), exists=True)
            alias = here["CNAME"]
            chain.append(alias)
            name = alias.values[0].removesuffix(".").lower()
            if not self.has(name):
                return Found(tuple(chain), exists=True, onward=name)
        return Found(tuple(chain), exists=True)

    def _at(self, name: str) -> Mapping[str, RecordSet] | None:
        """Return all records of a name; None when there is no such name."""
        here = self._records.get(name) or self._of_port(name) or self._made(name)
        if here is not None or name in self._between:
            return here
        for parent in _parents(name):
            if parent in self._records or self._is_port(parent):
                return None  # a wildcard is not for what is below a name that is there
            wild = self._records.get(f"*.{parent}")
            if wild is not None:
                return {
                    kind: RecordSet(name, kind, one.ttl, one.values) for kind, one in wild.items()
                }
            if parent == self.domain:
                break
        return None

    def _is_port(self, name: str) -> bool:
        label, _, rest = name.partition(".")
        return rest == self.domain and any(label in named for named in self._ports.values())

    def _of_port(self, name: str) -> Mapping[str, RecordSet] | None:
        """Return the addresses of the ports that have a name; a tenant's records hide them."""
        label, _, rest = name.partition(".")
        if rest != self.domain:
            return None
        found: dict[str, RecordSet] = {}
        for kind, named in self._ports.items():
            packed = named.get(label)
            if packed is not None:
                values = tuple(map(str, _addresses(kind, packed)))
                found[kind] = RecordSet(name, kind, PORT_TTL_S, values)
        return found or None

    def _made(self, name: str) -> Mapping[str, RecordSet] | None:
        """Return the records that follow from a port's address alone."""
        address = reverse_address(name)
        if address is not None:
            label = self._labels.get(address.packed)
            if label is None:
                return None
            target = f"{label or address_label(address)}.{self.domain}."
            return {"PTR": RecordSet(name, "PTR", PORT_TTL_S, (target,))}
        label, _, rest = name.partition(".")
        address = _named_address(label) if rest == self.domain else None
        if address is None or address.packed not in self._labels:
            return None
        kind = "A" if address.version == 4 else "AAAA"
        return {kind: RecordSet(name, kind, PORT_TTL_S, (str(address),))}

    def soa(self) -> RecordSet:
        """Return the zone's start of authority, whose last number says how long to remember."""
        said = f"ns.{self.domain}. hostmaster.{self.domain}. {self.revision % 2**32} 3600 600 86400"
        return RecordSet(self.domain, "SOA", NEGATIVE_TTL_S, (f"{said} {NEGATIVE_TTL_S}",))


def _addresses(kind: str, packed: bytes) -> Iterator[Address]:
    """Yield the addresses that bytes hold end to end."""
    make, size = (IPv4Address, 4) if kind == "A" else (IPv6Address, 16)
    for at in range(0, len(packed), size):
        yield make(packed[at : at + size])


def address_label(address: Address) -> str:
    """Return the label of an address, such as ``ip-10-0-0-5``."""
    text = str(address) if address.version == 4 else address.exploded
    return "ip-" + re.sub(r"[.:]", "-", text)


def reverse_address(name: str) -> Address | None:
    """Return the address that a whole reverse name stands for, or None."""
    if name.endswith(_ARPA4):
        parts = name.removesuffix(_ARPA4).split(".")
        return _parsed(".".join(reversed(parts))) if len(parts) == 4 else None
    if name.endswith(_ARPA6):
        digits = name.removesuffix(_ARPA6).split(".")
        if len(digits) != 32 or any(len(one) != 1 for one in digits):
            return None
        text = "".join(reversed(digits))
        return _parsed(":".join(text[at : at + 4] for at in range(0, 32, 4)))
    return None


def _named_address(label: str) -> Address | None:
    four = _IP4.fullmatch(label)
    if four is not None:
        return _parsed(".".join(four.groups()))
    six = _IP6.fullmatch(label)
    return None if six is None else _parsed(six[1].replace("-", ":"))


def _parsed(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.partition(".")[2]
        yield name
