"""What flows need to know of one port, gathered once per piece."""

from typing import NamedTuple

from vpcctl.flows.cookie import Feature, cookie
from vpcctl.model.addresses import IPAddress
from vpcctl.model.host import Host
from vpcctl.model.location import Location
from vpcctl.model.network import Network
from vpcctl.model.port import Port
from vpcctl.model.subnet import Subnet
from vpcctl.model.vpc import Vpc

_PORT, _EDGE = cookie(Feature.PORT), cookie(Feature.EDGE)


class PortFacts(NamedTuple):
    """A port in service, with everything that it refers to."""

    port: Port
    subnet: Subnet
    vpc: Vpc
    location: Location
    host: Host

    @property
    def cookie(self) -> int:
        """Cookie of the port's shared flows."""
        return _PORT | self.port.key

    @property
    def edge_cookie(self) -> int:
        """Cookie of the port's flows on its own host."""
        return _EDGE | self.port.key


def port_facts(net: Network, port_id: str) -> PortFacts | None:
    """Return the facts of a port that is in service in a subnet that is, or None."""
    located = net.located(port_id)
    if located is None:
        return None
    port, location, host = located
    live = net.live_subnet(port.subnet_id)
    if live is None:
        return None
    return PortFacts(port, live[0], live[1], location, host)


def is_gateway(subnet: Subnet, ip: IPAddress) -> bool:
    """Tell whether *ip* is one of the router's addresses in *subnet*."""
    gateway = subnet.gateway if ip.version == 4 else subnet.ipv6_gateway
    return gateway is not None and int(ip) == int(gateway)
