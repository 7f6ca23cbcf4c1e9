"""A whole cloud on one machine: controller, hosts with Open vSwitch and agent, guests.

Everything is real and everything is reached as a user would: REST, netlink, packets. The hosts
reach the controller by Unix sockets, as namespaces do not share the loopback.
"""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from agent.decide import marks
from tests.e2e.guest import Guest
from tests.support import leftovers
from tests.support.hosts import Host, HostSet, command
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
OUR_COOKIES = "cookie=0x7663000000000000/0xffff000000000000"


class Pinger:
    """A stream of echo requests whose losses are counted at the end."""

    def __init__(self, guest: Guest, address: str, interval_s: float = 0.01) -> None:
        self._process = guest.spawn(
            *("ping", "-D", "-n", "-i", str(interval_s), "-W", "2", address),
            stdout=subprocess.PIPE,
        )

    def stop(self) -> tuple[int, int]:
        """Return how many requests were answered and how many before the last one were not.

        The request under way when the stream stops is no loss, so gaps are counted.
        """
        self._process.send_signal(signal.SIGINT)
        output, _ = self._process.communicate(timeout=60)
        found = re.findall(r"\[([\d.]+)\].* icmp_seq=(\d+) ttl", output)
        seen = {int(number): float(at) for at, number in found}
        assert seen, output
        for last, number in pairwise([0, *sorted(seen)]):
            if number > last + 1:  # seen when a test fails
                print(f"no answer to {last + 1} to {number - 1}, until {seen[number]}")
        return len(seen), max(seen) - len(seen)


@dataclass
class Cloud:
    """The controller and its hosts.

    Attributes:
        tag: makes the names of this cloud's things its own.
        directory: holds every file of the controller and the agents.
        hosts: the machines, in order.
        host_ids: their ids as the API knows them.
        processes: controller and agents, by name.
    """

    tag: str
    directory: Path
    hosts: tuple[Host, ...]
    host_ids: list[str] = field(default_factory=list)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    database_url: str = ""
    environment: dict[str, str] = field(default_factory=lambda: {"VPCCTL_REPORT_INTERVAL_S": "1"})
    agent_options: tuple[str, ...] = ()
    _clients: dict[str, httpx.Client] = field(default_factory=dict)

    @property
    def api_socket(self) -> Path:
        return self.directory / "api.sock"

    def client(self, token: str) -> httpx.Client:
        """Return a client of the API with *token*; kept for the cloud's life."""
        if token not in self._clients:
            self._clients[token] = httpx.Client(
                transport=httpx.HTTPTransport(uds=str(self.api_socket), retries=2, verify=False),
                base_url="http://controller/v1",
                headers={"Authorization": f"Bearer {token}"},
                timeout=90,
            )
        return self._clients[token]

    @property
    def admin(self) -> httpx.Client:
        return self.client((self.directory / "state" / "admin.token").read_text().strip())

    # -- the controller ---------------------------------------------------------------------------

    def start_controller(self) -> None:
        """Start it and wait until it is ready."""
        self.launch_controller()
        self.await_controller()

    def launch_controller(self) -> None:
        """Start it, without waiting for it."""
        arguments = [sys.executable, "-m", "vpcctl.cli", "serve"]
        arguments += ["--state-dir", str(self.directory / "state")]
        arguments += ["--api-listen", f"unix:{self.api_socket}", *self.listening()]
        if self.database_url:
            arguments += ["--database-url", self.database_url]
        log = (self.directory / "controller.log").open("ab")
        self.processes["controller"] = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *arguments],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            env={**os.environ, **self.environment, "PYTHONPATH": str(ROOT)},
        )

    def await_controller(self) -> None:
        """Wait until it is ready."""
        wait_until(self._ready, what="the controller is ready")

    def listening(self) -> list[str]:
        """Return where the controller listens, besides the Unix socket of the API."""
        return ["--openflow-listen", f"unix:{self.directory}/of.sock"]

    def _ready(self) -> bool:
        process = self.processes["controller"]
        assert process.poll() is None, (self.directory / "controller.log").read_text()[-4000:]
        try:
            # No certificates: to load the system's takes longer than to ask.
            transport = httpx.HTTPTransport(uds=str(self.api_socket), verify=False)
            with httpx.Client(transport=transport, base_url="http://controller") as client:
                return client.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def start(self, name: str) -> None:
        """Start the controller, or the agent ``agent-<host>``."""
        if name == "controller":
            self.start_controller()
        else:
            self.start_agent(int(name.removeprefix("agent-")))

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        """End the controller or an agent and wait for its end."""
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
            raise AssertionError(f"{name} did not end within 15 s of a signal") from None

    def mend(self) -> None:
        """Start what a failed test has left stopped."""
        for name in ("controller", *(f"agent-{at}" for at, _ in enumerate(self.hosts))):
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                self.start(name)
        for at, _ in enumerate(self.hosts):
            self.in_sync(at)

    # -- hosts ------------------------------------------------------------------------------------

    def add_hosts(self) -> None:
        """Make every host known and start its agent; returns when all are in sync."""
        for at, _ in enumerate(self.hosts):
            host = self.post("hosts", name=f"{self.tag}-{at}")
            self.host_ids.append(host["id"])
            self.admit(at)
            self.start_agent(at)
        for at, _ in enumerate(self.hosts):
            self.in_sync(at)

    def admit(self, at: int) -> None:
        """Give host *at* what its agent needs to be let in."""
        token = self.post("tokens", role="host", host_id=self.host_ids[at])["secret"]
        path = self.directory / f"agent-{at}.token"
        path.touch(mode=0o600)
        path.write_text(token)

    def identity(self, at: int) -> list[str]:
        """Return the flags that tell the agent of host *at* who it is and who its controller is."""
        flags = ["--host-id", self.host_ids[at], "--api-url", f"unix:{self.api_socket}"]
        return [*flags, "--token-file", str(self.directory / f"agent-{at}.token")]

    def start_agent(self, at: int) -> None:
        """Start the agent of host *at*."""
        log = (self.directory / f"agent-{at}.log").open("ab")
        self.processes[f"agent-{at}"] = self.hosts[at].spawn(
            *self._agent(at, "run"),
            env={"PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )

    def agent_command(self, at: int, verb: str) -> subprocess.CompletedProcess[str]:
        """Run one of vpc-agent's commands on host *at*."""
        arguments = ("env", f"PYTHONPATH={ROOT}", *self._agent(at, verb))
        return self.hosts[at].run(*arguments, check=False)

    def _agent(self, at: int, verb: str) -> list[str]:
        host = self.hosts[at]
        return [
            *(sys.executable, "-m", "agent.main", verb, *self.identity(at)),
            *("--ovsdb", host.ovsdb, "--ovs-rundir", str(host.directory)),
            *("--state-dir", str(self.directory / f"agent-{at}")),
            *("--vtep-address", host.address, "--datapath", "netdev", *self.agent_options),
        ]

    def host(self, at: int) -> dict[str, Any]:
        """Return what the API says of host *at*."""
        return self.get(f"hosts/{self.host_ids[at]}")

    def in_sync(self, at: int) -> None:
        """Wait until host *at* is up and has realised everything."""
        wait_until(
            lambda: (host := self.host(at))["state"] == "up" and host["connection"] == "in_sync",
            what=f"host {at} is in sync: {self.logs()}",
        )

    def flows(self, at: int) -> list[str]:
        """Return our flows on host *at*, without what counts and ages."""
        text = self.hosts[at].ofctl("dump-flows", "br-int", OUR_COOKIES)
        lines = [line for line in text.splitlines() if "table=" in line]
        counting = r" ?(duration|n_packets|n_bytes|idle_age|hard_age|reset_counts)[^,]*,"
        return sorted(re.sub(counting, "", line) for line in lines)

    # -- REST -------------------------------------------------------------------------------------

    def post(self, path: str, *, client: httpx.Client | None = None, **body: Any) -> dict[str, Any]:
        """Create something; an error is an AssertionError with the problem document."""
        return self._answer((client or self.admin).post(path, json=body))

    def patch(
        self, path: str, *, client: httpx.Client | None = None, **body: Any
    ) -> dict[str, Any]:
        """Change something."""
        return self._answer((client or self.admin).patch(path, json=body))

    def get(self, path: str, *, client: httpx.Client | None = None) -> dict[str, Any]:
        """Read something."""
        return self._answer((client or self.admin).get(path))

    def delete(self, path: str, *, client: httpx.Client | None = None) -> None:
        """Delete something."""
        response = (client or self.admin).delete(path)
        assert response.is_success, response.text

    @staticmethod
    def _answer(response: httpx.Response) -> dict[str, Any]:
        assert response.is_success, f"{response.status_code} {response.text}"
        return response.json()

    def tenant(self, name: str) -> httpx.Client:
        """Return a client with a new token of tenant *name*."""
        return self.client(self.post("tokens", role="tenant", tenant_id=name)["secret"])

    def subnet(self, vpc: dict[str, Any], client: httpx.Client, **body: Any) -> dict[str, Any]:
        """Make a subnet of *vpc*."""
        return self.post("subnets", client=client, vpc_id=vpc["id"], **body)

    def guest(
        self, at: int, subnet: dict[str, Any], client: httpx.Client | None = None, **body: Any
    ) -> Guest:
        """Make a port attached as a namespace on host *at*; returns when the namespace is up."""
        netns = f"vg{self.tag}-{secrets.token_hex(3)}"
        attachment = {"kind": "namespace", "host_id": self.host_ids[at], "netns": netns}
        port = self.post(
            "ports", client=client, subnet_id=subnet["id"], attachment=attachment, **body
        )
        return self.attached(Guest(port, netns), client)

    def attached(self, guest: Guest, client: httpx.Client | None = None) -> Guest:
        """Wait until the guest's port is active."""

        def active() -> bool:
            guest.port = self.get(f"ports/{guest.id}", client=client)
            return guest.port["status"]["state"] == "active"

        wait_until(active, what=f"{guest.id} is active: {guest.port} {self.logs()}")
        return guest

    def hand_made(self, at: int, port: dict[str, Any], subnet: dict[str, Any]) -> Guest:
        """Plug a namespace into host *at* as somebody else would: OVS and iface-id, no API."""
        tag = f"{self.tag}-{secrets.token_hex(3)}"
        guest = Guest(port, f"vm{tag}")
        host, outer = self.hosts[at], f"vt{tag}"
        command("ip", "netns", "add", guest.netns)
        inner = ("peer", "name", "eth0", "address", port["mac_address"], "mtu", str(port["mtu"]))
        host.run(
            *("ip", "link", "add", outer, "mtu", str(port["mtu"]), "type", "veth"),
            *inner,
            *("netns", guest.netns),
        )
        host.run("ip", "link", "set", outer, "up")
        for arguments in (
            ("ethtool", "-K", "eth0", "tx", "off"),
            ("ip", "link", "set", "lo", "up"),
            ("ip", "link", "set", "eth0", "up"),
            ("ip", "addr", "add", f"{guest.ipv4}/{subnet['cidr'].split('/')[1]}", "dev", "eth0"),
            ("ip", "route", "add", "default", "via", subnet["gateway"]),
        ):
            guest.run(*arguments)
        host.vsctl(
            *("add-port", "br-int", outer, "--", "set", "interface", outer),
            f"external_ids:iface-id={port['id']}",
        )
        return guest

    def unplug(self, at: int, guest: Guest) -> None:
        """Take a hand-made guest away: its OVS port, its veth and its namespace."""
        outer = guest.netns.replace("vm", "vt", 1)
        self.hosts[at].vsctl("--if-exists", "del-port", "br-int", outer)
        command("ip", "netns", "del", guest.netns, check=False)

    @staticmethod
    def namespaces() -> set[str]:
        """Return the names of all network namespaces."""
        lines = command("ip", "netns", "list").stdout.splitlines()
        return {line.split()[0] for line in lines if line}

    def logs(self) -> str:
        """Return the ends of all logs."""
        files = sorted(self.directory.glob("*.log"))
        return "\n".join(f"--- {each.name}\n{each.read_text()[-1500:]}" for each in files)

    def clear(self) -> None:
        """Delete all that tenants have; returns when the hosts have forgotten it."""
        for kind in ("ports", "subnets", "security-groups", "vpcs"):
            for item in self.get(f"{kind}?limit=500")["items"]:
                if not item.get("default"):  # a VPC's own group goes with it
                    self.delete(f"{kind}/{item['id']}")
        for at, _ in enumerate(self.hosts):
            self.in_sync(at)
        wait_until(lambda: not self._workloads(), what="the namespaces are gone")

    def _workloads(self) -> list[str]:
        return [name for name in self.namespaces() if name.startswith(f"vg{self.tag}-")]

    def close(self) -> None:
        """Remove everything that this cloud made."""
        for client in self._clients.values():
            client.close()
        for name in reversed(list(self.processes)):
            self.stop(name, signal.SIGKILL if name.startswith("agent") else signal.SIGTERM)
        for name in self.namespaces():
            if name.startswith((f"vg{self.tag}-", f"vm{self.tag}-")):
                command("ip", "netns", "del", name, check=False)
        for host_id in self.host_ids:
            command("ip", "netns", "del", marks.services_netns(host_id), check=False)


@dataclass
class TlsCloud(Cloud):
    """A cloud whose hosts reach the controller as on several machines: by address, with TLS.

    Attributes:
        gateway: the controller's address on the underlay.
        api_port: of REST.
        openflow_port: of OpenFlow.
    """

    gateway: str = ""
    api_port: int = 0
    openflow_port: int = 0

    @property
    def url(self) -> str:
        return f"https://{self.gateway}:{self.api_port}"

    def prepare(self) -> None:
        """Choose ports, and make the authority and the controller's certificate."""
        with (
            socket.create_server((self.gateway, 0)) as one,
            socket.create_server((self.gateway, 0)) as two,
        ):
            self.api_port, self.openflow_port = one.getsockname()[1], two.getsockname()[1]
        state = str(self.directory / "state")
        self.vpcctl("pki", "init", "--state-dir", state, "--name", self.gateway)
        (self.directory / "ca.pem").write_text(
            self.vpcctl("pki", "show", "--ca", "--state-dir", state)
        )

    def vpcctl(self, *arguments: str) -> str:
        """Run a command of the controller's machine and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "vpcctl.cli", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def as_admin(self, *arguments: str) -> str:
        """Run a client command over TLS."""
        token = str(self.directory / "state" / "admin.token")
        ca = str(self.directory / "ca.pem")
        return self.vpcctl("--api", self.url, "--ca-file", ca, "--token-file", token, *arguments)

    def listening(self) -> list[str]:
        openflow = f"ssl:{self.gateway}:{self.openflow_port}"
        return ["--api-listen", self.url, "--openflow-listen", openflow]

    def admit(self, at: int) -> None:
        token = self.as_admin("host", "enroll", self.host_ids[at]).split()[0]
        self.hosts[at].run(
            *("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "agent.main", "enroll"),
            *("--api", self.url, "--token", token),
            *("--state-dir", str(self.directory / f"agent-{at}")),
        )

    def identity(self, at: int) -> list[str]:
        return ["--api-url", self.url]


@contextmanager
def make_cloud(
    count: int,
    *,
    database_url: str = "",
    mtu: int = 1500,
    agent_options: tuple[str, ...] = (),
    tls: bool = False,
    environment: dict[str, str] | None = None,
) -> Iterator[Cloud]:
    """Make a cloud of *count* hosts; nothing of it is left at the end.

    Args:
        count: how many.
        database_url: of the controller; empty: the embedded one.
        mtu: of the underlay, bytes.
        agent_options: further flags of every agent.
        tls: hosts reach the controller over the underlay, with certificates of their own.
        environment: further variables of the controller.
    """
    with ExitStack() as stack:
        hosts = stack.enter_context(HostSet.make(count, mtu=mtu, start=False))
        tag, directory = leftovers.tag(2), hosts.directory
        if tls:
            cloud = TlsCloud(tag, directory, hosts.hosts, gateway=hosts.gateway)
            cloud.prepare()
        else:
            cloud = Cloud(tag, directory, hosts.hosts)
        cloud.database_url, cloud.agent_options = database_url, agent_options
        cloud.environment |= environment or {}
        stack.callback(cloud.close)
        cloud.launch_controller()
        for host in hosts.hosts:  # while it starts
            host.start_ovsdb()
            host.start_vswitchd()
        cloud.await_controller()
        cloud.add_hosts()
        yield cloud


def unchanged_for(condition: Any, seconds: float, what: str) -> None:
    """Check that *condition* holds all the time for *seconds*."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), what
        time.sleep(0.02)


def as_json(value: Any) -> str:
    """Return *value* as text for an assertion."""
    return json.dumps(value, indent=1, default=str)
