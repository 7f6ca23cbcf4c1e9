"""DHCP options as tenants write them, checked; and what holds for a guest in the end."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from vpcctl.model.dhcp_options import DhcpOptions
from vpcctl.model.problems import Invalid
from vpcctl.services import rules
from vpcctl.services.views import UNSET, Meta, Unset
from vpcctl.wire.state import DOMAIN_PATTERN, GuestOptions

LEASE_S = (60, 31_536_000)
"""Shortest and longest lease, seconds."""
MAX_SERVERS, MAX_DOMAINS, MAX_ROUTES = 8, 6, 16
_MAX_SEARCH = 240
"""All search domains together, characters: what one option of DHCP holds with its lengths."""
_DOMAIN = re.compile(DOMAIN_PATTERN)


@dataclass(frozen=True, slots=True)
class DhcpOptionsView:
    """A set of DHCP options."""

    meta: Meta
    options: DhcpOptions


@dataclass(frozen=True, slots=True)
class DhcpOptionsCreate:
    """Values of a new set. ``tenant_id`` only from an admin; a tenant's is its own."""

    options: DhcpOptions
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    tenant_id: str | None = None


@dataclass(frozen=True, slots=True)
class DhcpOptionsChange:
    """Partial change of a set: of ``options`` those named in ``options_set`` are changed."""

    options: DhcpOptions = field(default_factory=DhcpOptions)
    options_set: frozenset[str] = frozenset()
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    tags: dict[str, str] | Unset = UNSET


def stored(values: DhcpOptions, prefix: str = "") -> dict[str, Any]:
    """Return checked options as a row keeps them: only those that say something.

    Args:
        values: what a client wrote.
        prefix: of the fields' names in problems, such as ``dhcp_options.``.

    Raises:
        Invalid: naming the field.
    """
    found: dict[str, Any] = {}
    for each in fields(values):
        value = getattr(values, each.name)
        if value is not None:
            found[each.name] = _CHECKS[each.name](prefix + each.name, value)
    return found


def restored(row: Mapping[str, Any] | None) -> DhcpOptions:
    """Return the options that a row keeps."""
    kept: dict[str, Any] = {
        name: tuple(map(_restored, value)) if isinstance(value, list) else value
        for name, value in (row or {}).items()
    }
    return DhcpOptions(**kept)


def _restored(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def effective(*layers: Mapping[str, Any] | None) -> GuestOptions:
    """Return what guests are told: of several layers the later ones count more."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged |= layer or {}
    named = {_WIRE.get(name, name): value for name, value in merged.items()}
    return GuestOptions.model_validate(named)


_WIRE = {"domain_name": "domain", "search_domains": "search"}
"""Where the wire calls an option something shorter."""


def _lease(field: str, value: int) -> int:
    shortest, longest = LEASE_S
    if not shortest <= value <= longest:
        raise Invalid(
            f"A lease of {value} s cannot be given.",
            field=field,
            accepted=f"seconds from {shortest} to {longest}",
        )
    return value


def _servers(field: str, texts: Sequence[str]) -> list[str]:
    _limit(field, texts, MAX_SERVERS, "addresses")
    found: list[str] = []
    for number, text in enumerate(texts):
        address = rules.address(f"{field}.{number}", text)
        if address.is_unspecified or address.is_multicast or str(address) in found:
            raise Invalid(
                f"{address} cannot be a server's address here.",
                field=f"{field}.{number}",
                accepted="unicast addresses, each once",
            )
        found.append(str(address))
    return found


def _domain(field: str, text: str) -> str:
    name = text.removesuffix(".").lower()
    if len(name) > 253 or not _DOMAIN.fullmatch(name):
        raise Invalid(
            f"{rules.printable(text)} is no domain name.",
            field=field,
            accepted="labels of 1 to 63 letters, digits, - and _ with dots between, 253 in all",
        )
    return name


def _domains(field: str, texts: Sequence[str]) -> list[str]:
    _limit(field, texts, MAX_DOMAINS, "domains")
    found = [_domain(f"{field}.{number}", text) for number, text in enumerate(texts)]
    if sum(len(name) + 2 for name in found) > _MAX_SEARCH:
        raise Invalid(
            "The domains are too long together.",
            field=field,
            accepted=f"at most {_MAX_SEARCH} characters in all",
        )
    return found


def _routes(field: str, pairs: Sequence[Sequence[str]]) -> list[list[str]]:
    _limit(field, pairs, MAX_ROUTES, "routes")
    found: list[list[str]] = []
    for number, (block, hop) in enumerate(pairs):
        network = rules.route_block(f"{field}.{number}.destination", block)
        address = rules.address(f"{field}.{number}.next_hop", hop)
        if address.version != 4 or address.is_unspecified or address.is_multicast:
            raise Invalid(
                f"{address} cannot be the next hop of an IPv4 route.",
                field=f"{field}.{number}.next_hop",
                accepted="a unicast IPv4 address",
            )
        found.append([str(network), str(address)])
    return found


def _limit(field: str, values: Sequence[Any], most: int, what: str) -> None:
    if len(values) > most:
        raise Invalid(
            f"There are {len(values)} {what}.", field=field, accepted=f"at most {most} {what}"
        )


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "lease_time_s": _lease,
    "dns_servers": _servers,
    "domain_name": _domain,
    "search_domains": _domains,
    "ntp_servers": _servers,
    "routes": _routes,
}
