"""Who may hold a place, of which a host has so many: connections, questions under way elsewhere."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

PER_PORT, ALTOGETHER = 16, 512


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One that is held.

    Attributes:
        tenant: who holds it.
        key: of the port for which it is held.
        give_up: ends what it is held for.
    """

    tenant: str
    key: int
    give_up: Callable[[], object]


class Gate:
    """Places that are shared between tenants.

    One port has so many at most, and so has the host. Where the host has none left, whoever comes
    takes that of a tenant that holds more than one more, or else that of a port of its own tenant
    that does: the one that has been held longest by the greediest port of the greediest. So a
    tenant with many ports shuts nobody out, and equals do not take turns for nothing.

    Args:
        what: the first part of the names by which refusals are counted.
        counts: where they are counted.
        per_port: places of one port.
        altogether: places of the host.
    """

    def __init__(
        self,
        what: str,
        counts: Counter[str],
        per_port: int = PER_PORT,
        altogether: int = ALTOGETHER,
    ) -> None:
        self._what = what
        self._counts = counts
        self._per_port = per_port
        self._altogether = altogether
        self._held: dict[str, dict[int, dict[Place, None]]] = {}
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many places are held."""
        return self._of.total()

    def enter(self, tenant: str, key: int, give_up: Callable[[], object]) -> Place | None:
        """Return a place for a port; None: there is none for it, which is counted.

        Args:
            tenant: whose port it is.
            key: of the port.
            give_up: called when the place is taken away; it may call :meth:`leave` or not.
        """
        if len(self._held.get(tenant, {}).get(key, ())) >= self._per_port:
            self._counts[f"{self._what}-port-limit"] += 1
            return None
        if len(self) >= self._altogether and not self._make_room(tenant, key):
            self._counts[f"{self._what}-host-limit"] += 1
            return None
        place = Place(tenant, key, give_up)
        self._held.setdefault(tenant, {}).setdefault(key, {})[place] = None
        self._of[tenant] += 1
        return place

    def leave(self, place: Place) -> None:
        """Give a place back; one that was taken away is none any more."""
        ports = self._held.get(place.tenant, {})
        places = ports.get(place.key, {})
        if place not in places:
            return
        del places[place]
        self._of[place.tenant] -= 1
        if not places:
            del ports[place.key]
        if not ports:
            del self._held[place.tenant], self._of[place.tenant]

    def _make_room(self, tenant: str, key: int) -> bool:
        """Take a place away for a port that has come; tell whether there was one to take."""
        other = max(self._of, key=self._of.__getitem__)
        if self._of[other] <= self._of[tenant] + 1:
            other = tenant
        ports = self._held.get(other, {})
        port = max(ports, key=lambda one: len(ports[one]), default=key)
        if other == tenant and len(ports.get(port, ())) <= len(ports.get(key, ())) + 1:
            return False
        place = next(iter(ports[port]))
        self.leave(place)
        self._counts[f"{self._what}-crowded-out"] += 1
        place.give_up()
        return True
