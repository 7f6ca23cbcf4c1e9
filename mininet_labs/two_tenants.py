"""Two tenants with the same addresses on three hypervisors: each sees its own and nothing else.

Run as root by Debian's Python: ``python3 -m mininet_labs.two_tenants run``.
"""

import ipaddress
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mininet.net import Mininet

from mininet_labs.common import lifecycle
from mininet_labs.common.controller import Controller
from mininet_labs.common.hypervisor import PYTHON, Hypervisor
from mininet_labs.common.processes import Daemons, LabError, wait_until
from mininet_labs.common.report import Checks, check_matrix, print_matrix, print_topology, say
from mininet_labs.common.rest import Api, ApiError
from mininet_labs.common.runs import Run
from mininet_labs.common.underlay import Underlay
from mininet_labs.common.workloads import (
    Workload,
    probe_gateways,
    probe_pairs,
    start_probers,
)

HOSTS = ("host1", "host2", "host3")
TENANTS = ("red", "blue")
VPC_CIDRS = ["10.0.0.0/16", "fd00:10::/48"]
SUBNETS = {
    "front": {"cidr": "10.0.1.0/24", "ipv6_cidr": "fd00:10:0:1::/64"},
    "back": {"cidr": "10.0.2.0/24", "ipv6_cidr": "fd00:10:0:2::/64"},
}
PLACES = (
    ("host1", "front"),
    ("host2", "front"),
    ("host3", "back"),
    ("host1", "front"),
    ("host2", "back"),
    ("host3", "back"),
)
"""Host and subnet of a tenant's workloads 1, 2, …: every combination of same or other host with
same or other subnet occurs."""

UNSHARED = {4: 200, 6: 200}
"""Workload → last part of its address with the second tenant, which the first tenant has nowhere:
there nobody may answer, while at all other addresses both tenants have somebody."""

DATAPATHS = {"system": "the kernel's datapath", "netdev": "userspace datapath"}
READY_S = 30.0
PATIENCE_S = 15.0


class TwoTenants:
    """The lab. Its parts are made in :meth:`bring_up`, so that a failure half way is cleaned up."""

    def __init__(self, run: Run, daemons: Daemons) -> None:
        self._run = run
        self._daemons = daemons
        self._controller = Controller(run, daemons)
        self._network: Mininet | None = None
        self._hosts: dict[str, Hypervisor] = {}
        self._workloads: list[Workload] = []
        self._admin: Api | None = None
        self._tenants: dict[str, Api] = {}

    def bring_up(self) -> None:
        """Build everything and return when every port is realised."""
        started = time.monotonic()
        say(f"lab: run {self._run.id}: controller, {len(HOSTS)} hypervisors, an underlay")
        self._controller.start()
        self._build_network()
        self._admin = self._controller.wait()
        self._register_hosts(self._admin)
        say(f"lab: two tenants with the same addresses, {len(PLACES)} workloads each")
        for tenant in TENANTS:
            self._create_tenant(self._admin, tenant)
        self._wait_for_ports(self._admin)
        self._run.note(
            hosts={label: host.inside() for label, host in self._hosts.items()},
            workloads={w.name: w.host.label for w in self._workloads},
        )
        say(f"lab: up in {time.monotonic() - started:.1f} s")
        print_topology(self._workloads, self._facts(self._admin))

    def check(self, checks: Checks) -> None:
        """Probe every pair, then delete everything through the API and look for leftovers."""
        admin = _known(self._admin)
        probers = start_probers(self._workloads, self._daemons)
        gateways = probe_gateways(probers, PATIENCE_S)
        sights = probe_pairs(probers, PATIENCE_S)
        print_matrix(self._workloads, sights)
        check_matrix(self._workloads, sights, checks)
        for (name, address, _), answered in gateways.items():
            checks.expect(answered, f"{name} gets a ping's answer from its gateway {address}")
        self._check_api(checks)
        for prober in probers:
            prober.end()
        self._take_down(admin, checks)

    def describe(self) -> str:
        """Return how to use the lab from a shell."""
        token = self._run.path("admin.token")
        token.touch(mode=0o600)
        token.write_text(self._controller.token_file.read_text())
        lifecycle.give_to_caller(token)
        first, last = self._workloads[0], self._workloads[len(PLACES) - 1]
        usage = f"""
The lab is up; `make down` ends it. In this shell:

  export PATH=$PWD/.venv/bin:$PATH
  export VPCCTL_API={self._controller.url} VPCCTL_TOKEN_FILE={token}

  vpcctl status
  vpcctl port list
  vpcctl vpc create mine --cidr 10.7.0.0/16 --tenant me
  curl -s -H "Authorization: Bearer $(cat $VPCCTL_TOKEN_FILE)" $VPCCTL_API/v1/hosts

Inside a workload (as root):

  /usr/bin/python3 -m mininet_labs.two_tenants exec {first.name} ping -c 3 {last.addresses[4]}
"""
        self._run.path("usage").write_text(usage)
        return usage

    def close(self) -> None:
        """End Mininet's shells, and with them the hosts' namespaces."""
        self._daemons.stop()
        if self._network is not None:
            self._network.stop()

    def _build_network(self) -> None:
        # Mininet would raise system-wide limits that a lab of this size does not need.
        Mininet.inited = True
        network = Mininet(
            controller=None, host=Hypervisor, switch=Underlay, waitConnected=False, build=False
        )
        self._network = network
        underlay = network.addSwitch(f"u-{self._run.id}")
        self._run.remember(underlay.pid)
        for number, label in enumerate(HOSTS, start=1):
            self._hosts[label] = network.addHost(
                f"h{number}-{self._run.id}",
                ip=f"192.0.2.{number}/24",
                run=self._run,
                daemons=self._daemons,
                label=label,
            )
            network.addLink(self._hosts[label], underlay)
        network.start()
        # In this thread: a child ends with the thread that started it (prctl(2), PDEATHSIG).
        for host in self._hosts.values():
            host.start_switch()

    def _register_hosts(self, admin: Api) -> None:
        for label, host in self._hosts.items():
            host_id = admin.post("/v1/hosts", {"name": label})["id"]
            made = admin.post("/v1/tokens", {"role": "host", "host_id": host_id})
            token = _write_token(self._run.path(label, "token"), made["secret"])
            host.start_agent(host_id, f"unix:{self._controller.api_socket}", token)
            host.params["id"] = host_id

    def _create_tenant(self, admin: Api, tenant: str) -> None:
        """Create a tenant's network with the tenant's token, and place its ports as the admin."""
        made = admin.post("/v1/tokens", {"role": "tenant", "tenant_id": tenant})
        api = self._tenants[tenant] = Api(self._controller.api_socket, made["secret"])
        vpc = api.post("/v1/vpcs", {"name": tenant, "cidrs": VPC_CIDRS})
        subnets = {
            name: api.post("/v1/subnets", {"name": name, "vpc_id": vpc["id"], **blocks})
            for name, blocks in SUBNETS.items()
        }
        for number, (label, subnet) in enumerate(PLACES, start=1):
            self._create_port(admin, f"{tenant}-{number}", subnets[subnet], self._hosts[label])

    def _create_port(self, admin: Api, name: str, subnet: dict[str, Any], host: Hypervisor) -> None:
        tenant, _, number = name.partition("-")
        body: dict[str, Any] = {"name": name, "subnet_id": subnet["id"]}
        if tenant == TENANTS[1] and int(number) in UNSHARED:
            body["fixed_ips"] = _nth_addresses(subnet, UNSHARED[int(number)])
        body["attachment"] = {
            "kind": "namespace",
            "host_id": host.params["id"],
            "netns": name,
            "interface": "eth0",
        }
        port = admin.post("/v1/ports", body)
        addresses = {6 if ":" in text else 4: text for text in port["fixed_ips"]}
        gateways = {4: subnet["gateway"], 6: subnet["ipv6_gateway"]}
        self._workloads.append(
            Workload(name, tenant, subnet["name"], host, port["id"], addresses, gateways)
        )

    def _wait_for_ports(self, admin: Api) -> None:
        def all_active() -> bool:
            self._daemons.check()
            ports = admin.get("/v1/ports?limit=500")["items"]
            return all(port["status"]["state"] == "active" for port in ports)

        try:
            wait_until(all_active, "every port to be active", seconds=READY_S)
        except LabError as error:
            ports = admin.get("/v1/ports?limit=500")["items"]
            late = [p for p in ports if p["status"]["state"] != "active"]
            reasons = "\n".join(f"{p['name']}: {p['status']['reason']}" for p in late)
            raise LabError(f"{error}\n{reasons}") from None

    def _facts(self, admin: Api) -> dict[str, str]:
        facts = {}
        for host in admin.get("/v1/hosts?limit=500")["items"]:
            software = f"Open vSwitch {host['ovs_version']}, {DATAPATHS[host['datapath_type']]}"
            facts[host["name"]] = f"{host['vtep_address']}  {software}"
        return dict(sorted(facts.items()))

    def _check_api(self, checks: Checks) -> None:
        """Check that each tenant lists its own alone, and finds nothing of the other's."""
        for tenant, api in self._tenants.items():
            listed = {port["name"] for port in api.get("/v1/ports?limit=500")["items"]}
            own = {w.name for w in self._workloads if w.tenant == tenant}
            checks.expect(listed == own, f"{tenant} lists its own ports alone")
            for other in self._workloads:
                if other.tenant != tenant:
                    status = api.status_of(f"/v1/ports/{other.port_id}")
                    checks.expect(status == 404, f"{other.name}'s port is unknown to {tenant}")

    def _take_down(self, admin: Api, checks: Checks) -> None:
        """Delete everything through the API and check that nothing is left of it."""
        for kind in ("ports", "subnets", "vpcs"):
            for item in admin.get(f"/v1/{kind}?limit=500")["items"]:
                deleted = _delete(admin, f"/v1/{kind}/{item['id']}")
                checks.expect(deleted, f"{item['id']} can be deleted")
        for label, host in self._hosts.items():
            gone = _within(lambda here=host: not here.namespaces(), seconds=10.0)
            checks.expect(gone, f"no workload's namespace is left on {label}")
        for kind in ("ports", "subnets", "vpcs"):
            left = admin.get(f"/v1/{kind}")["items"]
            checks.expect(not left, f"the API lists no {kind} any more")


def _known(api: Api | None) -> Api:
    if api is None:
        raise LabError("the lab is not up")
    return api


def _within(condition: Callable[[], bool], *, seconds: float) -> bool:
    try:
        wait_until(condition, "it", seconds=seconds)
    except LabError:
        return False
    return True


def _delete(admin: Api, path: str) -> bool:
    try:
        admin.delete(path)
    except ApiError as error:
        print(f"lab: {path}: {error}", file=sys.stderr)
        return False
    return True


def _nth_addresses(subnet: dict[str, Any], number: int) -> list[str]:
    blocks = (subnet["cidr"], subnet["ipv6_cidr"])
    return [str(ipaddress.ip_network(block)[number]) for block in blocks]


def _write_token(path: Path, secret: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(secret + "\n")
    return path


if __name__ == "__main__":
    if not PYTHON.exists():
        sys.exit(f"lab: {PYTHON} is not there: run `make install` first")
    sys.exit(lifecycle.main("two_tenants", TwoTenants))
