"""External networks → patch ports between br-int and the bridges of their providers.

On the provider's bridge the port is an access port of the network's VLAN, so that br-int sees and
sends frames without a tag alone. A network without a VLAN is VLAN 0: frames that have no tag.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from agent.decide import marks
from agent.decide.rows import (
    BridgeRow,
    BridgeWish,
    InterfaceRow,
    PlugWish,
    PortWish,
    ReleaseWish,
    UnplugWish,
    Wish,
)
from agent.decide.underlay import Device
from agent.wire.report import OutsideFact
from agent.wire.state import ExternalNetworkState

_NOWHERE = 4095
"""A VLAN that no frame can be in (IEEE 802.1Q, table 9-2)."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the host has, and what its settings say of it.

    Attributes:
        owner: host id that marks what is ours.
        bridge: name of the integration bridge.
        datapath_type: of it.
        providers: provider network → bridge or device.
        bridges: all bridges by name.
        devices: devices that the settings name instead of a bridge; None: not there.
        underlay_device: the device that carries the tunnels, if it is known.
        patches: name → network of the patch ports with our mark, on whatever bridge.
    """

    owner: str
    bridge: str
    datapath_type: str
    providers: Mapping[str, str]
    bridges: Mapping[str, BridgeRow]
    devices: Mapping[str, Device | None]
    underlay_device: str | None = None
    patches: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in this order.

    Attributes:
        removals: ports and bridges of ours that are wanted no more.
        released: devices that leave their bridges with that.
        wishes: bridges and ports that there must be.
        devices: devices of our own bridges.
        problems: provider → why it cannot be used.
        bridge_of: provider → its bridge, of those that can be used.
        reached: network → provider's bridge.
    """

    removals: tuple[Wish, ...] = ()
    released: tuple[str, ...] = ()
    wishes: tuple[Wish, ...] = ()
    devices: tuple[str, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict[str, str])
    bridge_of: Mapping[str, str] = field(default_factory=dict[str, str])
    reached: Mapping[str, str] = field(default_factory=dict[str, str])


class _Unusable(Exception):
    """A provider's bridge or device cannot be used; the text says why."""


def plan(
    networks: Sequence[ExternalNetworkState], here: Surroundings, *, may_forget: bool = True
) -> Plan:
    """Return what to do so that the host reaches the networks whose providers it has.

    Args:
        networks: those of the host state.
        here: what there is.
        may_forget: whether what leads to networks that are not among these may go.
    """
    bridge_of: dict[str, str] = {}
    problems: dict[str, str] = {}
    for provider, target in here.providers.items():
        try:
            bridge_of[provider] = _bridge_of(target, here)
        except _Unusable as reason:
            problems[provider] = f"provider {provider}: {reason}"
    reached = {each: bridge_of[each.provider] for each in networks if each.provider in bridge_of}
    own = {name: target for target in here.providers.values() if (name := _own(target, here))}
    made = {name: device for name, device in own.items() if name in bridge_of.values()}
    old = _old_bridges(here, own)
    known = None if may_forget else {each.network_id for each in networks}
    return Plan(
        removals=(*_stale(reached, known, here), *(ReleaseWish(name, here.owner) for name in old)),
        released=tuple(old.values()),
        wishes=(
            *(_bridge_wish(name, device, reached, here) for name, device in made.items()),
            *(wish for each, name in reached.items() for wish in _pair(each, name, here)),
        ),
        devices=tuple(made.values()),
        problems=problems,
        bridge_of=bridge_of,
        reached={each.network_id: name for each, name in reached.items()},
    )


def _own(target: str, here: Surroundings) -> str | None:
    """Return the name of the bridge that we make for a device; None when a bridge was named."""
    return None if target in here.bridges else marks.provider_bridge(target)


def _bridge_of(target: str, here: Surroundings) -> str:
    if target == here.bridge:
        raise _Unusable(f"{target} is the integration bridge: name another bridge or a device")
    row = here.bridges.get(target)
    if row is None:
        return _bridge_for(target, here)
    if (row.datapath_type or "system") != here.datapath_type:
        raise _Unusable(
            f"bridge {target} has datapath_type {row.datapath_type or 'system'}, and"
            f" {here.bridge} has {here.datapath_type}: no port leads from one to the other"
        )
    return target


def _bridge_for(target: str, here: Surroundings) -> str:
    """Return the name of the bridge that we make for a device.

    Raises:
        _Unusable: there is no such device, or it has another use.
    """
    own, device = marks.provider_bridge(target), here.devices.get(target)
    if device is None:
        raise _Unusable(f"there is neither a bridge nor a device {target}")
    row = here.bridges.get(own)
    if row is not None and row.external_ids.get(marks.OWNER_KEY) != here.owner:
        raise _Unusable(f"bridge {own} is not ours: name it instead of {target}")
    other = next((each for each in here.bridges.values() if target in each.ports), None)
    if other is not None and other.name != own:
        raise _Unusable(f"device {target} is in bridge {other.name}: name that")
    if target == here.underlay_device:
        raise _Unusable(f"device {target} carries the tunnels: name a bridge that has it")
    if other is None and device.addresses:
        raise _Unusable(
            f"device {target} has the address {device.addresses[0][0]}, which it would lose:"
            " name a bridge that has the device"
        )
    return own


def _bridge_wish(
    name: str, device: str, reached: Mapping[ExternalNetworkState, str], here: Surroundings
) -> BridgeWish:
    """Return the bridge of a device: it switches by itself, as a provider's bridge does.

    It learns no MACs. What is not the device in a VLAN is one patch port, so there is nothing to
    know; and a MAC of ours that comes in from another host, which stands for the address too,
    would lead away from here what is meant for us. Its own port is in a VLAN that nobody has.
    """
    vlans = {network.vlan or 0 for network, bridge in reached.items() if bridge == name}
    return BridgeWish(
        name=name,
        owner=here.owner,
        datapath_type=here.datapath_type,
        fail_mode="standalone",
        other_config={"disable-in-band": "true"},
        external_ids={marks.PROVIDER_KEY: device},
        controllers=(),
        ports=(
            PortWish(device, here.owner),
            PortWish(name, here.owner, "internal", tag=_NOWHERE),
        ),
        flood_vlans=tuple(sorted(vlans)),
    )


def _pair(network: ExternalNetworkState, bridge: str, here: Surroundings) -> tuple[PlugWish, ...]:
    inside, outside = (
        marks.patch_inside(network.network_id),
        marks.patch_outside(network.network_id),
    )
    ids = {marks.NETWORK_KEY: network.network_id}

    def port(name: str, peer: str, tag: int | None) -> PortWish:
        options = {"peer": peer}
        return PortWish(name, here.owner, "patch", options=options, external_ids=ids, tag=tag)

    return (
        PlugWish(here.bridge, port(inside, outside, None)),
        PlugWish(bridge, port(outside, inside, network.vlan or 0)),
    )


def _stale(
    reached: Mapping[ExternalNetworkState, str], known: Set[str] | None, here: Surroundings
) -> list[UnplugWish]:
    """Return the patch ports with our mark that are not wanted where they are.

    Args:
        reached: network → its provider's bridge.
        known: ids of networks; others' ports stay. None: none stays.
        here: what there is.
    """
    wanted = {(here.bridge, marks.patch_inside(each.network_id)) for each in reached}
    wanted |= {(name, marks.patch_outside(each.network_id)) for each, name in reached.items()}
    return [
        UnplugWish(bridge, name, here.owner)
        for bridge, row in here.bridges.items()
        for name in row.ports
        if name in here.patches
        and (bridge, name) not in wanted
        and (known is None or here.patches[name] in known)
    ]


def _old_bridges(here: Surroundings, own: Mapping[str, str]) -> dict[str, str]:
    """Return name → device of the bridges that we made for devices no setting names now."""
    return {
        name: row.external_ids[marks.PROVIDER_KEY]
        for name, row in here.bridges.items()
        if row.external_ids.get(marks.OWNER_KEY) == here.owner
        and marks.PROVIDER_KEY in row.external_ids
        and name not in own
    }


def facts(rows: Iterable[InterfaceRow], reached: Mapping[str, str]) -> tuple[OutsideFact, ...]:
    """Return which networks are reached through which of br-int's ports, sorted by network."""
    found = {
        network_id: OutsideFact(network_id=network_id, ofport=row.ofport, bridge=bridge)
        for row in rows
        if (network_id := row.external_ids.get(marks.NETWORK_KEY, ""))
        and (bridge := reached.get(network_id)) is not None
        and row.ofport is not None
        and not row.foreign
        and row.error is None
    }
    return tuple(found[network_id] for network_id in sorted(found))


def leads_on(row: InterfaceRow) -> bool:
    """Tell whether an interface may be a bridge's way to its provider: a device, not a port of OVS.

    What is on a bridge that only others know of counts too, a guest's tap for one.
    """
    return row.foreign and row.type not in ("internal", "patch")


def cut_off(bridges: Iterable[BridgeRow], rows: Iterable[InterfaceRow]) -> dict[str, str]:
    """Return the bridges of which no device has a link, each with what is to be said of that.

    One without any device is none of these: nobody knows where it leads.
    """
    devices = {row.name: row for row in rows if leads_on(row)}
    found: dict[str, str] = {}
    for bridge in bridges:
        ways = [devices[name] for name in bridge.interfaces if name in devices]
        if ways and all(row.lost for row in ways):
            names = ", ".join(sorted(row.name for row in ways))
            found[bridge.name] = f"bridge {bridge.name} has no way out: no link on {names}"
    return found


class Links:
    """Which providers' bridges have a link, calmly: lost at once, back when it has held.

    Args:
        calm_s: how long a link that was lost has to be there again until it is relied on, seconds.
    """

    def __init__(self, calm_s: float) -> None:
        self._calm_s = calm_s
        self._had: set[str] = set()
        self._back: dict[str, float] = {}  # bridge → since when it has a link again
        self.cut: dict[str, str] = {}

    def look(self, bridges: Iterable[str], cut: Mapping[str, str], now: float) -> float | None:
        """Take in what is; return when to look again, if that is to be.

        Args:
            bridges: those that matter.
            cut: those of all bridges that have no link, with what is said of them.
            now: the present, seconds.
        """
        found: dict[str, str] = {}
        for name in bridges:
            if name in cut:
                found[name] = cut[name]
                self._back.pop(name, None)
            elif name in self.cut and name in self._had:
                if now < self._back.setdefault(name, now) + self._calm_s:
                    found[name] = self.cut[name]
            else:
                self._had.add(name)
        self._back = {name: since for name, since in self._back.items() if name in found}
        self.cut = found
        return min(self._back.values()) + self._calm_s if self._back else None
