"""In what order a difference is sent, where it does not fit into one atomic bundle. Pure.

Written from the end of the pipeline to its start, so that no packet meets a table that is not
ready for it; deleted from the start to the end, so that nothing is led where nothing is left.
Deletions come last: a flow's successor is there before it goes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from vpcctl.flows.flow import Flow
from vpcctl.reconcile.delta import Delta

Operation = Literal["write", "delete"]


@dataclass(frozen=True, slots=True)
class Step:
    """One flow-mod: an addition that overwrites, or a strict deletion."""

    operation: Operation
    flow: Flow


def steps(delta: Delta) -> Iterator[Step]:
    """Yield what *delta* says, in sending order."""
    writes = sorted((*delta.add, *delta.modify), key=lambda flow: -flow.table.number)
    yield from (Step("write", flow) for flow in writes)
    deletes = sorted(delta.delete, key=lambda flow: flow.table.number)
    yield from (Step("delete", flow) for flow in deletes)


def bundles(delta: Delta, size: int) -> Iterator[tuple[Step, ...]]:
    """Yield the steps of *delta* in bundles of at most *size*."""
    todo = steps(delta)
    while bundle := tuple(islice(todo, size)):
        yield bundle
