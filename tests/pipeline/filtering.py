"""A small VPC on one host whose guests talk: who sends, and who got it."""

import ipaddress
from collections.abc import Callable

from tests.oracle.oracle import ROUTER_MAC, eui64, text
from tests.support import networks as n
from tests.support.dummy_ovs import DummyOvs
from tests.support.frames import Ends
from tests.support.wire import Wire
from vpcctl.model.changes import Resource
from vpcctl.model.port import Port
from vpcctl.model.security_group import Rule, SecurityGroup

HOST, VPC = n.host(1), n.vpc(1)
WEB = n.subnet(0x11, VPC, "10.0.1.0/24", "fd00:1::/64")
DATA = n.subnet(0x12, VPC, "10.0.2.0/24", "fd00:2::/64")
FAMILIES = (4, 6)
OUT = tuple(n.allow("egress", None, one) for one in FAMILIES)
SELF = tuple(n.allow("ingress", n.group_id(1), one) for one in FAMILIES)
DEFAULT = n.group(1, VPC, *SELF, *OUT)
SERVER = 2
BROADCAST = "ff:ff:ff:ff:ff:ff"


def guest(number: int, home=WEB, *groups: str, **other: object) -> Port:
    """Guest *number* has 10.0.s.(10+number) and, with groups, is filtered."""
    third, last = (1, 10 + number) if home.vni == WEB.vni else (2, 10 + number)
    mac = f"0e:00:00:00:00:{number:02x}"
    ips = (f"10.0.{third}.{last}", f"fd00:{third}::{last}")
    facts = {"groups": groups or None, **other}
    return n.port(0x100 + number, home, mac, *ips, **facts)


def ofport(port: Port) -> int:
    return port.key - 0x100 + 10


class Lan:
    """The guests, wired up."""

    def __init__(self, ovs: DummyOvs, *resources: Resource) -> None:
        net = n.network(HOST, VPC, *resources)
        if WEB.id not in net.subnets:
            net.apply([n.put(WEB)])
        if DATA.id not in net.subnets:
            net.apply([n.put(DATA)])
        net.apply([n.put(n.at(port, HOST, ofport(port))) for port in tuple(net.ports.values())])
        self.wire = Wire(ovs, net, HOST, "br-lan")

    def close(self) -> None:
        self.wire.close()

    def change(self, *resources: Resource, settles: bool = True) -> None:
        """Make resources what they are now, on the switch too; conntrack stays as it is.

        Args:
            resources: the resources.
            settles: whether what was not counted yet is counted first, see ``Wire.program``.
        """
        self.wire.net.apply([n.put(one) for one in resources])
        self.wire.program(settles=settles)

    def sends(self, port: Port, *frames: bytes) -> set[int]:
        """Numbers of the guests that get any of it."""
        return {key - 10 for key in self.wire.send(ofport(port), *frames)}

    def gets(self, port: Port, *frames: bytes) -> dict[int, list[bytes]]:
        return {key - 10: got for key, got in self.wire.send(ofport(port), *frames).items()}


def ends(one: Port, other: Port, version: int = 4) -> Ends:
    """From one guest's address to another's, through the router where they are not neighbours."""
    to = text(other.mac) if one.subnet_id == other.subnet_id else ROUTER_MAC
    return Ends((text(one.mac), to), (_ip(one, version), _ip(other, version)))


def link_local_ends(one: Port, other: Port) -> Ends:
    return Ends((text(one.mac), text(other.mac)), (eui64(one.mac), eui64(other.mac)))


def _ip(port: Port, version: int) -> str:
    return next(str(ip) for ip in port.ips if ip.version == version)


def to_all(one: Port, address: str = "10.0.1.255", mac: str = BROADCAST) -> Ends:
    version = ipaddress.ip_address(address).version
    return Ends((text(one.mac), mac), (_ip(one, version), address))


Setting = Callable[..., Lan]
"""Makes a Lan of resources."""


def server(*rules: Rule, **other: object) -> SecurityGroup:
    return n.group(SERVER, VPC, *rules, **other)


def client_and_server(lan: Setting, *rules: Rule, home=WEB, **other: object):
    """An unfiltered client and a server in a group with *rules*."""
    client, host = guest(1, home), guest(2, WEB, n.group_id(SERVER))
    return lan(server(*rules, **other), client, host), client, host
