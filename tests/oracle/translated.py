"""What must become of packets that leave a VPC or come to it, where ways are shared and addresses
translated: the network as its users know it, with a memory of who has spoken to whom.

There is one host, which reaches one external network, and everybody is alive. Where users cannot
know which of several ways a connection takes, any is right; but it keeps the one that it has taken.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from vpcctl.model.eip import Eip
from vpcctl.model.external_network import ExternalNetwork
from vpcctl.model.gateway import Forward, InternetGateway, NatGateway
from vpcctl.model.port import Port
from vpcctl.model.route_table import RouteTable, Target
from vpcctl.model.subnet import Subnet

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Block = ipaddress.IPv4Network | ipaddress.IPv6Network
_GLOBAL = ipaddress.ip_network("2000::/3")


@dataclass(frozen=True)
class Flow:
    """The ends of a packet: TCP (6) or UDP (17)."""

    protocol: int
    source: Address
    source_port: int
    to: Address
    to_port: int

    def back(self) -> "Flow":
        """The packet that answers."""
        return Flow(self.protocol, self.to, self.to_port, self.source, self.source_port)


ON_LINK = frozenset({130, 131, 132, 133, 134, 135, 136, 137, 143})
"""ICMPv6 types that say something about one link: they come from no other, and go to none."""


@dataclass(frozen=True)
class Seen:
    """Where a packet got to: a port, or the world outside (None), and with which ends."""

    at: str | None
    flow: Flow


@dataclass
class Place:
    """A consistent network: one VPC on one host."""

    network: ExternalNetwork
    subnets: Sequence[Subnet]
    ports: Sequence[Port]
    tables: Sequence[RouteTable]
    internet: Sequence[InternetGateway]
    nats: Sequence[NatGateway]
    eips: Sequence[Eip]
    blocks: Sequence[Block] = ()


@dataclass
class Translation:
    """A connection that a NAT gateway knows: as inside has it, and as outside does."""

    nat: str
    inside: Flow
    outside: Flow


@dataclass
class Translated:
    """Judges where packets got to.

    Attributes:
        known: connections of NAT gateways, as they turned out.
        taken: where each connection got to.
    """

    place: Place
    known: list[Translation] = field(default_factory=list)
    taken: dict[Flow, Seen] = field(default_factory=dict)

    # --- out --------------------------------------------------------------------------------------

    def sent(self, port: Port, flow: Flow, got: Seen | None) -> str | None:
        """Say what is wrong about where a packet of a port to the world outside got to."""
        target = self._answered(flow)
        if target is not None:
            return None if got == target else f"an answer must be {target}"
        ways = [self._way(port, flow, one) for one in self._targets(port, flow)]
        if got is None:
            return None if None in ways or not ways else f"it must be one of {ways}"
        if flow in self.taken and self.taken[flow] != got:
            return f"it took another way before: {self.taken[flow]}"
        wrong = [self._disagrees(way, flow, got) for way in ways if way is not None]
        if not wrong or None not in wrong:
            return f"none of {ways}: {wrong}"
        self.taken[flow] = got
        if self._nat_of(got.flow.source) is not None and got.at is None:
            self._remember(flow, got.flow)
        return None

    def _answered(self, flow: Flow) -> Seen | None:
        """What an answer to a forwarded packet looks like outside; None: it is none."""
        for one in self.known:
            if one.inside.back() == flow:
                return Seen(None, one.outside.back())
        return None

    def leads_only_to(self, port: Port, flow: Flow, nat: str) -> bool:
        """Tell whether what a port sends can take no other way than by a NAT gateway."""
        return [one.id for one in self._targets(port, flow)] == [nat]

    def _targets(self, port: Port, flow: Flow) -> list[Target]:
        subnet = next(one for one in self.place.subnets if one.id == port.subnet_id)
        named = [one for one in self.place.tables if one.id == subnet.route_table_id]
        table = (named or [one for one in self.place.tables if one.is_main])[0]
        fit = [one for one in table.routes if flow.to in one.destination]
        longest = max(fit, key=lambda one: one.destination.prefixlen, default=None)
        living = [one for one in longest.targets if self._lives(one, flow)] if longest else []
        # There is one host; what is on a dead one counts while nothing else is there.
        elsewhere = [one for one in living if not table.dead_hosts or one.kind == "internet"]
        return elsewhere or living

    def _lives(self, target: Target, flow: Flow) -> bool:
        if target.kind == "internet":
            return any(one.id == target.id for one in self.place.internet)
        if target.kind == "nat":
            return any(one.id == target.id and one.hosts for one in self.place.nats)
        hop = self._port(target.id)
        return (
            hop is not None
            and not hop.checks_addresses
            and any(ip.version == flow.to.version for ip in hop.ips)
        )

    def _way(self, port: Port, flow: Flow, target: Target) -> Seen | str | None:
        """What a target makes of a packet: where it gets to, the id of a NAT gateway, nothing."""
        if target.kind == "port":
            return Seen(target.id, flow)
        if target.kind == "nat":
            has_eip = any(one.nat_gateway_id == target.id for one in self.place.eips)
            return target.id if flow.to.version == 4 and has_eip else None
        if flow.to.version == 6:
            known = self.place.network.ipv6_cidr is not None
            own = flow.source in port.ips and flow.source in _GLOBAL
            return Seen(None, flow) if known and own else None
        for eip in self.place.eips:
            if eip.port_id == port.id and eip.fixed_ip == flow.source:
                return Seen(None, replace(flow, source=eip.address))
        return None

    def _disagrees(self, way: Seen | str, flow: Flow, got: Seen) -> str | None:
        if isinstance(way, Seen):
            return None if got == way else f"it is not {way}"
        if got.at is not None or self._nat_of(got.flow.source) != way:
            return f"it does not come from an EIP of {way}"
        if got.flow != replace(flow, source=got.flow.source, source_port=got.flow.source_port):
            return "more than its source has changed"
        rival = next((one for one in self.known if one.outside == got.flow), None)
        if rival is not None and rival.inside != flow:
            return f"its port is that of {rival}"
        theirs = next((one for one in self.known if one.inside.source == flow.source), None)
        if theirs is not None and theirs.nat == way and theirs.outside.source != got.flow.source:
            return f"its guest has the EIP of {theirs}"
        return None

    def _nat_of(self, address: Address) -> str | None:
        found = (one.nat_gateway_id for one in self.place.eips if one.address == address)
        return next(found, None)

    def _remember(self, inside: Flow, outside: Flow) -> None:
        nat = self._nat_of(outside.source)
        if nat is not None and all(one.inside != inside for one in self.known):
            self.known.append(Translation(nat, inside, outside))

    # --- in ---------------------------------------------------------------------------------------

    def met(self, kind: int, flow: Flow) -> str | None:
        """Return the port that an ICMPv6 message from outside must get to, if any."""
        seen = None if kind in ON_LINK else self.entered(flow)
        return None if seen is None else seen.at

    def entered(self, flow: Flow) -> Seen | None:
        """Return where a packet from outside must get to; remember it where it opens something."""
        if self._is_within(flow.source):
            return None
        for one in self.known:
            if one.outside.back() == flow:
                return self._at(one.inside.back())
            if one.outside == flow:
                return self._at(one.inside)
        if flow.to.version == 6:
            return self._at(flow) if flow.to in _GLOBAL and self._routes_ipv6(flow) else None
        for eip in self.place.eips:
            if eip.address != flow.to:
                continue
            if eip.fixed_ip is not None:
                return self._at(replace(flow, to=eip.fixed_ip))
            return self._forwarded(eip, flow)
        return None

    def _is_within(self, source: Address) -> bool:
        """Whether a source is somebody's of the VPC: nobody outside may have it."""
        pairs = (pair.cidr for port in self.place.ports for pair in port.allowed_pairs)
        alone = (cidr for cidr in pairs if cidr.num_addresses == 1)
        return any(source in block for block in (*self.place.blocks, *alone))

    def _routes_ipv6(self, flow: Flow) -> bool:
        """Whether the outside reaches a port's address: its table leads IPv6 out."""
        port = next((one for one in self.place.ports if flow.to in one.ips), None)
        if port is None or self.place.network.ipv6_cidr is None:
            return False
        subnet = next(one for one in self.place.subnets if one.id == port.subnet_id)
        named = [one for one in self.place.tables if one.id == subnet.route_table_id]
        table = (named or [one for one in self.place.tables if one.is_main])[0]
        return any(
            target.kind == "internet"
            for route in table.routes
            if route.destination.version == 6
            for target in route.targets
        )

    def _forwarded(self, eip: Eip, flow: Flow) -> Seen | None:
        nat = next((one for one in self.place.nats if one.id == eip.nat_gateway_id), None)
        for one in () if nat is None else nat.forwards:
            if (one.eip, one.protocol) == (flow.to, flow.protocol) and _covers(one, flow.to_port):
                port = one.target_port + flow.to_port - one.ports[0]
                inside = replace(flow, to=one.target, to_port=port)
                self.known.append(Translation(nat.id, inside, flow))  # type: ignore[union-attr]
                return self._at(inside)
        return None

    def _at(self, flow: Flow) -> Seen | None:
        port = next((one for one in self.place.ports if flow.to in one.ips), None)
        return None if port is None else Seen(port.id, flow)

    def _port(self, port_id: str) -> Port | None:
        return next((one for one in self.place.ports if one.id == port_id), None)


def _covers(forward: Forward, port: int) -> bool:
    return forward.ports[0] <= port <= forward.ports[1]
