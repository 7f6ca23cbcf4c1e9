"""A route table: where packets go that leave their VPC's own blocks."""

from dataclasses import dataclass
from typing import Literal

from vpcctl.model.addresses import IPNetwork

TargetKind = Literal["internet", "nat", "port"]


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """One way that a route leads.

    Attributes:
        kind: an internet gateway, a NAT gateway, or a port: a workload that forwards.
        id: of that resource; one that is not there, or of another VPC, is a dead target.
    """

    kind: TargetKind
    id: str


@dataclass(frozen=True, slots=True)
class Route:
    """Where one block of destinations goes.

    Attributes:
        destination: the block, outside all blocks of the VPC, which are local; the longest wins.
        targets: several share the connections between them, a dead one gets none; none at all
            drops what is for the block (a blackhole).
    """

    destination: IPNetwork
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The routes of some subnets of a VPC.

    Attributes:
        id: ``rtb-…``.
        vpc_id: the VPC.
        key: number in flows, 1 … 2**32-1.
        is_main: the table of subnets that name none; one a VPC.
        routes: sorted by destination.
        dead_hosts: hosts that neither report nor are connected, or that those who watch them do not
            see, of those that routes lead to: a port that is on one, or a NAT gateway all of whose
            hosts are among them, gets nothing while a route has other targets.
    """

    id: str
    vpc_id: str
    key: int
    is_main: bool = False
    routes: tuple[Route, ...] = ()
    dead_hosts: tuple[str, ...] = ()
