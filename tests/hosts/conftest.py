"""Real agents on real hosts: Open vSwitch in namespaces, and a small real controller."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.decide import marks
from tests.support.controller import Controller, serve
from tests.support.hosts import Host, HostSet, command
from tests.support.waiting import wait_until

HOST_ID = "host-{:017x}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/hosts" in str(item.path):
            item.add_marker(pytest.mark.root)


@pytest.fixture(autouse=True)
def _needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and a real ovs-vswitchd")


@dataclass
class AgentHost:
    """A host with a controller of its own and, once started, an agent."""

    host: Host
    controller: Controller
    log: Path
    process: subprocess.Popen[bytes] | None = None
    options: dict[str, str] = field(default_factory=dict)

    @property
    def host_id(self) -> str:
        return self.controller.state.host_id

    @property
    def socket(self) -> Path:
        return self.host.directory / "api.sock"

    @property
    def netns_dir(self) -> Path:
        return self.host.directory / "netns"

    @property
    def state_dir(self) -> Path:
        return Path(self.options.get("state-dir", str(self.host.directory / "state")))

    def arguments(self, verb: str) -> list[str]:
        options = {
            "host-id": self.host_id,
            "api-url": f"unix:{self.socket}",
            "ovsdb": self.host.ovsdb,
            "ovs-rundir": str(self.host.directory),
            "state-dir": str(self.state_dir),
            "netns-dir": str(self.netns_dir),
            "vtep-address": self.host.address,
            "log-level": "debug",
            **self.options,
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", value)]
        return [sys.executable, "-m", "agent.main", verb, *flags]

    def start(self, *, wait: bool = True) -> None:
        """Start the agent; returns when the controller knows the bridge and the tunnel."""
        with self.log.open("ab") as log:
            self.process = self.host.spawn(*self.arguments("run"), stderr=log)
        before = len(self.controller.reports)
        if wait:
            wait_until(lambda: len(self.controller.reports) > before, what="a report")
            wait_until(self.is_up, what="bridge and tunnel")

    def is_up(self) -> bool:
        facts = self.controller.facts
        return bool(
            facts and facts.dpid == self.controller.state.dpid and facts.tunnel_ofport
        ) and (not facts.errors)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the agent and return its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(5)
        finally:
            self.process = None

    def once(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of vpc-agent's commands."""
        return self.host.run(*self.arguments(verb), *arguments, check=False)

    def inside(self, netns: str, *arguments: str, check: bool = True) -> str:
        """Run a command in a guest's namespace."""
        return command("nsenter", f"--net={self.netns_dir / netns}", *arguments, check=check).stdout

    def namespaces(self) -> list[str]:
        return [name for name in self.mounts() if not name.startswith(marks.SERVICES)]

    def mounts(self) -> list[str]:
        """Every namespace of the host, that of its sockets for names, too."""
        return sorted(os.listdir(self.netns_dir)) if self.netns_dir.exists() else []

    def devices(self) -> list[str]:
        """Host ends of pairs on the host."""
        lines = self.host.run("ip", "-br", "link").stdout.splitlines()
        names = [line.split()[0].split("@")[0] for line in lines]
        ends = [name for name in names if name.startswith("vp") and len(name) == 15]
        return [name for name in ends if name != marks.SERVICES]

    def clean_up(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        # Lazily: whoever ends with the agent may have one of them open for a moment more.
        for name in self.mounts():
            command("umount", "-l", str(self.netns_dir / name), check=False)
        command("umount", "-l", str(self.netns_dir), check=False)


Make = Callable[[int], list[AgentHost]]


@pytest.fixture
def make_hosts() -> Iterator[Make]:
    with ExitStack() as stack:

        def make(count: int) -> list[AgentHost]:
            hosts = stack.enter_context(HostSet.make(count))
            return [_serve(stack, host, at) for at, host in enumerate(hosts.hosts, 1)]

        yield make


def _serve(stack: ExitStack, host: Host, number: int) -> AgentHost:
    controller = Controller(HOST_ID.format(number), dpid=0x7663_0000_0000_0000 | number)
    made = AgentHost(host, controller, host.directory / "agent.log")
    stack.enter_context(serve(controller, made.socket))
    stack.callback(made.clean_up)
    return made


@pytest.fixture
def agent(make_hosts: Make) -> AgentHost:
    """One host whose agent does not run yet."""
    return make_hosts(1)[0]


@pytest.fixture
def running(agent: AgentHost) -> AgentHost:
    """One host whose agent runs and has set up br-int."""
    agent.start()
    return agent
