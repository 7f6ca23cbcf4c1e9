#!/usr/bin/python3
"""Plugs a libvirt machine's interfaces when it starts, and takes them away when it has ended.

Installed as /etc/libvirt/hooks/qemu; see guests.md. It concerns interfaces of type "ethernet" whose
alias is ``ua-`` and the id of a port. libvirt runs it before it opens their devices, and does not
start the machine when it fails.
"""

import subprocess
import sys
from xml.etree import ElementTree

CONFIG = "/etc/vpcctl/agent.toml"
"""The agent's settings; ``host_id`` at least."""
_ALIAS = "ua-port-"


def plug(port_id: str, tap: str, mac: str) -> None:
    """Make a tap, put it onto br-int as the interface of a port, and then let it carry packets."""
    _run("ip", "tuntap", "add", tap, "mode", "tap")
    # By env: AppArmor lets libvirt run programs of /usr/bin alone, and those whatever they need.
    agent = ("env", f"VPC_AGENT_CONFIG={CONFIG}", "vpc-agent")
    _run(*agent, "plug", "--port", port_id, "--interface", tap, "--mac", mac)
    _run("ip", "link", "set", tap, "up")


def unplug(tap: str) -> None:
    """Take a tap away, if it is there."""
    _run("ovs-vsctl", "--timeout=10", "--if-exists", "del-port", tap)
    subprocess.run(("ip", "link", "del", tap), stderr=subprocess.DEVNULL, check=False)


def _run(*command: str) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)


def main(operation: str) -> None:
    """Do what is due when libvirt does *operation* with the machine that standard input describes.

    Raises:
        CalledProcessError: an interface cannot be plugged.
    """
    machine = ElementTree.parse(sys.stdin)  # noqa: S314 - libvirt wrote it
    for one in machine.iterfind("devices/interface[@type='ethernet']"):
        alias, target, mac = (one.find(name) for name in ("alias", "target", "mac"))
        if alias is None or target is None or mac is None:
            continue
        name, tap = alias.get("name", ""), target.get("dev", "")
        if not name.startswith(_ALIAS):
            continue
        if operation in ("prepare", "release"):
            unplug(tap)
        if operation == "prepare":
            plug(name.removeprefix("ua-"), tap, mac.get("address", ""))


if __name__ == "__main__":
    main(sys.argv[2])
