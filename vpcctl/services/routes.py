"""Routes as they are asked for: what can be said without the database, and what leads in a circle.

Pure. Everything here raises a problem that names the field and says what would be accepted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from vpcctl.model.addresses import IPNetwork
from vpcctl.model.ids import Kind, is_id
from vpcctl.model.problems import Conflict, Invalid
from vpcctl.services import rules
from vpcctl.services.routing_views import RouteWanted
from vpcctl.services.traffic import field_at
from vpcctl.store.routes import StoredRoute

MOST_TARGETS = 8
"""Targets of one route; connections are shared among them."""
ALIKE: tuple[tuple[str, ...], ...] = (
    ("0.0.0.0/0", "0.0.0.0/1"),
    ("0.0.0.0/0", "128.0.0.0/1"),
    ("::/0", "::/1", "2000::/3"),
    ("::/0", "8000::/1"),
)
"""Destinations that count as default routes, because most of the world is in them: everything, the
halves that are everything together, and all that is routed of IPv6. Those of a line overlap: what
one leads to, another may lead back."""
DEFAULTS: tuple[str, ...] = tuple(dict.fromkeys(one for line in ALIKE for one in line))
TARGET_KINDS: dict[str, Kind] = {"internet": "igw", "nat": "nat", "port": "port"}
TARGETS = "ids of internet gateways (igw-…), NAT gateways (nat-…) or ports (port-…) of the VPC"

TargetKind = Literal["internet", "nat", "port"]


@dataclass(frozen=True, slots=True)
class ParsedRoute:
    """A route that is well formed.

    Attributes:
        destination: the block.
        targets: (kind, id), in the request's order.
        description: free text.
        at: where it stands in the request.
    """

    destination: IPNetwork
    targets: tuple[tuple[str, str], ...]
    description: str
    at: str

    @property
    def stored(self) -> StoredRoute:
        """It as rows keep it."""
        return StoredRoute(str(self.destination), self.targets, self.description)

    def target_field(self, place: int) -> str:
        """Return the dotted name of the target at *place*."""
        return field_at(self.at, f"targets.{place}")


def parse(wanted: Sequence[RouteWanted]) -> list[ParsedRoute]:
    """Return routes that are well formed; no two have one destination.

    Raises:
        Problem: Invalid, Conflict (a destination twice).
    """
    found = [_parse(one) for one in wanted]
    seen: set[IPNetwork] = set()
    for route in found:
        if route.destination in seen:
            raise Conflict(
                f"There are two routes to {route.destination}.",
                field=field_at(route.at, "destination"),
                accepted="each destination once; one route may have several targets",
            )
        seen.add(route.destination)
    return found


def _parse(wanted: RouteWanted) -> ParsedRoute:
    block = destination(field_at(wanted.at, "destination"), wanted.destination)
    if len(wanted.targets) > MOST_TARGETS:
        raise Invalid(
            f"The route has {len(wanted.targets)} targets.",
            field=field_at(wanted.at, "targets"),
            accepted=f"at most {MOST_TARGETS} targets",
        )
    targets: list[tuple[str, str]] = []
    for place, id in enumerate(wanted.targets):
        field = field_at(wanted.at, f"targets.{place}")
        target = _kind_of(field, id), id
        if target in targets:
            raise Invalid(f"{id} is named twice.", field=field, accepted="each target once")
        targets.append(target)
    text = rules.description(wanted.description, field_at(wanted.at, "description"))
    return ParsedRoute(block, tuple(targets), text, wanted.at)


def _kind_of(field: str, id: str) -> str:
    for kind, prefix in TARGET_KINDS.items():
        if is_id(prefix, id):
            return kind
    raise Invalid(f"{rules.printable(id)} is no target.", field=field, accepted=TARGETS)


def destination(field: str, text: str) -> IPNetwork:
    """Return the block that a route leads to: any size, but nothing that is never routed."""
    says = "an IPv4 or IPv6 block without host bits, such as 0.0.0.0/0 or 198.51.100.0/24"
    block = rules.parse_block(field, text, says)
    rules.refuse_never(field, block, says)
    return block


def require_outside(route: ParsedRoute, blocks: Iterable[IPNetwork], vpc_id: str) -> None:
    """Demand that a route leads to nothing that is the VPC's own: that is local.

    A destination that is larger than a block of the VPC may hold it: local goes before.

    Raises:
        Invalid: the destination is a block of the VPC, or lies in one.
    """
    for block in blocks:
        if rules.within(route.destination, block):
            raise Invalid(
                f"{route.destination} lies in {block}, which is local to {vpc_id}.",
                field=field_at(route.at, "destination"),
                accepted="a block outside the VPC's own, or larger than they are",
            )


def circle(steps: Iterable[tuple[str, str, str]]) -> list[tuple[str, str]] | None:
    """Return how default routes lead in a circle: the (table, port) of each step; None: they don't.

    What a port sends on is looked up in the table of its own subnet. A default route that leads
    to a port is a step from its table to that one.

    Args:
        steps: (table, port, table of the port's subnet).
    """
    ways: dict[str, list[tuple[str, str]]] = {}
    for table, port, following in steps:
        ways.setdefault(table, []).append((port, following))
    done: set[str] = set()
    for start in ways:
        found = _walk(start, ways, done)
        if found is not None:
            return found
    return None


def _walk(
    start: str, ways: dict[str, list[tuple[str, str]]], done: set[str]
) -> list[tuple[str, str]] | None:
    """Look for a circle that can be reached from *start*, past what is *done*; iterative."""
    path: list[tuple[str, str]] = []
    left = [iter(ways.get(start, ()))]
    tables = [start]
    while left:
        port, following = next(left[-1], ("", ""))
        if not port:
            left.pop()
            done.add(tables.pop())
            if path:
                path.pop()
        elif following in tables:
            at = tables.index(following)
            return [*path[at:], (tables[-1], port)]
        elif following not in done:
            path.append((tables[-1], port))
            tables.append(following)
            left.append(iter(ways.get(following, ())))
    return None
