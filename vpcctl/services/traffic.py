"""Protocols, ports and ICMP types as rules and ACL entries name them. Pure.

Everything here raises a problem that names the field and says what would be accepted.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from vpcctl.model.addresses import IPNetwork
from vpcctl.model.problems import Invalid
from vpcctl.model.security_group import Family
from vpcctl.services import rules

ICMP, ICMPV6 = 1, 58
NAMES = {"icmp": ICMP, "tcp": 6, "udp": 17, "icmpv6": ICMPV6, "sctp": 132}
"""IANA's Assigned Internet Protocol Numbers, as far as they go by name here."""
WITH_PORTS = frozenset((6, 17, 132))
LARGEST_PORT = 65535
PROTOCOLS = "any, tcp, udp, sctp, icmp, icmpv6 or a number from 0 to 255"

_TEXTS = {number: name for name, number in NAMES.items()}
_FAMILY_OF: dict[int | None, Family] = {ICMP: 4, ICMPV6: 6}
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Traffic:
    """What packets a rule is about, but for addresses; None: all."""

    protocol: int | None
    ports: tuple[int, int] | None
    icmp_type: int | None
    icmp_code: int | None

    def columns(self) -> dict[str, int | None]:
        """Return it as rows keep it."""
        first, last = self.ports or (None, None)
        return {
            "protocol": self.protocol,
            "port_first": first,
            "port_last": last,
            "icmp_type": self.icmp_type,
            "icmp_code": self.icmp_code,
        }

    def __str__(self) -> str:
        """Return one text for each meaning: ``6 p443-443``, ``1 t8c0``, ``any``."""
        text = "any" if self.protocol is None else str(self.protocol)
        if self.ports:
            text += " p{}-{}".format(*self.ports)
        if self.icmp_type is not None:
            text += f" t{self.icmp_type}"
        return text if self.icmp_code is None else f"{text}c{self.icmp_code}"


def field_at(at: str, name: str) -> str:
    """Return the dotted name of a field of what stands at *at* in the request."""
    return f"{at}.{name}" if at else name


def parse(values: Any) -> Traffic:
    """Return the traffic that a rule or entry asks for.

    Raises:
        Invalid: a value is out of range, or does not go with the protocol.
    """
    protocol = parse_protocol(field_at(values.at, "protocol"), values.protocol)
    ports = None
    if values.ports is not None:
        field = field_at(values.at, "ports")
        if protocol not in WITH_PORTS:
            raise Invalid(
                f"Protocol {protocol_text(protocol)} has no ports.",
                field=field,
                accepted="null, or protocol tcp, udp or sctp",
            )
        ports = parse_ports(field, values.ports)
    icmp_type, icmp_code = _icmp(values, protocol)
    return Traffic(protocol, ports, icmp_type, icmp_code)


def parse_protocol(field: str, value: str | int | None) -> int | None:
    """Return the number of a protocol; None: any."""
    if value is None or value == "any":
        return None
    if isinstance(value, str):
        if value in NAMES:
            return NAMES[value]
        number = int(value) if re.fullmatch("[0-9]{1,3}", value) else -1
    else:
        number = value
    if not 0 <= number <= 255:
        raise Invalid(
            f"{rules.printable(str(value))} is no protocol.", field=field, accepted=PROTOCOLS
        )
    return number


def parse_ports(field: str, text: str) -> tuple[int, int] | None:
    """Return the first and last port written ``443`` or ``1000-1999``; None: all there are."""
    says = f"a port from 0 to {LARGEST_PORT} such as 443, or a range such as 1000-1999"
    found = _PORTS.fullmatch(text)
    first = int(found[1]) if found else -1
    last = int(found[2] or found[1]) if found else -1
    if not (0 <= first <= LARGEST_PORT and 0 <= last <= LARGEST_PORT):
        raise Invalid(f"{rules.printable(text)} is no port or range.", field=field, accepted=says)
    if first > last:
        raise Invalid(f"The range {text} is upside down.", field=field, accepted=f"{last}-{first}")
    return None if (first, last) == (0, LARGEST_PORT) else (first, last)


def _icmp(values: Any, protocol: int | None) -> tuple[int | None, int | None]:
    for name in ("icmp_type", "icmp_code"):
        value = getattr(values, name)
        if value is None:
            continue
        field = field_at(values.at, name)
        if protocol not in (ICMP, ICMPV6):
            raise Invalid(
                f"Protocol {protocol_text(protocol)} has no ICMP types.",
                field=field,
                accepted="null, or protocol icmp or icmpv6",
            )
        if not 0 <= value <= 255:
            raise Invalid(f"{value} is out of range.", field=field, accepted="0 to 255")
    if values.icmp_type is None and values.icmp_code is not None:
        raise Invalid(
            "There is an ICMP code but no type.",
            field=field_at(values.at, "icmp_code"),
            accepted="null, or icmp_type beside it",
        )
    return values.icmp_type, values.icmp_code


def protocol_text(protocol: int | None) -> str:
    """Return a protocol's name, or its number where it has none here."""
    return "any" if protocol is None else _TEXTS.get(protocol, str(protocol))


def ports_text(ports: tuple[int, int] | None) -> str | None:
    """Return ports as they are written."""
    if ports is None:
        return None
    first, last = ports
    return str(first) if first == last else f"{first}-{last}"


def block(field: str, text: str) -> IPNetwork:
    """Return a block of any size and family without host bits; one address is a /32 or /128."""
    says = "an IPv4 or IPv6 block such as 10.0.0.0/24 or ::/0, or one address"
    if "/" in text:
        return rules.parse_block(field, text, says)
    return ip_network(rules.address(field, text, says))


def require_family(field: str, protocol: int | None, network: IPNetwork) -> None:
    """Refuse ICMP of one family with a block of the other."""
    family = _FAMILY_OF.get(protocol)
    if family is not None and network.version != family:
        raise Invalid(
            f"{protocol_text(protocol)} is IPv{family}'s, {network} is not.",
            field=field,
            accepted=f"an IPv{family} block, or protocol {'icmp' if family == 6 else 'icmpv6'}",
        )


def families(values: Any, protocol: int | None, network: IPNetwork | None) -> tuple[Family, ...]:
    """Return the families that a rule is for: as asked, as the block or protocol says, or both."""
    if network is not None:
        require_family(field_at(values.at, "remote.cidr"), protocol, network)
    asked: Family | None = values.family
    natural = _FAMILY_OF.get(protocol)
    if asked and natural and asked != natural:
        raise Invalid(
            f"{protocol_text(protocol)} is IPv{natural}'s.",
            field=field_at(values.at, "protocol"),
            accepted="icmp" if asked == 4 else "icmpv6",
        )
    if asked and network is not None and network.version != asked:
        raise Invalid(
            f"{network} is of the other family.",
            field=field_at(values.at, "remote.cidr"),
            accepted=f"an IPv{asked} block",
        )
    if network is not None:
        return (4,) if network.version == 4 else (6,)
    one = asked or natural
    return (4, 6) if one is None else (one,)
