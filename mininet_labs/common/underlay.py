"""The underlay: one Ethernet segment between the hypervisors, as a Linux bridge."""

from typing import Any

from mininet.node import Switch


class Underlay(Switch):
    """A bridge in a network namespace of its own.

    There neither the machine's firewall nor its bridge filter sees the labs' traffic, two labs
    cannot meet, and nothing stays behind when its last process ends.
    """

    bridge = "underlay"

    def __init__(self, name: str, **params: Any) -> None:
        super().__init__(name, **{**params, "dpid": "1", "inNamespace": True})

    def start(self, controllers: list[Any]) -> None:
        """Make the bridge of all interfaces."""
        del controllers
        self.cmd(f"ip link add {self.bridge} type bridge stp_state 0 forward_delay 0")
        for interface in self.cables():
            self.cmd(f"ip link set {interface} master {self.bridge} up")
        self.cmd(f"ip link set {self.bridge} up")

    def cables(self) -> list[str]:
        """Return the devices that cables end in."""
        return [name for name in self.intfNames() if name != "lo"]

    def within(self, netns: str, *command: str) -> list[str]:
        """Return *command* as an argument list that runs it here; there is one namespace."""
        del netns
        return ["mnexec", "-a", str(self.pid), *command]

    def connected(self) -> bool:
        """Tell whether it forwards: always, as nothing has to be learned first."""
        return True
