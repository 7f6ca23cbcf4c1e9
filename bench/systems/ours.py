"""This product: ``vpcctl serve`` and an agent per host."""

import contextlib
import os
import signal
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agent.decide import marks
from bench import cpu, netns
from bench.addressing import (
    SUBNETS,
    VPC_CIDR,
    PortSpec,
    cidr,
    mass_port,
    shadow_host,
    shadow_vtep,
)
from bench.host import Host
from bench.outside import BRIDGE, PROVIDER
from bench.ovsdb import insert, ovs_set, where
from bench.processes import Process
from bench.rest import Api, ApiError
from bench.systems.base import Plugging
from bench.waiting import wait_for
from bench.world import MANAGEMENT, World
from vpcctl.wire.report import HostFacts, Link, LinkReport, OutsideFact, digest

CONTROLLER, AGENT = "controller", "agent"
OPENFLOW_PORT = 6653
CREATING = 4
"""Connections over which the network is made large; nothing of that is measured."""
STABLE_S = 21.0
"""Longer than a connection has to last so that its end is no sign of trouble."""


class Ours(Plugging):
    """One controller with its embedded database, and three agents.

    REST goes through a Unix socket, as everything of OVN does beside it. OpenFlow is TCP on the
    management network: Open vSwitch takes no controller's socket outside its own directory.
    """

    name = "ours"
    parts: tuple[str, ...] = (CONTROLLER, AGENT)
    tenant = "bench"

    def __init__(self, world: World) -> None:
        self.world = world
        self._directory = world.directory / "vpcctl"
        self._controller: Process | None = None
        self._agents: dict[str, Process] = {}
        self._api: Api | None = None
        self._host_ids: dict[str, str] = {}
        self._subnets: list[str] = []
        self.vpc_id = ""
        self.open_group = ""
        self._ports: dict[str, str] = {}
        self._mass: list[str] = []
        self._placed = 0
        self._shadows: dict[int, str] = {}
        self._started = 0.0
        self._interrupted: dict[str, float] = {}

    @property
    def api(self) -> Api:
        """The persistent connection to the API."""
        assert self._api is not None
        return self._api

    def setup(self) -> None:
        """Start the controller, then the agents; make one VPC with all its subnets."""
        self._directory.mkdir()
        self._start_controller()
        self._started = time.monotonic()
        self._api = Api.unix(self.api_socket, self._admin_token())
        for host in self.world.hosts:
            self._add_host(host)
        body = {"name": "vpc", "cidrs": [VPC_CIDR], "tenant_id": self.tenant}
        self.vpc_id = self.api.call("POST", "/v1/vpcs", body)["id"]
        self.open_group = self._create_open_group()
        for number in range(SUBNETS):
            body = {"name": f"subnet-{number}", "vpc_id": self.vpc_id, "cidr": cidr(number)}
            self._subnets.append(self.api.call("POST", "/v1/subnets", body)["id"])
        self.converge(60)

    def _create_open_group(self) -> str:
        """Create the stateless group that allows everything both ways: nothing is tracked."""
        rules = [{"direction": direction} for direction in ("ingress", "egress")]
        body = {"vpc_id": self.vpc_id, "name": "open", "stateful": False, "rules": rules}
        return self.api.call("POST", "/v1/security-groups", body)["id"]

    def _admin_token(self) -> str:
        return (self._directory / "state/admin.token").read_text().strip()

    def _start_controller(self) -> None:
        socket = self.api_socket
        with contextlib.suppress(FileNotFoundError):
            socket.unlink()
        self._controller = Process(
            [
                *(sys.executable, "-m", "vpcctl.cli", "serve"),
                *("--state-dir", str(self._directory / "state")),
                *("--api-listen", f"unix:{socket}"),
                *("--openflow-listen", f"tcp:{MANAGEMENT}:{OPENFLOW_PORT}"),
                *("--log-level", "warning"),
            ],
            log=self._directory / "controller.log",
            netns=self.world.central_netns,
            env={"VPCCTL_OPENFLOW_ALLOW_PLAIN": "true"},
        )
        wait_for("the API", self._ready, timeout=60, every=0.05)

    def _ready(self) -> bool:
        assert self._controller is not None
        if not self._controller.alive():
            raise ApiError((self._directory / "controller.log").read_text()[-1000:])
        api = Api.unix(self.api_socket, "")
        with contextlib.suppress(ApiError):
            api.call("GET", "/readyz")
            return True
        return False

    def _add_host(self, host: Host) -> None:
        body = {"name": host.name, "vtep_address": host.vtep}
        self._host_ids[host.name] = self.api.call("POST", "/v1/hosts", body)["id"]
        token = self._directory / f"{host.name}.token"
        token.touch(mode=0o600)
        token.write_text(self._host_token(self._host_ids[host.name]))
        self._start_agent(host)

    def _host_token(self, host_id: str) -> str:
        return self.api.call("POST", "/v1/tokens", {"role": "host", "host_id": host_id})["secret"]

    @property
    def api_socket(self) -> Path:
        """The API's socket."""
        return self._directory / "api.sock"

    def restart_agent(self, host: Host, api: Path) -> None:
        """Restart the host's agent, which is to find the API at the socket *api*."""
        self._agents[host.name].kill()
        self._start_agent(host, api)

    def _start_agent(self, host: Host, api: Path | None = None) -> None:
        words = {
            "host-id": self._host_ids[host.name],
            "api-url": f"unix:{api or self.api_socket}",
            "token-file": str(self._directory / f"{host.name}.token"),
            "ovsdb": f"unix:{host.socket}",
            "ovs-rundir": str(host.directory),
            "state-dir": str(self._directory / f"agent-{host.name}"),
            "datapath": "netdev",
            "vtep-address": host.vtep,
            "log-level": "warning",
        }
        if self.world.reaches(host):
            words["providers"] = f"{PROVIDER}={BRIDGE}"
        options = [text for name, value in words.items() for text in (f"--{name}", value)]
        self._agents[host.name] = Process(
            [sys.executable, "-m", "agent.main", "run", *options],
            log=self._directory / f"agent-{host.name}.log",
            netns=host.netns,
            env=host.env,
        )

    def kill_agent(self, host: Host) -> None:
        """Kill the host's agent with SIGKILL; :meth:`restart` starts it again."""
        self._agents[host.name].kill()

    def host_id(self, name: str) -> str:
        """Return the id of the host called *name*."""
        return self._host_ids[name]

    def subnet_id(self, number: int) -> str:
        """Return the id of subnet *number*."""
        return self._subnets[number]

    def keep_agent(self, host: Host) -> None:
        """Stop the agents of all other hosts: what they share of memory is then *host*'s alone."""
        for name in self._agents.keys() - {host.name}:
            self._agents.pop(name).kill()

    def interface_id(self, spec: PortSpec) -> str:
        """Return the port's id."""
        return self._ports[spec.name]

    def create_port(self, spec: PortSpec) -> None:
        """Create a port by one request."""
        self._ports[spec.name] = self._create(spec, self.api)

    def _create_all(self, specs: list[PortSpec]) -> list[str]:
        """Create ports side by side; one that an attempt before this has made is taken as it is."""
        token = self._admin_token()
        lines = [Api.unix(self.api_socket, token) for _ in range(CREATING)]

        def some(line: int) -> list[str]:
            return [self._made(lines[line], spec) for spec in specs[line::CREATING]]

        with ThreadPoolExecutor(CREATING) as pool:
            parts = list(pool.map(some, range(CREATING)))
        for line in lines:
            line.close()
            self.api.revision = max(self.api.revision, line.revision)
        return [parts[index % CREATING][index // CREATING] for index in range(len(specs))]

    def _made(self, api: Api, spec: PortSpec) -> str:
        try:
            return self._create(spec, api)
        except ApiError:
            found = api.call("GET", f"/v1/ports?name={spec.name}")["items"]
            if not found:
                raise
            return found[0]["id"]

    def _create(self, spec: PortSpec, api: Api) -> str:
        body = {
            "name": spec.name,
            "subnet_id": self._subnets[spec.subnet],
            "mac_address": spec.mac,
            "fixed_ips": [spec.address],
            "security_groups": [self.open_group],
        }
        return api.call("POST", "/v1/ports", body)["id"]

    def delete_port(self, spec: PortSpec) -> None:
        """Delete a port; one whose creation failed half-way is looked for by its name."""
        known = self._ports.pop(spec.name, None)
        for port in [known] if known else self._named(spec.name):
            # The agent's report that it was unplugged may still be on its way.
            wait_for("the port to be free", lambda id=port: self._try_delete(id), timeout=30)

    def _named(self, name: str) -> list[str]:
        return [port["id"] for port in self.api.call("GET", f"/v1/ports?name={name}")["items"]]

    def _try_delete(self, port: str) -> bool:
        try:
            self.api.call("DELETE", f"/v1/ports/{port}")
        except ApiError as error:
            if ": 409 " in str(error):
                return False
            raise
        return True

    def grow(self, ports: int) -> None:
        """Create mass ports over a few connections and report them from shadow hosts."""
        wanted = range(len(self._mass), ports)
        if wanted:
            specs = [mass_port(number) for number in wanted]
            made = self._create_all(specs)
            self._mass += made
            self._ports.update(zip((spec.name for spec in specs), made, strict=True))
        touched = {shadow_host(number) for number in range(self._placed, ports)}
        for shadow in sorted(touched):
            self._report(shadow)
        self._placed = max(self._placed, ports)
        self.converge(600)

    def _report(self, shadow: int) -> None:
        if shadow not in self._shadows:
            body = {"name": f"shadow-{shadow}", "vtep_address": shadow_vtep(shadow)}
            self._shadows[shadow] = self.api.call("POST", "/v1/hosts", body)["id"]
        host_id = self._shadows[shadow]
        links = tuple(
            Link(port_id=port, interface=f"m{number}", interface_uuid=str(number), ofport=1 + index)
            for index, (number, port) in enumerate(self._mass_of(shadow))
        )
        report = link_report(host_id, shadow_vtep(shadow), links)
        api = Api.unix(self.api_socket, self._host_token(host_id))
        body = report.model_dump(mode="json", exclude_defaults=True)
        answer: dict[str, Any] = api.call("POST", f"/v1/hosts/{host_id}/reports", body)
        api.close()
        if not answer["accepted"]:
            raise ApiError(f"the report of shadow host {shadow} was not accepted")

    def _mass_of(self, shadow: int) -> list[tuple[int, str]]:
        return [
            (number, port)
            for number, port in enumerate(self._mass)
            if shadow_host(number) == shadow
        ]

    def restart(self, part: str, host: Host) -> None:
        """Kill the whole controller, or the host's agent, and start it again."""
        if part == AGENT:
            self.restart_agent(host, self.api_socket)
            return
        assert self._controller is not None
        for pid in (self._controller.pid, *cpu.children(self._controller.pid)):
            os.kill(pid, signal.SIGKILL)
        self._controller.kill()
        self.api.close()
        self._start_controller()
        self._started = time.monotonic()
        self._interrupted.clear()

    def rest(self, host: Host) -> None:
        """Wait until the connection of *host*'s switch counts as stable again."""
        age = time.monotonic() - self._interrupted.get(host.name, self._started)
        time.sleep(max(0.0, STABLE_S - age))
        self._interrupted[host.name] = time.monotonic()

    def disconnect(self, host: Host) -> dict[str, Any]:
        """Take the controller off *host*'s br-int; return what :meth:`reconnect` needs.

        The agent, which would put it back at once, is stopped meanwhile.
        """
        os.kill(self._agents[host.name].pid, signal.SIGSTOP)
        columns = ["target", "connection_mode", "external_ids", "other_config"]
        row = host.ovsdb.select("Controller", [], columns)[0]
        host.ovsdb.update("Bridge", where("name", "br-int"), {"controller": ovs_set([])})
        self._await_connection(host, "disconnected")
        return row

    def reconnect(self, host: Host, controller: dict[str, Any]) -> None:
        """Put the controller back."""
        host.ovsdb.transact(
            insert("Controller", controller, "controller"),
            {
                "op": "update",
                "table": "Bridge",
                "where": where("name", "br-int"),
                "row": {"controller": ["named-uuid", "controller"]},
            },
        )

    def resume(self, host: Host) -> None:
        """Let the agent of *host* go on."""
        os.kill(self._agents[host.name].pid, signal.SIGCONT)

    def _await_connection(self, host: Host, state: str) -> None:
        path = f"/v1/hosts/{self._host_ids[host.name]}"
        wait_for(state, lambda: self.api.call("GET", path)["connection"] == state, timeout=30)

    def forget(self, host: Host) -> None:
        """Do nothing: a VPC leaves a host with its last port."""

    def converge(self, timeout: float) -> None:
        """Wait until every real host is in sync with the newest revision."""
        mine = set(self._host_ids.values())

        def done() -> bool:
            status = self.api.call("GET", "/v1/status")
            if status["processed_revision"] < max(status["revision"], self.api.revision):
                return False
            hosts = [line for line in status["hosts"] if line["id"] in mine]
            return all(line["connection"] == "in_sync" for line in hosts)

        wait_for("our hosts", done, timeout=timeout, every=0.05)

    def pids(self) -> dict[str, int]:
        """Return the supervisor, its children, the agents and their processes for names."""
        assert self._controller is not None
        found = {"supervisor": self._controller.pid}
        for number, pid in enumerate(cpu.children(self._controller.pid)):
            found[f"controller child {number}"] = pid
        for name, process in self._agents.items():
            found[f"agent {name}"] = process.pid
            # Not what it starts now and then for a moment, which is its own memory once more.
            for pid in cpu.children(process.pid):
                if "agent.names" in cpu.command(pid):
                    found[f"agent {name} names"] = pid
        return found

    def close(self) -> None:
        """Stop all of it."""
        if self._api is not None:
            self._api.close()
        for process in self._agents.values():
            process.kill()
        present = netns.list_netns(marks.SERVICES)
        for name in map(marks.services_netns, self._host_ids.values()):
            if name in present:
                netns.delete_netns(name)
        if self._controller is not None:
            self._controller.stop(timeout=15)


def link_report(
    host_id: str,
    vtep: str,
    links: tuple[Link, ...],
    *,
    dpid: int | None = None,
    outside: tuple[OutsideFact, ...] = (),
) -> LinkReport:
    """Return a full report as the agent of a host that is not there would send it."""
    facts = HostFacts(
        vtep_address=vtep,
        tunnel_ofport=1,
        dpid=dpid,
        datapath_type="netdev",
        nd_extensions=False,
        providers=(PROVIDER,) if outside else (),
        outside=outside,
    )
    return LinkReport(
        agent_id=uuid.uuid5(uuid.NAMESPACE_OID, host_id).hex,
        boot=int(time.time()),
        sequence=time.monotonic_ns(),
        digest=digest(facts, links),
        facts=facts,
        links=links,
    )
