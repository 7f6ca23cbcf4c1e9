"""A VPC's private zone: names of its ports, forward and reverse, and its tenant's records."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

PORT_TTL_S = 30
"""Of names and addresses of ports, which come and go."""
NEGATIVE_TTL_S = 5
"""How long a name that is not there may be taken to be absent: it may be made at any time."""
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

    Args:
        document: see :class:`vpcctl.wire.zones.ZoneDocument`, of the whole zone.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.vpc_id: str = document["vpc_id"]
        self.domain: str = document["domain"]
        self._ports: dict[str, tuple[str, tuple[Address, ...]]] = {}
        self._labels: dict[Address, str] = {}
        self._alike: dict[str, dict[str, None]] = {}  # label → ports that have it, in order
        self._named: dict[str, dict[str, RecordSet]] = {}
        self._records: dict[str, dict[str, RecordSet]] = {}
        self.add(document)

    def add(self, document: Mapping[str, Any]) -> None:
        """Take in what has changed; the domain never does."""
        self.revision: int = document["revision"]
        self._blocks = [ip_network(text) for text in document["cidrs"]]
        self._take_ports(document["ports"])
        if document["records"] is not None:
            self._take_records(document["records"])

    def _take_ports(self, ports: Mapping[str, tuple[str, list[str]] | None]) -> None:
        labels = {self._drop_port(id) for id in ports}
        for id, named in ports.items():
            if named is not None:
                label, addresses = named[0], tuple(ip_address(text) for text in named[1])
                self._ports[id] = label, addresses
                self._labels.update(dict.fromkeys(addresses, label))
                self._alike.setdefault(label, {})[id] = None
                labels.add(label)
        for label in labels:
            self._name(label)

    def _drop_port(self, id: str) -> str:
        """Forget a port; return the label that it had, empty if none."""
        label, addresses = self._ports.pop(id, ("", ()))
        for address in addresses:
            self._labels.pop(address, None)
        alike = self._alike.get(label, {})
        alike.pop(id, None)
        if not alike:
            self._alike.pop(label, None)
        return label

    def _name(self, label: str) -> None:
        """Make the records of the ports that have a label."""
        if not label:
            return
        name, found = f"{label}.{self.domain}", dict[str, list[str]]()
        for id in self._alike.get(label, ()):
            for address in self._ports[id][1]:
                kind = "A" if address.version == 4 else "AAAA"
                found.setdefault(kind, []).append(str(address))
        self._named[name] = {
            kind: RecordSet(name, kind, PORT_TTL_S, tuple(values)) for kind, values in found.items()
        }
        if not found:
            del self._named[name]

    def _take_records(self, records: Iterable[Mapping[str, Any]]) -> None:
        self._records.clear()
        for one in records:
            made = RecordSet(one["name"], one["type"], one["ttl"], tuple(one["values"]))
            self._records.setdefault(made.name, {})[made.kind] = made
        # Ports' names are all right below the domain.
        self._between = {parent for name in self._records for parent in _parents(name)}
        self._between.update((self.domain, *_parents(self.domain)))

    def _sets(self, name: str) -> dict[str, RecordSet] | None:
        """Return the records of a name; the tenant's stand in place of a port's."""
        return self._records.get(name) or self._named.get(name)

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
        here = self._sets(name) or self._made(name)
        if here is not None or name in self._between:
            return here
        for parent in _parents(name):
            if self._sets(parent):
                return None  # a wildcard is not for what is below a name that is there
            wild = self._records.get(f"*.{parent}")
            if wild is not None:
                return {
                    kind: RecordSet(name, kind, one.ttl, one.values) for kind, one in wild.items()
                }
            if parent == self.domain:
                break
        return None

    def _made(self, name: str) -> Mapping[str, RecordSet] | None:
        """Return the records that follow from a port's address alone."""
        address = reverse_address(name)
        if address is not None:
            label = self._labels.get(address)
            if label is None:
                return None
            target = f"{label or address_label(address)}.{self.domain}."
            return {"PTR": RecordSet(name, "PTR", PORT_TTL_S, (target,))}
        label, _, rest = name.partition(".")
        address = _named_address(label) if rest == self.domain else None
        if address is None or address not in self._labels:
            return None
        kind = "A" if address.version == 4 else "AAAA"
        return {kind: RecordSet(name, kind, PORT_TTL_S, (str(address),))}

    def soa(self) -> RecordSet:
        """Return the zone's start of authority, whose last number says how long to remember."""
        said = f"ns.{self.domain}. hostmaster.{self.domain}. {self.revision % 2**32} 3600 600 86400"
        return RecordSet(self.domain, "SOA", NEGATIVE_TTL_S, (f"{said} {NEGATIVE_TTL_S}",))


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
