"""Network ACLs: ordered rules for what enters and leaves a subnet, each packet by itself."""

from dataclasses import dataclass

from vpcctl.model.addresses import IPNetwork
from vpcctl.model.security_group import Direction


@dataclass(frozen=True, slots=True)
class AclRule:
    """One line; of those that match a packet, the one with the lowest number decides.

    Attributes:
        number: 1 … 32766, unique within a direction of an ACL.
        direction: ``ingress``: what enters the subnet.
        allow: whether it lets through or drops.
        cidr: the other side's addresses; its family is the rule's.
        protocol: IP protocol number 0 … 255, or None for any.
        ports: first and last destination port; only for TCP, UDP and SCTP; None for all.
        icmp_type: only for ICMP and ICMPv6; None for all.
        icmp_code: only with a type; None for all.
    """

    number: int
    direction: Direction
    allow: bool
    cidr: IPNetwork
    protocol: int | None = None
    ports: tuple[int, int] | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None


@dataclass(frozen=True, slots=True)
class NetworkAcl:
    """An ACL; what no rule decides is dropped.

    It is asked about what is routed into or out of a subnet, never about traffic within one.

    Attributes:
        id: ``nacl-…``.
        vpc_id: its VPC; only subnets of that VPC can have it.
        key: number of this ACL in flows, 1 … 2**32-1.
        rules: sorted by direction, then number.
    """

    id: str
    vpc_id: str
    key: int
    rules: tuple[AclRule, ...] = ()
