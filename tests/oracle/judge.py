"""Who may talk to whom: groups, network ACLs and connections, read as their users read them.

A port judges every packet that it sends or gets, and it judges a packet of a connection as it would
have judged the connection's first packet: by the rules of the direction in which that one passed
this very port. A port that has stateful groups follows all its connections, whichever kind of group
lets them in; a port with stateless groups alone follows none. What a stateless group lets through
by itself passes anyhow.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from vpcctl.model.address_group import AddressGroup
from vpcctl.model.network_acl import AclRule, NetworkAcl
from vpcctl.model.port import Port
from vpcctl.model.security_group import (
    AddressGroupRemote,
    AnyRemote,
    Direction,
    GroupRemote,
    Rule,
    SecurityGroup,
)
from vpcctl.model.subnet import Subnet

Packet = dict[str, str]
Asked = Literal[1, 6, 17, 58]
TCP, UDP, SCTP, ICMP, ICMP6 = 6, 17, 132, 1, 58
WITH_PORTS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}
ND_AND_MLD = {"130", "131", "132", "133", "134", "135", "136", "137", "143"}
QUESTIONS_AND_ANSWERS = {ICMP: {0, 8, 13, 14}, ICMP6: {128, 129}}
ERRORS = {ICMP: {3, 4, 5, 11, 12}, ICMP6: {1, 2, 3, 4}}
NUMBERS = {"tcp": TCP, "udp": UDP, "sctp": SCTP, "icmp": ICMP, "icmp6": ICMP6}


@dataclass(frozen=True)
class Talk:
    """A connection as its first packet said it.

    Attributes:
        family: 4 or 6.
        protocol: number.
        source: who opened it.
        target: to whom.
        first: source port, or ICMP type; None where there is neither.
        second: destination port, or ICMP code.
    """

    family: int
    protocol: int
    source: str
    target: str
    first: int | None
    second: int | None


@dataclass(frozen=True)
class Stage:
    """Where in a connection a packet is.

    Attributes:
        talk: the connection.
        answers: whether the packet goes to who opened it.
        is_first: whether nothing of it has been seen before.
        is_error: whether it is an ICMP error about the connection.
    """

    talk: Talk
    answers: bool = False
    is_first: bool = False
    is_error: bool = False

    def opened(self, direction: Direction) -> Direction:
        """Return the direction of the packet that opened it, from that of the packet at hand."""
        if not self.answers:
            return direction
        return "ingress" if direction == "egress" else "egress"


def talk_of(packet: Packet) -> Talk:
    """Return the connection that *packet* would open."""
    family = 4 if "nw_src" in packet else 6
    source = packet["nw_src"] if family == 4 else packet["ipv6_src"]
    target = packet["nw_dst"] if family == 4 else packet["ipv6_dst"]
    number = int(
        packet.get("nw_proto") or NUMBERS[packet["protocol"].removesuffix("6") + _six(packet)]
    )
    first, second = _numbers(packet, number)
    return Talk(family, number, source, target, first, second)


def _six(packet: Packet) -> str:
    return "6" if packet["protocol"] == "icmp6" else ""


def _numbers(packet: Packet, number: int) -> tuple[int | None, int | None]:
    if packet.get("nw_frag") == "later":
        return None, None
    if number in WITH_PORTS:
        name = WITH_PORTS[number]
        return int(packet[f"{name}_src"]), int(packet[f"{name}_dst"])
    if number in (ICMP, ICMP6):
        name = "icmp" if number == ICMP else "icmpv6"
        return int(packet[f"{name}_type"]), int(packet[f"{name}_code"])
    return None, None


def is_followed(talk: Talk) -> bool:
    """Tell whether connections of this kind exist: others are packets without a past.

    Not all datapaths follow SCTP, and none what ICMP says besides echoes, times and errors, or
    protocol 0. Of other protocols without ports, all between two addresses is one connection.
    """
    if talk.protocol in QUESTIONS_AND_ANSWERS:
        known = QUESTIONS_AND_ANSWERS[talk.protocol] | ERRORS[talk.protocol]
        return talk.first in known
    return talk.protocol not in (SCTP, 0)


class Judge:
    """Judges for one world."""

    def __init__(
        self,
        subnets: Iterable[Subnet],
        ports: Iterable[Port],
        groups: Iterable[SecurityGroup],
        address_groups: Iterable[AddressGroup],
        acls: Iterable[NetworkAcl],
    ) -> None:
        self._subnets = {one.id: one for one in subnets}
        self._ports = tuple(ports)
        self._groups = {one.id: one for one in groups}
        self._address_groups = {one.id: one for one in address_groups}
        self._acls = {one.id: one for one in acls}

    # --- groups -----------------------------------------------------------------------------------

    def may(self, port: Port, direction: Direction, packet: Packet, stage: Stage | None) -> bool:
        """Tell whether *port* may send (egress) or get (ingress) *packet*.

        Args:
            port: whose groups are asked.
            direction: of the packet, said from the port's side.
            packet: as it passes there.
            stage: its place in a connection; None: it opens one, or there are none of its kind.
        """
        if port.groups is None or packet.get("icmpv6_type") in ND_AND_MLD:
            return True
        alone = talk_of(packet)
        if self._passes_by_itself(port, direction, alone):
            return True
        if stage is None or not is_followed(stage.talk):
            return self._allowed(port, direction, alone)
        return self.follows(port) and self._allowed(port, stage.opened(direction), stage.talk)

    def follows(self, port: Port) -> bool:
        """Tell whether *port* knows who opened what."""
        return any(one.stateful for one in self._of(port))

    def _passes_by_itself(self, port: Port, direction: Direction, talk: Talk) -> bool:
        stateless = [one for one in self._of(port) if not one.stateful]
        return any(self._allows(one, port, direction, talk) for one in stateless)

    def _allowed(self, port: Port, direction: Direction, talk: Talk) -> bool:
        return any(self._allows(one, port, direction, talk) for one in self._of(port))

    def _allows(self, group: SecurityGroup, port: Port, direction: Direction, talk: Talk) -> bool:
        other = ipaddress.ip_address(talk.target if direction == "egress" else talk.source)
        home = self._subnets[port.subnet_id]
        return any(
            rule.direction == direction
            and _is_about(rule, talk)
            and self._is_remote(rule, other, home)
            for rule in group.rules
        )

    def _of(self, port: Port) -> list[SecurityGroup]:
        found = [self._groups[one] for one in port.groups or () if one in self._groups]
        return [one for one in found if one.vpc_id == self._subnets[port.subnet_id].vpc_id]

    def _is_remote(self, rule: Rule, address: object, home: Subnet) -> bool:
        remote = rule.remote
        if isinstance(remote, AnyRemote):
            return True
        if isinstance(remote, GroupRemote):
            return address in self._addresses(remote.group_id, home)
        if isinstance(remote, AddressGroupRemote):
            known = self._address_groups.get(remote.address_group_id)
            return known is not None and any(address in block for block in known.cidrs)
        return address in remote

    def _addresses(self, group_id: str, home: Subnet) -> set[object]:
        """Return the addresses of a group's members as a port of the subnet *home* meets them."""
        group = self._groups.get(group_id)
        found: set[object] = set()
        if group is None or group.vpc_id != home.vpc_id:
            return found
        for port in self._ports:
            subnet = self._subnets[port.subnet_id]
            if group_id not in (port.groups or ()) or subnet.vpc_id != home.vpc_id:
                continue
            single = [one.cidr[0] for one in port.allowed_pairs if one.cidr.num_addresses == 1]
            mine = {*port.ips, *single}
            if subnet.ipv6_cidr is not None:
                mine.add(_local(port.mac))
            found |= {one for one in mine if subnet.id == home.id or not one.is_link_local}
        return found

    # --- network ACLs -----------------------------------------------------------------------------

    def leaves(self, subnet: Subnet, packet: Packet) -> bool:
        """Tell whether a subnet's ACL lets out a packet that is to be routed."""
        return self._lets(subnet, "egress", talk_of(packet))

    def enters(self, subnet: Subnet, packet: Packet) -> bool:
        """Tell whether a subnet's ACL lets in a packet that is routed there."""
        return self._lets(subnet, "ingress", talk_of(packet))

    def _lets(self, subnet: Subnet, direction: Direction, talk: Talk) -> bool:
        if subnet.acl_id is None:
            return True
        acl = self._acls.get(subnet.acl_id)
        if acl is None or acl.vpc_id != subnet.vpc_id:
            return False
        other = ipaddress.ip_address(talk.target if direction == "egress" else talk.source)
        about = [
            rule
            for rule in acl.rules
            if rule.direction == direction and other in rule.cidr and _decides(rule, talk)
        ]
        return bool(about) and min(about, key=lambda rule: rule.number).allow


def _decides(rule: AclRule, talk: Talk) -> bool:
    """Tell whether an ACL's rule decides about a packet.

    A later fragment's ports are not known: rules with ports do not let it through, but refuse it.
    """
    if talk.first is None and rule.protocol == talk.protocol and not rule.allow:
        return True
    return _fits(rule, talk)


def _is_about(rule: Rule, talk: Talk) -> bool:
    return rule.family == talk.family and _fits(rule, talk)


def _fits(rule: Rule | AclRule, talk: Talk) -> bool:
    if rule.protocol is None:
        return True
    if rule.protocol != talk.protocol:
        return False
    if rule.ports is not None:
        return talk.second is not None and rule.ports[0] <= talk.second <= rule.ports[1]
    if rule.icmp_type is not None and rule.icmp_type != talk.first:
        return False
    return rule.icmp_code is None or rule.icmp_code == talk.second


def _local(mac: int) -> ipaddress.IPv6Address:
    """Return the link-local address that a MAC leads to (RFC 4291, appendix A)."""
    high, low = mac >> 24 ^ 0x020000, mac & 0xFFFFFF
    return ipaddress.IPv6Address(0xFE80 << 112 | high << 40 | 0xFFFE << 24 | low)
