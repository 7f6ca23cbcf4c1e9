"""What a batch of changes does to the flow programs of the hosts.

How to send a ``HostChange``: first delete what ``departed`` and ``removed`` name, then write
``written``, then ``program()`` piece by piece (lazily, in as many bundles as wanted), always after
the meters that the flows name. A host's transitions must be sent in the order in which they were
planned, each to its end; then it does not matter that a later batch was applied to the network
while ``program()`` was still being read.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vpcctl.flows.flow import Flow
from vpcctl.model.relay import Relay
from vpcctl.pipeline.pieces import Piece

FlowTuple = tuple[Flow, ...]
"""Flows of one piece. Shared pieces give the same object to all hosts: encode it once."""


@dataclass(frozen=True, slots=True, eq=False)
class HostChange:
    """What one host has to do.

    Attributes:
        host_id: the host.
        departed: cookies; every flow that has one of them goes. Used when a VPC leaves a host.
        removed: flows to delete strictly (table, priority, match).
        written: flows to add or overwrite, the most urgent first; of VPCs that are new on this
            host what the arriving ports need at once.
        program: yields the other flows of VPCs that are new on this host; call it once.
        has_program: whether there may be such flows.
        unmetered: numbers of meters that no flow of the host names any more; delete them last,
            because a switch deletes the flows that name them too.
        relays: tell whoever keeps the relays when this host has confirmed everything here.
    """

    host_id: str
    departed: tuple[int, ...]
    removed: tuple[FlowTuple, ...]
    written: tuple[FlowTuple, ...]
    program: Callable[[], Iterator[FlowTuple]]
    has_program: bool
    unmetered: tuple[int, ...] = ()
    relays: tuple[Relay, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Transition:
    """What a batch did.

    Attributes:
        revision: the revision that the network is at now.
        hosts: the change of every host that has one, by host id.
        gone: hosts that are not part of the network any more.
        touched: pieces that were evaluated again; whoever caches by piece drops these.
    """

    revision: int
    hosts: dict[str, HostChange]
    gone: tuple[str, ...]
    touched: tuple[Piece, ...]
