"""What a case may ask of any system."""

from collections.abc import Sequence
from typing import Protocol

from bench.addressing import PortSpec
from bench.host import Host
from bench.world import Guest, World


class System(Protocol):
    """A control plane that runs a world.

    Attributes:
        name: ``ovn``, ``ours`` or ``static``.
        world: the hosts it runs.
        parts: names of what can be restarted, for :meth:`restart`.
    """

    name: str
    world: World
    parts: tuple[str, ...]

    def setup(self) -> None:
        """Start the control plane, connect the three hosts, make the VPC and its subnets."""
        ...

    def interface_id(self, spec: PortSpec) -> str:
        """Return the id by which the system knows a port, for the interface that is plugged."""
        ...

    def create_port(self, spec: PortSpec) -> None:
        """Create a port; returns when the API has said so."""
        ...

    def delete_port(self, spec: PortSpec) -> None:
        """Delete a port, if there is one of that name."""
        ...

    def plug(self, guest: Guest) -> None:
        """Plug a guest's interface into br-int as its port; returns once OVSDB has it."""
        ...

    def unplug(self, guest: Guest) -> None:
        """Unplug a guest's interface, if it is plugged."""
        ...

    def is_plugged(self, guest: Guest) -> bool:
        """Tell whether a guest's interface is plugged."""
        ...

    def serve_guests(self, specs: Sequence[PortSpec], domain: str) -> None:
        """Have hosts answer guests' DHCP, and their questions for these ports' names."""
        ...

    def grow(self, ports: int) -> None:
        """Bring the number of mass ports to *ports*, located on shadow hosts.

        A shadow host exists in the control plane only: for the three real hosts its ports are
        remote ports like any other, with flows of their own.
        """
        ...

    def restart(self, part: str, host: Host) -> None:
        """Kill *part* (of *host*, where each has its own) with SIGKILL and start it again."""
        ...

    def rest(self, host: Host) -> None:
        """Wait until earlier interruptions of *host*'s connection no longer count against it.

        A controller may hold a switch back that reconnects again and again. One whose switch
        dies after a long time does not wait, and neither shall the bench's.
        """
        ...

    def forget(self, host: Host) -> None:
        """Make sure that *host*, whose last port was unplugged, holds nothing of the VPC."""
        ...

    def converge(self, timeout: float) -> None:
        """Wait until every real host has acknowledged everything asked so far.

        Raises:
            TooLongError: a host did not within *timeout* seconds.
        """
        ...

    def pids(self) -> dict[str, int]:
        """Return the control plane's processes by name, without the hosts' Open vSwitches."""
        ...

    def close(self) -> None:
        """Stop the control plane."""
        ...


class Plugging:
    """Plugs interfaces the way libvirt does: ``external_ids:iface-id`` names the port."""

    world: World

    def interface_id(self, spec: PortSpec) -> str:
        """Return the id by which the system knows *spec*."""
        raise NotImplementedError

    def serve_guests(self, specs: Sequence[PortSpec], domain: str) -> None:
        """Do nothing: unless a system says otherwise, hosts answer without being asked to."""

    def plug(self, guest: Guest) -> None:
        """Plug a guest's interface into br-int as its port; returns once OVSDB has it."""
        ids = {"iface-id": self.interface_id(guest.spec), "attached-mac": guest.spec.mac}
        guest.host.add_interface("br-int", guest.device, ids)

    def unplug(self, guest: Guest) -> None:
        """Unplug a guest's interface."""
        guest.host.remove_interface("br-int", guest.device)

    def is_plugged(self, guest: Guest) -> bool:
        """Tell whether a guest's interface is plugged."""
        return guest.host.has_interface(guest.device)
