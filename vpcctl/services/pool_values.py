"""Pools of external networks: what is accepted, and how rows keep them. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from vpcctl.model.addresses import IPAddress, IPNetwork
from vpcctl.model.problems import Invalid
from vpcctl.model.ranges import Range, common, union
from vpcctl.services import rules

MAX_POOLS = 64
_SAYS = "a range such as 192.0.2.10-192.0.2.99, a block, or one address of the network"


def parse(
    texts: Sequence[str], network: IPNetwork | None, gateway: IPAddress | None
) -> list[Range]:
    """Return the pools written in *texts* as ranges, those that touch as one.

    Raises:
        Invalid: too many, malformed, outside the network, or not to be had by anybody.
    """
    if len(texts) > MAX_POOLS:
        raise Invalid(
            f"There are {len(texts)} pools.", field="pools", accepted=f"at most {MAX_POOLS} pools"
        )
    if texts and network is None:
        raise Invalid(
            "Without an IPv4 block the network has no addresses to give.",
            field="pools",
            accepted="an empty list, or a cidr beside it",
        )
    found: list[Range] = []
    for number, text in enumerate(texts):
        field = f"pools.{number}"
        wanted = _range(field, text)
        _require_in(field, wanted, network, gateway)
        if common(found, [wanted]):
            raise Invalid(
                f"{rules.printable(text)} overlaps a pool before it.",
                field=field,
                accepted="pools that share no address",
            )
        found.append(wanted)
    return union(found)


def _range(field: str, text: str) -> Range:
    if "/" in text:
        block = rules.parse_block(field, text, _SAYS)
        _require_family(field, block.version)
        return int(block.network_address), int(block.broadcast_address)
    first, dash, last = text.partition("-")
    low = rules.address(field, first.strip())
    high = rules.address(field, last.strip()) if dash else low
    _require_family(field, low.version)
    _require_family(field, high.version)
    if int(low) > int(high):
        raise Invalid(f"{high} comes before {low}.", field=field, accepted=_SAYS)
    return int(low), int(high)


def _require_family(field: str, version: int) -> None:
    if version != 4:
        raise Invalid(
            "IPv6 needs no pools: ports' own addresses are reached from outside.",
            field=field,
            accepted=_SAYS,
        )


def _require_in(
    field: str, wanted: Range, network: IPNetwork | None, gateway: IPAddress | None
) -> None:
    first, last = wanted
    block = network or IPv4Network("0.0.0.0/0")
    base, end = int(block.network_address), int(block.broadcast_address)
    if first < base or last > end:
        raise Invalid(
            f"The pool does not lie in {block}.", field=field, accepted=f"addresses in {block}"
        )
    reserved = {base: "base", end: "broadcast address"}
    if gateway is not None:
        reserved[int(gateway)] = "gateway"
    for number, what in reserved.items():
        if first <= number <= last:
            raise Invalid(
                f"The pool holds {IPv4Address(number)}, the network's {what}.",
                field=field,
                accepted=f"addresses in {block} but for its {what}",
            )
