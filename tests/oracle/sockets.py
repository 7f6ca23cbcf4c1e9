"""What the agent's sockets see of a question for the resolver or for metadata."""

import ipaddress

from vpcctl.model.port import Port

Packet = dict[str, str]
SOCKETS = 65001
"""Where on a host br-int leads to its agent's sockets."""
SOCKETS_MAC = "0e:76:70:63:00:02"
DNS, METADATA = ("169.254.169.253", "fd00:ec2::253"), ("169.254.169.254", "fd00:ec2::254")
SERVICES = frozenset((*DNS, *METADATA))


def is_asked(packet: Packet) -> bool:
    """Whether a packet is a question for one of the two."""
    to = packet.get("nw_dst") or packet.get("ipv6_dst")
    if to in DNS:
        return "53" in (packet.get("udp_dst"), packet.get("tcp_dst"))
    return to in METADATA and packet.get("tcp_dst") == "80"


def seen(port: Port, packet: Packet) -> Packet | None:
    """Return the packet at the sockets; None when it comes from an address that is not known."""
    four = "nw_src" in packet
    source, target = ("nw_src", "nw_dst") if four else ("ipv6_src", "ipv6_dst")
    version = 4 if four else 6
    own = [str(ip) for ip in port.ips if ip.version == version]
    if packet[source] not in own:
        return None
    place = own.index(packet[source])
    number = 0 if packet[target] in DNS else 1
    if four:
        client = f"100.{64 + place}.{port.key >> 8 & 255}.{port.key & 255}"
        server = f"198.{18 + number}.{port.key >> 24}.{port.key >> 16 & 255}"
    else:
        base = ipaddress.IPv6Address("fd76:6370:6374:1::")
        client = str(base + (place << 32) + port.key)
        server = "fd76:6370:6374::" + ("80" if number else "53")
    return packet | {"eth_dst": SOCKETS_MAC, source: client, target: server}
