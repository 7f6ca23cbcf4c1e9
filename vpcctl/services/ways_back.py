"""Whether answers find the way back: by the gateway through which the question has come."""

from collections.abc import Iterable
from typing import Any

from vpcctl.store import routes

Way = tuple[str, str]
"""A port, and the gateway by which the outside reaches it."""


def warnings(connection: Any, ways: Iterable[Way]) -> dict[Way, str]:
    """Return why what ports answer does not leave by these gateways, for those where that is so.

    A route to another port may lead there, too: then nothing is said.
    """
    wanted = sorted(set(ways))
    led = routes.led_from(connection, {port_id for port_id, _ in wanted})
    found: dict[Way, str] = {}
    for port_id, gateway_id in wanted:
        leads = led.get(port_id)
        if leads is not None and not leads.by_ports and gateway_id not in leads.to:
            found[port_id, gateway_id] = (
                f"{leads.table_id}, the route table of {port_id}, has no IPv4 route to"
                f" {gateway_id}: what the port answers does not leave by it"
            )
    return found
