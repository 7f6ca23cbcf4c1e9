"""The book of external networks and of the addresses on them that this host may answer for."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from agent.wire.state import ExternalNetworkState, HostState, OutsideAddress
from vpcctl.model.addresses import parse_mac

_LINK_LOCAL = IPv6Network("fe80::/10")


@dataclass(frozen=True, slots=True)
class Network:
    """An external network.

    Attributes:
        key: its number in flows.
        blocks: its blocks by version of IP.
        gateways: the provider's routers by length of an address, 4 or 16 bytes.
        port_mtu: longest packet that ports take, bytes.
    """

    key: int
    blocks: tuple[IPv4Network | IPv6Network, ...]
    gateways: dict[int, bytes]
    port_mtu: int

    def next_hop(self, target: bytes) -> bytes | None:
        """Return whose MAC a packet to *target* needs: its own on the link, else the gateway's.

        None: nobody's, as with multicast and where there is no gateway.
        """
        address = ip_address(target)
        if address.is_multicast or address.is_unspecified:
            return None
        if address in _LINK_LOCAL:
            return target
        for block in self.blocks:
            if address in block:
                edge = block.version == 4 and block.prefixlen < 31
                ends = (block.network_address, block.broadcast_address) if edge else ()
                return None if address in ends else target
        return self.gateways.get(len(target))


@dataclass(frozen=True, slots=True)
class Address:
    """An address that this host answers for, or may have to.

    Attributes:
        network: where.
        ip: 4 or 16 bytes.
        mac: 6 bytes.
        fixed: what an EIP of a port is translated to, or None.
        hosts: the gateway hosts that may answer; empty: this host alone.
        seed: changes when it is to be announced again.
    """

    network: Network
    ip: bytes
    mac: bytes
    fixed: bytes | None
    hosts: tuple[str, ...]
    seed: int

    @property
    def key(self) -> int:
        """Key of the EIP, or of the port, that its MAC carries."""
        return int.from_bytes(self.mac[2:], "big")

    def is_here(self, host_id: str, lives: Callable[[str], bool]) -> bool:
        """Tell whether *host_id* is the one that answers: alone, or as the first that lives."""
        if not self.hosts:
            return True
        for each in self.hosts:
            if each == host_id:
                return True
            if lives(each):
                return False
        return False


class Book:
    """All addresses of a host state; what cannot be read is left out.

    Args:
        state: None: there is none yet.
    """

    def __init__(self, state: HostState | None = None) -> None:
        self._by_ip: dict[tuple[int, bytes], Address] = {}
        self._by_mac: dict[bytes, Address] = {}
        self.networks: dict[int, Network] = {}
        if state is None:
            return
        networks = {each.network_id: _network(each) for each in state.external_networks}
        self.networks = {each.key: each for each in networks.values() if each is not None}
        for wire in state.outside_addresses:
            network = networks.get(wire.network_id)
            address = None if network is None else _address(wire, network)
            if address is not None:
                self._by_ip[address.network.key, address.ip] = address
                self._by_mac[address.mac] = address

    def at(self, network_key: int, ip: bytes) -> Address | None:
        """Return the address *ip* of a network."""
        return self._by_ip.get((network_key, ip))

    def of(self, mac: bytes, network_key: int) -> Address | None:
        """Return an address of a network with this MAC: an EIP's is its own."""
        found = self._by_mac.get(mac)
        return found if found is not None and found.network.key == network_key else None

    def __iter__(self) -> Iterator[Address]:
        """Go through all addresses."""
        return iter(self._by_ip.values())

    def __len__(self) -> int:
        """Return how many addresses there are."""
        return len(self._by_ip)


def _network(wire: ExternalNetworkState) -> Network | None:
    try:
        blocks: list[IPv4Network | IPv6Network] = []
        if wire.cidr is not None:
            blocks.append(IPv4Network(wire.cidr))
        if wire.ipv6_cidr is not None:
            blocks.append(IPv6Network(wire.ipv6_cidr))
        texts = [text for text in (wire.gateway, wire.ipv6_gateway) if text is not None]
        gateways = [ip_address(text).packed for text in texts]
    except ValueError:
        return None
    by_length = {len(each): each for each in gateways}
    return Network(wire.key, tuple(blocks), by_length, wire.port_mtu)


def _address(wire: OutsideAddress, network: Network) -> Address | None:
    try:
        ip = ip_address(wire.address).packed
        fixed = None if wire.fixed_address is None else ip_address(wire.fixed_address).packed
        mac = parse_mac(wire.mac).to_bytes(6, "big")
    except ValueError:
        return None
    return Address(network, ip, mac, fixed, wire.hosts, wire.seed)
