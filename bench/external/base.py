"""The way outside as a case asks for it of any system."""

from typing import Protocol

from bench.host import Host
from bench.outside import Eip
from bench.world import Guest


class External(Protocol):
    """The external network of one system, its EIPs and its NAT gateway.

    The subnet of number 0 goes outside through the NAT gateway, for which the hosts that reach the
    network stand in turn; all others by EIPs.
    """

    def open(self) -> None:
        """Lead the network outside; returns once the hosts that are to stand for it do."""
        ...

    def close(self) -> None:
        """Undo that, as far as it came: hosts hold nothing of it any more."""
        ...

    def associate(self, eip: Eip, guest: Guest) -> None:
        """Have an EIP stand for a guest's port; returns when the API has said so."""
        ...

    def disassociate(self, eip: Eip) -> None:
        """Take an EIP from what it stands for, if it stands for anything."""
        ...

    def active(self) -> Host:
        """Return the host that the NAT gateway's traffic goes through.

        Raises:
            TooLongError: none does.
        """
        ...

    def kill(self, host: Host) -> None:
        """Kill what the control plane has running on *host*, with SIGKILL."""
        ...

    def revive(self, host: Host) -> None:
        """Start it again; returns once *host* can take the NAT gateway over as before.

        Raises:
            TooLongError: it cannot.
        """
        ...
