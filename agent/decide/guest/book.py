"""The book of guests: by the key of their port, with all that answers need, parsed once."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)

from agent.wire.state import Guest, GuestOptions, GuestSubnet, HostState
from vpcctl.model.addresses import parse_mac


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers of both IP versions, in order of preference."""

    ipv4: tuple[IPv4Address, ...]
    ipv6: tuple[IPv6Address, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One guest.

    Attributes:
        guest: as the host state has it.
        subnet: its subnet.
        options: those that hold for it.
        mac: its MAC, 6 bytes.
        ipv4: its fixed IPv4 addresses, in order.
        ipv6: its fixed IPv6 addresses, in order.
        block4: the subnet's IPv4 block.
        block6: the subnet's IPv6 block, or None.
        gateway4: the router's IPv4 address, which is the DHCP server's too.
        gateway6: the router's IPv6 address, or None.
        resolvers: the DNS servers that it is told.
        time_servers: the NTP servers that it is told.
        routes: further IPv4 routes with their next hops.
    """

    guest: Guest
    subnet: GuestSubnet
    options: GuestOptions
    mac: bytes
    ipv4: tuple[IPv4Address, ...]
    ipv6: tuple[IPv6Address, ...]
    block4: IPv4Network
    block6: IPv6Network | None
    gateway4: IPv4Address
    gateway6: IPv6Address | None
    resolvers: Servers
    time_servers: Servers
    routes: tuple[tuple[IPv4Network, IPv4Address], ...]

    @property
    def key(self) -> int:
        """Key of its port."""
        return self.guest.key

    @property
    def search(self) -> tuple[str, ...]:
        """The domains that it looks short names up in."""
        domain = self.options.domain
        return self.options.search or (() if domain is None else (domain,))


class Book:
    """All guests of a host state; replaced as a whole when that changes.

    Guests whose subnet the state does not have, or of which something cannot be read, are left
    out: what is not understood is not told to anybody.

    Args:
        state: None: nobody is known.
        before: the book that this one replaces: who has not changed is not parsed again.
    """

    def __init__(self, state: HostState | None = None, before: "Book | None" = None) -> None:
        self._entries: dict[int, Entry] = {}
        self._subnets: dict[str, GuestSubnet] = {}
        self._mtus: dict[int, int] = {}
        if state is None:
            return
        self._mtus = {one.key: one.mtu for one in state.external_networks}
        known = before if before is not None else Book()
        for one in state.guest_subnets:
            old = known._subnets.get(one.subnet_id)
            self._subnets[one.subnet_id] = old if old is not None and old == one else one
        for guest in state.guests:
            entry = self._entry(guest, known.get(guest.key))
            if entry is not None:
                self._entries[guest.key] = entry

    def _entry(self, guest: Guest, old: Entry | None) -> Entry | None:
        subnet = self._subnets.get(guest.subnet_id)
        if subnet is None:
            return None
        if old is None or old.subnet is not subnet:
            return _entry(guest, subnet)
        return old if old.guest is guest or old.guest == guest else _entry(guest, subnet)

    def tenant(self, key: int | None) -> str:
        """Return whose port a key is; empty: nobody's that is known."""
        entry = None if key is None else self._entries.get(key)
        return "" if entry is None else entry.subnet.tenant_id or entry.subnet.vpc_id

    def mtu(self, network_key: int) -> int | None:
        """Return the longest packet that an external network takes, bytes; None: it is unknown."""
        return self._mtus.get(network_key)

    def get(self, key: int) -> Entry | None:
        """Return the guest with a port key, or None."""
        return self._entries.get(key)

    def __iter__(self) -> Iterator[Entry]:
        """Go through all guests."""
        return iter(self._entries.values())

    def __len__(self) -> int:
        """Return how many guests there are."""
        return len(self._entries)


def _entry(guest: Guest, subnet: GuestSubnet) -> Entry | None:
    options = guest.options if guest.options is not None else subnet.options
    try:
        own = _split(guest.addresses)
        return Entry(
            guest,
            subnet,
            options,
            parse_mac(guest.mac).to_bytes(6, "big"),
            own.ipv4,
            own.ipv6,
            IPv4Network(subnet.cidr),
            IPv6Network(subnet.ipv6_cidr) if subnet.ipv6_cidr else None,
            IPv4Address(subnet.gateway),
            IPv6Address(subnet.ipv6_gateway) if subnet.ipv6_gateway else None,
            _split(options.dns_servers),
            _split(options.ntp_servers),
            tuple((IPv4Network(block), IPv4Address(hop)) for block, hop in options.routes),
        )
    except ValueError:
        return None


def _split(texts: tuple[str, ...]) -> Servers:
    found = [ip_address(text) for text in texts]
    return Servers(
        tuple(ip for ip in found if isinstance(ip, IPv4Address)),
        tuple(ip for ip in found if isinstance(ip, IPv6Address)),
    )
