"""What must become of a packet, said a second time and in another way.

The oracle knows the network as users do: ports, subnets, VPCs, hosts. It shares no code with what
compiles flows, knows of no table, register or flow, and takes only consistent networks.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from tests.oracle import sockets
from tests.oracle.judge import ND_AND_MLD, Judge, Stage
from vpcctl.model.address_group import AddressGroup
from vpcctl.model.host import Host
from vpcctl.model.location import Location
from vpcctl.model.network_acl import NetworkAcl
from vpcctl.model.port import Port
from vpcctl.model.security_group import SecurityGroup
from vpcctl.model.subnet import Subnet

Packet = dict[str, str]
ROUTER_MAC = "0e:76:70:63:00:01"
ROUTER_LINK_LOCAL = "fe80::c76:70ff:fe63:1"
ALL_DHCP6 = "ff02::1:2"
_ABOUT_ITSELF = ("131", "132", "133", "135", "136", "143")
AGENT = 65000
"""Where on a host its agent hears what guests ask."""


@dataclass(frozen=True)
class Arrival:
    """A packet that reaches an interface; the VNI says that it came from another host."""

    host_id: str
    ofport: int
    vni: int | None
    packet: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class World:
    """A consistent network."""

    hosts: tuple[Host, ...]
    subnets: tuple[Subnet, ...]
    ports: tuple[Port, ...]
    locations: tuple[Location, ...]
    groups: tuple[SecurityGroup, ...] = ()
    address_groups: tuple[AddressGroup, ...] = ()
    acls: tuple[NetworkAcl, ...] = ()


def policies(world: World) -> tuple[tuple, ...]:
    """What a judge wants to know."""
    return world.subnets, world.ports, world.groups, world.address_groups, world.acls


def text(mac: int) -> str:
    return ":".join(f"{mac:012x}"[i : i + 2] for i in range(0, 12, 2))


def eui64(mac: int) -> str:
    octets = bytearray(mac.to_bytes(6, "big"))
    octets[0] ^= 2
    tail = bytes(octets[:3]) + b"\xff\xfe" + bytes(octets[3:])
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + tail))


def is_group(mac: str) -> bool:
    return bool(int(mac[:2], 16) & 1)


def inside(address: str, block: object) -> bool:
    return ipaddress.ip_address(address) in block  # type: ignore[operator]


class Oracle:
    """Answers for one world."""

    def __init__(self, world: World, judge: Judge | None = None) -> None:
        """Take a world; *judge* is who judges for it, if not one without a memory."""
        self._hosts = {host.id: host for host in world.hosts}
        self._subnets = {subnet.id: subnet for subnet in world.subnets}
        self._locations = {one.port_id: one for one in world.locations}
        self._ports = world.ports
        self._judge = judge or Judge(*policies(world))
        self._stage: Stage | None = None

    def arrivals(self, port: Port, packet: Packet, stage: Stage | None = None) -> list[Arrival]:
        """Return what must arrive anywhere when *port* sends *packet*.

        *stage* is the packet's place in a connection; None: it opens one.
        """
        self._stage = stage
        if not self._works(port) or is_group(packet["eth_src"]):
            return []
        if port.port_security and not self._is_honest(port, packet):
            return []
        if packet["protocol"] == "arp":
            return self._arp(port, packet)
        if packet.get("icmpv6_type") == "135":
            return self._solicitation(port, packet)
        if sockets.is_asked(packet):
            return self._to_sockets(port, packet)
        if self._is_question(packet):
            able = self._hosts[self._locations[port.id].host_id].guest_services
            return self._to_agent(port, packet) if able else []
        if not self._gets_out(port, packet):
            return []
        if not self._judge.may(port, "egress", packet, stage):
            return []
        if packet["eth_dst"] == ROUTER_MAC:
            return self._routed(port, packet)
        return self._switched(port, self._subnets[port.subnet_id], packet)

    def _gets_out(self, port: Port, packet: Packet) -> bool:
        """Tell whether the ACL of the port's subnet lets a packet out, if it is one to route.

        It is asked before the port's groups are: what it drops opens no connection.
        """
        if packet["eth_dst"] != ROUTER_MAC:
            return True
        home = self._subnets[port.subnet_id]
        to = packet.get("nw_dst") or packet["ipv6_dst"]
        if to == ROUTER_LINK_LOCAL or ipaddress.ip_address(to) in self._gateways(home.vpc_id):
            return True
        return self._judge.leaves(home, packet)

    def _gateways(self, vpc_id: str) -> set[object]:
        siblings = [one for one in self._subnets.values() if one.vpc_id == vpc_id]
        return {one.gateway for one in siblings} | {one.ipv6_gateway for one in siblings}

    # --- who may say what -------------------------------------------------------------------------

    def _claims(self, port: Port) -> list[tuple[str, object]]:
        own = text(port.mac)
        claims: list[tuple[str, object]] = [(own, ipaddress.ip_network(ip)) for ip in port.ips]
        if self._subnets[port.subnet_id].ipv6_cidr:
            claims.append((own, ipaddress.ip_network(eui64(port.mac))))
        claims += [
            (own if pair.mac is None else text(pair.mac), pair.cidr) for pair in port.allowed_pairs
        ]
        return claims

    def _is_honest(self, port: Port, packet: Packet) -> bool:
        mine = [block for mac, block in self._claims(port) if mac == packet["eth_src"]]
        four = [block for block in mine if block.version == 4]  # type: ignore[attr-defined]
        six = [block for block in mine if block.version == 6]  # type: ignore[attr-defined]
        asks = bool(four) or packet["eth_src"] == text(port.mac)  # by DHCP, whatever it has
        if packet["protocol"] == "arp":
            if packet["arp_sha"] != packet["eth_src"]:
                return False
            said, asked = packet["arp_spa"], packet["arp_tpa"]
            if packet["arp_op"] == "1" and asked == str(self._subnets[port.subnet_id].gateway):
                return asks  # as the client does that is to ask there for an address
            return bool(four) if said == "0.0.0.0" else any(inside(said, one) for one in four)
        if not port.checks_addresses and packet["eth_src"] == text(port.mac):
            four, six = self._forwarded(packet, four, six)
        if "nw_src" in packet:
            return self._is_honest4(packet, four, asks)
        return self._is_honest6(packet, six)

    @staticmethod
    def _forwarded(packet: Packet, four: list, six: list) -> tuple[list, list]:
        """The sources of a port that forwards: all, but for what neighbours say of themselves."""
        if packet.get("icmpv6_type") in (*ND_AND_MLD, "135", "136"):
            own = packet["ipv6_src"] != "::" and packet["icmpv6_type"] not in _ABOUT_ITSELF
            return four, [ipaddress.ip_network("::/0")] if own else six
        return [ipaddress.ip_network("0.0.0.0/0")], [ipaddress.ip_network("::/0")]

    @staticmethod
    def _is_honest4(packet: Packet, blocks: list[object], asks: bool) -> bool:
        ends = (packet.get("udp_src"), packet.get("udp_dst"))
        if ends[0] == "67" or ends[1] == "68":
            return False
        to_server = packet["nw_dst"] == "255.255.255.255" or packet["eth_dst"] == ROUTER_MAC
        if asks and ends == ("68", "67") and to_server:  # whatever address it has: it asks
            return True
        return any(inside(packet["nw_src"], block) for block in blocks)

    @staticmethod
    def _is_honest6(packet: Packet, blocks: list[object]) -> bool:
        kind, own = packet.get("icmpv6_type"), packet["eth_src"]
        if kind in ("134", "137"):
            return False
        if packet.get("udp_src") == "547" or packet.get("udp_dst") == "546":
            return False
        target = packet.get("nd_target", "::")
        targets_own = any(inside(target, block) for block in blocks)
        if packet["ipv6_src"] == "::":
            reports = kind in ("131", "132", "133", "143") and bool(blocks)
            return reports or (kind == "135" and targets_own)
        if not any(inside(packet["ipv6_src"], block) for block in blocks):
            return False
        if kind == "135":
            return packet.get("nd_sll", own) == own
        if kind == "136":
            return targets_own and packet.get("nd_tll", own) == own
        return True

    @staticmethod
    def _is_question(packet: Packet) -> bool:
        """DHCP and router solicitations: the agent of the host hears them, or nobody."""
        if packet["eth_dst"] == ROUTER_MAC and "nw_src" in packet:
            return (packet.get("udp_src"), packet.get("udp_dst")) == ("68", "67")
        if packet.get("icmpv6_type") == "133":
            return True
        if packet.get("nw_dst") == "255.255.255.255" and packet.get("udp_dst") == "67":
            return True
        return packet.get("ipv6_dst") == ALL_DHCP6 and packet.get("udp_dst") == "547"

    # --- who has what -----------------------------------------------------------------------------

    def _works(self, port: Port) -> bool:
        return port.admin_up and port.id in self._locations

    def _members(self, subnet: Subnet) -> list[Port]:
        return [port for port in self._ports if port.subnet_id == subnet.id]

    def _owners(self, subnet: Subnet, address: str) -> set[str]:
        """MACs that an address of a subnet leads to: none, one, or all who share it."""
        ip = ipaddress.ip_address(address)
        everywhere = {ROUTER_LINK_LOCAL, *sockets.SERVICES}
        if ip in (subnet.gateway, subnet.ipv6_gateway) or address in everywhere:
            return {ROUTER_MAC}
        members = self._members(subnet)
        fixed = [port for port in members if ip in port.ips]
        if fixed:
            return {text(port.mac) for port in fixed if self._works(port)}
        if subnet.ipv6_cidr:
            local = {eui64(port.mac): port for port in members}
            if address in local:
                return {text(local[address].mac)} if self._works(local[address]) else set()
        return {mac for _, mac in self._sharers(subnet, ip)}

    def _sharers(self, subnet: Subnet, ip: object) -> set[tuple[str, str]]:
        local = ip.version == 6 and ip.is_link_local  # type: ignore[attr-defined]
        block = subnet.cidr if ip.version == 4 else subnet.ipv6_cidr  # type: ignore[attr-defined]
        if block is None or not (local or ip in block):
            return set()
        return {
            (port.id, text(port.mac if pair.mac is None else pair.mac))
            for port in self._members(subnet)
            if self._works(port)
            for pair in port.allowed_pairs
            if pair.cidr.num_addresses == 1 and pair.cidr.network_address == ip
        }

    def _is_shared(self, subnet: Subnet, address: str) -> bool:
        ip = ipaddress.ip_address(address)
        if any(ip in port.ips for port in self._members(subnet)):
            return False
        if ip in (subnet.gateway, subnet.ipv6_gateway):
            return False
        return len(self._sharers(subnet, ip)) > 1

    # --- what happens -----------------------------------------------------------------------------

    def _deliver(self, source: Port, subnet: Subnet, ports: Iterable[Port], packet: Packet):
        here = self._locations[source.id].host_id
        found: list[Arrival] = []
        for port in ports:
            if port.id == source.id or not self._works(port):
                continue
            place = self._locations[port.id]
            vni = None if place.host_id == here else subnet.vni
            if vni is not None and None in (self._hosts[place.host_id].vtep,):
                continue
            if "arp_op" in packet or self._judge.may(port, "ingress", packet, self._stage):
                found.append(Arrival(place.host_id, place.ofport, vni, frozenset(packet.items())))
        return found

    def _back(self, port: Port, packet: Packet) -> list[Arrival]:
        place = self._locations[port.id]
        return [Arrival(place.host_id, place.ofport, None, frozenset(packet.items()))]

    def _to_agent(self, port: Port, packet: Packet) -> list[Arrival]:
        """What the port's host hands to its agent, with the port's key as the destination."""
        asked = packet | {"eth_dst": "0e:76:" + port.key.to_bytes(4, "big").hex(":")}
        place = self._locations[port.id]
        return [Arrival(place.host_id, AGENT, None, frozenset(asked.items()))]

    def _to_sockets(self, port: Port, packet: Packet) -> list[Arrival]:
        """What reaches the sockets of the port's host, under a name that only the port has."""
        place, asked = self._locations[port.id], sockets.seen(port, packet)
        if asked is None or not self._hosts[place.host_id].guest_services:
            return []
        return [Arrival(place.host_id, sockets.SOCKETS, None, frozenset(asked.items()))]

    def _switched(self, source: Port, subnet: Subnet, packet: Packet) -> list[Arrival]:
        to = packet["eth_dst"]
        members = self._members(subnet)
        if is_group(to):
            return self._deliver(source, subnet, members, packet)
        exact = [port for port in members if text(port.mac) == to]
        if not exact:
            exact = [
                port
                for port in members
                if any(pair.mac is not None and text(pair.mac) == to for pair in port.allowed_pairs)
            ]
        return self._deliver(source, subnet, exact, packet)

    def _arp(self, port: Port, packet: Packet) -> list[Arrival]:
        subnet, asked = self._subnets[port.subnet_id], packet["arp_tpa"]
        group = is_group(packet["eth_dst"])
        if packet["arp_op"] == "1":
            if ipaddress.ip_address(asked) in port.ips:
                return []
            if self._is_shared(subnet, asked):
                return self._switched(port, subnet, packet)
            owners = self._owners(subnet, asked)
            return [self._back(port, _arp_reply(packet, mac))[0] for mac in owners]
        if packet["arp_op"] == "2" and (not group or self._is_shared(subnet, asked)):
            return self._switched(port, subnet, packet)
        return []

    def _solicitation(self, port: Port, packet: Packet) -> list[Arrival]:
        subnet, asked = self._subnets[port.subnet_id], packet["nd_target"]
        own = {str(ip) for ip in port.ips}
        if subnet.ipv6_cidr:
            own.add(eui64(port.mac))
        if asked in own:
            return []
        if self._is_shared(subnet, asked):
            return self._switched(port, subnet, packet)
        owners = self._owners(subnet, asked)
        if owners == {ROUTER_MAC}:
            able = self._hosts[self._locations[port.id].host_id].nd_extensions
            answer = _advertisement(packet)
            return self._back(port, answer) if able else self._to_agent(port, packet)
        return [
            one for mac in owners for one in self._switched(port, subnet, packet | {"eth_dst": mac})
        ]

    def _routed(self, port: Port, packet: Packet) -> list[Arrival]:
        vpc_id = self._subnets[port.subnet_id].vpc_id
        siblings = [one for one in self._subnets.values() if one.vpc_id == vpc_id]
        to = packet.get("nw_dst") or packet["ipv6_dst"]
        ip = ipaddress.ip_address(to)
        if packet.get("icmpv6_type") in ND_AND_MLD:
            return []
        if ip in self._gateways(vpc_id) or to == ROUTER_LINK_LOCAL:
            asks = packet.get("icmp_type") == "8" or packet.get("icmpv6_type") == "128"
            return self._back(port, _echo_reply(packet)) if asks else []
        source = ipaddress.ip_address(packet.get("nw_src") or packet["ipv6_src"])
        if source.version == 6 and (source.is_link_local or source.is_unspecified):
            return []
        ttl = int(packet["nw_ttl"])
        if ttl <= 1:
            return []
        for subnet in siblings:
            block = subnet.cidr if ip.version == 4 else subnet.ipv6_cidr
            if block is not None and ip in block:
                if not self._judge.enters(subnet, packet):
                    return []
                sent = packet | {"eth_src": ROUTER_MAC}
                if packet.get("nw_proto") != "0":  # of which Open vSwitch changes no IP header
                    sent["nw_ttl"] = str(ttl - 1)
                return [
                    one
                    for mac in self._owners(subnet, to)
                    for one in self._switched(port, subnet, sent | {"eth_dst": mac})
                ]
        return self._beyond(port, packet)

    def _beyond(self, port: Port, packet: Packet) -> list[Arrival]:
        """What becomes of a packet that no subnet of the VPC is for: here the world ends."""
        del port, packet
        return []


def _arp_reply(packet: Packet, mac: str) -> Packet:
    return packet | {
        "eth_src": mac,
        "eth_dst": packet["eth_src"],
        "arp_op": "2",
        "arp_sha": mac,
        "arp_spa": packet["arp_tpa"],
        "arp_tha": packet["arp_sha"],
        "arp_tpa": packet["arp_spa"],
    }


def _echo_reply(packet: Packet) -> Packet:
    reply = packet | {"eth_src": ROUTER_MAC, "eth_dst": packet["eth_src"], "nw_ttl": "64"}
    if "nw_src" in packet:
        ends = {"nw_src": packet["nw_dst"], "nw_dst": packet["nw_src"]}
        return reply | ends | {"icmp_type": "0"}
    ends = {"ipv6_src": packet["ipv6_dst"], "ipv6_dst": packet["ipv6_src"]}
    return reply | ends | {"icmpv6_type": "129"}


def _advertisement(packet: Packet) -> Packet:
    reply = packet | {
        "eth_src": ROUTER_MAC,
        "eth_dst": packet["eth_src"],
        "icmpv6_type": "136",
        "ipv6_src": packet["nd_target"],
        "ipv6_dst": packet["ipv6_src"],
        "nd_reserved": "0xe0000000",
    }
    if packet["ipv6_src"] == "::":
        to_all = {"eth_dst": "33:33:00:00:00:01", "ipv6_dst": "ff02::1"}
        reply |= to_all | {"nd_reserved": "0xa0000000"}
    if "nd_sll" in packet:
        reply |= {"nd_tll": ROUTER_MAC, "nd_options_type": "2"}
    return reply
