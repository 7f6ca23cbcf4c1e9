"""Hand-written NAT: the limit of what this datapath can do for traffic with the outside.

An EIP is two rewritten addresses, one a direction, without conntrack. The NAT gateway is
conntrack's ``nat`` on the first host that reaches the network.
"""

from collections.abc import Sequence

from bench.addressing import GATEWAY_MAC
from bench.host import Host
from bench.outside import BLOCK, BRIDGE, NAT_EIP, REACH, ROUTER_MAC, Eip
from bench.systems.static import Flows, Static
from bench.world import Guest

INSIDE, OUTSIDE = "to-outside", "to-inside"
"""Names of the patch ports on br-int and on the provider's bridge."""

NAT_MAC = "0e:00:00:ee:00:20"
_EIP_VNI, _NAT_VNI = 300, 301
_ZONE, _OUT, _IN = 9, 10, 11


class StaticExternal:
    """The flows of EIPs and of the NAT gateway, on the gateway host and on the guests' hosts."""

    def __init__(self, static: Static) -> None:
        self._static = static
        self._gateway = static.world.host(REACH[0])
        self._eips: dict[str, tuple[Eip, Guest]] = {}

    def open(self) -> None:
        """Join br-int to the provider's bridge on the gateway host; lead subnet 0 outside."""
        if not self._gateway.has_interface(INSIDE):
            self._gateway.add_patch("br-int", INSIDE, OUTSIDE)
            self._gateway.add_patch(BRIDGE, OUTSIDE, INSIDE)
        self._static.world.outside.know(Eip(NAT_EIP, NAT_MAC))
        self._write(is_open=True)

    def close(self) -> None:
        """Take the flows back."""
        self._eips.clear()
        self._write(is_open=False)

    def associate(self, eip: Eip, guest: Guest) -> None:
        """Write the flows of an EIP."""
        self._static.world.outside.know(eip)
        self._eips[eip.address] = (eip, guest)
        self._write(is_open=True)

    def disassociate(self, eip: Eip) -> None:
        """Take the flows of an EIP back."""
        self._eips.pop(eip.address, None)
        self._write(is_open=True)

    def _write(self, *, is_open: bool) -> None:
        self._static.add_flows(self._flows if is_open else dict)

    def _flows(self) -> Flows:
        flows: Flows = {}
        guests = self._static.guests()
        wire = self._gateway.ofport(INSIDE)
        for eip, guest in self._eips.values():
            if guest in guests:
                self._add(flows, guest, self._eip_flows(eip, guest, wire))
        for guest in guests:
            if guest.spec.subnet == 0 and guest.host is not self._gateway:
                self._add(flows, guest, _nat_flows(guest, self._to(guest), wire))
        flows.setdefault(self._gateway.name, []).extend(_nat_gateway(self._tunnel(), wire))
        return flows

    def _eip_flows(self, eip: Eip, guest: Guest, wire: int) -> list[str]:
        return [
            f"in_port={wire},ip,nw_dst={eip.address},"
            f"actions=set_field:{guest.spec.address}->ip_dst,{self._to(guest)}",
            f"{self._from(guest, _EIP_VNI)},ip,nw_src={guest.spec.address},nw_dst={BLOCK},"
            f"actions=set_field:{eip.address}->ip_src,{_leave(eip.mac, wire)}",
        ]

    def _tunnel(self) -> int:
        return self._gateway.ofport("vxlan")

    def _to(self, guest: Guest) -> str:
        """Return the gateway host's actions that route a packet to a guest."""
        route = f"dec_ttl,set_field:{GATEWAY_MAC}->eth_src,set_field:{guest.spec.mac}->eth_dst"
        if guest.host is self._gateway:
            return f"{route},output:{guest.host.ofport(guest.device)}"
        return f"{route},{_through(guest.host, 100 + guest.spec.subnet, self._tunnel())}"

    def _from(self, guest: Guest, vni: int) -> str:
        """Return what the gateway host knows a guest's packets for the outside by."""
        if guest.host is self._gateway:
            return f"in_port={guest.host.ofport(guest.device)},dl_dst={GATEWAY_MAC}"
        return f"in_port={self._tunnel()},tun_id={vni}"

    def _add(self, flows: Flows, guest: Guest, there: Sequence[str]) -> None:
        """Add a guest's flows of the gateway host, and the one of its own that leads there."""
        flows.setdefault(self._gateway.name, []).extend(there)
        if guest.host is self._gateway:
            return
        vni = _NAT_VNI if guest.spec.subnet == 0 else _EIP_VNI
        onward = _through(self._gateway, vni, guest.host.ofport("vxlan"))
        flow = f"in_port={guest.host.ofport(guest.device)},ip,dl_dst={GATEWAY_MAC},nw_dst={BLOCK},"
        flows.setdefault(guest.host.name, []).append(f"{flow}actions={onward}")

    def active(self) -> Host:
        """Return the gateway host: there is only one."""
        return self._gateway

    def kill(self, host: Host) -> None:
        """Do nothing: nothing runs there."""

    def revive(self, host: Host) -> None:
        """Do nothing."""


def _through(host: Host, vni: int, tunnel: int) -> str:
    return f"set_field:{vni}->tun_id,set_field:{host.vtep}->tun_dst,output:{tunnel}"


def _leave(mac: str, wire: int) -> str:
    macs = f"set_field:{mac}->eth_src,set_field:{ROUTER_MAC}->eth_dst"
    return f"dec_ttl,{macs},output:{wire}"


def _nat_gateway(tunnel: int, wire: int) -> list[str]:
    """Return the gateway host's flows that are the same for whoever goes outside."""
    translate = f"ct(commit,zone={_ZONE},table={_OUT},nat(src={NAT_EIP}))"
    return [
        f"in_port={tunnel},tun_id={_NAT_VNI},ip,actions={translate}",
        f"table={_OUT},ip,actions={_leave(NAT_MAC, wire)}",
        f"in_port={wire},ip,nw_dst={NAT_EIP},actions=ct(zone={_ZONE},table={_IN},nat)",
    ]


def _nat_flows(guest: Guest, to: str, wire: int) -> list[str]:
    return [f"table={_IN},in_port={wire},ip,nw_dst={guest.spec.address},actions={to}"]
