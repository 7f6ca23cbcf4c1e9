"""A VPC's private zone: names of its ports, forward and reverse, and its tenant's records."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import islice
from typing import Any

from agent.decide.names.table import Table

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
_IP4_DIGITS = 8
_KINDS = ("A", "AAAA")
_NOBODY = ("",)
"""A port that has no label and no addresses."""
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

    Names of ports, of which there may be tens of thousands, are kept in tables: those cost
    little, and Python's garbage collector does not look through them.

    Args:
        document: a whole :class:`vpcctl.wire.zones.ZoneDocument`; ports may follow (:meth:`take`).
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.vpc_id: str = document["vpc_id"]
        self.domain: str = document["domain"]
        self._records: dict[str, dict[str, RecordSet]] = {}
        self._ports = Table()  # label and addresses of each, these as hexadecimal digits
        self._alone = Table()
        """The one port of a label."""
        self._shared: dict[str, dict[str, dict[str, None]]] = {}
        """Ports of a label that several have, or had: by kind of record, in order."""
        self._labels = Table()  # by address
        self._between: set[str] = set()
        self.add(document)

    def add(self, document: Mapping[str, Any]) -> None:
        """Take in what has changed; the domain never does."""
        self.revision: int = document["revision"]
        self._blocks = [ip_network(text) for text in document["cidrs"]]
        self.take(document["ports"])
        if document["records"] is not None:
            self._take_records(document["records"])

    def take(self, ports: Mapping[str, tuple[str, Iterable[str]] | None]) -> None:
        """Take in what ports are called now; None: they are gone."""
        before = {id: (self._ports.pop(id) or "").split(" ") for id in ports}
        for _, *addresses in before.values():
            for address in addresses:
                self._labels.pop(address)
        now: dict[str, list[str]] = {}
        for id, named in ports.items():
            if named is not None:
                label, *addresses = now[id] = [_plain(named[0]), *map(_digits, named[1])]
                self._ports.set(id, " ".join(now[id]))
                for address in addresses:
                    self._labels.set(address, label)
        moved = [id for id in ports if _part(before[id]) != _part(now.get(id, _NOBODY))]
        for id in moved:
            self._leave(before[id][0], id)
        for id in moved:
            self._join(id, *now.get(id, _NOBODY))

    def _of(self, id: str) -> list[str]:
        """Return a port's label and addresses."""
        return (self._ports.get(id) or "").split(" ")

    def _join(self, id: str, label: str, *addresses: str) -> None:
        if not label:
            return
        shared = self._shared.get(label)
        if shared is None:
            other = self._alone.get(label)
            if other is None:
                self._alone.set(label, id)
                return
            self._alone.pop(label)
            shared = self._shared[label] = {kind: {} for kind in _KINDS}
            self._join(other, *self._of(other))
        for address in addresses:
            shared[_kind(address)][id] = None

    def _leave(self, label: str, id: str) -> None:
        shared = self._shared.get(label)
        if shared is None:
            if self._alone.get(label) == id:
                self._alone.pop(label)
            return
        for alike in shared.values():
            alike.pop(id, None)
        if not any(shared.values()):
            del self._shared[label]

    def _take_records(self, records: Iterable[Mapping[str, Any]]) -> None:
        self._records.clear()
        for one in records:
            made = RecordSet(one["name"], one["type"], one["ttl"], tuple(one["values"]))
            self._records.setdefault(made.name, {})[made.kind] = made
        self._between = {parent for name in self._records for parent in _parents(name)}

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
        return rest == self.domain and bool(self._addresses(label))

    def _addresses(self, label: str) -> dict[str, list[str]]:
        """Return the addresses of the ports of a label, as digits, by kind of record."""
        found: dict[str, list[str]] = {}
        alone = self._alone.get(label)
        if alone is not None:
            for one in self._of(alone)[1:]:
                found.setdefault(_kind(one), []).append(one)
            return found
        for kind, ids in self._shared.get(label, {}).items():
            every = (one for id in ids for one in self._of(id)[1:] if _kind(one) == kind)
            if ids:
                found[kind] = list(islice(every, MAX_SHARED))
        return found

    def _of_port(self, name: str) -> Mapping[str, RecordSet] | None:
        """Return the addresses of the ports that have a name; a tenant's records hide them."""
        label, _, rest = name.partition(".")
        if rest != self.domain:
            return None
        found = self._addresses(label)
        return {
            kind: RecordSet(name, kind, PORT_TTL_S, tuple(map(_address, digits[:MAX_SHARED])))
            for kind, digits in found.items()
        } or None

    def _made(self, name: str) -> Mapping[str, RecordSet] | None:
        """Return the records that follow from a port's address alone."""
        address = reverse_address(name)
        if address is not None:
            label = self._labels.get(address.packed.hex())
            if label is None:
                return None
            target = f"{label or address_label(address)}.{self.domain}."
            return {"PTR": RecordSet(name, "PTR", PORT_TTL_S, (target,))}
        label, _, rest = name.partition(".")
        address = _named_address(label) if rest == self.domain else None
        if address is None or self._labels.get(address.packed.hex()) is None:
            return None
        kind = "A" if address.version == 4 else "AAAA"
        return {kind: RecordSet(name, kind, PORT_TTL_S, (str(address),))}

    def soa(self) -> RecordSet:
        """Return the zone's start of authority, whose last number says how long to remember."""
        said = f"ns.{self.domain}. hostmaster.{self.domain}. {self.revision % 2**32} 3600 600 86400"
        return RecordSet(self.domain, "SOA", NEGATIVE_TTL_S, (f"{said} {NEGATIVE_TTL_S}",))


def _digits(text: str) -> str:
    return (IPv6Address(text) if ":" in text else IPv4Address(text)).packed.hex()


def _address(digits: str) -> str:
    packed = bytes.fromhex(digits)
    return str(IPv6Address(packed)) if len(digits) > _IP4_DIGITS else ".".join(map(str, packed))


def _kind(digits: str) -> str:
    return "A" if len(digits) == _IP4_DIGITS else "AAAA"


def _part(named: Sequence[str]) -> tuple[str, set[str]]:
    """Return what a port has a part in: a label, and which records of it."""
    return named[0], set(map(_kind, named[1:]))


def _plain(label: str) -> str:
    """Return a label, which has no spaces; nothing in place of what is none."""
    return label if label.split() == [label] else ""


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
