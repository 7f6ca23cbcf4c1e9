"""Refuses to take hosts away that gateways need: they are drained first, so that nobody is cut off.

A host that is deleted, or is no gateway host any more, would go on answering for the addresses of
gateways until its switch has heard of it, and one that is deleted never does.
"""

from collections.abc import Sequence
from typing import Any

from vpcctl.model.problems import Blocker, Conflict
from vpcctl.services.context import refuse_blocked
from vpcctl.services.gateway_candidates import dead_hosts
from vpcctl.services.gateway_hosts import placements
from vpcctl.services.routing_views import GatewayHostsView
from vpcctl.store import gateway_hosts
from vpcctl.store.hosts import HOSTS
from vpcctl.store.realisation import of_hosts, processed, reached
from vpcctl.store.tables import HostRow
from vpcctl.store.units import Unit

_MOST_TOLD = 5
_DRAIN = "which 'vpcctl host drain {0}' hands on where another host can follow"


def refuse_to_delete(unit: Unit, row: HostRow, *, reports: bool) -> None:
    """Demand that a host that goes on stands for no gateway, and has heard so.

    Args:
        unit: the transaction.
        row: the host.
        reports: whether its agent does. One that does not, and whose switch is not connected, is
            taken to be gone.

    Raises:
        Conflict: naming the gateways, or its switch has not confirmed yet what it was told last.
    """
    realised = of_hosts(unit.connection, [row.id]).get(row.id)
    is_connected = realised is not None and realised.state != "disconnected"
    if reports or is_connected:
        _refuse(unit, row, "stands for", gateway_hosts.ids_on(unit.connection, [row.id]))
    has_come = reached(realised, processed(unit.connection))
    if is_connected and row.outside and has_come < row.state_revision:
        # Without the others' tunnels it would take itself for the one that is left.
        raise Conflict(
            f"The switch of {row.id} has not confirmed yet that it answers for nothing outside.",
            accepted="a host whose switch is in sync, or which is switched off",
        )


def refuse_to_unlabel(unit: Unit, row: HostRow) -> None:
    """Demand that a host that is to be no gateway host any more is not the active one of any.

    Raises:
        Conflict: naming the gateways that it is that of.
    """
    ids = gateway_hosts.ids_on(unit.connection, [row.id])
    standing = gateway_hosts.standing_of(unit.connection, ids)
    dead = dead_hosts(gateway_hosts.facts(unit.connection))
    active = [
        id
        for id, order in standing.items()
        if next((one.host_id for one in order if one.host_id not in dead), None) == row.id
    ]
    _refuse(unit, row, "is the active one of", active)


def held_by_drained(connection: Any, host_id: str) -> str | None:
    """Return what a drained host still stands for, in words.

    Returns:
        None when it stands for nothing, is not drained, or is not there any more.
    """
    row = HOSTS.get(connection, host_id)
    if row is None or not row.drained:
        return None
    ids = gateway_hosts.ids_on(connection, [host_id])
    if not ids:
        return None
    told = placements(connection, ids[:_MOST_TOLD])
    texts = [f"{id} ({_how(place, host_id)})" for id, place in told.items()]
    if len(ids) > len(texts):
        texts.append(f"{len(ids) - len(texts)} more")
    return ", ".join(texts)


def _how(place: GatewayHostsView, host_id: str) -> str:
    """Return how a drained host stands for a gateway, and what is waited for."""
    state = next((one.state for one in place.hosts if one.host_id == host_id), "draining")
    if state != "draining":
        return f"{state}: no other gateway host that lives can follow"
    return f"draining, waits for {', '.join(place.waits_for)}" if place.waits_for else "draining"


def _refuse(unit: Unit, row: HostRow, what: str, gateway_ids: Sequence[str]) -> None:
    blockers = [
        Blocker(one.kind, one.id, f"the host {what} it")
        for one in sorted(gateway_hosts.placed(unit.connection, gateway_ids))
    ]
    refuse_blocked(f"The host {what} gateways, {_DRAIN.format(row.name)}", blockers)
