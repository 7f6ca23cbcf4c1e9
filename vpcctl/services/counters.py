"""Counters of ports, and of drops: who may see them, where they are counted, and asking there."""

from dataclasses import dataclass
from typing import Any

from vpcctl.model.counters import Drops, PortCounters
from vpcctl.model.problems import Conflict, Unavailable
from vpcctl.services import rules
from vpcctl.services.context import Context
from vpcctl.services.views import Actor
from vpcctl.store import locations
from vpcctl.store.ports import PORTS
from vpcctl.store.southbound import AT_ONCE as AT_ONCE  # so many wait at the same time
from vpcctl.store.southbound import SouthboundClient


@dataclass(frozen=True, slots=True)
class CountersView:
    """What a port's host has counted."""

    port_id: str
    host_id: str
    counters: PortCounters


class CounterService:
    """Reads counters from the switch of a port's host."""

    def __init__(self, context: Context, southbound: SouthboundClient | None) -> None:
        self._units = context.units
        self._southbound = southbound

    def of_port(self, actor: Actor, id: str) -> CountersView:
        """Return a port's counters; waits for the switch, for some seconds at most.

        Raises:
            Problem: NotFound, Forbidden, Conflict (the port is on no host), Unavailable.
        """
        host_id = self._units.read(lambda connection: _host_of(connection, actor, id))
        if self._southbound is None:
            raise Unavailable(f"No southbound runs here that could be asked for {host_id}.")
        return CountersView(id, host_id, self._southbound.counters(id, host_id))

    def drops(self) -> Drops:
        """Return what the switches that are connected here have dropped, whoever's it was.

        Raises:
            Problem: Unavailable.
        """
        if self._southbound is None:
            raise Unavailable("No southbound runs here that could be asked.")
        return self._southbound.drops()


def _host_of(connection: Any, actor: Actor, id: str) -> str:
    rules.visible(actor, PORTS.find(connection, id), "port", id)
    location = locations.locations_of(connection, [id]).get(id)
    if location is None:
        raise Conflict(f"{id} is on no host now, so nothing counts what passes there.")
    return location.host_id
