"""Two hosts with real packets: an Open vSwitch each, conntrack included, and a wire between them.

What one sends into a tunnel is taken out of its underlay and put into the other's. Each copy that
leaves by another port, or for a third host, is what is seen in the end.
"""

import ipaddress
import re
from dataclasses import dataclass

from tests.support import frames as f
from tests.support.dissect import Packet, dissect
from tests.support.dummy_ovs import UNDERLAY, DummyOvs
from tests.support.wire import Wire
from vpcctl.model.host import Host
from vpcctl.model.network import Network

_LOCAL = "192.0.2.254"
"""The underlay's own address, on every host."""
_NEXT_HOP = "0e:ff:00:00:00:01"
_OUTER, _VXLAN = 14 + 20 + 8, 8
_MOST_HOPS = 4


@dataclass(frozen=True)
class Copy:
    """A frame that has left.

    Attributes:
        host_id: the last host that it was on.
        port: the ofport that it has left by, or the VTEP of a third host that it was sent to.
        frame: as it was then.
        hops: tunnels between the two that it has gone through.
    """

    host_id: str
    port: int | str
    frame: bytes
    hops: int

    @property
    def packet(self) -> Packet:
        return dissect(self.frame)


class TwoHosts:
    """Both hosts of *net*."""

    def __init__(self, each: tuple[DummyOvs, DummyOvs], net: Network, *hosts: Host) -> None:
        self._ovs = {host.id: ovs for host, ovs in zip(hosts, each, strict=True)}
        self.wires: dict[str, Wire] = {}
        self._ids = {str(host.vtep): host.id for host in hosts}
        self._vteps = {host_id: vtep for vtep, host_id in self._ids.items()}
        for host in hosts:
            ovs = self._ovs[host.id]
            for other in net.hosts.values():
                ovs.add_vtep(str(other.vtep))
            self.wires[host.id] = wire = Wire(ovs, net, host, "br-one")
            wire.record_uplink()
        self._udp = {host.id: self._tunnel_port(host.id) for host in hosts}
        self._macs = {host.id: self._mac(host.id) for host in hosts}

    def _tunnel_port(self, host_id: str) -> int:
        shown = self._ovs[host_id].vsctl("get", "interface", "br-one-vx", "options:dst_port")
        return int(shown.strip().strip('"'))

    def close(self) -> None:
        for wire in self.wires.values():
            wire.close()

    def program(self, *host_ids: str) -> None:
        """Give hosts, or all, the flows that their network wants now; connections stay."""
        for host_id in host_ids or self.wires:
            self.wires[host_id].program()
            self.wires[host_id].settle()

    def forget(self) -> None:
        """Let nothing have happened."""
        for wire in self.wires.values():
            wire.forget()

    def send(self, host: Host, ofport: int, *frames: bytes) -> list[Copy]:
        """Return what leaves when *frames* come in by a port of a host."""
        return self._follow([Copy(host.id, ofport, frame, 0) for frame in frames])

    def arrive(self, host: Host, vtep: str, vni: int, frame: bytes) -> list[Copy]:
        """Return what leaves when a third host sends a frame through a tunnel."""
        head = b"\x08\0\0\0" + (vni << 8).to_bytes(4, "big")
        return self._follow([Copy(host.id, 0, self._enclosed(host.id, vtep, head + frame), 0)])

    def _follow(self, entering: list[Copy]) -> list[Copy]:
        """Return what leaves when frames come in by the ports that they name; 0: the underlay."""
        seen: list[Copy] = []
        while entering:
            one = entering.pop(0)
            assert one.hops <= _MOST_HOPS, "a packet goes in circles"
            for ofport, frames in self.wires[one.host_id].send(int(one.port), one.frame).items():
                for frame in frames:
                    copy = Copy(one.host_id, ofport, frame, one.hops)
                    if ofport:
                        seen.append(copy)
                    else:
                        self._tunnelled(copy, entering, seen)
        return seen

    def _tunnelled(self, copy: Copy, entering: list[Copy], seen: list[Copy]) -> None:
        """Take a frame to the other host, or, if it is for a third one, out of its envelope."""
        vtep = str(ipaddress.IPv4Address(copy.frame[30:34]))
        there, data = self._ids.get(vtep), copy.frame[_OUTER:]
        if there is None:
            seen.append(Copy(copy.host_id, vtep, data[_VXLAN:], copy.hops))
            return
        frame = self._enclosed(there, self._vteps[copy.host_id], data)
        entering.append(Copy(there, 0, frame, copy.hops + 1))

    def _enclosed(self, there: str, vtep: str, data: bytes) -> bytes:
        """What a host gets by its underlay from a VTEP: a VXLAN header and a frame in it."""
        ends = f.Ends((_NEXT_HOP, self._macs[there]), (vtep, _LOCAL))
        return f.udp(ends, (40000, self._udp[there]), data)

    def _mac(self, host_id: str) -> str:
        shown = self._ovs[host_id].ofctl("show", UNDERLAY)
        found = re.search(r"LOCAL\(.*?addr:(\S+)", shown)
        assert found is not None, shown
        return found[1]
