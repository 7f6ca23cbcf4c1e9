"""A workload of a cloud, as its owner has it: commands inside, and what it reaches."""

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from tests.support.hosts import command
from tests.support.waiting import PATIENCE_S, wait_until

# A gratuitous ARP request: broadcast by an address's new owner.
_ANNOUNCE = """
import socket, struct, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0x0806))
mac, ip = wire.getsockname()[4], socket.inet_aton(sys.argv[1])
header = struct.pack("!6s6sHHHBBH", b"\\xff" * 6, mac, 0x0806, 1, 0x0800, 6, 4, 1)
wire.send(header + mac + ip + bytes(6) + ip)
"""


@dataclass
class Guest:
    """A workload in a network namespace, and the port that the API knows it by."""

    port: dict[str, Any]
    netns: str

    @property
    def id(self) -> str:
        return self.port["id"]

    @property
    def ipv4(self) -> str:
        return next(ip for ip in self.port["fixed_ips"] if "." in ip)

    @property
    def ipv6(self) -> str:
        return next(ip for ip in self.port["fixed_ips"] if ":" in ip)

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return command("nsenter", f"--net=/run/netns/{self.netns}", *arguments, check=check)

    def spawn(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        inside = ["setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{self.netns}"]
        return subprocess.Popen([*inside, *arguments], text=True, **options)

    def pings(self, address: str, *options: str) -> bool:
        """One echo request and its answer."""
        done = self.run("ping", "-n", "-c1", "-W1", *options, address, check=False)
        return done.returncode == 0

    def announce(self, address: str) -> None:
        """Tell the subnet that this guest has *address* now (a gratuitous ARP)."""
        self.run(sys.executable, "-c", _ANNOUNCE, address)

    def reaches(self, address: str, *options: str, timeout: float = PATIENCE_S) -> None:
        """Wait until *address* answers; it is asked every 50 ms."""
        asking = ("ping", "-n", "-c1", "-i0.05", "-w1", *options, address)
        wait_until(
            lambda: self.run(*asking, check=False).returncode == 0,
            timeout,
            f"{self.netns} reaches {address}",
        )
