"""From how far hosts have come to a resource's status. Pure."""

from vpcctl.services.views import HostLiveness, Status
from vpcctl.store.realisation import HostRealised, Standing


def judge(standing: Standing, needed: int) -> Status:
    """Return the status of a resource whose newest change is revision *needed*.

    Active as soon as it is realised, whatever happens to hosts later; before that, what keeps it
    back decides: a host that is degraded or away, else it is on its way.
    """
    reached = standing.processed if not standing.hosts else standing.lowest
    if standing.processed >= needed and reached >= needed:
        return Status("active", None, reached, standing.hosts)
    if standing.degraded:
        worst = "error" if standing.degraded == standing.hosts else "degraded"
        reason = f"{standing.degraded} of {standing.hosts} hosts degraded: {standing.fault}"
        return Status(worst, reason, reached, standing.hosts)
    if standing.disconnected:
        reason = f"{standing.disconnected} of {standing.hosts} hosts not connected"
        return Status("degraded", f"{reason}: {standing.away}", reached, standing.hosts)
    reason = f"revision {needed} is not yet on every host"
    return Status("pending", reason, reached, standing.hosts)


def judge_host(
    *,
    liveness: HostLiveness,
    realised: HostRealised | None,
    reached: int,
    needed: int,
    errors: tuple[str, ...],
) -> Status:
    """Return the status of a host from its reports and its connection."""
    if liveness == "never":
        return Status("pending", "the host's agent has not reported yet", reached, 1)
    if liveness == "down":
        return Status("error", "the host's agent has stopped reporting", reached, 1)
    if realised is None or realised.state == "disconnected":
        reason = "its br-int is not connected"
        if realised is not None and realised.error:
            reason = f"{reason}: {realised.error}"
        return Status("degraded", reason, reached, 1)
    if realised.state == "degraded":
        return Status("degraded", realised.error or "its flows are not as wanted", reached, 1)
    if liveness == "late":
        return Status("degraded", "the host's reports are late", reached, 1)
    if errors:
        return Status("degraded", errors[0], reached, 1)
    if reached < needed:
        return Status("pending", f"revision {needed} is not yet on the host", reached, 1)
    return Status("active", None, reached, 1)
