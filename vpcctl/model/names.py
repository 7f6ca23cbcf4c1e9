"""Where guests ask for names and metadata, and how their questions reach the agent's sockets.

Guests of different tenants have the same addresses. On its way to the sockets a question gets a
source address that only its port has, made of the port's key and the place of the address that
the port sent from; the answer's target is turned back. IPv4 has no room for that in one address:
half of the key is in the address that is asked.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

Service = Literal["dns", "metadata"]

NAMES_OFPORT = 65_001
"""OpenFlow port number of br-int's end of the pair that leads to the sockets. A constant, so that
flows need not wait for a report of it."""

NAMES_MAC = 0x0E76_7063_0002
"""MAC of the sockets' end of that pair."""

RESOLVERS = (IPv4Address("169.254.169.253"), IPv6Address("fd00:ec2::253"))
METADATA = (IPv4Address("169.254.169.254"), IPv6Address("fd00:ec2::254"))
"""The addresses that guests ask, as in AWS; both answer without a route of the guest's."""

PORTS: dict[Service, int] = {"dns": 53, "metadata": 80}

MAX_ADDRESSES = 64
"""Fixed addresses of one family of a port that may ask: the first ones."""

CLIENTS4 = IPv4Network("100.64.0.0/10")
SERVERS4: dict[Service, IPv4Network] = {
    "dns": IPv4Network("198.18.0.0/16"),
    "metadata": IPv4Network("198.19.0.0/16"),
}
CLIENTS6 = IPv6Network("fd76:6370:6374:1::/64")
SERVERS6: dict[Service, IPv6Address] = {
    "dns": IPv6Address("fd76:6370:6374::53"),
    "metadata": IPv6Address("fd76:6370:6374::80"),
}
"""What the sockets see; nothing of it is ever seen outside the pair."""


def client4(key: int, place: int) -> int:
    """Return what stands for an IPv4 address of a port: its place and the key's low half."""
    return int(CLIENTS4.network_address) | place << 16 | key & 0xFFFF


def client6(key: int, place: int) -> int:
    """Return what stands for an IPv6 address of a port: its place and the whole key."""
    return int(CLIENTS6.network_address) | place << 32 | key


def key_of4(client: bytes, server: bytes) -> int:
    """Return the key of the port that asks, of both ends of an IPv4 packet (4 bytes each)."""
    return server[2] << 24 | server[3] << 16 | client[2] << 8 | client[3]


def key_of6(client: bytes) -> int:
    """Return the key of the port that asks, of the source of an IPv6 packet (16 bytes)."""
    return int.from_bytes(client[12:], "big")
