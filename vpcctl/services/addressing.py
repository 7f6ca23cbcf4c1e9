"""Which addresses and MAC a port gets: chosen ones are honoured, or refused naming the owner."""

import secrets
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address, ip_network

from vpcctl.model.addresses import GATEWAY_MAC, IPAddress, IPNetwork, Mac, eui64, format_mac
from vpcctl.model.problems import Blocker, Conflict, Exhausted, Invalid
from vpcctl.services import rules
from vpcctl.store import allocation, ports
from vpcctl.store.allocation import Block
from vpcctl.store.subnets import count_used
from vpcctl.store.tables import SubnetRow
from vpcctl.store.units import Unit

MAX_IPS = 64
_MADE = 0x06 << 40  # locally administered, unicast


def parse_ips(texts: Sequence[str]) -> tuple[IPAddress, ...]:
    """Return the addresses written in *texts*.

    Raises:
        Invalid: too many, malformed, or one twice.
    """
    if len(texts) > MAX_IPS:
        raise Invalid(
            f"There are {len(texts)} addresses.",
            field="fixed_ips",
            accepted=f"at most {MAX_IPS} addresses",
        )
    found: list[IPAddress] = []
    for number, text in enumerate(texts):
        address = rules.address(f"fixed_ips.{number}", text)
        if address in found:
            raise Invalid(
                f"{address} is named twice.",
                field=f"fixed_ips.{number}",
                accepted="each address once",
            )
        found.append(address)
    return tuple(found)


class Addressing:
    """The addresses of one subnet for a port with *mac*, within one transaction."""

    def __init__(self, unit: Unit, subnet: SubnetRow, mac: Mac) -> None:
        self._unit = unit
        self._subnet = subnet
        self._blocks = {4: Block(subnet.id, ip_network(subnet.cidr))}
        self._gateways = {4: ip_address(subnet.gateway)}
        self._mac = mac
        if subnet.ipv6_cidr and subnet.ipv6_gateway:
            self._blocks[6] = Block(subnet.id, ip_network(subnet.ipv6_cidr))
            self._gateways[6] = ip_address(subnet.ipv6_gateway)

    def take(self, chosen: Sequence[IPAddress], *, fill: bool) -> tuple[IPAddress, ...]:
        """Take the chosen addresses; with *fill* also one for each family none was chosen of.

        Raises:
            Problem: Invalid (outside, reserved), Conflict (taken), Exhausted.
        """
        for number, address in enumerate(chosen):
            self._take_chosen(f"fixed_ips.{number}", address)
        taken = list(chosen)
        given = {address.version for address in chosen}
        if fill:
            taken += [self._take_next(version) for version in self._blocks if version not in given]
        taken.sort(key=lambda address: address.version)
        self._count(taken, 1)
        return tuple(taken)

    def give_back(self, addresses: Iterable[IPAddress]) -> None:
        """Make addresses free again."""
        freed = list(addresses)
        for version, block in self._blocks.items():
            same = [address for address in freed if address.version == version]
            allocation.give_back(self._unit.connection, block, same, self._unit.revision)
        self._count(freed, -1)

    def _count(self, addresses: Sequence[IPAddress], sign: int) -> None:
        four = sum(address.version == 4 for address in addresses)
        count_used(self._unit.connection, self._subnet.id, sign * four)

    def _take_next(self, version: int) -> IPAddress:
        block = self._blocks[version]
        own = makes_own(self._subnet, self._mac) if version == 6 else None
        if own is not None:
            self._take_chosen("fixed_ips", own)
            return own
        address = allocation.take_next(self._unit.connection, block)
        if address is None:
            raise Exhausted(
                f"Every address of {block.network} in {self._subnet.id} is in use.",
                field="fixed_ips",
                accepted="nothing until a port of the subnet is deleted",
            )
        return address

    def _take_chosen(self, field: str, address: IPAddress) -> None:
        block = self._blocks.get(address.version)
        if block is None or address not in block.network:
            inside = " or ".join(str(block.network) for block in self._blocks.values())
            raise Invalid(
                f"{address} lies outside {self._subnet.id}.",
                field=field,
                accepted=f"an address within {inside}",
            )
        if address in allocation.reserved(block.network, self._gateways[address.version]):
            raise Invalid(
                f"{address} is the network's, gateway's or broadcast address.",
                field=field,
                accepted=_usable(block.network, self._gateways[address.version]),
            )
        owner = allocation.owner(self._unit.connection, block, address)
        if owner is not None:
            raise Conflict(
                f"{address} belongs to {owner}.",
                field=field,
                accepted="an address that no port has",
                blockers=(Blocker("port", owner, f"has {address}"),),
            )
        allocation.take_chosen(self._unit.connection, block, address)


def makes_own(subnet: SubnetRow, mac: Mac) -> IPv6Address | None:
    """Return the IPv6 address that a guest with *mac* makes for itself; None where it gets one."""
    if subnet.ipv6_cidr is None or subnet.ipv6_mode not in ("slaac", "dhcpv6-stateless"):
        return None
    return eui64(IPv6Network(subnet.ipv6_cidr), mac)


def _usable(network: IPNetwork, gateway: IPAddress) -> str:
    last = network[-2] if network.version == 4 else network[-1]
    return f"an address from {network[1]} to {last} except {gateway}"


def choose_mac(unit: Unit, subnet_id: str, wanted: Mac | None) -> Mac:
    """Return *wanted* when it is free in the subnet, or a new random MAC.

    A random one collides once in 2**40: then the unique constraint refuses it and the unit of
    work is run again.

    Raises:
        Conflict: another port of the subnet has it.
    """
    if wanted is None:
        made = Mac(_MADE | secrets.randbits(40))
        return made if made != GATEWAY_MAC else Mac(made ^ 1)
    owner = ports.mac_owner(unit.connection, subnet_id, wanted)
    if owner is not None:
        raise Conflict(
            f"{format_mac(wanted)} belongs to {owner}.",
            field="mac_address",
            accepted="a MAC that no port of the subnet has, or null to have one made",
            blockers=(Blocker("port", owner, f"has {format_mac(wanted)}"),),
        )
    return wanted
