"""Security groups of each system, behind one protocol, and the same for all of them."""

from bench.policies.base import Policies
from bench.policies.ours import OursPolicies
from bench.policies.ovn import OvnPolicies
from bench.policies.static import StaticPolicies
from bench.systems.base import System
from bench.systems.ours import Ours
from bench.systems.ovn import Ovn
from bench.systems.static import Static


def policies_of(system: System) -> Policies:
    """Return the security groups of a system.

    Raises:
        TypeError: there are none for it.
    """
    if isinstance(system, Ours):
        return OursPolicies(system)
    if isinstance(system, Ovn):
        return OvnPolicies(system)
    if isinstance(system, Static):
        return StaticPolicies(system)
    raise TypeError(f"{system.name} has no security groups")
