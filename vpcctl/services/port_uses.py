"""What uses a port from elsewhere: routes that lead to it, port forwards to its addresses."""

from collections.abc import Sequence
from typing import Any

from vpcctl.model.addresses import IPAddress
from vpcctl.services import forwards, route_targets
from vpcctl.services.context import refuse_blocked


def refuse_used(connection: Any, port_id: str) -> None:
    """Refuse to delete a port that something leads to.

    Raises:
        Conflict: naming the routes and port forwards.
    """
    blockers = route_targets.blockers_of(connection, port_id)
    blockers += forwards.blockers_of(connection, port_id)
    refuse_blocked("Something leads to the port", blockers)


def refuse_lost(connection: Any, port_id: str, kept: Sequence[IPAddress]) -> None:
    """Refuse that a port loses an address that ports are forwarded to.

    Raises:
        Conflict: naming the port forwards.
    """
    blockers = forwards.blockers_of(connection, port_id, [str(one) for one in kept])
    refuse_blocked("Port forwards lead to an address that the port would lose", blockers)
