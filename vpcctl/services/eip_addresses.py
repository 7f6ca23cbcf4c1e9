"""Which address an EIP gets: a free one of the pools, or the one that was chosen.

What was never used goes out first, then what was given back, the oldest first. An address that a
host may still answer for goes out to nobody.
"""

from ipaddress import IPv4Address
from typing import Any

from vpcctl.model.problems import Blocker, Conflict, Exhausted, Invalid
from vpcctl.model.ranges import holds
from vpcctl.services import eip_hosts, rules
from vpcctl.services.views import Actor
from vpcctl.store import eips, pools
from vpcctl.store.pools import Freed
from vpcctl.store.tables import EipRow, ExternalNetworkRow
from vpcctl.store.units import Unit

FEW = 20


def take(unit: Unit, actor: Actor, network: ExternalNetworkRow, chosen: str | None) -> str:
    """Take an address of the network's pools for a new EIP.

    Raises:
        Problem: Invalid (in no pool, or there are none), Conflict (in use), Exhausted.
    """
    if chosen is not None:
        return _take_chosen(unit, actor, network, chosen)
    unused = pools.take_unused(unit.connection, network.id)
    if unused is None and not pools.pools_of(unit.connection, [network.id]):
        raise Invalid(
            f"{network.id} has no pools that EIPs could be allocated from.",
            field="external_network_id",
            accepted="an external network with pools; IPv6 needs no EIP",
        )
    return str(IPv4Address(_take_freed(unit, network) if unused is None else unused))


def give_back(unit: Unit, row: EipRow) -> None:
    """Make the address of an EIP free that is about to go."""
    still = eip_hosts.waiting(unit, row.left_hosts, row.left_revision)
    one = Freed(int(IPv4Address(row.address)), unit.revision, still)
    pools.give_back(unit.connection, row.external_network_id, one)


def _take_chosen(unit: Unit, actor: Actor, network: ExternalNetworkRow, chosen: str) -> str:
    address = rules.address("address", chosen)
    present = pools.pools_of(unit.connection, [network.id]).get(network.id, [])
    if address.version != 4 or not holds(present, int(address)):
        raise Invalid(
            f"{address} is in no pool of {network.id}.",
            field="address",
            accepted=_named(present) or "none: the network has no pools",
        )
    owner = eips.with_address(unit.connection, network.id, str(address))
    if owner is not None:
        raise _taken(actor, owner)
    freed = pools.freed(unit.connection, network.id, int(address))
    if freed is not None and (hosts := _held(unit, freed)):
        raise Conflict(
            f"{address} was given back, and {hosts[0]} has not confirmed yet that it does not"
            " answer for it any more.",
            field="address",
            accepted="another address, or none: the next free one",
            blockers=tuple(Blocker("host", id, f"may answer for {address}") for id in hosts),
        )
    pools.take(unit.connection, network.id, int(address))
    return str(address)


def _taken(actor: Actor, owner: EipRow) -> Conflict:
    mine = actor.role == "admin" or actor.tenant_id == owner.tenant_id
    return Conflict(
        f"{owner.address} is {owner.id if mine else 'an EIP already'}.",
        field="address",
        accepted="an address that is no EIP, or none: the next free one",
        blockers=(Blocker("eip", owner.id, f"is {owner.address}"),) if mine else (),
    )


def _take_freed(unit: Unit, network: ExternalNetworkRow) -> int:
    """Take what was given back longest ago and no host answers for any more."""
    held: dict[str, None] = {}
    for limit in (FEW, None):  # all of them only where the oldest are all held back
        for one in pools.oldest_freed(unit.connection, network.id, limit):
            hosts = _held(unit, one)
            if not hosts:
                pools.take(unit.connection, network.id, one.address)
                return one.address
            held.update(dict.fromkeys(hosts))
    raise Exhausted(
        f"No address of {network.id} is free."
        if not held
        else f"No address of {network.id} is free: those given back may still be answered for.",
        field="external_network_id",
        accepted="an external network with free addresses",
        blockers=tuple(Blocker("host", id, "has not confirmed yet") for id in list(held)[:100]),
    )


def _held(unit: Unit, one: Freed) -> list[str]:
    return eip_hosts.waiting(unit, one.hosts, one.revision)


def _named(ranges: Any) -> str:
    texts = [f"{IPv4Address(first)}-{IPv4Address(last)}" for first, last in ranges[:8]]
    return ", ".join(texts) + (", …" if len(ranges) > len(texts) else "")
