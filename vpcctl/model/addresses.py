"""Addresses as the network uses them: IP objects of the standard library, MACs as 48-bit ints."""

import ipaddress
import re
from typing import NewType

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Mac = NewType("Mac", int)

GATEWAY_MAC = Mac(0x0E_76_70_63_00_01)
"""Every subnet's gateway answers with this locally administered MAC (an anycast gateway): a
guest that moves to another host or subnet never has to learn another one."""

_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


def parse_mac(text: str) -> Mac:
    """Return the MAC written ``aa:bb:cc:dd:ee:ff``.

    Raises:
        ValueError: the text is not six colon-separated hex octets.
    """
    if not _MAC.fullmatch(text):
        raise ValueError("expected six hex octets separated by colons, such as 0e:00:00:00:00:2a")
    return Mac(int(text.replace(":", ""), 16))


def format_mac(mac: int) -> str:
    """Return *mac* as ``aa:bb:cc:dd:ee:ff``."""
    return ":".join(f"{(mac >> shift) & 0xFF:02x}" for shift in range(40, -8, -8))


def is_unicast(mac: int) -> bool:
    """Tell whether *mac* may belong to one interface (group bit clear, not zero)."""
    return mac != 0 and not mac & 0x01_00_00_00_00_00


def block_of(ip: IPAddress) -> IPNetwork:
    """Return the block of *ip* alone: made of its number, a third of the time of its text."""
    return ipaddress.IPv4Network(int(ip)) if ip.version == 4 else ipaddress.IPv6Network(int(ip))


def link_local(mac: int) -> ipaddress.IPv6Address:
    """Return the EUI-64 link-local address of *mac* (RFC 4291, appendix A)."""
    high, low = (mac >> 24) ^ 0x02_00_00, mac & 0xFF_FF_FF
    return ipaddress.IPv6Address((0xFE80 << 112) | (high << 40) | (0xFFFE << 24) | low)


def eui64(block: ipaddress.IPv6Network, mac: int) -> ipaddress.IPv6Address:
    """Return the address that a guest with *mac* makes of a /64 (RFC 4862, RFC 2464)."""
    interface = int(link_local(mac)) & (1 << 64) - 1
    return ipaddress.IPv6Address(int(block.network_address) | interface)


def eui64_mac(ip: IPAddress) -> int:
    """Return the MAC whose EUI-64 link-local address is *ip*, or 0 when there is none."""
    number = int(ip)
    if ip.version == 4 or number >> 64 != 0xFE80 << 48 or (number >> 24) & 0xFFFF != 0xFFFE:
        return 0
    return ((number >> 40 & 0xFFFFFF) ^ 0x02_00_00) << 24 | number & 0xFFFFFF
