"""Addresses that change hands: hosts forget the connections that the port before had.

Conntrack knows connections by addresses. What peers' zones hold of a port that is gone would let
whoever comes to its address answer, or go on, in its place. So would those of NAT gateways: who
answered the port before would reach the next one.
"""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

from vpcctl.model.addresses import IPAddress, link_local
from vpcctl.services.attachments import touch_hosts
from vpcctl.store import gateways, handovers, locations
from vpcctl.store.units import Unit
from vpcctl.wire.state import HandedOver

KEEP = timedelta(days=6)
"""Longer than an entry of conntrack lives that no packet renews: five days at most, of TCP."""


def own(mac: int, addresses: Iterable[IPAddress | str]) -> frozenset[str]:
    """Return what a port with *mac* and fixed *addresses* speaks from, in canonical form."""
    return frozenset({str(link_local(mac)), *map(str, addresses)})


def given_up(unit: Unit, vpc_id: str, addresses: Collection[str]) -> None:
    """Remember addresses that a port of a VPC has had."""
    handovers.give_up(unit.connection, vpc_id, addresses, unit.revision, unit.now)


def taken(unit: Unit, vpc_id: str, addresses: Collection[str]) -> None:
    """Tell the hosts of a VPC of addresses that a port has got and that another one had.

    Flows go first: nothing comes to the port before it is plugged and they are there.
    """
    if handovers.take(unit.connection, vpc_id, addresses, unit.revision, unit.now):
        found = gateways.of_vpcs(unit.connection, [vpc_id])
        ids = [one.id for one in found if one.kind == "nat"]
        concerned = set(locations.hosts_of_vpc(unit.connection, vpc_id))
        concerned.update(*gateways.HOST_IDS.of(unit.connection, ids).values())
        touch_hosts(unit, *sorted(concerned), soon=True)


def changed(unit: Unit, vpc_id: str, before: frozenset[str], after: frozenset[str]) -> None:
    """Note that a port spoke from the addresses *before* and speaks from those *after*."""
    taken(unit, vpc_id, after - before)
    given_up(unit, vpc_id, before - after)


def of_host(connection: Any, host_id: str) -> tuple[HandedOver, ...]:
    """Return what a host is to be told."""
    return tuple(
        HandedOver(vpc_id=one.vpc_id, address=one.address, freed=one.freed, revision=one.taken)
        for one in handovers.of_host(connection, host_id)
    )
