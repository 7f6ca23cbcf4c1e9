"""Drops by reason, added up from what audits read anyway.

A switch's counts are those of its flows: they begin at 0 when a flow is put in and go with it. A
metric must only grow, so what is added to it is what flows have counted since they were read last.
"""

from collections import Counter
from collections.abc import Mapping

from vpcctl.flows.reasons import Reason
from vpcctl.model.counters import Drops
from vpcctl.pipeline.counters import reason_of
from vpcctl.southbound.codec import messages as m

Counts = Mapping[bytes, int]
"""Packets that flows of table Drop have counted, by the flows' keys; those without any are left
out, which most are."""


class DropTally:
    """What switches have dropped since this process reads them; keeps the last counts of each."""

    def __init__(self) -> None:
        self._last: dict[str, Counts] = {}
        self._seen = Drops({reason.text: 0 for reason in Reason}, {})

    @property
    def seen(self) -> Drops:
        """What has been added up."""
        return self._seen

    def read(self, host_id: str, counts: Counts) -> None:
        """Add what a host's switch has dropped since it was read last.

        What it has dropped before it is read for the first time is no news: a southbound that
        restarts would tell of it once more.
        """
        last = self._last.get(host_id)
        self._last[host_id] = counts
        if last is None:
            return
        news = _news(last, counts)
        for sums in (self._seen.by_reason, self._seen.by_host.setdefault(host_id, {})):
            for reason, packets in news.items():
                sums[reason] = sums.get(reason, 0) + packets

    def forget(self, host_id: str) -> None:
        """Forget a host that is deleted; what it has dropped stays in the sums of all hosts."""
        self._last.pop(host_id, None)
        self._seen.by_host.pop(host_id, None)


def _news(last: Counts, counts: Counts) -> Counter[str]:
    """Return by reason what is new in *counts*; less than before means that a flow is new."""
    found = Counter[str]()
    for key, packets in counts.items():
        before = last.get(key, 0)
        if packets != before:
            found[_reason(key)] += packets - before if packets > before else packets
    return found


def _reason(key: bytes) -> str:
    try:
        return reason_of(m.decode_key(key))
    except ValueError:
        return reason_of(())
