"""The difference between the flows that should be and the flows that are. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vpcctl.flows.cookie import is_ours
from vpcctl.flows.flow import Flow, FlowKey


@dataclass(frozen=True, slots=True)
class Delta:
    """What has to be done to a switch.

    Attributes:
        add: missing flows.
        modify: flows that are there with other actions or another cookie.
        delete: alien flows: they carry our mark and should not be there.
    """

    add: tuple[Flow, ...]
    modify: tuple[Flow, ...]
    delete: tuple[Flow, ...]

    def __bool__(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.add or self.modify or self.delete)

    @property
    def drift(self) -> int:
        """Number of flows that were not as they should be."""
        return len(self.add) + len(self.modify) + len(self.delete)


def by_key(flows: Iterable[Flow]) -> dict[FlowKey, Flow]:
    """Return *flows* by their key.

    Raises:
        ValueError: two different flows have the same key.
    """
    found: dict[FlowKey, Flow] = {}
    for flow in flows:
        if found.setdefault(flow.key, flow) != flow:
            raise ValueError(f"two flows of one key in table {flow.table.name}: {flow.match}")
    return found


def diff(desired: Iterable[Flow], actual: Iterable[Flow]) -> Delta:
    """Return what leads from *actual* to *desired*.

    Flows without our mark are left alone, unless one is in the way of a desired flow.

    Raises:
        ValueError: two different desired flows have the same key.
    """
    wanted = by_key(desired)
    present = {flow.key: flow for flow in actual}
    return Delta(
        add=tuple(flow for key, flow in wanted.items() if key not in present),
        modify=tuple(
            flow for key, flow in wanted.items() if key in present and present[key] != flow
        ),
        delete=tuple(
            flow for key, flow in present.items() if key not in wanted and is_ours(flow.cookie)
        ),
    )


def difference(
    before: tuple[Flow, ...], after: tuple[Flow, ...]
) -> tuple[tuple[Flow, ...], tuple[Flow, ...]]:
    """Return (removed, written): flows whose key goes, and flows that are new or different.

    A switch hands the counts of a flow on to the one that overwrites it. Where that is for another
    object, by its cookie, the old one goes before it is written: it may have counted another rule.
    What this costs follows the two tuples, which are one piece's flows and so few.
    """
    if not before or not after:
        return before, after
    old = {flow.key: flow for flow in before}
    written, others = list[Flow](), list[Flow]()
    for flow in after:
        found = old.pop(flow.key, None)
        if found == flow:
            continue
        written.append(flow)
        if found is not None and found.cookie != flow.cookie:
            others.append(found)
    return (*old.values(), *others), tuple(written)


def merged(pieces: Iterable[tuple[Flow, ...]]) -> Iterator[Flow]:
    """Yield the flows of *pieces* one after the other."""
    for flows in pieces:
        yield from flows
