"""The process that answers for names, on a host of its own, without the rest of an agent.

It is the real one, connected as the agent connects it. At the other end of the pair, where br-int
would be, are the test's own sockets, with the addresses that flows would give to guests' packets.
"""

import base64
import json
import os
import select
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

from agent.decide import marks
from agent.netlink.core import Namespaces, quiet_ipv6, shut_out_kernel
from agent.netlink.services import ServicesDriver
from tests.support.hosts import command, own_netns
from tests.traffic.site import inside
from vpcctl.model.addresses import GATEWAY_MAC, format_mac
from vpcctl.model.names import (
    CLIENTS4,
    CLIENTS6,
    PORTS,
    SERVERS4,
    SERVERS6,
    Service,
    client4,
    client6,
)

ROOT = Path(__file__).resolve().parents[2]
FREEBIND = 78  # IPV6FREEBIND: Python has no name for it


def guest(key: int, tenant: str = "one", **more: Any) -> dict[str, Any]:
    """A guest as the agent tells of it; its VPC is its tenant's."""
    return {
        "key": key,
        "port_id": f"port-{key:017x}",
        "vpc_id": f"vpc-{tenant}",
        "tenant": tenant,
        "subnet_id": f"subnet-{tenant}",
        "mac": "0e:00:00:00:00:01",
        "interfaces": ["10.0.1.10/24", "fd00:1::10/64"],
        "ipv6_mode": "slaac",
        "mtu": 1450,
        "host_name": f"p{key}",
        "domain": f"{tenant}.test",
        "resolvers": ["169.254.169.253"],
        "public": [],
        "availability_zone": "",
        "tags": [],
        **more,
    }


def zone(tenant: str, *ports: tuple[str, list[str]], **more: Any) -> dict[str, Any]:
    """A document of a tenant's VPC."""
    return {
        "vpc_id": f"vpc-{tenant}",
        "revision": 1,
        "since": 0,
        "enabled": True,
        "domain": f"{tenant}.test",
        "cidrs": ["10.0.0.0/8"],
        "ports": {f"port-{at}": port for at, port in enumerate(ports)},
        "records": [],
        **more,
    }


class NamesProcess:
    """The process, and what asks it.

    Attributes:
        netns: of the host.
        pid: of the process.
        counts: all that it has said of its counts.
    """

    def __init__(self, netns: str, directory: Path) -> None:
        self.netns = netns
        self.counts: Counter[str] = Counter()
        self._directory = directory
        self._zones: dict[str, int] = {}
        self._ports: dict[str, int] = {}
        self._errors = directory / "stderr"
        self._spaces = directory / "netns"
        self._inside = inside(netns, self._connect)
        for words in _WAYS:
            command("ip", "-n", netns, *words)
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{netns}"),
                    *(sys.executable, "-m", "agent.names", self._inside),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        self.pid = self._process.pid

    def _connect(self) -> str:
        namespaces = Namespaces(self._spaces)
        try:
            driver = ServicesDriver(namespaces, "host-1", checksums_off=False)
            path = driver.make()
            assert not driver.is_connected()
            driver.connect()
            assert driver.is_connected()
        finally:
            namespaces.close()
        quiet_ipv6(marks.SERVICES)
        shut_out_kernel(marks.SERVICES, shut=False)
        return path

    def _tell(self, said: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(said).encode() + b"\n")
        self._process.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def serve(self, guests: list[dict[str, Any]], *, forwarders: tuple[str, ...] = ()) -> None:
        """Have it begin to answer."""
        self.order(guests, forwarders=forwarders)
        assert self._hear() == {"serving": True}

    def order(self, guests: list[dict[str, Any]], *, forwarders: tuple[str, ...] = ()) -> None:
        """Tell it what it has to know, with the zones and ports that were written."""
        more = {"forwarders": list(forwarders), "directory": str(self._directory)}
        self._tell({"guests": guests, "zones": self._zones, "ports": self._ports, **more})

    def write(self, document: dict[str, Any]) -> None:
        """Write a zone down, as the agent does."""
        path = self._directory / f"{document['vpc_id']}.zone"
        path.write_text(json.dumps(document) + "\n")
        self._zones[document["vpc_id"]] = document["revision"]

    def write_port(self, port_id: str, revision: int = 1, user_data: bytes = b"") -> None:
        """Write down what a port's owner has said; revision 0: there is something, not here yet."""
        said = base64.b64encode(user_data).decode()
        document = {"user_data": said, "public_keys": [], "metadata_tokens": "optional"}
        (self._directory / f"{port_id}.json").write_text(json.dumps(document))
        self._ports[port_id] = revision

    def errors(self) -> str:
        """Return what it has written to its log."""
        return self._errors.read_text()

    def done(self) -> Counter[str]:
        """Wait until it has done what it was told last; return what it has counted by then."""
        while not self._take():
            pass
        return self.counts

    def is_done(self) -> bool:
        """Tell whether it has said that it has done what it was told last."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], 0)[0]) and self._take()

    def _take(self) -> bool:
        heard = self._hear()
        self.counts.update(heard["counts"])
        return "done" in heard

    def resident(self) -> int:
        """Return how much memory it has, KiB."""
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024

    def datagrams(self, key: int, version: int = 4) -> socket.socket:
        """Return a UDP socket of a port, connected to the resolver."""
        return self._opened(socket.SOCK_DGRAM, key, "dns", version)

    def stream(self, key: int, service: Service, version: int = 4) -> socket.socket:
        """Return a TCP connection of a port to a service."""
        return self._opened(socket.SOCK_STREAM, key, service, version)

    def _opened(self, kind: int, key: int, service: Service, version: int) -> socket.socket:
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        opened = inside(self.netns, lambda: socket.socket(family, kind))
        opened.settimeout(5)
        if version == 4:
            own = str(IPv4Address(client4(key, 0)))
            server = str(SERVERS4[service][key >> 16])
        else:
            opened.setsockopt(socket.IPPROTO_IPV6, FREEBIND, 1)
            own, server = str(IPv6Address(client6(key, 0))), str(SERVERS6[service])
        opened.bind((own, 0))
        opened.connect((server, PORTS[service]))
        return opened

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        command("umount", self._inside)
        command("umount", str(self._spaces))


_WAYS = (
    ("link", "set", "lo", "up"),
    ("link", "set", marks.SERVICES, "address", format_mac(GATEWAY_MAC)),
    ("route", "add", "local", str(CLIENTS4), "dev", "lo"),
    ("route", "add", "198.18.0.0/15", "dev", marks.SERVICES),
    ("-6", "route", "add", "local", str(CLIENTS6), "dev", "lo"),
    *(("-6", "route", "add", str(one), "dev", marks.SERVICES) for one in SERVERS6.values()),
)


@contextmanager
def names_process(directory: Path) -> Iterator[NamesProcess]:
    """Start the process on a host of its own; nothing of it is left at the end."""
    with own_netns("nm") as netns:
        process = NamesProcess(netns, directory)
        try:
            yield process
            assert process.errors() == ""
        finally:
            process.close()
