"""The way outside of each system, behind one protocol."""

from bench.external.base import External
from bench.external.ours import OursExternal
from bench.external.ovn import OvnExternal
from bench.external.static import StaticExternal
from bench.systems.base import System
from bench.systems.ours import Ours
from bench.systems.ovn import Ovn
from bench.systems.static import Static


def external_of(system: System) -> External:
    """Return the way outside of a system, not opened.

    Raises:
        TypeError: there is none for it.
    """
    if isinstance(system, Ours):
        return OursExternal(system)
    if isinstance(system, Ovn):
        return OvnExternal(system)
    if isinstance(system, Static):
        return StaticExternal(system)
    raise TypeError(f"{system.name} has no way outside")
