"""Security groups: which traffic the ports in them may send and get. Rules only ever allow."""

from dataclasses import dataclass
from typing import Literal

from vpcctl.model.addresses import IPNetwork

Direction = Literal["ingress", "egress"]
"""Said from the workload's side: ingress is what a port gets."""
Family = Literal[4, 6]


@dataclass(frozen=True, slots=True)
class AnyRemote:
    """Whoever it is."""


@dataclass(frozen=True, slots=True)
class GroupRemote:
    """The ports of a security group of the same VPC, by their own addresses."""

    group_id: str


@dataclass(frozen=True, slots=True)
class AddressGroupRemote:
    """The addresses in an address group."""

    address_group_id: str


Remote = AnyRemote | IPNetwork | GroupRemote | AddressGroupRemote


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a group: what it allows.

    Attributes:
        id: ``sgr-…``.
        key: number of this rule in cookies and registers, 1 … 2**32-1.
        direction: from the workload's side.
        family: 4 or 6.
        protocol: IP protocol number 0 … 255, or None for any.
        ports: first and last destination port; only for TCP, UDP and SCTP; None for all.
        icmp_type: only for ICMP and ICMPv6; None for all.
        icmp_code: only with a type; None for all.
        remote: who is on the other side.
    """

    id: str
    key: int
    direction: Direction
    family: Family
    protocol: int | None = None
    ports: tuple[int, int] | None = None
    icmp_type: int | None = None
    icmp_code: int | None = None
    remote: Remote = AnyRemote()


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A group: its ports may do what any rule of any of their groups allows, and nothing else.

    Attributes:
        id: ``sg-…``.
        vpc_id: its VPC; only ports of that VPC can be in it.
        key: number of this group in flows, 1 … 2**31-1; also its conjunction's id.
        rules: sorted by key.
        stateful: False: each packet is judged by itself, replies too.
        keep_established: True: what a rule let in goes on until it ends when the rule is removed.
    """

    id: str
    vpc_id: str
    key: int
    rules: tuple[Rule, ...] = ()
    stateful: bool = True
    keep_established: bool = False
