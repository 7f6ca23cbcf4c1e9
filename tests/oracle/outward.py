"""What lies beyond a VPC, as its users know it: route tables, internet gateways and EIPs.

Everybody is alive here, and nobody outside is known yet: what leaves a host is asked of its agent.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from tests.oracle.oracle import AGENT, ROUTER_MAC, Arrival, Oracle, Packet, World, inside, text
from vpcctl.model.eip import Eip
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import InternetGateway
from vpcctl.model.port import Port
from vpcctl.model.route_table import Route, RouteTable, Target
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc


@dataclass(frozen=True)
class Beyond:
    """What there is beyond the subnets of a world."""

    vpcs: tuple[Vpc, ...]
    networks: tuple[ExternalNetwork, ...]
    gateways: tuple[InternetGateway, ...]
    eips: tuple[Eip, ...]
    tables: tuple[RouteTable, ...]


class OutwardOracle(Oracle):
    """Answers for a world and what is beyond it."""

    def __init__(self, world: World, beyond: Beyond) -> None:
        super().__init__(world)
        self._vpcs = {one.id: one for one in beyond.vpcs}
        self._networks = {one.id: one for one in beyond.networks}
        self._internet = {one.id: one for one in beyond.gateways}
        self._eips, self._tables = beyond.eips, beyond.tables
        self._by_id = {one.id: one for one in world.ports}

    # --- from outside -----------------------------------------------------------------------------

    def entering(self, host_id: str, network: ExternalNetwork, packet: Packet) -> list[Arrival]:
        """Return what must arrive anywhere when *packet* comes from outside to a host."""
        way = self._way(host_id, network.id)
        assert way is not None
        if packet["protocol"] == "arp":
            asked = self._resident(host_id, network.id, packet["arp_tpa"])
            return [] if asked is None else [_answer(host_id, way, packet, asked)]
        eip = self._admitted(host_id, network.id, packet["nw_dst"])
        if eip is None or packet["eth_dst"] != _mac(eip):
            return []
        return self._inwards(host_id, None, eip, packet)

    def _inwards(self, host_id: str, vni: int | None, eip: Eip, packet: Packet) -> list[Arrival]:
        port, ttl = self._by_id[eip.port_id or ""], int(packet["nw_ttl"])
        subnet, place = self._subnets[port.subnet_id], self._locations[port.id]
        got = packet | {"nw_dst": str(eip.fixed_ip), "nw_ttl": str(ttl - 1)}
        got |= {"eth_src": ROUTER_MAC, "eth_dst": text(port.mac)}
        if ttl <= 1 or not self._judge.enters(subnet, got):
            return []
        if not self._judge.may(port, "ingress", got, None):
            return []
        last = vni if place.host_id == host_id else subnet.vni
        return [Arrival(place.host_id, place.ofport, last, frozenset(got.items()))]

    # --- who is where -----------------------------------------------------------------------------

    def _way(self, host_id: str, network_id: str) -> int | None:
        ways = self._hosts[host_id].outside
        return next((one.ofport for one in ways if one.external_network_id == network_id), None)

    def _serving(self, gateway: InternetGateway) -> list[str]:
        known = (one for one in gateway.hosts if one in self._hosts)
        return [one for one in known if self._way(one, gateway.external_network_id) is not None]

    def _homes(self, eip: Eip) -> list[str]:
        """Hosts where an EIP works, the one that answers for it first."""
        port = self._by_id.get(eip.port_id or "")
        if port is None or not self._works(port) or eip.fixed_ip not in port.ips:
            return []
        gateway = self._gateway(port, eip)
        if gateway is None:
            return []
        here = self._locations[port.id].host_id
        near = self._way(here, eip.external_network_id) is not None
        return [here] if near else self._serving(gateway)

    def _gateway(self, port: Port, eip: Eip) -> InternetGateway | None:
        wanted = (self._subnets[port.subnet_id].vpc_id, eip.external_network_id)
        fit = (
            one
            for one in self._internet.values()
            if (one.vpc_id, one.external_network_id) == wanted
        )
        return next(fit, None)

    def _admitted(self, host_id: str, network_id: str, address: str) -> Eip | None:
        """The EIP whose packets a host lets in: the first, and all round a first that leaves."""
        for eip in self._eips:
            if (eip.external_network_id, str(eip.address)) != (network_id, address):
                continue
            homes = self._homes(eip)
            if host_id not in homes:
                return None
            gateway = self._gateway(self._by_id[eip.port_id or ""], eip)
            stay = [one for one in homes if gateway is None or one not in gateway.leaving]
            goes = host_id not in stay
            return eip if goes or host_id in (homes[0], stay[0]) else None
        return None

    def _resident(self, host_id: str, network_id: str, address: str) -> Eip | None:
        for eip in self._eips:
            if (eip.external_network_id, str(eip.address)) == (network_id, address):
                return eip if self._homes(eip)[:1] == [host_id] else None
        return None

    # --- to outside -------------------------------------------------------------------------------

    def _beyond(self, port: Port, packet: Packet) -> list[Arrival]:
        home = self._subnets[port.subnet_id]
        to = packet.get("nw_dst") or packet["ipv6_dst"]
        if any(inside(to, block) for block in self._vpcs[home.vpc_id].cidrs):
            return []
        if ipaddress.ip_address(to).is_link_local:
            return []
        route = self._route(home, to)
        targets = [] if route is None else [*self._alive(home, route.targets, to)]
        if not targets:
            return []
        assert len(targets) == 1, "whoever shares is not asked here"
        ttl = int(packet["nw_ttl"])
        sent = packet | {"eth_src": ROUTER_MAC, "nw_ttl": str(ttl - 1)}
        if targets[0].kind == "port":
            return self._handed_on(port, self._by_id[targets[0].id], sent)
        if "nw_src" not in packet:
            return []
        return self._leaving(port, self._internet[targets[0].id], sent)

    def _route(self, home: Subnet, to: str) -> Route | None:
        mine = [one for one in self._tables if one.vpc_id == home.vpc_id]
        named = [one for one in mine if one.id == home.route_table_id]
        tables = named if home.route_table_id else [one for one in mine if one.is_main]
        fit = [one for table in tables for one in table.routes if inside(to, one.destination)]
        return max(fit, key=lambda one: one.destination.prefixlen, default=None)

    def _alive(self, home: Subnet, targets: tuple[Target, ...], to: str) -> Iterator[Target]:
        version = ipaddress.ip_address(to).version
        for target in targets:
            if target.kind == "internet":
                known = self._internet.get(target.id)
                if known is not None and known.vpc_id == home.vpc_id:
                    yield target
            elif target.kind == "port" and target.id in self._by_id:
                port = self._by_id[target.id]
                there = self._subnets[port.subnet_id]
                reached = version == 4 or there.ipv6_cidr is not None
                open_to = self._works(port) and not port.checks_addresses
                if there.vpc_id == home.vpc_id and reached and open_to:
                    yield target

    def _handed_on(self, port: Port, hop: Port, sent: Packet) -> list[Arrival]:
        there = self._subnets[hop.subnet_id]
        if not self._judge.enters(there, sent):
            return []
        return self._switched(port, there, sent | {"eth_dst": text(hop.mac)})

    def _leaving(self, port: Port, gateway: InternetGateway, sent: Packet) -> list[Arrival]:
        here, network_id = self._locations[port.id].host_id, gateway.external_network_id
        at, vni = here, None
        if self._way(here, network_id) is None:
            serving = self._serving(gateway)
            if not serving:
                return []
            at, vni = serving[0], gateway.vni
        for eip in self._eips:
            if eip.external_network_id == network_id and self._is_of(eip, gateway, sent["nw_src"]):
                if at not in self._homes(eip):
                    return []
                own = {"nw_src": str(eip.address), "eth_src": _mac(eip)}
                return self._on_network(at, vni, self._networks[network_id], sent | own)
        return []

    def _is_of(self, eip: Eip, gateway: InternetGateway, source: str) -> bool:
        port = self._by_id.get(eip.port_id or "")
        if port is None or self._subnets[port.subnet_id].vpc_id != gateway.vpc_id:
            return False
        return str(eip.fixed_ip) == source

    def _on_network(
        self, at: str, vni: int | None, network: ExternalNetwork, packet: Packet
    ) -> list[Arrival]:
        eip = self._resident(at, network.id, packet["nw_dst"])
        if eip is not None:
            return self._inwards(at, vni, eip, packet)
        on_link = network.cidr is not None and inside(packet["nw_dst"], network.cidr)
        if not on_link and network.gateway is None:
            return []
        asked = packet | {"eth_dst": f"0e:77:{network.key >> 8:02x}:{network.key & 255:02x}:00:01"}
        return [Arrival(at, AGENT, vni, frozenset(asked.items()))]


def _mac(eip: Eip) -> str:
    return "0a:76:" + eip.key.to_bytes(4, "big").hex(":")


def _answer(host_id: str, way: int, packet: Packet, eip: Eip) -> Arrival:
    mac = _mac(eip)
    reply = packet | {
        "eth_src": mac,
        "eth_dst": packet["eth_src"],
        "arp_op": "2",
        "arp_sha": mac,
        "arp_spa": packet["arp_tpa"],
        "arp_tha": packet["arp_sha"],
        "arp_tpa": packet["arp_spa"],
    }
    return Arrival(host_id, way, None, frozenset(reply.items()))
