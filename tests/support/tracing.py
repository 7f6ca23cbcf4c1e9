"""Packets on their way: what ``ofproto/trace`` says becomes of one, over all hosts.

A packet is a dictionary of ``ovs-fields(7)`` names. The datapath's actions are replayed on it, and
what goes into a tunnel is traced again where it comes out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.support.dummy_ovs import DummyOvs
from vpcctl.compile import compile_host
from vpcctl.flows.flow import Flow
from vpcctl.flows.tables import DROP
from vpcctl.flows.text import format_flow, format_unmetered
from vpcctl.model.host import GUEST_SERVICE_OFPORT, STAND_OFPORT
from vpcctl.model.names import NAMES_OFPORT
from vpcctl.model.network import Network

Packet = dict[str, str]

_PROTOCOLS = (
    *("arp", "icmp", "icmp6", "udp", "udp6", "tcp", "tcp6", "sctp", "sctp6", "ip", "ipv6"),
)
_SETS = {
    "eth": {"src": "eth_src", "dst": "eth_dst"},
    "ipv4": {"src": "nw_src", "dst": "nw_dst", "ttl": "nw_ttl"},
    "ipv6": {"src": "ipv6_src", "dst": "ipv6_dst", "hlimit": "nw_ttl"},
    "arp": {
        "sip": "arp_spa",
        "tip": "arp_tpa",
        "op": "arp_op",
        "sha": "arp_sha",
        "tha": "arp_tha",
    },
    "icmp": {"type": "icmp_type", "code": "icmp_code"},
    "icmpv6": {"type": "icmpv6_type", "code": "icmpv6_code"},
    "nd": {"target": "nd_target", "sll": "nd_sll", "tll": "nd_tll"},
    "nd_ext": {"nd_reserved": "nd_reserved", "nd_options_type": "nd_options_type"},
}
_TUNNEL = re.compile(
    r"tnl_push\(tnl_port\((\d+)\).*?dst=([0-9a-f.:]+),(?:label=\w+,)?proto=17.*?vni=(0x[0-9a-f]+)"
)
_NAT = re.compile(r"nat\((src|dst)=([0-9.]+)(?:-[0-9.]+)?(?::(\d+))?")
_RECIRCULATED = re.compile(r"^recirc\((0x[0-9a-f]+)\) - ", re.MULTILINE)
_TOKEN = re.compile(r"[a-z_0-9]+(\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))*\))?")


@dataclass(frozen=True)
class Tracked:
    """What a lookup among the connections finds, on every host and in every zone.

    A trace forgets the connection's first packet after the first lookup on a host and after a
    commit. So there must not be a second one: let each filtered port be on a host of its own.

    Attributes:
        state: as ``ct_state`` is said in traces: ``trk,est,rpl``.
        original: the connection's first packet, in the names ``ct_nw_src``, ``ct_tp_dst``, ….
    """

    state: str
    original: tuple[tuple[str, str], ...] = ()

    def options(self) -> list[str]:
        return ["--ct-next", self.state]

    def fields(self) -> Packet:
        """What the traced packet says, so that it is there after a lookup.

        Open vSwitch takes the fields of the first lookup's result from the packet itself, if that
        claims a state that implies a connection; without ``trk`` no flow sees it before.
        """
        return {"ct_state": "new", **dict(self.original)} if self.original else {}


@dataclass(frozen=True)
class Sent:
    """One copy that leaves a host.

    Attributes:
        ofport: OpenFlow port number that it leaves by.
        packet: its header then.
        vtep: where it goes when it leaves by the tunnel.
        vni: its VNI when it leaves by the tunnel.
    """

    ofport: int
    packet: tuple[tuple[str, str], ...]
    vtep: str | None = None
    vni: int | None = None


@dataclass(frozen=True)
class Delivered:
    """One copy that reaches a port's interface."""

    host_id: str
    ofport: int
    packet: tuple[tuple[str, str], ...]
    vni: int | None = None

    def __getitem__(self, field: str) -> str:
        return dict(self.packet)[field]


@dataclass(frozen=True)
class Entering:
    """A packet that enters a host by one of its ports, see ``Fabric.inject``."""

    host_id: str
    ofport: int
    packet: Packet
    tracked: Tracked | None = None


@dataclass(frozen=True)
class _Under:
    """A packet on its way: of which one it is a copy, and where it enters a host next."""

    at: int
    host_id: str
    packet: Packet
    tracked: Tracked | None
    vni: int | None = None


def written(packet: Mapping[str, str]) -> str:
    """The packet in the syntax of flows: what others require comes first."""
    first = [name for name in _PROTOCOLS if packet.get("protocol") == name]
    rest = [f"{name}={value}" for name, value in packet.items() if name != "protocol"]
    return ",".join((*first, *rest))


def sections(shown: str) -> dict[str, str]:
    """A trace's datapath actions: of the packet as it came (""), and after each recirculation."""
    parts = _RECIRCULATED.split(shown)
    named = zip(["", *parts[1::2]], parts[::2], strict=True)
    found = {
        name: re.search(r"^Datapath actions: (.*)$", text, re.MULTILINE) for name, text in named
    }
    return {name: actions[1] for name, actions in found.items() if actions is not None}


def _translated(action: str, packet: Packet) -> Packet:
    """What a new connection's packet has otherwise after conntrack: the first of what it may."""
    found = _NAT.search(action)
    if found is None:
        return {}
    side, address, port = found.groups()
    changed = {f"nw_{side}": address}
    return changed if port is None else changed | {f"{packet['protocol']}_{side}": port}


def replay(
    parts: Mapping[str, str],
    packet: Packet,
    ofports: Mapping[int, tuple[str, int]],
    actions: str | None = None,
) -> Iterator[Sent]:
    """Yield the copies that datapath actions send, with the headers that they have by then.

    *parts* are a trace's ``sections``; *actions* are those to start with, else the first ones.
    """
    packet = dict(packet)
    actions = parts[""] if actions is None else actions
    after_push = False
    for token in (found.group(0) for found in _TOKEN.finditer(actions)):
        if token.startswith("clone("):
            yield from replay(parts, packet, ofports, token[6:-1])
        elif token.startswith("recirc("):
            yield from replay(parts, packet, ofports, parts[token[7:-1]])
        elif token.startswith("set("):
            kind, _, values = token[4:-2].partition("(")
            for name, value in re.findall(r"([a-z_]+)=([^,()]+)", values):
                packet[_SETS[kind][name]] = value
        elif push := _TUNNEL.match(token):
            _, ofport = ofports[int(push[1])]
            yield Sent(ofport, tuple(packet.items()), push[2], int(push[3], 16))
            after_push = True
        elif token.startswith("ct("):
            packet |= _translated(token, packet)
        elif token.isdigit() and not after_push:
            yield Sent(ofports[int(token)][1], tuple(packet.items()))
        elif not token.isdigit() and not token.startswith(("drop", "ct_clear", "meter(")):
            raise AssertionError(f"an action that no flow should lead to: {token}")


def dropped_for(shown: str) -> int | None:
    """Number of the reason in the flow of table Drop that a trace ends in; None: in none."""
    found = re.findall(
        rf"^ *{DROP.number}\. (?:reg[01]=\w+,)?reg6=(0x[0-9a-f]+)", shown, re.MULTILINE
    )
    return int(found[-1], 16) if found else None


class Fabric:
    """All hosts of a network as bridges of one dummy Open vSwitch.

    Attributes:
        shown: the traces of what was injected last, in order.
    """

    def __init__(
        self,
        ovs: DummyOvs,
        net: Network,
        prefix: str,
        ofports: Iterable[int] = (),
        *,
        metered: bool = False,
    ) -> None:
        """Make the hosts and give them their flows.

        *ofports* are interfaces that each host has besides those of its ports; *metered* says
        whether flows have their meters.
        """
        self._ovs, self._metered = ovs, metered
        self.shown: list[str] = []
        self._net = net
        self._bridges = {host_id: f"{prefix}-{n}" for n, host_id in enumerate(sorted(net.hosts))}
        self._by_vtep: dict[str, str] = {}
        for host_id, bridge in self._bridges.items():
            host = net.hosts[host_id]
            used = {one.ofport for one in net.locations.values() if one.host_id == host_id}
            used.update(ofports)
            used.update(one.ofport for one in (*host.outside, *host.watches))
            if host.has_guest_port or host.outside:
                used.update((GUEST_SERVICE_OFPORT, NAMES_OFPORT, STAND_OFPORT))
            ovs.add_bridge(bridge, host.tunnel_ofport or 1, sorted(used))
            if host.vtep is not None:
                ovs.add_vtep(str(host.vtep))
                self._by_vtep[str(host.vtep)] = host_id
        self._ofports = self._port_numbers()
        self.program()

    def close(self) -> None:
        self._ovs.delete_bridges(self._bridges.values())

    def _port_numbers(self) -> dict[int, tuple[str, int]]:
        """Bridge and OpenFlow number of the datapath's ports."""
        found: dict[int, tuple[str, int]] = {}
        for line in self._ovs.control.call("dpif/show").splitlines():
            if port := re.match(r"\s+(\S+) (\d+)/(\d+):", line):
                found[int(port[3])] = (port[1].rsplit("-", 1)[0], int(port[2]))
        return found

    def flows(self, host_id: str) -> list[Flow]:
        return [flow for flows in compile_host(self._net, host_id) for flow in flows]

    def program(self, instead: Mapping[str, Iterable[Flow]] | None = None) -> None:
        """Give every host its flows, or those given *instead*."""
        for host_id in instead or self._bridges:
            flows = instead[host_id] if instead else self.flows(host_id)
            self._write(self._bridges[host_id], list(flows))

    def _write(self, bridge: str, flows: Sequence[Flow]) -> None:
        if not self._metered:
            self._ovs.replace_flows(bridge, map(format_unmetered, flows))
            return
        self._ovs.ofctl("del-meters", bridge)
        for meter in sorted({flow.meter for flow in flows if flow.meter is not None}):
            self._ovs.ofctl("add-meter", bridge, str(meter))
        self._ovs.replace_flows(bridge, (format_flow(flow, names=False) for flow in flows))

    def inject(
        self, host_id: str, ofport: int, packet: Packet, tracked: Tracked | None = None
    ) -> list[Delivered]:
        """What becomes of a packet that enters a host by one of its ports.

        Only a packet's delivery to ports' interfaces is returned, in order. *tracked* is what
        lookups among connections find; None: nothing is found and the packet is a new one's.
        """
        return self.inject_all([Entering(host_id, ofport, packet, tracked)])[0]

    def inject_all(self, entering: Sequence[Entering]) -> list[list[Delivered]]:
        """What becomes of each of many packets, see ``inject``; the order of each is any."""
        return self._follow(
            [
                _Under(at, one.host_id, {"in_port": str(one.ofport), **one.packet}, one.tracked)
                for at, one in enumerate(entering)
            ],
            hops=3,
        )

    def arrive(self, host_id: str, vtep: str, vni: int, packet: Packet) -> list[Delivered]:
        """What becomes of a packet that reaches a host's tunnel from *vtep*."""
        packet = self._tunnelled(host_id, vtep, vni, packet)
        return self._follow([_Under(0, host_id, packet, None, vni)], hops=2)[0]

    def _tunnelled(self, host_id: str, vtep: str, vni: int, packet: Packet) -> Packet:
        host = self._net.hosts[host_id]
        source, target = ("tun_ipv6_src", "tun_ipv6_dst") if ":" in vtep else ("tun_src", "tun_dst")
        port = str(host.tunnel_ofport)
        tunnel = {"in_port": port, "tun_id": str(vni), source: vtep, target: str(host.vtep)}
        return {**packet, **tunnel}

    def _follow(self, waiting: Sequence[_Under], hops: int) -> list[list[Delivered]]:
        """Follow packets from host to host, all of them together."""
        found: list[list[Delivered]] = [[] for _ in waiting]
        self.shown = []
        for _ in range(hops):
            questions = [self._question(one.host_id, one.packet, one.tracked) for one in waiting]
            shown = self._ovs.control.call_many("ofproto/trace", questions)
            self.shown += shown
            further: list[_Under] = []
            for one, text in zip(waiting, shown, strict=True):
                for sent in replay(sections(text), one.packet, self._ofports):
                    if sent.vtep is None:
                        arrived = Delivered(one.host_id, sent.ofport, sent.packet, one.vni)
                        found[one.at].append(arrived)
                    else:
                        further.append(self._onward(one, sent))
            waiting = further
        assert not waiting, "a packet goes in circles"
        return found

    def _onward(self, before: _Under, sent: Sent) -> _Under:
        assert sent.vtep is not None
        assert sent.vni is not None
        there = self._by_vtep[sent.vtep]
        assert there != before.host_id, "a host sends a packet to itself through the tunnel"
        own = str(self._net.hosts[before.host_id].vtep)
        packet = self._tunnelled(there, own, sent.vni, dict(sent.packet))
        return _Under(before.at, there, packet, before.tracked, sent.vni)

    def trace(self, host_id: str, packet: Packet, tracked: Tracked | None = None) -> list[Sent]:
        """What one host does with a packet."""
        parts = sections(self.explain(host_id, packet, tracked))
        return list(replay(parts, packet, self._ofports))

    def explain(self, host_id: str, packet: Packet, tracked: Tracked | None = None) -> str:
        """The whole trace as text."""
        return self._ovs.control.call("ofproto/trace", *self._question(host_id, packet, tracked))

    def _question(self, host_id: str, packet: Packet, tracked: Tracked | None) -> list[str]:
        asked = packet if tracked is None else {**packet, **tracked.fields()}
        options = () if tracked is None else tracked.options()
        return [self._bridges[host_id], written(asked), *options]

    def explain_frame(self, host_id: str, ofport: int, frame: bytes) -> str:
        """The whole trace of a frame that comes in by a port."""
        question = (self._bridges[host_id], f"in_port={ofport}", frame.hex())
        return self._ovs.control.call("ofproto/trace", *question)

    def reason(self, host_id: str, packet: Packet) -> int | None:
        """Number of the reason that one host drops a packet for, as table Drop has seen it."""
        return dropped_for(self.explain(host_id, packet))
