"""The underlay device of a userspace datapath: what its bridge takes over, and gives back.

The userspace datapath sends and receives VXLAN itself, through the host's addresses on a bridge
of its own. So the device goes into that bridge, and the bridge's internal port takes over its
addresses and routes. They are written to the bridge's row before anything is moved: the row
outlives the agent, and outlives the internal port, which is gone with every end of ovs-vswitchd.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from agent.decide import marks
from agent.decide.rows import BridgeWish, PortWish

Address = tuple[str, int]


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """A route through the underlay device.

    Attributes:
        destination: such as ``192.0.2.0/24`` or ``::/0``.
        gateway: next hop, or "" when the destination is on the link.
        metric: priority, 0 for the family's default.
        protocol: who made it (rtnetlink's number).
        source: preferred source address, or "".
        scope: rtnetlink's number.
    """

    destination: str
    gateway: str = ""
    metric: int = 0
    protocol: int = 4
    source: str = ""
    scope: int = 0


@dataclass(frozen=True, slots=True)
class Device:
    """A network device of the host with its addresses (of global scope) and routes."""

    name: str
    index: int
    mac: str
    mtu: int
    up: bool
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """What the underlay bridge took over from its device."""

    device: str
    mac: str
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """What to change on the two devices.

    Attributes:
        take: addresses to remove from the one.
        give: addresses to add to the other.
        routes: routes to add to the other, gateways last.
    """

    take: tuple[Address, ...] = ()
    give: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()

    def is_empty(self) -> bool:
        """Tell whether nothing has to be changed."""
        return not (self.take or self.give or self.routes)


def dump(record: Record) -> str:
    """Return a record as the text of an ``external_ids`` value."""
    return json.dumps(asdict(record), separators=(",", ":"), sort_keys=True)


def parse(text: str | None) -> Record | None:
    """Return the record that a text holds, or None when it holds none."""
    if not text:
        return None
    try:
        value: Any = json.loads(text)
        return Record(
            device=str(value["device"]),
            mac=str(value["mac"]),
            addresses=tuple((str(address), int(length)) for address, length in value["addresses"]),
            routes=tuple(Route(**route) for route in value["routes"]),
        )
    except (ValueError, TypeError, KeyError):
        return None


def _union(*parts: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(item for part in parts for item in part))


def _ordered(routes: Iterable[Route]) -> tuple[Route, ...]:
    """Return routes on the link before those through a gateway, which rest on them."""
    return tuple(sorted(routes, key=lambda route: (bool(route.gateway), route)))


def take_over(old: Record | None, device: Device) -> Record:
    """Return what the bridge has to have: what it had, and what the device has (again).

    The device has addresses at the first start, after a reboot of the host, and when a DHCP
    client renewed its lease there.
    """
    addresses = _union(old.addresses if old else (), device.addresses)
    routes = _union(old.routes if old else (), device.routes)
    mac = old.mac if old is not None and old.device == device.name else device.mac
    return Record(device.name, mac, addresses, _ordered(routes))


def follow(record: Record, bridge: Device) -> Record:
    """Return the record after somebody changed the bridge's own addresses or routes."""
    if not bridge.addresses:
        return record
    return Record(record.device, record.mac, bridge.addresses, _ordered(bridge.routes))


def bridge_wish(name: str, record: Record, owner: str) -> BridgeWish:
    """Return the underlay bridge.

    It is ``standalone`` and has no controller, so it switches by itself again as soon as
    ovs-vswitchd is back: flows would be gone with its end. Only two ports are ever in it.
    """
    return BridgeWish(
        name=name,
        owner=owner,
        datapath_type="netdev",
        fail_mode="standalone",
        other_config={"hwaddr": record.mac, "disable-in-band": "true"},
        external_ids={marks.UNDERLAY_KEY: dump(record)},
        controllers=(),
        ports=(PortWish(record.device, owner),),
    )


def plan_take(record: Record, device: Device, bridge: Device) -> Move:
    """Return what moves from the device to the bridge's internal port."""
    return Move(
        take=device.addresses,
        give=tuple(each for each in record.addresses if each not in bridge.addresses),
        routes=tuple(each for each in record.routes if each not in bridge.routes),
    )


def plan_return(record: Record, device: Device) -> Move:
    """Return what goes back to the device when the bridge goes away."""
    return Move(
        give=tuple(each for each in record.addresses if each not in device.addresses),
        routes=tuple(each for each in record.routes if each not in device.routes),
    )


def vtep(addresses: Iterable[Address], preferred: str | None = None) -> str | None:
    """Return the address for the tunnels.

    That is *preferred* where it is among them, else the first of IPv4, else the first of IPv6.
    """
    found = sorted((text for text, _ in addresses), key=lambda text: ":" in text)
    if preferred in found:
        return preferred
    return found[0] if found else None
