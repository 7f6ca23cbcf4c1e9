"""One switch's meters: what it can do with them, and what it has refused.

Bundles take no meters. They are written in front of the bundle whose flows name them, and deleted
after the one whose flows do no more: a switch deletes flows that name a meter along with it.
"""

from collections.abc import Callable, Iterable

from vpcctl.flows.flow import Flow
from vpcctl.flows.meter import OUTSIDE, Meter
from vpcctl.southbound.codec import meters as codec

_PLENTY = OUTSIDE.stop - 1


class Meters:
    """What is known of one switch, for as long as it is connected.

    Attributes:
        most: the highest number that it takes; 0: it has no meters.
        refused: what it said of meters that it did not take, by number.
        news: whether it has refused one since this was last set to False.
    """

    def __init__(self) -> None:
        self.most = _PLENTY
        self.refused: dict[int, str] = {}
        self.news = False
        self._adding: dict[int, int] = {}
        self._modifying: dict[int, int] = {}

    def learn(self, features: codec.Features) -> None:
        """Take in what the switch says that it can do."""
        self.most = features.most

    def takes(self, meter: Meter) -> bool:
        """Tell whether the switch can have *meter*."""
        return meter.id <= self.most and meter.id not in self.refused

    def fitted(self, flows: tuple[Flow, ...]) -> tuple[Flow, ...]:
        """Return *flows* without meters that the switch cannot have; the same object if all can."""
        if self.most >= _PLENTY and not self.refused:
            return flows
        if all(flow.meter is None or self.takes(flow.meter) for flow in flows):
            return flows
        return tuple(
            flow if flow.meter is None or self.takes(flow.meter) else flow._replace(meter=None)
            for flow in flows
        )

    def forgive(self) -> None:
        """Try again with what was refused."""
        self.refused.clear()

    def writes(self, meters: Iterable[Meter], next_xid: Callable[[], int]) -> bytes:
        """Return the messages that make *meters* what they should be, there already or not.

        Each is added and then modified: nobody needs to know which of both it takes.
        """
        parts: list[bytes] = []
        for meter in meters:
            adding, modifying = next_xid(), next_xid()
            self._adding[adding], self._modifying[modifying] = meter.id, meter.id
            parts += (codec.add_meter(meter, adding), codec.modify_meter(meter, modifying))
        return b"".join(parts)

    def settle(self) -> None:
        """Note that everything written has been answered."""
        self._adding.clear()
        self._modifying.clear()

    def on_error(self, xid: int, kind: int, code: int, text: str) -> bool:
        """Take an error; tell whether it was about a meter."""
        number = self._adding.get(xid)
        if number is not None:
            if (kind, code) != (codec.METER_MOD_FAILED, codec.METER_EXISTS):
                self._refuse(number, text)
            return True
        number = self._modifying.get(xid)
        if number is not None:
            self._refuse(number, text)
        return number is not None

    def _refuse(self, number: int, text: str) -> None:
        self.news = self.news or number not in self.refused
        self.refused.setdefault(number, text)
