"""The book of guests: by the key of their port, with all that answers need, in binary."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from vpcctl.model.addresses import parse_mac
from vpcctl.wire.state import Guest, GuestOptions, GuestSubnet, HostState


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
    """

    guest: Guest
    subnet: GuestSubnet
    options: GuestOptions
    mac: bytes
    ipv4: tuple[IPv4Address, ...]
    ipv6: tuple[IPv6Address, ...]

    @property
    def key(self) -> int:
        """Key of its port."""
        return self.guest.key

    @property
    def block4(self) -> IPv4Network:
        """The subnet's IPv4 block."""
        return IPv4Network(self.subnet.cidr)

    @property
    def block6(self) -> IPv6Network | None:
        """The subnet's IPv6 block, or None."""
        return IPv6Network(self.subnet.ipv6_cidr) if self.subnet.ipv6_cidr else None

    @property
    def gateway4(self) -> IPv4Address:
        """The router's IPv4 address, which is the DHCP server's too."""
        return IPv4Address(self.subnet.gateway)

    def resolvers(self, version: int) -> tuple[IPv4Address | IPv6Address, ...]:
        """Return the resolvers of one IP version that it is told."""
        return _of(version, self.options.dns_servers)

    def time_servers(self, version: int) -> tuple[IPv4Address | IPv6Address, ...]:
        """Return the time servers of one IP version that it is told."""
        return _of(version, self.options.ntp_servers)


def _of(version: int, texts: tuple[str, ...]) -> tuple[IPv4Address | IPv6Address, ...]:
    return tuple(ip for ip in map(ip_address, texts) if ip.version == version)


class Book:
    """All guests of a host state; replaced as a whole when that changes.

    Guests whose subnet the state does not have, or whose MAC or addresses cannot be read, are
    left out.
    """

    def __init__(self, state: HostState | None = None) -> None:
        self._entries: dict[int, Entry] = {}
        if state is None:
            return
        subnets: Mapping[str, GuestSubnet] = {one.subnet_id: one for one in state.guest_subnets}
        for guest in state.guests:
            subnet = subnets.get(guest.subnet_id)
            entry = None if subnet is None else _entry(guest, subnet)
            if entry is not None:
                self._entries[guest.key] = entry

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
    try:
        addresses = [ip_address(text) for text in guest.addresses]
        mac = parse_mac(guest.mac).to_bytes(6, "big")
    except ValueError:
        return None
    return Entry(
        guest,
        subnet,
        guest.options if guest.options is not None else subnet.options,
        mac,
        tuple(ip for ip in addresses if isinstance(ip, IPv4Address)),
        tuple(ip for ip in addresses if isinstance(ip, IPv6Address)),
    )
