"""Addresses of ours on external networks, and the hosts that stand for them, as users know them.

Everybody is alive here, and watches everybody else.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from tests.oracle.oracle import World, inside
from vpcctl.model.eip import Eip
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import InternetGateway, NatGateway
from vpcctl.model.port import Port
from vpcctl.model.route_table import RouteTable
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

Gateway = InternetGateway | NatGateway
_GLOBAL = ipaddress.ip_network("2000::/3")


@dataclass(frozen=True)
class Beyond:
    """What there is beyond the subnets of a world: of a VPC one internet gateway."""

    vpcs: tuple[Vpc, ...]
    networks: tuple[ExternalNetwork, ...]
    gateways: tuple[InternetGateway, ...]
    eips: tuple[Eip, ...]
    tables: tuple[RouteTable, ...]
    nats: tuple[NatGateway, ...] = ()


@dataclass(frozen=True)
class Ours:
    """An address of ours.

    Attributes:
        address: as it is outside.
        mac: that answers for it.
        gateway: by which its VPC reaches the network.
        homes: hosts where it works, the one that answers first.
        port: whose it is; None: the gateway's own.
        inside: as it is inside; nothing where there is no port.
    """

    address: str
    mac: str
    gateway: Gateway
    homes: tuple[str, ...]
    port: Port | None = None
    inside: str = ""

    def admits(self, host_id: str) -> bool:
        """Whether a host lets in what comes: the first, and all round a first that leaves."""
        if host_id not in self.homes:
            return False
        stay = [one for one in self.homes if one not in self.gateway.leaving]
        return host_id not in stay or host_id in (self.homes[0], stay[0])

    def begins_at(self, host_id: str) -> str:
        """Where a connection begins that comes to a host which lets it in.

        While hosts leave a NAT gateway that is the first one; the others hand on what they have no
        connection for: those that leave to the first that stays, and that one to them.
        """
        stay = [one for one in self.homes if one not in self.gateway.leaving]
        left = [one for one in self.homes if one in self.gateway.leaving]
        if not (stay and left) or host_id == self.homes[0]:
            return host_id
        return stay[0] if host_id in left else left[0]

    def answers_at(self, host_id: str) -> bool:
        return self.homes[:1] == (host_id,)


class Addresses:
    """All that there are."""

    def __init__(self, world: World, beyond: Beyond) -> None:
        self._hosts = {one.id: one for one in world.hosts}
        self._subnets = {one.id: one for one in world.subnets}
        self._places = {one.port_id: one.host_id for one in world.locations}
        self._ports = {one.id: one for one in world.ports}
        self._beyond = beyond
        self._all = {
            (one.gateway.external_network_id, one.address): one
            for one in (*self._eips(), *self._global_ips())
        }

    def of(self, network_id: str, address: str) -> Ours | None:
        """Return the address of ours that *address* is on a network, if any."""
        return self._all.get((network_id, address))

    def behind(self, gateway: InternetGateway, inside: str) -> Ours | None:
        """Return what a source becomes that leaves by an internet gateway, if anything."""
        mine = (one for one in self._all.values() if one.gateway.id == gateway.id)
        return next((one for one in mine if one.inside == inside), None)

    def shared_by(self, gateway: NatGateway) -> list[Ours]:
        """Return the addresses of a NAT gateway."""
        return [one for one in self._all.values() if one.gateway.id == gateway.id]

    def way(self, host_id: str, network_id: str) -> int | None:
        """Return the ofport by which a host reaches a network, if it does."""
        ways = self._hosts[host_id].outside
        return next((one.ofport for one in ways if one.external_network_id == network_id), None)

    def is_reached(self, network_id: str) -> bool:
        """Tell whether any host reaches a network."""
        return any(self.way(one, network_id) is not None for one in self._hosts)

    def serving(self, gateway: Gateway) -> tuple[str, ...]:
        """Return the gateway hosts that can do the work, in order."""
        known = (one for one in gateway.hosts if one in self._hosts)
        return tuple(one for one in known if self.way(one, gateway.external_network_id) is not None)

    def table(self, home: Subnet) -> list[RouteTable]:
        """Return the table of a subnet, if it has one."""
        mine = [one for one in self._beyond.tables if one.vpc_id == home.vpc_id]
        named = [one for one in mine if one.id == home.route_table_id]
        return named if home.route_table_id else [one for one in mine if one.is_main]

    # --- which there are --------------------------------------------------------------------------

    def _eips(self) -> Iterator[Ours]:
        nats = {one.id: one for one in self._beyond.nats}
        for eip in self._beyond.eips:
            address, mac = str(eip.address), "0a:76:" + eip.key.to_bytes(4, "big").hex(":")
            if eip.nat_gateway_id in nats:
                nat = nats[eip.nat_gateway_id]
                yield Ours(address, mac, nat, self.serving(nat))
            elif eip.port_id in self._ports:
                port = self._ports[eip.port_id]
                gateway = self._internet(port, eip.external_network_id)
                if gateway is not None and eip.fixed_ip in port.ips:
                    homes = self._homes(port, gateway)
                    yield Ours(address, mac, gateway, homes, port, str(eip.fixed_ip))

    def _global_ips(self) -> Iterator[Ours]:
        """Ports' own addresses of 2000::/3, where their tables have a way out for IPv6."""
        networks = {one.id: one for one in self._beyond.networks if one.ipv6_cidr is not None}
        for port in self._ports.values():
            for gateway in self._beyond.gateways:
                if gateway.external_network_id in networks and self._leads6(port, gateway):
                    mac = "0a:77:" + port.key.to_bytes(4, "big").hex(":")
                    homes = self._homes(port, gateway)
                    for ip in (str(one) for one in port.ips if inside(str(one), _GLOBAL)):
                        yield Ours(ip, mac, gateway, homes, port, ip)

    def _leads6(self, port: Port, gateway: InternetGateway) -> bool:
        home = self._subnets[port.subnet_id]
        routes = (one for table in self.table(home) for one in table.routes)
        targets = (
            one for route in routes if route.destination.version == 6 for one in route.targets
        )
        return gateway.vpc_id == home.vpc_id and any(one.id == gateway.id for one in targets)

    def _internet(self, port: Port, network_id: str) -> InternetGateway | None:
        wanted = (self._subnets[port.subnet_id].vpc_id, network_id)
        known = self._beyond.gateways
        fit = (one for one in known if (one.vpc_id, one.external_network_id) == wanted)
        return next(fit, None)

    def _homes(self, port: Port, gateway: InternetGateway) -> tuple[str, ...]:
        here = self._places.get(port.id)
        if here is None or not port.admin_up:
            return ()
        near = self.way(here, gateway.external_network_id) is not None
        return (here,) if near else self.serving(gateway)
