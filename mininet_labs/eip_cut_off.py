"""The active gateway host loses its way to the controller, and nothing else."""

import time

from mininet_labs.common.outside import ROUTER
from mininet_labs.common.processes import within
from mininet_labs.common.report import Checks, say
from mininet_labs.eip_knocking import knock, knocked
from mininet_labs.eip_plan import BLUE, RED, Stage

_LATE_S, _BACK_S = 60.0, 60.0
_GOES_ON_S = 3.0
"""Longer than another host would need to hear that it is the active one."""
_ASKED_S = 0.4


def cut_off(stage: Stage, active: str, forwarded: int, checks: Checks) -> None:
    """Cut the active host's management connections while conversations begin, and mend them.

    The witness sees whether somebody else answers for the addresses, too.
    """
    say("\n9. The active host loses its controller and nothing else, while conversations begin")
    site, callers = stage.site, knock(stage, forwarded)
    site.cut_off(active)
    host = f"/v1/hosts/{site.hosts[active].params['id']}"

    def state() -> tuple[str, str]:
        shown = site.admin.get(host)
        return shown["state"], shown["connection"]

    late = within(lambda: state() == ("late", "disconnected"), seconds=_LATE_S)
    checks.expect(late, f"{active} is heard of no more")
    _ask(stage, _GOES_ON_S)
    for caller in callers:
        sent, lost = knocked(caller)
        name = caller.workload.name
        checks.expect(sent > 0 and not lost, f"no conversation of {name} is lost by that")
    site.join(active)
    back = within(lambda: state() == ("up", "in_sync"), seconds=_BACK_S)
    checks.expect(back, f"{active} is heard of again")


def _ask(stage: Stage, seconds: float) -> None:
    """Have outside ask again and again whose the addresses are, for so long."""
    until, addresses = time.monotonic() + seconds, [stage.address(one) for one in (RED, BLUE)]
    while time.monotonic() < until:
        for address in addresses:
            stage.visitors["outside"].whose(stage.site.outside.device, ROUTER, address)
        time.sleep(_ASKED_S)
