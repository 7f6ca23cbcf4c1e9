"""What is, what should be, and the ordered way between. Pure and small.

``diff(desired, actual) -> Delta``, ``steps(delta)`` and ``bundles(delta, size)`` in sending order,
``host_state(...)`` in one word.
"""

from vpcctl.reconcile.delta import Delta, diff
from vpcctl.reconcile.plan import Step, bundles, steps
from vpcctl.reconcile.status import HostState, host_state

__all__ = ["Delta", "HostState", "Step", "bundles", "diff", "host_state", "steps"]
