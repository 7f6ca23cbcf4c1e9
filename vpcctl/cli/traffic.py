"""Protocols and ports as they are typed: ``tcp/443``, ``icmp/8``, ``any``."""

from ipaddress import ip_network

from vpcctl.cli.errors import CliError
from vpcctl.cli.render import Json

ACCEPTED = "any, PROTOCOL, tcp/443, tcp/1000-1999, icmp/TYPE or icmp/TYPE/CODE"
HELP = "any, tcp, tcp/443, udp/1000-1999, icmp, icmp/8, icmpv6/128/0, or a protocol's number."
SCTP = "Answers over SCTP need a rule of their own."


def parse(option: str, text: str) -> Json:
    """Return the fields of a rule or entry that *text* stands for; the API judges the values.

    Raises:
        CliError: the text is not of one of the forms.
    """
    protocol, *rest = text.lower().split("/")
    is_icmp = protocol in ("icmp", "icmpv6", "1", "58")
    if not all((protocol, *rest)) or len(rest) > (2 if is_icmp else 1):
        raise CliError(f"{option}: {text!r} is no traffic; accepted: {ACCEPTED}")
    fields: Json = {"protocol": protocol}
    if rest and not is_icmp:
        fields["ports"] = rest[0]
    elif rest:
        numbers = [_number(option, part) for part in rest]
        fields |= dict(zip(("icmp_type", "icmp_code"), numbers, strict=False))
    return fields


def parse_block(option: str, text: str, instead: str) -> str:
    """Return a block or address as it is; the API judges whether it fits.

    Args:
        option: its name.
        text: what it says.
        instead: what else it accepts.

    Raises:
        CliError: it is neither: a name, most likely.
    """
    try:
        ip_network(text, strict=False)
    except ValueError:
        accepted = f"a block such as 10.0.0.0/16, {instead}"
        raise CliError(f"{option}: {text!r} is no block; accepted: {accepted}") from None
    return text


def names(direction: str) -> dict[str, str]:
    """Return the option that each field of :func:`parse` comes from."""
    return dict.fromkeys(("protocol", "ports", "icmp_type", "icmp_code"), f"--{direction}")


def _number(option: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 3):
        raise CliError(f"{option}: {text!r} is no ICMP type or code; accepted: 0 to 255")
    return int(text)


def show(item: Json) -> str:
    """Return what the fields of a rule or entry stand for, as it is typed."""
    parts = (item[name] for name in ("protocol", "ports", "icmp_type", "icmp_code"))
    return "/".join(str(part) for part in parts if part is not None)
