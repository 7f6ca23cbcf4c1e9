"""What uses a port from elsewhere: routes that lead to it, port forwards to its addresses."""

from collections.abc import Sequence
from typing import Any

from vpcctl.model.addresses import IPAddress
from vpcctl.model.problems import Blocker
from vpcctl.services import forwards, route_targets
from vpcctl.services.context import refuse_blocked


def blockers(connection: Any, port_id: str) -> list[Blocker]:
    """Return what keeps a port from being deleted."""
    return [
        *route_targets.blockers_of(connection, port_id),
        *forwards.blockers_of(connection, port_id),
    ]


def refuse_lost(connection: Any, port_id: str, kept: Sequence[IPAddress]) -> None:
    """Refuse that a port loses an address that ports are forwarded to.

    Raises:
        Conflict: naming the port forwards.
    """
    found = forwards.blockers_of(connection, port_id, [str(one) for one in kept])
    refuse_blocked("Port forwards lead to an address that the port would lose", found)
