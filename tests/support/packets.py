"""Packets as guests send them, in the names of ``ovs-fields(7)``."""

import ipaddress

Packet = dict[str, str]

BROADCAST = "ff:ff:ff:ff:ff:ff"
NO_MAC = "00:00:00:00:00:00"


def solicited_node(target: str) -> str:
    """The multicast address that a solicitation for *target* goes to (RFC 4291)."""
    low = int(ipaddress.IPv6Address(target)) & 0xFFFFFF
    return str(ipaddress.IPv6Address((0xFF02 << 112) | (0x1FF << 24) | low))


def multicast_mac(address: str) -> str:
    """The MAC that an IP multicast address goes to (RFC 1112, RFC 2464)."""
    number = int(ipaddress.ip_address(address))
    if ":" in address:
        low = f"{number & 0xFFFFFFFF:08x}"
        return "33:33:" + ":".join(low[i : i + 2] for i in range(0, 8, 2))
    low = f"{number & 0x7FFFFF:06x}"
    return "01:00:5e:" + ":".join(low[i : i + 2] for i in range(0, 6, 2))


def _ip(protocol: str, eth: tuple[str, str], ip: tuple[str, str], ttl: int) -> Packet:
    packet = {"protocol": protocol, "eth_src": eth[0], "eth_dst": eth[1]}
    if ":" in ip[0]:
        packet |= {"ipv6_src": ip[0], "ipv6_dst": ip[1]}
    else:
        packet |= {"nw_src": ip[0], "nw_dst": ip[1]}
    return packet | {"nw_ttl": str(ttl)}


def echo(eth: tuple[str, str], ip: tuple[str, str], ttl: int = 64) -> Packet:
    """An echo request; *eth* and *ip* are (source, destination)."""
    if ":" in ip[0]:
        return _ip("icmp6", eth, ip, ttl) | {"icmpv6_type": "128", "icmpv6_code": "0"}
    return _ip("icmp", eth, ip, ttl) | {"icmp_type": "8", "icmp_code": "0"}


def udp(eth: tuple[str, str], ip: tuple[str, str], ports: tuple[int, int] = (5000, 53)) -> Packet:
    """A datagram; *ports* are (source, destination)."""
    protocol = "udp6" if ":" in ip[0] else "udp"
    return _ip(protocol, eth, ip, 64) | {"udp_src": str(ports[0]), "udp_dst": str(ports[1])}


def tcp(eth: tuple[str, str], ip: tuple[str, str], ports: tuple[int, int]) -> Packet:
    """A segment; *ports* are (source, destination)."""
    protocol = "tcp6" if ":" in ip[0] else "tcp"
    return _ip(protocol, eth, ip, 64) | {"tcp_src": str(ports[0]), "tcp_dst": str(ports[1])}


def sctp(eth: tuple[str, str], ip: tuple[str, str], ports: tuple[int, int]) -> Packet:
    """An SCTP packet; *ports* are (source, destination)."""
    protocol = "sctp6" if ":" in ip[0] else "sctp"
    return _ip(protocol, eth, ip, 64) | {"sctp_src": str(ports[0]), "sctp_dst": str(ports[1])}


def other(number: int, eth: tuple[str, str], ip: tuple[str, str]) -> Packet:
    """A packet of an IP protocol by number."""
    return _ip("ipv6" if ":" in ip[0] else "ip", eth, ip, 64) | {"nw_proto": str(number)}


def icmp(kind: int, code: int, eth: tuple[str, str], ip: tuple[str, str]) -> Packet:
    """An ICMP or ICMPv6 message, by the addresses' family, without a payload that matters here."""
    name = "icmpv6" if ":" in ip[0] else "icmp"
    protocol = "icmp6" if ":" in ip[0] else "icmp"
    return _ip(protocol, eth, ip, 64) | {f"{name}_type": str(kind), f"{name}_code": str(code)}


def icmp6(kind: int, eth: tuple[str, str], ip: tuple[str, str]) -> Packet:
    """An ICMPv6 message without a payload that matters here."""
    return _ip("icmp6", eth, ip, 255) | {"icmpv6_type": str(kind), "icmpv6_code": "0"}


def arp(op: int, eth: tuple[str, str], sender: tuple[str, str], target: tuple[str, str]) -> Packet:
    """An ARP packet; *sender* and *target* are (MAC, IP)."""
    return {
        "protocol": "arp",
        "eth_src": eth[0],
        "eth_dst": eth[1],
        "arp_op": str(op),
        "arp_sha": sender[0],
        "arp_spa": sender[1],
        "arp_tha": target[0],
        "arp_tpa": target[1],
    }


def who_has(mac: str, ip: str, target: str) -> Packet:
    """The usual ARP request."""
    return arp(1, (mac, BROADCAST), (mac, ip), (NO_MAC, target))


def solicit(mac: str, ip: str, target: str, sll: str | None = None) -> Packet:
    """The usual neighbour solicitation; *sll* is the MAC in its option, by default the sender's."""
    to = solicited_node(target)
    packet = icmp6(135, (mac, multicast_mac(to)), (ip, to)) | {"nd_target": target}
    if ip == "::":
        return packet
    return packet | {"nd_sll": sll or mac, "nd_options_type": "1"}


def advertise(eth: tuple[str, str], ip: tuple[str, str], target: str, tll: str) -> Packet:
    """A neighbour advertisement."""
    return icmp6(136, eth, ip) | {"nd_target": target, "nd_tll": tll, "nd_options_type": "2"}
