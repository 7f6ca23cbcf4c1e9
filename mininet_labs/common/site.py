"""What every lab stands on: a controller, hypervisors, and an underlay between them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mininet.net import Mininet

from mininet_labs.common import lifecycle, runs
from mininet_labs.common.controller import Controller
from mininet_labs.common.hypervisor import Hypervisor, product
from mininet_labs.common.outside import Far, Outside
from mininet_labs.common.processes import Daemons, LabError, wait_until, within
from mininet_labs.common.report import Checks, say
from mininet_labs.common.rest import Api, ApiError
from mininet_labs.common.runs import Run
from mininet_labs.common.underlay import Underlay
from mininet_labs.common.workloads import Workload

HOSTS = ("host1", "host2", "host3")
READY_S = 30.0
PATIENCE_S = 15.0
_DATAPATHS = {"system": "the kernel's datapath", "netdev": "userspace datapath"}


class Site:
    """A controller and three hypervisors.

    Its parts are made in :meth:`start`, so that a failure half way is cleaned up.

    Attributes:
        daemons: the processes of this run.
        hosts: hypervisor by label.
        workloads: every workload that was made, in order.
    """

    def __init__(self, run: Run, daemons: Daemons) -> None:
        self.daemons = daemons
        self.hosts: dict[str, Hypervisor] = {}
        self.workloads: list[Workload] = []
        self._run = run
        self._controller = Controller(run, daemons)
        self._network: Mininet | None = None
        self._admin: Api | None = None
        self._outside: Outside | None = None
        self._wire: Underlay | None = None

    @property
    def admin(self) -> Api:
        """The API with the admin's token.

        Raises:
            LabError: the controller is not up.
        """
        if self._admin is None:
            raise LabError("the lab is not up")
        return self._admin

    @property
    def outside(self) -> Outside:
        """Who is on the provider's network.

        Raises:
            LabError: there is no such network.
        """
        if self._outside is None:
            raise LabError("nobody reaches a provider's network here")
        return self._outside

    @property
    def wire(self) -> Underlay:
        """The provider's network itself.

        Raises:
            LabError: there is no such network.
        """
        if self._wire is None:
            raise LabError("nobody reaches a provider's network here")
        return self._wire

    def start(self, *, reach: Sequence[str] = ()) -> None:
        """Start everything and register the hosts.

        Args:
            reach: labels of the hosts that reach a provider's network; none: there is none.
        """
        say(f"lab: run {self._run.id}: controller, {len(HOSTS)} hypervisors, an underlay")
        self._controller.start()
        self._build_network(reach)
        self._admin = self._controller.wait()
        self._register_hosts()

    def tenant(self, tenant_id: str) -> Api:
        """Return the API with a new token of a tenant."""
        made = self.admin.post("/v1/tokens", {"role": "tenant", "tenant_id": tenant_id})
        _write_token(self._token_file(tenant_id), made["secret"])
        return Api(self._controller.api_socket, made["secret"])

    def vpcctl(self, tenant_id: str | None, *words: str) -> str:
        """Run the command line as a tenant that has a token; return what it printed.

        Args:
            tenant_id: the tenant; None is the admin.
            words: the command.

        Raises:
            LabError: it refused; with its own words.
        """
        say(f"  $ vpcctl {' '.join(words)}")
        admin = tenant_id is None
        token = self._controller.token_file if admin else self._token_file(tenant_id)
        variables = {"VPCCTL_API": self._controller.url, "VPCCTL_TOKEN_FILE": str(token)}
        variables["VPCCTL_TOKEN"] = ""  # one of the caller's shell would go before the file
        done = subprocess.run(
            [*product("vpcctl.cli"), *words],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"vpcctl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def create_port(
        self, tenant: str, name: str, subnet: dict[str, Any], host: str, **fields: Any
    ) -> Workload:
        """Create a port with its workload in a namespace of *host*, as the admin.

        Args:
            tenant: who owns it.
            name: of the port and of the namespace.
            subnet: the subnet as the API shows it.
            host: label of the host.
            fields: more fields of the port.
        """
        hypervisor = self.hosts[host]
        attachment = {
            "kind": "namespace",
            "host_id": hypervisor.params["id"],
            "netns": name,
            "interface": "eth0",
        }
        body = {"name": name, "subnet_id": subnet["id"], "attachment": attachment, **fields}
        port = self.admin.post("/v1/ports", body)
        addresses = {6 if ":" in text else 4: text for text in port["fixed_ips"]}
        gateways = {4: subnet["gateway"], 6: subnet["ipv6_gateway"]}
        workload = Workload(
            name, tenant, subnet["name"], hypervisor, port["id"], addresses, gateways
        )
        self.workloads.append(workload)
        return workload

    def await_hosts(self) -> None:
        """Return when every host has its bridge and its flows, so that something can be plugged."""

        def in_sync() -> bool:
            self.daemons.check()
            hosts = self.admin.get("/v1/hosts?limit=500")["items"]
            return all(host["connection"] == "in_sync" for host in hosts)

        wait_until(in_sync, "every host to be in sync", seconds=READY_S)

    def await_ports(self) -> None:
        """Return when every port is realised, and note where the workloads are."""

        def late() -> list[dict[str, Any]]:
            self.daemons.check()
            ports = self.admin.get("/v1/ports?limit=500")["items"]
            return [port for port in ports if port["status"]["state"] != "active"]

        try:
            wait_until(lambda: not late(), "every port to be active", seconds=READY_S)
        except LabError as error:
            reasons = "\n".join(f"{port['name']}: {port['status']['reason']}" for port in late())
            raise LabError(f"{error}\n{reasons}") from None
        places = {w.name: w.host.within(w.name) for w in self.workloads}
        if self._outside is not None:
            places[self._outside.label] = self._outside.within(self._outside.label)
        hosts = {label: host.inside() for label, host in self.hosts.items()}
        self._run.note(hosts=hosts, places=places)

    def facts(self) -> dict[str, str]:
        """Return, by a host's label, what there is to say about it."""
        facts = {}
        for host in self.admin.get("/v1/hosts?limit=500")["items"]:
            software = f"Open vSwitch {host['ovs_version']}, {_DATAPATHS[host['datapath_type']]}"
            facts[host["name"]] = f"{host['vtep_address']}  {software}"
        return dict(sorted(facts.items()))

    def describe(self, lab: str, commands: str, *examples: str) -> str:
        """Return how to use the lab from a shell, and note it for who asks again.

        Args:
            lab: its name.
            commands: what to try, one command a line.
            examples: commands to run inside workloads, each with the workload's name first.
        """
        token = _write_token(
            self._run.path("admin.token"), self._controller.token_file.read_text().strip()
        )
        lifecycle.give_to_caller(token)
        listed = "\n".join(f"  {command}" for command in commands.strip().splitlines())
        run = f"  {runs.base_setting()}/usr/bin/python3 -m mininet_labs.{lab} exec"
        inside = "\n".join(f"{run} {example}" for example in examples)
        usage = f"""
The lab is up; `{lifecycle.make("down", lab)}` ends it. In this shell:

  export PATH=$PWD/.venv/bin:$PATH
  export {runs.base_setting()}VPCCTL_API={self._controller.url} VPCCTL_TOKEN_FILE={token}

{listed}
  curl -s -H "Authorization: Bearer $(cat $VPCCTL_TOKEN_FILE)" $VPCCTL_API/v1/hosts

Inside a workload (as root):

{inside}
"""
        self._run.path("usage").write_text(usage)
        return usage

    def take_down(self, kinds: Sequence[str], checks: Checks) -> None:
        """Delete everything of these kinds through the API and check that nothing is left.

        Args:
            kinds: as the API names them, each before what it needs.
            checks: where that is counted.
        """
        for kind in kinds:
            found = self.admin.get(f"/v1/{kind}?limit=500")["items"]
            # A VPC's default group and main route table go with their VPC.
            for item in (one for one in found if not one.get("default") and not one.get("main")):
                deleted = _delete(self.admin, f"/v1/{kind}/{item['id']}")
                checks.expect(deleted, f"{item['id']} can be deleted")
        for label, host in self.hosts.items():
            gone = within(lambda here=host: not here.namespaces(), seconds=10.0)
            checks.expect(gone, f"no workload's namespace is left on {label}")
        for kind in kinds:
            left = self.admin.get(f"/v1/{kind}")["items"]
            checks.expect(not left, f"the API lists no {kind} any more")

    def close(self) -> None:
        """End Mininet's shells, and with them the hosts' namespaces."""
        self.daemons.stop()
        if self._network is not None:
            self._network.stop()

    def kill(self, label: str) -> None:
        """End a host's agent and its switch at once, as a power cut would."""
        self.daemons.kill(f"{label}-vpc-agent")
        self.daemons.kill(f"{label}-ovs-vswitchd")

    def revive(self, label: str) -> None:
        """Start what :meth:`kill` has ended."""
        self.hosts[label].start_again()

    def pull(self, label: str) -> None:
        """Pull a host's cable to the provider's network."""
        self.hosts[label].params["cable"].intf2.ifconfig("down")

    def plug_in(self, label: str) -> None:
        """Plug in what :meth:`pull` has pulled."""
        self.hosts[label].params["cable"].intf2.ifconfig("up")

    def cut_off(self, label: str) -> None:
        """Take a host's way to the controller, and nothing else."""
        self.hosts[label].hide(self._controller.api_socket, self._controller.openflow_socket)

    def join(self, label: str) -> None:
        """Give back what :meth:`cut_off` has taken."""
        self.hosts[label].show(self._controller.api_socket, self._controller.openflow_socket)

    def kill_controller(self) -> None:
        """End the controller at once."""
        self._controller.kill()

    def revive_controller(self) -> None:
        """Start what :meth:`kill_controller` has ended; return when it is ready."""
        self._controller.start()
        self._controller.wait()

    def _build_network(self, reach: Sequence[str]) -> None:
        # Mininet would raise system-wide limits that a lab of this size does not need.
        Mininet.inited = True
        network = Mininet(
            controller=None, host=Hypervisor, switch=Underlay, waitConnected=False, build=False
        )
        self._network = network
        underlay = network.addSwitch(f"u-{self._run.id}")
        self._run.remember(underlay.pid)
        for number, label in enumerate(HOSTS, start=1):
            self.hosts[label] = network.addHost(
                f"h{number}-{self._run.id}",
                ip=f"192.0.2.{number}/24",
                run=self._run,
                daemons=self.daemons,
                label=label,
            )
            network.addLink(self.hosts[label], underlay)
        if reach:
            self._add_provider(network, reach)
        network.start()
        if self._outside is not None:
            self._outside.begin()
        # In this thread: a child ends with the thread that started it (prctl(2), PDEATHSIG).
        for host in self.hosts.values():
            host.start_switch()

    def _add_provider(self, network: Mininet, reach: Sequence[str]) -> None:
        """Add a provider's network, its router with somebody behind it, and cables of hosts."""
        wire = self._wire = network.addSwitch(f"x-{self._run.id}")
        self._run.remember(wire.pid)
        outside = network.addHost(f"o-{self._run.id}", cls=Outside, run=self._run)
        self._outside = outside
        network.addLink(outside, wire)
        network.addLink(outside, network.addHost(f"f-{self._run.id}", cls=Far, run=self._run))
        for label in reach:
            link = network.addLink(self.hosts[label], wire)
            self.hosts[label].params["provider"] = link.intf1.name
            self.hosts[label].params["cable"] = link

    def _register_hosts(self) -> None:
        for label, host in self.hosts.items():
            host_id = self.admin.post("/v1/hosts", {"name": label})["id"]
            made = self.admin.post("/v1/tokens", {"role": "host", "host_id": host_id})
            token = _write_token(self._run.path(label, "token"), made["secret"])
            host.start_agent(host_id, f"unix:{self._controller.api_socket}", token)
            host.params["id"] = host_id

    def _token_file(self, tenant_id: str) -> Path:
        return self._run.path("tenants", f"{tenant_id}.token")


def _delete(admin: Api, path: str) -> bool:
    try:
        admin.delete(path)
    except ApiError as error:
        print(f"lab: {path}: {error}", file=sys.stderr)
        return False
    return True


def _write_token(path: Path, secret: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(secret + "\n")
    return path
