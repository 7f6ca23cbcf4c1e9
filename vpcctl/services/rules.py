"""Rules that several resources share: who may, which texts, tags and addresses are accepted.

Everything here raises a problem that names the field and says what would be accepted.
"""

import re
from ipaddress import (
    IPv4Network,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any, TypeVar

from vpcctl.model.addresses import GATEWAY_MAC, IPAddress, IPNetwork, Mac, is_unicast, parse_mac
from vpcctl.model.problems import Forbidden, Invalid, NotFound, Stale
from vpcctl.services.views import UNSET, Actor

T = TypeVar("T")

MAX_NAME, MAX_DESCRIPTION, MAX_TAGS = 128, 1024, 50
DEFAULT_TENANT = "default"
"""Tenant of what an admin makes without saying whose it is."""

_TAG_KEY = re.compile(r"[\w .:/=+@-]{1,128}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

_NEVER: tuple[tuple[IPNetwork, str], ...] = (
    (IPv4Network("0.0.0.0/8"), "this network (0.0.0.0/8)"),
    (IPv4Network("127.0.0.0/8"), "loopback (127.0.0.0/8)"),
    (IPv4Network("169.254.0.0/16"), "link-local (169.254.0.0/16)"),
    (IPv4Network("224.0.0.0/4"), "multicast (224.0.0.0/4)"),
    (IPv4Network("240.0.0.0/4"), "reserved (240.0.0.0/4)"),
    (IPv6Network("::/8"), "reserved (::/8)"),
    (IPv6Network("fe80::/10"), "link-local (fe80::/10)"),
    (IPv6Network("ff00::/8"), "multicast (ff00::/8)"),
)


def require_tenancy(actor: Actor) -> None:
    """Refuse hosts: tenants' resources are for admins and tenants."""
    if actor.role == "host":
        raise Forbidden("A host's token may only send that host's reports and read its state.")


def require_admin(actor: Actor, what: str) -> None:
    """Refuse everybody but admins."""
    if actor.role != "admin":
        raise Forbidden(f"Only an admin's token may {what}.")


def tenant_scope(actor: Actor) -> str | None:
    """Return the tenant whose resources *actor* sees; None: everybody's."""
    require_tenancy(actor)
    return None if actor.role == "admin" else (actor.tenant_id or "")


def visible(actor: Actor, row: T | None, kind: str, id: str) -> T:
    """Return *row* when the actor may see it.

    Raises:
        NotFound: there is none, or it is another tenant's.
    """
    scope = tenant_scope(actor)
    seen: Any = row
    if seen is None or (scope is not None and seen.tenant_id != scope):
        return found(None, kind, id)
    return seen


def found(row: T | None, kind: str, id: str) -> T:
    """Return *row*.

    Raises:
        NotFound: there is none.
    """
    if row is None:
        raise NotFound(f"There is no {kind} {printable(id)}.")
    return row


def printable(value: str) -> str:
    """Return *value* cut and escaped, for a sentence."""
    return ascii(value)[1:-1][:80]


def require_match(revision: int, if_match: int | None) -> None:
    """Refuse a change made for an older revision."""
    if if_match is not None and if_match != revision:
        raise Stale(
            f"The resource is at revision {revision}, If-Match names {if_match}.",
            field="If-Match",
            accepted=f'"{revision}"',
        )


def name(value: str) -> str:
    """Return an acceptable name."""
    if len(value) > MAX_NAME or _CONTROL.search(value):
        raise Invalid(
            "The name is too long or holds control characters.",
            field="name",
            accepted=f"at most {MAX_NAME} printable characters",
        )
    return value


def description(value: str, field: str = "description") -> str:
    """Return an acceptable description."""
    if len(value) > MAX_DESCRIPTION or _CONTROL_BUT_LINES.search(value):
        raise Invalid(
            "The description is too long or holds control characters.",
            field=field,
            accepted=f"at most {MAX_DESCRIPTION} printable characters and line breaks",
        )
    return value


def tags(values: dict[str, str]) -> dict[str, str]:
    """Return acceptable tags, sorted by key."""
    if len(values) > MAX_TAGS:
        raise Invalid(
            f"There are {len(values)} tags.", field="tags", accepted=f"at most {MAX_TAGS} tags"
        )
    for key, value in values.items():
        tag_key(key)
        if len(value) > 256 or _CONTROL.search(value):
            raise Invalid(
                f"The value of tag {printable(key)} is too long or holds control characters.",
                field=f"tags.{printable(key)}",
                accepted="at most 256 printable characters",
            )
    return dict(sorted(values.items()))


def tag_key(key: str) -> str:
    """Return an acceptable tag key."""
    if not _TAG_KEY.fullmatch(key):
        raise Invalid(
            f"The tag key {printable(key)} cannot be used.",
            field="tags",
            accepted="keys of 1 to 128 letters, digits, spaces and . : / = + @ - _",
        )
    return key


def tenant_of(actor: Actor, asked: str | None) -> str:
    """Return the tenant that a new resource of *actor* belongs to."""
    require_tenancy(actor)
    if actor.role == "tenant":
        if asked is not None and asked != actor.tenant_id:
            raise Forbidden("A tenant's token makes resources of its own tenant only.")
        return actor.tenant_id or ""
    return tenant_id(asked if asked is not None else DEFAULT_TENANT)


def tenant_id(value: str) -> str:
    """Return an acceptable tenant id."""
    return _word(_TENANT, "tenant_id", value)


def provider(value: str) -> str:
    """Return an acceptable name of a provider network."""
    return _word(_ZONE, "provider", value)


def zone(value: str | None) -> str | None:
    """Return an acceptable availability zone."""
    return None if value is None else _word(_ZONE, "availability_zone", value)


def _word(pattern: re.Pattern[str], field: str, value: str) -> str:
    if not pattern.fullmatch(value):
        raise Invalid(
            f"{printable(value)} cannot be used as {field}.",
            field=field,
            accepted="1 to 64 letters, digits and . _ - beginning with a letter or digit",
        )
    return value


def cidr(field: str, text: str, accepted: dict[int, tuple[int, int]]) -> IPNetwork:
    """Return the block written *text*.

    Args:
        field: dotted name of the field.
        text: such as ``10.0.0.0/16``.
        accepted: shortest and longest prefix per IP version that is accepted.
    """
    says = " or ".join(
        f"an IPv{version} block of /{low}" + (f" to /{high}" if high != low else "")
        for version, (low, high) in sorted(accepted.items())
    )
    network = parse_block(field, text, says)
    low, high = accepted.get(network.version, (129, 0))
    if not low <= network.prefixlen <= high:
        raise Invalid(f"{text} has a size or family that fits nothing.", field=field, accepted=says)
    for block, what in _NEVER:
        if block.version == network.version and network.overlaps(block):  # type: ignore[arg-type]
            raise Invalid(f"{network} overlaps {what}.", field=field, accepted=f"{says} outside it")
    return network


def parse_block(field: str, text: str, says: str) -> IPNetwork:
    """Return the block written *text*, of any size, without host bits."""
    if "/" not in text or "%" in text:
        raise Invalid(f"{printable(text)} is no CIDR.", field=field, accepted=says)
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise Invalid(f"{printable(text)} is no CIDR.", field=field, accepted=says) from error
    # A mask in place of a length would parse, too.
    if not text.rsplit("/", 1)[1].isdecimal():
        raise Invalid(f"{printable(text)} is no CIDR.", field=field, accepted=says)
    if ip_address(text.split("/")[0]) != network.network_address:
        raise Invalid(f"{text} has host bits set.", field=field, accepted=str(network))
    return network


def route_block(field: str, text: str) -> IPNetwork:
    """Return the IPv4 block written *text*, of any size."""
    says = "an IPv4 block such as 192.0.2.0/24"
    network = parse_block(field, text, says)
    if network.version != 4:
        raise Invalid(f"{network} is not an IPv4 block.", field=field, accepted=says)
    return network


_AN_ADDRESS = "an IPv4 or IPv6 address such as 10.0.0.5 or fd00::5"


def address(field: str, text: str, says: str = _AN_ADDRESS) -> IPAddress:
    """Return the address written *text*; *says* is what is accepted."""
    try:
        if "%" in text:
            raise ValueError("a scope")
        return ip_address(text)
    except ValueError as error:
        raise Invalid(
            f"{printable(text)} is no IP address.",
            field=field,
            accepted=says,
        ) from error


def mac(field: str, text: str) -> Mac:
    """Return the unicast MAC written *text*."""
    accepted = "a unicast MAC such as 06:00:00:00:00:2a"
    try:
        value = parse_mac(text)
    except ValueError as error:
        raise Invalid(f"{printable(text)} is no MAC.", field=field, accepted=accepted) from error
    if not is_unicast(value):
        raise Invalid(f"{text} is zero or a group's MAC.", field=field, accepted=accepted)
    if value == GATEWAY_MAC:
        raise Invalid(f"{text} is every gateway's MAC.", field=field, accepted=accepted)
    return value


def overlap(one: IPNetwork, other: IPNetwork) -> bool:
    """Tell whether two blocks share an address; blocks of two families never do."""
    return one.version == other.version and one.overlaps(other)  # type: ignore[arg-type]


def within(inner: IPNetwork, outer: IPNetwork) -> bool:
    """Tell whether *inner* lies in *outer*."""
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def described(values: Any) -> dict[str, Any]:
    """Return the checked name, description and tags of a creation."""
    return {
        "name": name(values.name),
        "description": description(values.description),
        "tags": tags(values.tags),
    }


def redescribed(values: Any) -> dict[str, Any]:
    """Return those of name, description and tags that a change sets, checked."""
    checks = {"name": name, "description": description, "tags": tags}
    return {
        field: check(getattr(values, field))
        for field, check in checks.items()
        if getattr(values, field) is not UNSET
    }


def pair_cidr(field: str, text: str) -> IPNetwork:
    """Return the block of an allowed address pair: any size, a plain address is a /32 or /128."""
    says = "an IPv4 or IPv6 block such as 10.0.0.0/24, or one address"
    block = (
        parse_block(field, text, says) if "/" in text else ip_network(address(field, text, says))
    )
    refuse_never(field, block, says)
    return block


def refuse_never(field: str, block: IPNetwork, says: str) -> None:
    """Refuse a block that lies in one that no workload has; *says* is what is accepted."""
    for never, what in _NEVER:
        if block.prefixlen >= never.prefixlen and overlap(block, never):
            raise Invalid(f"{block} lies in {what}.", field=field, accepted=says)
