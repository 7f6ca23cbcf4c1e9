"""What uses a port from elsewhere: EIPs, routes that lead to it, port forwards to it."""

from collections.abc import Sequence
from typing import Any

from vpcctl.model.addresses import IPAddress
from vpcctl.model.problems import Blocker, Conflict
from vpcctl.services import forwards, route_targets
from vpcctl.services.context import refuse_blocked
from vpcctl.store import eips


def blockers(connection: Any, port_id: str) -> list[Blocker]:
    """Return what keeps a port from being deleted."""
    associated = eips.of_ports(connection, [port_id])
    return [
        *(Blocker("eip", one.id, f"stands for {one.fixed_ip}") for one in associated),
        *route_targets.blockers_of(connection, port_id),
        *forwards.blockers_of(connection, port_id),
    ]


def refuse_lost(connection: Any, port_id: str, kept: Sequence[IPAddress]) -> None:
    """Refuse that a port loses an address that an EIP stands for, or ports are forwarded to.

    Raises:
        Conflict: naming the EIPs, or the port forwards.
    """
    lost = [
        Blocker("eip", one.id, f"stands for {one.fixed_ip}")
        for one in eips.of_ports(connection, [port_id])
        if one.fixed_ip not in {str(address) for address in kept}
    ]
    if lost:
        raise Conflict(
            "EIPs stand for an address that the port would lose.",
            field="fixed_ips",
            accepted="a list that keeps the addresses that EIPs stand for",
            blockers=tuple(lost),
        )
    found = forwards.blockers_of(connection, port_id, [str(one) for one in kept])
    refuse_blocked("Port forwards lead to an address that the port would lose", found)
