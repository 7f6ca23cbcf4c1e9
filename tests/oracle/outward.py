"""What lies beyond a VPC, as its users know it: route tables, gateways, EIPs and global addresses.

Everybody is alive here, and nobody outside is known yet: what leaves a host is asked of its agent.
No connection is known either: answers to what NAT gateways have translated are not asked for here.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterator

from tests.oracle.judge import ND_AND_MLD
from tests.oracle.oracle import AGENT, ROUTER_MAC, Arrival, Oracle, Packet, World, inside, text
from tests.oracle.ours import Addresses, Beyond, Ours
from tests.oracle.ways import Ways
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import Forward, InternetGateway, NatGateway
from vpcctl.model.port import Port
from vpcctl.model.route_table import Route, Target
from vpcctl.model.subnet import Subnet

UNRESOLVED, HEARD, SOLICITED, ERROR_IN, ERROR_OUT = 1, 2, 3, 4, 5
"""What agents are asked about the world outside."""
ERRORS = ("3", "11", "12")
"""ICMP types that quote a packet."""


class OutwardOracle(Oracle):
    """Answers for a world and what is beyond it."""

    def __init__(self, world: World, beyond: Beyond) -> None:
        super().__init__(world)
        self._ours, self._ways = Addresses(world, beyond), Ways()
        self._vpcs = {one.id: one for one in beyond.vpcs}
        self._networks = {one.id: one for one in beyond.networks}
        self._internet = {one.id: one for one in beyond.gateways}
        self._nats = {one.id: one for one in beyond.nats}
        self._by_id = {one.id: one for one in world.ports}

    def outcomes(self, port: Port, packet: Packet) -> list[Counter[Arrival]]:
        """Return what may arrive when *port* sends *packet*: exactly one of these."""
        return list(self._ways.all(lambda: Counter(self.arrivals(port, packet))))

    # --- from outside -----------------------------------------------------------------------------

    def entering(self, host_id: str, network: ExternalNetwork, packet: Packet) -> list[Arrival]:
        """Return what must arrive anywhere when *packet* comes from outside to a host."""
        about = packet.get("arp_tpa") or _on_link(packet)
        if about is not None:
            return self._resolved(host_id, network, self._ours.of(network.id, about), packet)
        ours = self._ours.of(network.id, packet.get("nw_dst") or packet["ipv6_dst"])
        if ours is None or not ours.admits(host_id) or packet["eth_dst"] != ours.mac:
            return []
        return self._enter(host_id, None, ours, packet)

    def _resolved(
        self, host_id: str, network: ExternalNetwork, ours: Ours | None, packet: Packet
    ) -> list[Arrival]:
        """What becomes of a question or an answer on the link about an address of ours."""
        if ours is None or host_id not in ours.homes:
            return []
        if packet.get("arp_op") == "2" or packet.get("icmpv6_type") == "136":
            return [_question(host_id, None, network, HEARD, packet)]
        if not ours.answers_at(host_id):
            return []
        if packet["protocol"] != "arp":
            return [_question(host_id, None, network, SOLICITED, packet)]
        way = self._ours.way(host_id, network.id)
        assert way is not None
        return [Arrival(host_id, way, None, _answer(packet, ours.mac))]

    def _enter(self, at: str, vni: int | None, ours: Ours, packet: Packet) -> list[Arrival]:
        """What becomes of a packet for an address of ours on a host that lets it in."""
        if int(packet["nw_ttl"]) <= 1 or packet.get("icmpv6_type") in ND_AND_MLD:
            return []
        if ours.port is None:
            assert isinstance(ours.gateway, NatGateway)
            begun = ours.begins_at(at)
            last = vni if begun == at else ours.gateway.vni
            return self._by_forward(begun, last, ours.gateway, packet)
        if packet.get("icmp_type") in ERRORS:
            network = self._networks[ours.gateway.external_network_id]
            return [_question(at, vni, network, ERROR_IN, packet)]
        to = "nw_dst" if "nw_dst" in packet else "ipv6_dst"
        return self._inwards(at, vni, ours.port, packet | {to: ours.inside})

    def _by_forward(
        self, at: str, vni: int | None, nat: NatGateway, packet: Packet
    ) -> list[Arrival]:
        """What becomes of a packet of which nobody knows for an address of a NAT gateway."""
        name = f"{packet['protocol']}_dst"
        for one in nat.forwards:
            first, last = one.ports
            if not _is_about(one, packet) or str(one.eip) != packet["nw_dst"]:
                continue
            if first <= int(packet[name]) <= last:
                port = one.target_port + int(packet[name]) - first
                got = packet | {"nw_dst": str(one.target), name: str(port)}
                found = (one for one in self._of_vpc(nat.vpc_id) if got["nw_dst"] in _texts(one))
                return [each for one in found for each in self._inwards(at, vni, one, got)]
        return []

    def _of_vpc(self, vpc_id: str) -> Iterator[Port]:
        return (one for one in self._ports if self._subnets[one.subnet_id].vpc_id == vpc_id)

    def _inwards(self, at: str, vni: int | None, port: Port, packet: Packet) -> list[Arrival]:
        """What becomes of a packet that has a port's own address by now."""
        if not self._works(port):
            return []
        subnet, place = self._subnets[port.subnet_id], self._locations[port.id]
        if self._is_from_within(subnet.vpc_id, packet.get("nw_src") or packet["ipv6_src"]):
            return []
        got = packet | {"eth_src": ROUTER_MAC, "eth_dst": text(port.mac)}
        got["nw_ttl"] = str(int(packet["nw_ttl"]) - 1)
        if not self._judge.enters(subnet, got) or not self._judge.may(port, "ingress", got, None):
            return []
        last = vni if place.host_id == at else subnet.vni
        return [Arrival(place.host_id, place.ofport, last, frozenset(got.items()))]

    def _is_from_within(self, vpc_id: str, source: str) -> bool:
        """Tell whether a source means somebody in a VPC, or on some link."""
        ip = ipaddress.ip_address(source)
        if ip.version == 6 and (ip.is_link_local or ip.is_unspecified):
            return True
        if any(inside(source, block) for block in self._vpcs[vpc_id].cidrs):
            return True
        named = (pair.cidr for port in self._of_vpc(vpc_id) for pair in port.allowed_pairs)
        return any(str(cidr) == f"{ip}/{ip.max_prefixlen}" for cidr in named)

    # --- to outside -------------------------------------------------------------------------------

    def _beyond(self, port: Port, packet: Packet) -> list[Arrival]:
        home = self._subnets[port.subnet_id]
        to = packet.get("nw_dst") or packet["ipv6_dst"]
        if any(inside(to, block) for block in self._vpcs[home.vpc_id].cidrs):
            return []
        if ipaddress.ip_address(to).is_link_local:
            return []
        targets = self.targets(home, to)
        if not targets:
            return []
        target, ttl = self._ways.pick(targets), int(packet["nw_ttl"])
        sent = packet | {"eth_src": ROUTER_MAC, "nw_ttl": str(ttl - 1)}
        if target.kind == "port":
            return self._handed_on(port, self._by_id[target.id], sent)
        if target.kind == "nat":
            return self._shared(port, self._nats[target.id], sent)
        return self._leaving(port, self._internet[target.id], sent)

    def targets(self, home: Subnet, to: str) -> list[Target]:
        """Return the targets that share what a subnet sends to an address outside its VPC."""
        route = self._route(home, to)
        if route is None:
            return []
        there = list(dict.fromkeys(self._there(home, route.targets, to)))
        dead = {host_id for one in self._ours.table(home) for host_id in one.dead_hosts}
        reached = [one for one in there if self._is_reached(one)]
        homes = {one.id: self._hosts_of(one) for one in reached}
        living = [one for one in reached if not homes[one.id] or homes[one.id] - dead]
        return living or reached or there

    def _is_reached(self, target: Target) -> bool:
        """Tell whether some host reaches the network that a target leads to."""
        if target.kind != "internet":
            return True
        network_id = self._internet[target.id].external_network_id
        return self._ours.is_reached(network_id)

    def _route(self, home: Subnet, to: str) -> Route | None:
        routes = (one for table in self._ours.table(home) for one in table.routes)
        fit = (one for one in routes if inside(to, one.destination))
        return max(fit, key=lambda one: one.destination.prefixlen, default=None)

    def _there(self, home: Subnet, targets: tuple[Target, ...], to: str) -> Iterator[Target]:
        """Yield the targets that can take a packet at all."""
        version = ipaddress.ip_address(to).version
        for target in targets:
            if target.kind == "port" and target.id in self._by_id:
                port = self._by_id[target.id]
                there = self._subnets[port.subnet_id]
                reached = version == 4 or there.ipv6_cidr is not None
                open_to = self._works(port) and not port.checks_addresses
                if there.vpc_id == home.vpc_id and reached and open_to:
                    yield target
            elif target.id in self._internet:
                if self._internet[target.id].vpc_id == home.vpc_id:
                    yield target
            elif target.id in self._nats:
                nat = self._nats[target.id]
                if nat.vpc_id == home.vpc_id and self._ours.serving(nat):
                    yield target

    def _hosts_of(self, target: Target) -> set[str]:
        """Return the hosts of which one has to live for a target."""
        if target.kind == "port":
            return {self._locations[target.id].host_id}
        return set(self._ours.serving(self._nats[target.id])) if target.kind == "nat" else set()

    def _handed_on(self, port: Port, hop: Port, sent: Packet) -> list[Arrival]:
        there = self._subnets[hop.subnet_id]
        if not self._judge.enters(there, sent):
            return []
        return self._switched(port, there, sent | {"eth_dst": text(hop.mac)})

    def _leaving(self, port: Port, gateway: InternetGateway, sent: Packet) -> list[Arrival]:
        """What becomes of a packet that takes an internet gateway: here, or at a gateway host."""
        at, vni = self._locations[port.id].host_id, None
        if self._ours.way(at, gateway.external_network_id) is None:
            serving = self._ours.serving(gateway)
            if not serving:
                return []
            at, vni = serving[0], gateway.vni
        ours = self._ours.behind(gateway, sent.get("nw_src") or sent["ipv6_src"])
        if ours is None or at not in ours.homes:
            return []
        network = self._networks[gateway.external_network_id]
        named = sent | {"eth_src": ours.mac}
        if sent.get("icmp_type") in ERRORS:
            return [_question(at, vni, network, ERROR_OUT, named)]
        name = "nw_src" if "nw_src" in sent else "ipv6_src"
        return self._on_network(at, vni, network, named | {name: ours.address})

    def _shared(self, port: Port, nat: NatGateway, sent: Packet) -> list[Arrival]:
        """What becomes of a packet that takes a NAT gateway: at its active host, always."""
        at, eips = self._ours.serving(nat)[0], self._ours.shared_by(nat)
        vni = None if at == self._locations[port.id].host_id else nat.vni
        if not eips:
            return []
        answered = _answered(nat, sent, {one.address for one in eips})
        source = answered or {"nw_src": self._ways.pick(eips).address}
        ours = next(one for one in eips if one.address == source["nw_src"])
        network = self._networks[nat.external_network_id]
        return self._on_network(at, vni, network, sent | source | {"eth_src": ours.mac})

    def _on_network(
        self, at: str, vni: int | None, network: ExternalNetwork, packet: Packet
    ) -> list[Arrival]:
        to = packet.get("nw_dst") or packet["ipv6_dst"]
        ours = self._ours.of(network.id, to)
        if ours is not None and ours.answers_at(at):
            return self._enter(at, vni, ours, packet)
        four = "nw_dst" in packet
        block = network.cidr if four else network.ipv6_cidr
        router = network.gateway if four else network.ipv6_gateway
        if four and block is not None and to in (str(block[0]), str(block[-1])):
            return []
        on_link = block is not None and inside(to, block)
        if not on_link and router is None:
            return []
        return [_question(at, vni, network, UNRESOLVED, packet)]


def _on_link(packet: Packet) -> str | None:
    """Return whom a question or an answer of neighbour discovery is about, if one has come."""
    if packet.get("icmpv6_type") not in ("135", "136") or packet["nw_ttl"] != "255":
        return None
    return packet["nd_target"] if packet["icmpv6_type"] == "135" else packet["ipv6_dst"]


def _texts(port: Port) -> set[str]:
    return {str(one) for one in port.ips}


def _is_about(forward: Forward, packet: Packet) -> bool:
    return packet["protocol"] == {6: "tcp", 17: "udp"}[forward.protocol]


def _answered(nat: NatGateway, packet: Packet, eips: set[str]) -> Packet | None:
    """Return whom a packet is from, if something is forwarded to where it comes from."""
    name = f"{packet['protocol']}_src"
    for one in nat.forwards:
        if str(one.eip) not in eips or not _is_about(one, packet):
            continue
        nth = int(packet[name]) - one.target_port
        if str(one.target) == packet["nw_src"] and 0 <= nth <= one.ports[1] - one.ports[0]:
            return {"nw_src": str(one.eip), name: str(one.ports[0] + nth)}
    return None


def _question(
    at: str, vni: int | None, network: ExternalNetwork, kind: int, packet: Packet
) -> Arrival:
    """What a host hands to its agent, with a destination that says what is wanted of it."""
    to = f"0e:77:{network.key >> 8:02x}:{network.key & 255:02x}:00:{kind:02x}"
    return Arrival(at, AGENT, vni, frozenset((packet | {"eth_dst": to}).items()))


def _answer(packet: Packet, mac: str) -> frozenset[tuple[str, str]]:
    reply = packet | {
        "eth_src": mac,
        "eth_dst": packet["eth_src"],
        "arp_op": "2",
        "arp_sha": mac,
        "arp_spa": packet["arp_tpa"],
        "arp_tha": packet["arp_sha"],
        "arp_tpa": packet["arp_spa"],
    }
    return frozenset(reply.items())
