"""The systems that are measured, behind one protocol."""

from pathlib import Path

from bench.systems.base import System
from bench.systems.ours import Ours
from bench.systems.ovn import Ovn
from bench.systems.packages import find
from bench.systems.static import Static
from bench.world import World


def make_system(name: str, world: World, ovn_prefix: Path | None, cache: Path) -> System:
    """Return the system called *name*, not yet started.

    Raises:
        ValueError: there is none of that name.
    """
    if name == "static":
        return Static(world)
    if name == "ovn":
        return Ovn(world, find(ovn_prefix, cache))
    if name == "ours":
        return Ours(world)
    raise ValueError(f"no system {name!r}")
