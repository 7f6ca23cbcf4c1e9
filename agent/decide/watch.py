"""Watched hosts → ports of br-int on which BFD runs (RFC 5880), and nothing else.

Such a port is a VXLAN port to one host with a VNI that no subnet has. What comes from that host
with another VNI still belongs to the port whose destination the flows choose: Open vSwitch looks
for the port that matches a tunnel packet best.
"""

from collections.abc import Iterable, Sequence

from agent.decide import marks
from agent.decide.bridge import BridgeSettings, tunnel_port
from agent.decide.links import MAX_OFPORT
from agent.decide.rows import InterfaceRow, PlugWish, PortWish, UnplugWish
from agent.wire.report import WatchFact
from agent.wire.state import OutsideAddress, Watched

WATCH_VNI = 0xFF_FFFF
"""VNI of BFD's packets; subnets and gateways have others."""

INTERVAL_MS = 100
MISSING = 5
"""So many packets of BFD, so far apart, have to be missing for a death. Three are soon missing on a
host that is short of time, and to take over for nothing is worse than to do so 0.2 s later."""


def wishes(
    watched: Iterable[Watched], held: frozenset[str], here: BridgeSettings, owner: str
) -> list[PlugWish]:
    """Return the port of each watched host.

    Args:
        watched: the hosts.
        held: ids of those that are told not to rely on this host yet.
        here: br-int.
        owner: id of this host, which does not watch itself.
    """
    return [
        PlugWish(here.name, _port(each, here, owner, held=each.host_id in held))
        for each in watched
        if each.host_id != owner
    ]


def _port(watched: Watched, here: BridgeSettings, owner: str, *, held: bool) -> PortWish:
    options = tunnel_port(here, owner).options
    options |= {"remote_ip": watched.vtep_address, "key": str(WATCH_VNI)}
    interval = str(INTERVAL_MS)
    bfd = {"enable": "true", "min_rx": interval, "min_tx": interval, "mult": str(MISSING)}
    return PortWish(
        marks.watch_port(watched.host_id),
        owner,
        type="vxlan",
        options=options,
        external_ids={marks.WATCH_KEY: watched.host_id},
        bfd=bfd | {"cpath_down": "true"} if held else bfd,
    )


def stale(
    rows: Iterable[InterfaceRow], watched: Sequence[Watched], bridge: str, owner: str
) -> list[UnplugWish]:
    """Return the ports of hosts that are watched no more."""
    wanted = {each.host_id for each in watched if each.host_id != owner}
    return [
        UnplugWish(bridge, row.name, owner)
        for row in rows
        if marks.WATCH_KEY in row.external_ids and row.external_ids[marks.WATCH_KEY] not in wanted
    ]


def not_met(rows: Iterable[InterfaceRow]) -> frozenset[str]:
    """Return the hosts that are told not to rely on this one and that BFD has not met yet.

    That must not be taken back before BFD is up. Open vSwitch announces a change of its settings
    at once, with the interval that it has when up (100 ms), and goes on with one packet a second
    until it is: who is up already would miss five of the former, and take this host for dead.
    """
    return frozenset(
        row.external_ids[marks.WATCH_KEY]
        for row in rows
        if marks.WATCH_KEY in row.external_ids and row.refuses and not row.met
    )


Orders = frozenset[tuple[str, tuple[str, ...]]]
"""(external network, gateway hosts in order) of those orders that a host is in."""


def orders(addresses: Iterable[OutsideAddress], owner: str) -> Orders:
    """Return the orders that *owner* is in."""
    return frozenset((each.network_id, each.hosts) for each in addresses if owner in each.hosts)


def after(known: Orders, owner: str) -> frozenset[str]:
    """Return the gateway hosts that come after *owner* for some address."""
    return frozenset(host for _, order in known for host in order[order.index(owner) + 1 :])


def instead(known: Orders, networks: frozenset[str], owner: str) -> frozenset[str]:
    """Return the hosts that could stand for addresses on some networks in place of *owner*."""
    hosts = (host for network_id, order in known if network_id in networks for host in order)
    return frozenset(hosts) - {owner}


def before(addresses: Iterable[OutsideAddress], owner: str) -> frozenset[str]:
    """Return the gateway hosts that come before *owner* for some address."""
    orders = [each.hosts for each in addresses if owner in each.hosts]
    return frozenset(host for order in orders for host in order[: order.index(owner)])


def facts(
    rows: Iterable[InterfaceRow], meeting: frozenset[str] = frozenset()
) -> tuple[WatchFact, ...]:
    """Return which hosts are watched, and which of them live, sorted.

    Args:
        rows: interfaces.
        meeting: hosts that are left out.
    """
    found = {
        host_id: WatchFact(host_id=host_id, ofport=row.ofport, up=row.alive)
        for row in rows
        if (host_id := row.external_ids.get(marks.WATCH_KEY, ""))
        and host_id not in meeting
        and row.ofport is not None
        and row.ofport <= MAX_OFPORT
        and not row.foreign
    }
    return tuple(found[host_id] for host_id in sorted(found))
