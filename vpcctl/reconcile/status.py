"""How far a host has come, in one word. Pure."""

from typing import Literal

HostState = Literal["in_sync", "pending", "degraded", "disconnected"]


def host_state(*, connected: bool, outstanding: int, error: str | None) -> HostState:
    """Return the state of a host.

    Args:
        connected: whether its switch is connected now.
        outstanding: flow-mods that have not been confirmed by a barrier.
        error: what the switch refused last and has not accepted since, or None.
    """
    if not connected:
        return "disconnected"
    if error is not None:
        return "degraded"
    return "pending" if outstanding else "in_sync"
