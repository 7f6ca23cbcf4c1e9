"""One host on an external network, wired up: guests, an agent, and whoever is outside."""

import dataclasses
import ipaddress

from tests.oracle.oracle import ROUTER_MAC, text
from tests.support import frames as f
from tests.support import networks as n
from tests.support.dissect import Packet, dissect
from tests.support.dummy_ovs import DummyOvs
from tests.support.frames import Ends
from tests.support.wire import Wire
from vpcctl.model.changes import Resource
from vpcctl.model.eip import Eip
from vpcctl.model.host import GUEST_SERVICE_OFPORT, STAND_OFPORT
from vpcctl.model.network import Network
from vpcctl.model.port import Port

OUT, WATCH, AGENT, STAND = 9, 8, GUEST_SERVICE_OFPORT, STAND_OFPORT
NETWORK = n.outside(7, "203.0.113.0/24", "2001:db8:77::/64")
OTHER = n.host(2)
HOST = n.watching(n.reaching(n.host(1), (NETWORK, OUT)), (OTHER, WATCH))
OTHER = n.reaching(OTHER, (NETWORK, OUT))
BLOCKS = (ipaddress.ip_network("10.0.0.0/16"), ipaddress.ip_network("2001:db8::/45"))
RED = dataclasses.replace(n.vpc(1), cidrs=BLOCKS)
BLUE = dataclasses.replace(n.vpc(2), cidrs=BLOCKS[:1])
WEB = n.subnet(0x11, RED, "10.0.1.0/24", "2001:db8:1::/64")
DATA = n.subnet(0x12, RED, "10.0.2.0/24", "2001:db8:2::/64")
BLUES = n.subnet(0x21, BLUE, "10.0.1.0/24")
RED_IGW, BLUE_IGW = n.igw(1, RED, NETWORK, HOST), n.igw(2, BLUE, NETWORK, HOST)
TABLES = (
    n.table(1, RED, n.route("0.0.0.0/0", RED_IGW), n.route("::/0", RED_IGW)),
    n.table(2, BLUE, n.route("0.0.0.0/0", BLUE_IGW)),
)

ROUTER, PEER = ("02:00:00:00:00:01", "203.0.113.1"), ("02:00:00:00:00:50", "203.0.113.50")
FAR = "192.0.2.77"
ALL = "ff:ff:ff:ff:ff:ff"


def guest(number: int, home=WEB, **other: object) -> Port:
    """Guest *number* has 10.0.s.(10+number)."""
    third = home.cidr.network_address.packed[2]
    ips = [f"10.0.{third}.{10 + number}"]
    if home.ipv6_cidr is not None:
        ips.append(str(home.ipv6_cidr[0x10 + number]))
    return n.port(0x100 + number, home, f"0e:00:00:00:00:{number:02x}", *ips, **other)


def ofport(port: Port) -> int:
    return port.key - 0x100 + 10


class Town:
    """The host, its guests, and its outside."""

    def __init__(self, ovs: DummyOvs, *resources: Resource) -> None:
        """Make it; all guests that are ever to live there are among *resources*."""
        net = self._net(resources)
        self.wire = Wire(ovs, net, net.hosts[HOST.id], "br-town")

    def anew(self, *resources: Resource) -> "Town":
        """The same place with other *resources*, where nothing has happened yet."""
        self.wire.net = self._net(resources)
        self.wire.forget()
        self.wire.program([])  # so that all counters begin at 0
        self.wire.program()
        self.wire.settle()
        return self

    @staticmethod
    def _net(resources: tuple[Resource, ...]) -> Network:
        fixed = (HOST, OTHER, NETWORK, RED, BLUE, WEB, DATA, BLUES, RED_IGW, BLUE_IGW, *TABLES)
        net = n.network(*fixed, *resources)
        here = [one for one in net.ports.values() if one.id not in net.locations]
        net.apply([n.put(n.at(port, HOST, ofport(port))) for port in here])
        return net

    def close(self) -> None:
        self.wire.close()

    def change(self, *resources: Resource, without: tuple[Resource, ...] = ()) -> None:
        """Make resources what they are now; conntrack stays, what flows have learned does not."""
        self.wire.net.apply([*(n.gone(one) for one in without), *map(n.put, resources)])
        self.wire.program()
        self.wire.settle()

    def sends(self, sender: Port | int, *frames: bytes) -> dict[int, list[Packet]]:
        """What leaves by which ofport."""
        number = ofport(sender) if isinstance(sender, Port) else sender
        sent = self.wire.send(number, *frames)
        return {port: [dissect(one) for one in some] for port, some in sent.items()}

    def hear(self, eip: Eip, who: tuple[str, str] = ROUTER) -> dict[int, list[Packet]]:
        """Somebody outside asks for an EIP, and is learned by that."""
        answer = self.sends(OUT, asks(who, str(eip.address)))
        self.wire.settle()
        return answer


def asks(who: tuple[str, str], address: str) -> bytes:
    return f.arp(1, (who[0], ALL), who, ("00:00:00:00:00:00", address))


def tells(who: tuple[str, str], eip: Eip) -> bytes:
    return f.arp(2, (who[0], text(eip.mac)), who, (text(eip.mac), str(eip.address)))


def leaving(port: Port, to: str = FAR, version: int = 4) -> Ends:
    """From a guest to an address elsewhere, through its router."""
    own = next(str(ip) for ip in port.ips if ip.version == version)
    return Ends((text(port.mac), ROUTER_MAC), (own, to))


def entering(eip: Eip, source: str = FAR, via: tuple[str, str] = ROUTER) -> Ends:
    """From an address outside to an EIP, by a neighbour."""
    return Ends((via[0], text(eip.mac)), (source, str(eip.address)))


def only(sent: dict[int, list[Packet]], number: int) -> Packet:
    """The one frame that was sent, which left by *number*."""
    assert list(sent) == [number], sent
    (found,) = sent[number]
    return found
